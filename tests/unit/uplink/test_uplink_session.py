"""The waiting between two connections: that there is one, and what ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from outrider.clock import ManualClock, SystemClock
from outrider.model.record import Lane, StoredRecord
from outrider.ports import Stream
from outrider.uplink.session_io import Uplink, UplinkOptions
from outrider.wire.birth import Birth


class Log:
    """A log that holds nothing to read."""

    def __init__(self) -> None:
        self.held: list[Stream] = []

    def streams(self) -> list[Stream]:
        return self.held

    def read(self, *_of: object) -> list[StoredRecord]:
        return []

    def acknowledge(self, *_of: object) -> bool:
        return True

    def wait_durable(self, _timeout_s: float) -> bool:
        return False


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def uplink(log: Log) -> Iterator[Uplink]:
    def birth() -> Birth:
        raise AssertionError("nothing connects here")

    made = Uplink(log, UplinkOptions("127.0.0.1", 1, "car", ack_key=b"k" * 16), SystemClock(), birth)
    yield made
    made.stop()


def test_an_emergency_is_new_whatever_an_older_log_held(log: Log, uplink: Uplink) -> None:
    """The five of the boot before are acknowledged and gone; the first of this one ends the waiting all the same."""
    log.held = [Stream(1, Lane.EMERGENCY, 0, 5)]
    assert uplink._is_new_emergency()
    uplink._emergencies_seen = uplink._sender.view.emergencies()
    assert not uplink._is_new_emergency()
    log.held = [Stream(2, Lane.EMERGENCY, 0, 1)]
    assert uplink._is_new_emergency()


def test_a_fault_before_connecting_is_not_repeated_at_once(uplink: Uplink) -> None:
    """A fault of ours (here: no birth document) waits like a broker that is away; else it would fill the log."""
    before = SystemClock().boottime_us()
    with pytest.raises(AssertionError, match="nothing connects"):
        uplink._connect()
    assert uplink._brokers.first.ready_us > before


class Stuck:
    """A connection whose thread does not come back."""

    def __init__(self) -> None:
        self.aborts = 0

    def abort(self) -> None:
        self.aborts += 1

    def close(self) -> None:
        pass


def test_a_turn_that_never_ends_is_broken_off_and_a_sleep_is_none(
    log: Log, uplink: Uplink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After more than a minute. A system that was suspended for a night only looks like it for a moment."""
    clock, stuck = ManualClock(boottime_us=10**9), Stuck()
    monkeypatch.setattr(uplink, "_clock", clock)
    monkeypatch.setattr(uplink, "_connection", stuck)
    monkeypatch.setattr(uplink, "_threads", [threading.current_thread()] * 2)
    uplink._beat_us = clock.boottime_us()
    for _ in range(3):  # nights
        clock.advance(30_000.0)
        uplink._see_to_sender()
        clock.advance(0.5)
        uplink._see_to_sender()
        uplink._beat_us = clock.boottime_us()  # the sender went on
        uplink._see_to_sender()
    assert stuck.aborts == 0
    for _ in range(61 * 2):
        clock.advance(0.5)
        uplink._see_to_sender()
    assert stuck.aborts == 0
    for _ in range(2 * 10):
        clock.advance(0.5)
        uplink._see_to_sender()
    assert stuck.aborts == 1
    assert uplink._tally.counters["hangs"] == 1
