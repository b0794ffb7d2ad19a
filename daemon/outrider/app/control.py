"""The control socket: a program on the terminal asks the running daemon for its state.

A Unix stream socket, mode 0660. One JSON object a line in, one JSON object a line out, then the connection may go on.
Requests: ``{"cmd": "status"}``, and those that parts of the daemon answer (``commands``). An unknown or malformed
request gets ``{"error": "..."}`` and nothing else. A client is cut off after ``CLIENT_TIMEOUT_S``, whatever it does:
there may be others. Who may open the socket (its user and group) may ask, and may do the little that commands do; what
concerns the car will need authorisation of its own.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from outrider.errors import ConfigError, InputError, LinkError, OutriderError

CLIENT_TIMEOUT_S: Final = 5.0
FAULT_S: Final = 1.0
MAX_REQUEST: Final = 4096
MAX_ANSWER: Final = 1 << 20

log = logging.getLogger(__name__)
Command = Callable[[dict[str, Any]], dict[str, Any]]  # the request in, the answer out; on the control thread


class ControlServer:
    """Answers on its own thread; ``status`` and ``commands`` must be safe to call from there. A command's
    InputError is its answer."""

    def __init__(
        self, path: Path, status: Callable[[], dict[str, Any]], commands: Mapping[str, Command] | None = None
    ) -> None:
        self._path = path
        self._commands = dict(commands or {})
        self._status = status
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)
        self._stopping = False
        self._inode = 0

    def start(self) -> None:
        """LinkError when a living daemon answers at the path, ConfigError when what is there is no socket."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _make_room(self._path)
            self._socket.bind(str(self._path))
        except (OutriderError, OSError):
            self._socket.close()
            raise
        self._path.chmod(0o660)
        self._inode = self._path.stat().st_ino
        self._socket.listen(4)
        self._thread.start()

    def stop(self) -> None:
        """Ends, and takes the socket away unless it is another's by now."""
        self._stopping = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if self._thread.is_alive():
            self._thread.join(timeout=CLIENT_TIMEOUT_S + 1)
        with suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    def _serve(self) -> None:
        while not self._stopping:
            try:
                client, _address = self._socket.accept()
            except OSError as err:
                if not self._stopping:  # no file descriptor left: that may pass
                    log.warning("control socket: %s", err)
                    time.sleep(FAULT_S)
                continue
            with client, suppress(OSError):
                self._talk(client, time.monotonic() + CLIENT_TIMEOUT_S)

    def _talk(self, client: socket.socket, deadline: float) -> None:
        buffer = b""
        while not self._stopping and (rest := deadline - time.monotonic()) > 0:
            client.settimeout(rest)
            chunk = client.recv(MAX_REQUEST)
            if not chunk:
                return
            buffer += chunk
            while b"\n" in buffer:
                line, buffer = buffer.split(b"\n", 1)
                client.sendall(self._answer(line).encode() + b"\n")
            if len(buffer) > MAX_REQUEST:
                client.sendall(b'{"error": "request too long"}\n')
                return

    def _answer(self, line: bytes) -> str:
        """A fault in telling must not end the telling."""
        try:
            return json.dumps(self._document(line), allow_nan=False)
        except Exception as err:
            log.exception("status")
            return json.dumps({"error": f"status failed: {type(err).__name__}: {err}"})

    def _document(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return {"error": "not JSON"}
        command = request.get("cmd") if isinstance(request, dict) else None
        if command == "status":
            return self._status()
        if isinstance(command, str) and command in self._commands:
            try:
                return self._commands[command](request)
            except InputError as err:
                return {"error": str(err)}
        return {"error": f"unknown command {command!r}; known: {', '.join(['status', *sorted(self._commands)])}"}


def _make_room(path: Path) -> None:
    """Takes away the socket of a daemon that is dead; never that of a living one, which nobody could ask any more."""
    if not path.exists():
        return
    if not path.is_socket():
        raise ConfigError("is there already and is no socket; name another terminal.control_socket", path=path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass  # it lives and is busy
    raise LinkError(f"{path}: another daemon answers there; stop it or name another terminal.control_socket")


class NoDaemonError(LinkError):
    """Nobody answers at the control socket."""


def ask(path: Path, command: str, **more: Any) -> dict[str, Any]:
    """Client side: one request (``more``: its further members), one answer.

    NoDaemonError when nobody listens or answers; LinkError when the answer is no JSON, or a refusal.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(CLIENT_TIMEOUT_S)
            sock.connect(str(path))
            sock.sendall(json.dumps({"cmd": command, **more}).encode() + b"\n")
            answer = _read_line(sock)
    except OSError as err:
        message = f"no daemon answers at {path}: {err.strerror or err}; is `outrider run` running?"
        raise NoDaemonError(message) from None
    try:
        document = json.loads(answer)
    except ValueError:
        raise LinkError(f"{path}: the answer is no JSON") from None
    if not isinstance(document, dict) or set(document) == {"error"}:  # beside other members it is a part's trouble
        raise LinkError(f"{path}: {document['error'] if isinstance(document, dict) else document}")
    return document


def ask_if_running(path: Path, command: str) -> dict[str, Any] | None:
    """The answer, or None when no daemon runs; LinkError as ``ask``."""
    try:
        return ask(path, command) if path.exists() else None
    except NoDaemonError:
        return None


def _read_line(sock: socket.socket) -> bytes:
    buffer = b""
    while b"\n" not in buffer:
        chunk = sock.recv(65536)
        if not chunk:
            break
        buffer += chunk
        if len(buffer) > MAX_ANSWER:
            raise OSError("the answer is too long")
    return buffer
