"""The waiting between two connections: that there is one, and what ends it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from outrider.clock import SystemClock
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
