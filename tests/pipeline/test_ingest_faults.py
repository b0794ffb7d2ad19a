"""A database that refuses: nothing is confirmed that is not stored, and all of it comes again."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from outrider.errors import JournalError
from outrider.ingest import core
from outrider.ingest.sinks.store_io import Accepted, Store
from outrider.model.record import Lane
from outrider.wire.codec import Batch, decode_batch
from tests.support.broker import Broker
from tests.support.delivery import fill, make_uplink, receiver, running, stored
from tests.support.memory_log import MemoryLog, opaque
from tests.support.terminal import wait_until


def test_what_the_database_refuses_is_not_acknowledged(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full for three commits: no acknowledgement, nothing half stored, then everything arrives."""
    log, rng, database = MemoryLog(), random.Random(1), tmp_path / "r.db"
    commit = Store.commit
    left = [3]

    def failing(self: Store) -> None:
        if left[0]:
            left[0] -= 1
            self.rollback()
            raise JournalError("database or disk is full")
        commit(self)

    monkeypatch.setattr(Store, "commit", failing)
    fill(log, rng, telemetry_rows=300, events=9)
    log.append(opaque(Lane.EMERGENCY, 1, 50, rng))
    with receiver(broker.port, database) as received, running(make_uplink(log, broker.port)):
        assert log.wait_acknowledged(60)
        assert received.stats()["store_faults"] == 3
        assert received.stats()["conflicts"] == 0
    assert left == [0]
    assert stored(database) == log.digest()


def test_a_log_that_fails_for_a_while_does_not_end_the_sending(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors of the journal are counted; sending goes on when it is back."""
    log, rng, database = MemoryLog(), random.Random(2), tmp_path / "r.db"
    streams = log.streams
    left = [5]

    def failing() -> object:
        if left[0]:
            left[0] -= 1
            raise JournalError("input/output error")
        return streams()

    with receiver(broker.port, database):
        uplink = make_uplink(log, broker.port)
        monkeypatch.setattr(log, "streams", failing)
        with running(uplink):
            log.append(opaque(Lane.EVENT, 1, 50, rng))
            assert log.wait_acknowledged(60)
            assert uplink.status().counters["log_faults"] == 5
            assert "faults" not in uplink.status().counters
    assert stored(database) == log.digest()


def test_an_uplink_that_was_never_started_can_be_stopped(broker: Broker) -> None:
    """And stopping twice is once."""
    uplink = make_uplink(MemoryLog(), broker.port)
    uplink.stop()
    uplink.stop()


def test_a_long_group_is_committed_in_parts(broker: Broker, tmp_path: Path) -> None:
    """Acknowledgements do not wait until a whole backlog is decoded: with no time allowed, a commit per message."""
    log, rng, database = MemoryLog(), random.Random(3), tmp_path / "r.db"
    fill(log, rng, telemetry_rows=600, events=20)
    with receiver(broker.port, database, group_limit_s=0.0) as received, running(make_uplink(log, broker.port)):
        assert log.wait_acknowledged(60)
        wait_until("one each", lambda: received.stats()["commits"] == received.stats()["messages"] > 3)
    assert stored(database) == log.digest()


@pytest.mark.parametrize("where", ["decode_batch", "accept"])
def test_a_message_that_trips_the_receiver_keeps_out_no_other(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A fault of ours, in decoding or storing one device's message: it becomes a dead letter, undone to the last row;
    the receiver goes on, and other devices are stored and acknowledged."""
    bad, good, rng, database = MemoryLog(epoch=7), MemoryLog(epoch=8), random.Random(4), tmp_path / "r.db"
    bad.append(opaque(Lane.EVENT, 1, 50, rng))
    fill(good, rng, telemetry_rows=60, events=3)
    tripped = threading.Event()
    accept = Store.accept

    def no_decode(payload: bytes, *, max_bytes: int) -> Batch:
        batch = decode_batch(payload, max_bytes=max_bytes)
        if batch.epoch == 7:
            tripped.set()
            raise ZeroDivisionError("not foreseen")
        return batch

    def no_accept(self: Store, batch: Batch, utc_us: int) -> Accepted:
        accepted = accept(self, batch, utc_us)
        if batch.epoch == 7:
            tripped.set()
            raise ZeroDivisionError("not foreseen")
        return accepted

    if where == "accept":
        monkeypatch.setattr(Store, "accept", no_accept)
    else:
        monkeypatch.setattr(core, "decode_batch", no_decode)
    with receiver(broker.port, database) as received:
        with running(make_uplink(bad, broker.port)):
            assert tripped.wait(60)
        with running(make_uplink(good, broker.port)):
            assert good.wait_acknowledged(60)
        assert received.stats()["link_faults"] == 0
    assert stored(database) == good.digest()
    with Store.open(database, read_only=True) as store:
        assert "ZeroDivisionError: not foreseen" in store.dead_letters()[0][1]
