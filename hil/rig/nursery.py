"""Starts `outrider` quickly where a Python start is dear: a process that has imported it forks one that runs it.

In a guest without KVM the imports of `outrider run` take eight seconds. What is forked runs the command's own entry
point with the command's own arguments, from the first line to the interpreter's end; only the imports are shared. The
rig uses it in its slow guest, elsewhere (and with OUTRIDER_HIL_NURSERY=0) each process is started anew.

    rig -> nursery   {"arguments": [...], "log": "..."}
    nursery -> rig   {"pid": 1}, and {"pid": 1, "code": 0} when it has ended (negative: the signal, as in subprocess)
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

# What the daemon and the receiver import at their start.
PRELOADED: Final = (
    "outrider.cli.main", "outrider.cli.run", "outrider.cli.ingest", "outrider.app.daemon", "outrider.config",
    "outrider.clock", "outrider.ingest.receiver_io", "can", "can.interfaces.socketcan", "paho.mqtt.client",
)  # fmt: skip
START_S: Final = 180.0
POLL_S: Final = 0.02


class Process(Protocol):
    """What the rig needs of a process: a part of subprocess.Popen."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def kill(self) -> None: ...


class Launcher(Protocol):
    """Starts ``outrider ARGUMENTS`` with its output appended to ``log``."""

    def __call__(self, arguments: Sequence[object], log: Path) -> Process: ...


def anew(arguments: Sequence[object], log: Path) -> Process:
    """A process of its own from the start."""
    command = [sys.executable, "-m", "outrider", *map(str, arguments)]
    with log.open("ab") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


class Nursery:
    """The rig's side. Fulfils ``Launcher``."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(START_S)
        with theirs:
            command = [sys.executable, "-m", "hil.rig.nursery", str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        self._rest = b""
        self._messages: deque[dict[str, Any]] = deque()
        self._codes: dict[int, int] = {}
        assert self._told() == {"ready": True}

    def close(self) -> None:
        """Ends it; what it started lives on."""
        self._socket.close()
        self._process.wait(START_S)

    def __call__(self, arguments: Sequence[object], log: Path) -> Process:
        request = {"arguments": [str(argument) for argument in arguments], "log": str(log)}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            message = self._told()
            if "code" not in message:
                return Fostered(self, int(message["pid"]))
            self._codes[message["pid"]] = message["code"]

    def code(self, pid: int) -> int | None:
        """Exit code of a process that has ended, None while it runs."""
        while pid not in self._codes and (self._messages or select.select([self._socket], [], [], 0)[0]):
            message = self._told()
            self._codes[message["pid"]] = message["code"]
        return self._codes.get(pid)

    def _told(self) -> dict[str, Any]:
        """The next message; waits for it."""
        while not self._messages:
            received = self._socket.recv(65536)
            assert received, "the nursery has ended: see its words above"
            *lines, self._rest = (self._rest + received).split(b"\n")
            self._messages.extend(json.loads(line) for line in lines)
        return self._messages.popleft()


class Fostered:
    """A process that the nursery started. Fulfils ``Process``."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self._nursery = nursery

    def poll(self) -> int | None:
        return self._nursery.code(self.pid)

    def wait(self, timeout: float | None = None) -> int:
        """As subprocess: TimeoutExpired when it does not end in time."""
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            time.sleep(POLL_S)
        return code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


# -- the nursery itself ---------------------------------------------------------------------------------------


def serve(channel: socket.socket) -> list[str] | None:
    """Forks on request and tells of ends, until the rig closes the channel. In a child: returns its arguments."""
    channel.sendall(b'{"ready": true}\n')
    running: dict[int, int] = {}  # pidfd -> pid
    requests: deque[bytes] = deque()
    rest = b""
    while True:
        ready: list[int] = select.select([channel.fileno(), *running], [], [])[0]
        for pidfd in ready:
            if pidfd in running:
                _tell_end(channel, running.pop(pidfd), pidfd)
        if channel.fileno() in ready:
            received = channel.recv(65536)
            if not received:
                return None
            *lines, rest = (rest + received).split(b"\n")
            requests.extend(lines)
        while requests:
            request = json.loads(requests.popleft())
            pid = os.fork()
            if pid == 0:
                _settle(channel, list(running), Path(request["log"]))
                return [str(word) for word in request["arguments"]]
            running[os.pidfd_open(pid)] = pid
            channel.sendall(json.dumps({"pid": pid}).encode() + b"\n")


def _tell_end(channel: socket.socket, pid: int, pidfd: int) -> None:
    os.close(pidfd)
    _pid, status = os.waitpid(pid, 0)
    channel.sendall(json.dumps({"pid": pid, "code": os.waitstatus_to_exitcode(status)}).encode() + b"\n")


def _settle(channel: socket.socket, others: list[int], log: Path) -> None:
    """In the child: as a new process finds itself, with the output in the log."""
    channel.close()
    for fd in others:
        os.close(fd)
    with log.open("ab") as output, open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    for name in PRELOADED:
        importlib.import_module(name)
    arguments = serve(channel)
    if arguments is not None:
        from outrider.cli.main import main as outrider_main

        sys.argv = ["outrider", *arguments]
        outrider_main()


if __name__ == "__main__":
    main()
