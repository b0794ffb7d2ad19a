"""A real mosquitto on loopback: own config, own free port, killed and started again on demand. Never touches others."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def mosquitto_path() -> str:
    """Path of the broker; skips the test when there is none."""
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("needs mosquitto: apt-get install mosquitto")
    return found


class Broker:
    """Started in the constructor; ``kill`` is SIGKILL, ``start`` brings it back on the same port, empty."""

    def __init__(self, directory: Path, *extra: str, listener: str = "") -> None:
        self.port = free_port()
        self._path = mosquitto_path()
        self._config = directory / "mosquitto.conf"
        self._log = directory / "mosquitto.log"
        lines = [
            f"listener {self.port} 127.0.0.1",
            listener,
            *(["user root"] if os.geteuid() == 0 else []),  # or it gives up its rights and cannot read our files
            "allow_anonymous true",
            "set_tcp_nodelay true",
            "max_queued_messages 0",
            "max_inflight_messages 0",
            *extra,
        ]
        self._config.write_text("\n".join(lines) + "\n", encoding="ascii")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        assert self._process is None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([self._path, "-c", str(self._config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"mosquitto ended: {self.log()}")
            with socket.socket() as sock:
                sock.settimeout(1)
                if sock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)  # polling the start of a process that tells nobody
        raise RuntimeError(f"mosquitto does not listen: {self.log()}")

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def change(self, line: str, instead: str) -> None:
        """Another line of the configuration, from the next start on."""
        text = self._config.read_text(encoding="ascii")
        assert line in text.splitlines(), f"no line {line!r}"
        self._config.write_text(text.replace(f"{line}\n", f"{instead}\n"), encoding="ascii")

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")
