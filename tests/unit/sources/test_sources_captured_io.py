"""SocketCAN through the native capture: opened by a thread, read by the owner, opened again when lost."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from outrider.clock import SystemClock
from outrider.engine import ERROR_CLASSES, BusStats, Capture, CaptureOptions, Engine
from outrider.sources.can_io import CanOptions
from outrider.sources.captured_io import CaptureDesk, CapturedSource
from tests.support.can_feed import CAN_ERR, classic, pair, taped_engine

DEADLINE_S = 60.0


class FakeBus:
    """What python-can would open: a descriptor, and a way to close it."""

    def __init__(self) -> None:
        self.sender, self.receiver = pair()
        self.closed = False

    def fileno(self) -> int:
        return self.receiver.fileno()

    def shutdown(self) -> None:
        self.closed = True
        self.receiver.close()


class Bench:
    def __init__(self, engine: Engine, desk: CaptureDesk, sys_net: Path, failures: int) -> None:
        self.engine, self.desk, self.buses, self.failures = engine, desk, [], failures  # type: ignore[var-annotated]
        options = CanOptions("socketcan", "can0", bus=1, back_off_s=(0.001, 0.002))
        self.source = CapturedSource(options, SystemClock(), desk, opener=self.open, sys_net=sys_net)

    def open(self, _options: CanOptions) -> Any:
        if self.failures:
            self.failures -= 1
            raise OSError("No such device")
        self.buses.append(FakeBus())
        return self.buses[-1]

    def serve_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, self.source.state()
            self.desk.serve(0.02)
            self.engine.take()

    def frames(self, count: int) -> None:
        self.serve_until(lambda: self.engine.stats().frames >= count)


@contextmanager
def bench(sys_net: Path, failures: int = 0) -> Iterator[Bench]:
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    with taped_engine(2) as engine:
        with Capture(engine, CaptureOptions(gather_us=0, merge_window_us=0)) as capture:
            desk = CaptureDesk(capture)
            box = Bench(engine, desk, sys_net, failures)
            box.source.start(lambda _item: pytest.fail("frames go past deliver"))
            try:
                yield box
            finally:
                box.source.stop()
                desk.close()
        assert all(bus.closed for bus in box.buses)
        for bus in box.buses:
            bus.sender.close()
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before, "a descriptor was left open"


def test_frames_reach_the_engine_and_the_state_tells(tmp_path: Path) -> None:
    """Up, the counters by name, the granted buffer; silent ones are left out."""
    with bench(tmp_path) as box:
        box.serve_until(lambda: box.buses)
        for datagram in (classic(0x100, b"\1"), classic(CAN_ERR | 0x40, bytes(8)), b"bad"):
            box.buses[0].sender.send(datagram)
        box.frames(2)
        box.serve_until(lambda: box.source.state().get("malformed"))
        state = box.source.state()
    assert state["state"] == "up"
    assert (state["name"], state["frames"], state["error_frames"], state["bus_off"]) == ("socketcan:can0", 2, 1, 1)
    assert state["malformed"] == 1
    assert state["receive_buffer"] > 0
    assert "socket_lost" not in state
    assert box.source.state()["state"] == "stopped"


def test_a_lost_bus_is_opened_again_and_its_counters_go_on(tmp_path: Path) -> None:
    """The interface goes away in mid-read: down with the reason, then open again; frames of both sessions count."""
    with bench(tmp_path) as box:
        box.serve_until(lambda: box.buses)
        box.buses[0].sender.send(classic(0x100, b"\1"))
        box.frames(1)
        box.serve_until(lambda: box.source.state().get("frames") == 1)
        box.buses[0].receiver.shutdown(socket.SHUT_RDWR)
        box.serve_until(lambda: len(box.buses) == 2)
        box.buses[1].sender.send(classic(0x100, b"\2"))
        box.frames(2)
        box.serve_until(lambda: box.source.state().get("frames") == 2)
        state = box.source.state()
    assert (state["opened"], state["failures"], state["state"]) == (2, 1, "up")
    assert box.source.stats.last_error == os.strerror(32)


def test_an_interface_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    """Three failures, then it comes."""
    with bench(tmp_path, failures=3) as box:
        box.serve_until(lambda: box.buses)
        box.buses[0].sender.send(classic(0x100, b"\1"))
        box.frames(1)
        assert box.source.state()["failures"] == 3


def test_a_descriptor_that_cannot_be_captured_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source is told why, and goes on trying."""
    with bench(tmp_path) as box:
        box.serve_until(lambda: box.buses)
        box.serve_until(lambda: box.source.state().get("receive_buffer"))
        add, refusals = Capture.add, [1]

        def refuse(self: Capture, fd: int, bus: int, *, local: bool = False) -> None:
            if refusals.pop() if refusals else 0:
                raise OSError(9, "no socket")
            add(self, fd, bus, local=local)

        monkeypatch.setattr(Capture, "add", refuse)
        box.buses[0].receiver.shutdown(socket.SHUT_RDWR)
        box.serve_until(lambda: len(box.buses) == 3)
        assert "no socket" in box.source.stats.last_error


def test_stopping_needs_no_owner(tmp_path: Path) -> None:
    """stop returns although nobody serves any more; a source may be started again."""
    with bench(tmp_path) as box:
        box.serve_until(lambda: box.buses)
        stopper = threading.Thread(target=box.source.stop)
        stopper.start()
        stopper.join(DEADLINE_S)
        assert not stopper.is_alive()
        box.source.start(lambda _item: None)
        box.serve_until(lambda: len(box.buses) == 2)
        box.buses[1].sender.send(classic(0x100, b"\1"))
        box.frames(1)


@pytest.mark.parametrize(("real", "virtual"), [(True, False), (False, True)])
def test_a_bus_without_a_device_behind_it_is_virtual(tmp_path: Path, real: bool, virtual: bool) -> None:
    """On vcan everything is sent by this host, and traffic all the same."""
    if real:
        (tmp_path / "can0" / "device").mkdir(parents=True)
    with bench(tmp_path) as box:
        box.serve_until(lambda: box.source.state().get("receive_buffer"))  # it is captured, so this was decided
        assert box.source.virtual is virtual


def test_the_reference_explains_the_counters_of_a_captured_bus() -> None:
    """Each name that the state may carry stands in docs/reference/sources.md."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "sources.md").read_text(encoding="utf-8")
    section = page.partition("### SocketCAN")[2].partition("\n## ")[0]
    names = {field.name for field in fields(BusStats)} - {"last_us", "lost_errno", "reads", "errors"}
    names |= {f"error_{name}" for name in ERROR_CLASSES} - {"error_bus_off"} | {"bus_off"}
    assert {name for name in names if f"`{name}`" not in section} == set()
