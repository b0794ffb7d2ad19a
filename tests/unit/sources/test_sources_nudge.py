"""A source that waits for its device is told that it may be there again."""

from __future__ import annotations

import threading

import pytest

from outrider.clock import SystemClock
from outrider.sources.live_io import DeviceThread, LostError

DEADLINE_S = 60.0


class Device(DeviceThread):
    """Fails until ``there`` is set. Its waits are far longer than any test."""

    def __init__(self) -> None:
        super().__init__("device", SystemClock(), (3600.0, 3600.0))
        self.there = threading.Event()
        self.tried = threading.Semaphore(0)
        self.open = threading.Event()

    def _check(self) -> None: ...

    def _session(self) -> None:
        self.tried.release()
        if not self.there.is_set():
            raise LostError("No such device")
        self._up()
        self.open.set()
        self._stop.wait()


@pytest.fixture
def device() -> Device:
    return Device()


def test_a_nudge_ends_the_wait(device: Device) -> None:
    """The next attempt comes at once; without a nudge it would come in an hour."""
    device.start(lambda _item: None)
    assert device.tried.acquire(timeout=DEADLINE_S)
    device.there.set()
    device.nudge()
    assert device.open.wait(DEADLINE_S)
    device.stop()


def test_every_nudge_brings_an_attempt(device: Device) -> None:
    """Also when the last one was in vain."""
    device.start(lambda _item: None)
    for _attempt in range(5):
        assert device.tried.acquire(timeout=DEADLINE_S)
        device.nudge()
    assert device.tried.acquire(timeout=DEADLINE_S)
    device.stop()
    assert device.stats.failures >= 6


def test_stop_ends_the_wait_and_a_start_afterwards_works(device: Device) -> None:
    """A nudge from before the start does not matter."""
    device.nudge()
    for _again in range(2):
        device.start(lambda _item: None)
        assert device.tried.acquire(timeout=DEADLINE_S)
        device.stop()
        assert device.state()["state"] == "stopped"
