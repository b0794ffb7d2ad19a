"""A broker on loopback for the demo: mosquitto where it is installed, otherwise the embedded one of a wheel.

For demonstrations only: no authentication, bound to 127.0.0.1, gone when the context closes.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from outrider.errors import LinkError

HOST: Final = "127.0.0.1"
START_TIMEOUT_S: Final = 15.0


@contextmanager
def loopback_broker(directory: Path) -> Iterator[tuple[str, int]]:
    """Runs a broker; yields (its name, port). LinkError when none can be had."""
    port = _free_port()
    mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if mosquitto:
        with _mosquitto(mosquitto, directory, port):
            yield "mosquitto", port
    else:
        with _embedded(port):
            yield "iotcore", port


@contextmanager
def _mosquitto(program: str, directory: Path, port: int) -> Iterator[None]:
    config = directory / "mosquitto.conf"
    lines = (f"listener {port} {HOST}", "allow_anonymous true", "max_queued_messages 0", "set_tcp_nodelay true")
    config.write_text("\n".join((*lines, "persistence false", "")), encoding="ascii")
    with (directory / "mosquitto.log").open("wb") as log:
        process = subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)
        try:
            _wait_for(port)
            yield
        finally:
            process.terminate()
            process.wait(timeout=10)


@contextmanager
def _embedded(port: int) -> Iterator[None]:
    try:
        from iotcore import Broker
    except ImportError:
        raise LinkError("no broker: install mosquitto (apt install mosquitto) or the extra outrider[demo]") from None
    with Broker(port=port, listen=HOST):
        _wait_for(port)
        yield


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((HOST, port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise LinkError(f"the broker does not listen on {HOST}:{port}")
