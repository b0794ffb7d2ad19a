"""The daemon with buses of SocketCAN: read natively, beside a bus that python-can reads."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import can
import pytest

from outrider.app.control import ask
from outrider.app.daemon import Daemon
from outrider.app.options import live_sources
from outrider.clock import SystemClock
from outrider.config import load_config
from outrider.errors import LinkError
from outrider.sources.can_io import CanSource
from tests.support.can_feed import classic, pair, seen
from tests.support.terminal import wait_until

CONFIG = """
[terminal]
device = "T9"
data_directory = "data"
control_socket = "{folder}/control.sock"
[vehicle]
profiles = ["simcar"]
[[can]]
interface = "socketcan"
channel = "can0"
[[can]]
interface = "virtual"
channel = "{folder}"
[[can]]
interface = "socketcan"
channel = "can1"
[engine]
recorder_kib = 1024
tape_directory = "tapes"
"""


class FakeSocketcan:
    def __init__(self, receiver: socket.socket) -> None:
        self._receiver = receiver

    def fileno(self) -> int:
        return self._receiver.fileno()

    def shutdown(self) -> None:
        pass


@pytest.fixture
def buses(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, socket.socket]]:
    """Senders by channel; python-can opens sockets that stand in for the kernel's buses."""
    pairs = {name: pair() for name in ("can0", "can1")}
    real_bus = can.Bus

    def opener(*, interface: str, channel: str, **rest: Any) -> Any:
        if interface == "socketcan":
            return FakeSocketcan(pairs[channel][1])
        return real_bus(interface=interface, channel=channel, **rest)

    monkeypatch.setattr(can, "Bus", opener)
    yield {name: sender for name, (sender, _receiver) in pairs.items()}
    for both in pairs.values():
        for sock in both:
            sock.close()


def test_captured_and_other_buses_side_by_side(tmp_path: Path, buses: dict[str, socket.socket]) -> None:
    """Every frame of three buses is counted once, the tape has them all, the daemon stops in order."""
    file = tmp_path / "outrider.toml"
    file.write_text(CONFIG.format(folder=tmp_path), encoding="utf-8")
    stop, failed = threading.Event(), []

    def run() -> None:
        try:
            Daemon(load_config(file), tmp_path, SystemClock()).run(stop)
        except Exception as err:  # noqa: BLE001  # any; told by the assertion below
            failed.append(err)

    owner = threading.Thread(target=run)
    owner.start()

    def status() -> dict[str, Any]:
        assert not failed
        try:
            return ask(tmp_path / "control.sock", "status")
        except LinkError:
            return {"sources": [{"state": "away"}], "engine": {}}

    try:
        wait_until("all buses are up", lambda: {s["state"] for s in status()["sources"]} == {"up"})
        with can.Bus(interface="virtual", channel=str(tmp_path), ignore_config=True) as other:
            for n in range(3000):
                buses["can0"].send(classic(0x123, n.to_bytes(4, "little")))
                buses["can1"].send(classic(0x124, n.to_bytes(4, "little")))
                if n % 10 == 0:
                    other.send(can.Message(arbitration_id=0x125, is_extended_id=False))
            wait_until("all frames are counted", lambda: status()["engine"].get("frames", 0) >= 6300)
            sources = status()["sources"]
    finally:
        stop.set()
        owner.join(60)
    assert not owner.is_alive()
    assert not failed
    assert [s.get("frames") for s in sources] == [3000, 300, 3000]
    [tape] = (tmp_path / "tapes").iterdir()
    frames = seen(tape.read_bytes())
    for bus, count in ((0, 3000), (1, 300), (2, 3000)):
        assert sum(f.bus == bus for f in frames) == count
    assert [int.from_bytes(f.data, "little") for f in frames if f.bus == 2] == list(range(3000))


def test_without_a_desk_every_bus_is_read_by_python_can(tmp_path: Path) -> None:
    """Tools that only want sources get the plain ones."""
    file = tmp_path / "outrider.toml"
    file.write_text(CONFIG.format(folder=tmp_path), encoding="utf-8")
    assert all(isinstance(s, CanSource) for s in live_sources(load_config(file), SystemClock()))
