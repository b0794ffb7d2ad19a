"""The writer's thread: when it commits, whom it refuses, what it does when the disk fails."""

from __future__ import annotations

import dataclasses
import queue
import threading
from collections.abc import Iterator

import pytest

from outrider.clock import SystemClock
from outrider.model.record import Gap, GapReason, Kind, Lane, Record
from outrider.ports import Guard, RecordSink
from outrider.record.journal import Journal
from outrider.record.options import JournalOptions
from outrider.record.storage_memory import MemoryStorage, Operation, refusal
from outrider.record.writer_io import JournalWriter, WriterOptions
from outrider.wire.bodies import decode_body
from tests.support.records import SMALL, numbers, open_journal, record

NEVER = WriterOptions(event_commit_s=3600, telemetry_commit_s=3600, retry_s=0.01)
PATIENCE_S = 60.0


class SharedMemory(MemoryStorage):
    """Memory that threads share."""

    def __init__(self) -> None:
        super().__init__()
        self._condition = threading.Condition()

    def guard(self) -> Guard:
        return self._condition


class Rig:
    """A writer, its journal, and what became durable, in order."""

    def __init__(self, options: WriterOptions = NEVER, journal: JournalOptions = SMALL) -> None:
        self.storage = SharedMemory()
        self.journal: Journal = open_journal(self.storage, journal)
        self.durable: queue.Queue[tuple[Lane, int]] = queue.Queue()
        self.writer = JournalWriter(
            self.journal, options, SystemClock(), on_durable=lambda _epoch, lane, seq: self.durable.put((lane, seq))
        )

    def wait(self) -> tuple[Lane, int]:
        return self.durable.get(timeout=PATIENCE_S)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.writer.stop()


def test_it_is_a_record_sink(rig: Rig) -> None:
    """The driving side sees the port only."""
    sink: RecordSink = rig.writer
    assert sink.put(record())


@pytest.mark.parametrize("lane", [Lane.EMERGENCY, Lane.LEDGER])
def test_urgent_lanes_are_committed_at_once(rig: Rig, lane: Lane) -> None:
    """With hour-long group commit for the rest, which stays pending."""
    rig.writer.start()
    rig.writer.put(record(Lane.TELEMETRY))
    rig.writer.put(record(lane))
    assert rig.wait() == (lane, 1)
    assert [s.lane for s in rig.journal.streams()] == [lane]


def test_group_commit_takes_what_came_together() -> None:
    """Event and telemetry are committed after their time, all that waited at once."""
    rig = Rig(WriterOptions(event_commit_s=0.05, telemetry_commit_s=0.05))
    for n in range(20):
        rig.writer.put(record(Lane.TELEMETRY, n))
    rig.writer.start()
    assert rig.wait() == (Lane.TELEMETRY, 20)
    assert rig.journal.stats().commits == 1
    rig.writer.stop()


def test_moving_shortens_what_already_waits(rig: Rig) -> None:
    """set_moving wakes the thread: telemetry put before it is committed after the short time."""
    rig = Rig(WriterOptions(telemetry_commit_s=3600, telemetry_commit_moving_s=0.01))
    rig.writer.start()
    rig.writer.put(record(Lane.TELEMETRY))
    rig.writer.set_moving(True)
    assert rig.wait() == (Lane.TELEMETRY, 1)
    rig.writer.stop()


def test_flush_makes_everything_durable(rig: Rig) -> None:
    """Whatever the group commit; again with nothing new it returns at once."""
    rig.writer.start()
    for lane in Lane:
        rig.writer.put(record(lane))
    assert rig.writer.flush(PATIENCE_S)
    assert {s.lane: s.durable for s in rig.journal.streams()} == dict.fromkeys(Lane, 1)
    assert rig.writer.flush(PATIENCE_S)


def test_stop_commits_what_waits(rig: Rig) -> None:
    """And refuses what comes later."""
    rig.writer.start()
    for n in range(5):
        rig.writer.put(record(Lane.BULK, n))
    rig.writer.stop()
    assert numbers(rig.journal, Lane.BULK) == [1, 2, 3, 4, 5]
    assert not rig.writer.put(record(Lane.EMERGENCY))


def test_a_full_queue_refuses_low_lanes_first() -> None:
    """Bulk at half, telemetry at three quarters, event at nine tenths; the gap stands where the records would."""
    rig = Rig(WriterOptions(queue_records=40, event_commit_s=3600, telemetry_commit_s=3600))
    taken = dict.fromkeys(Lane, 0)
    for lane in reversed(Lane):
        for n in range(40):
            taken[lane] += rig.writer.put(record(lane, n))
    assert taken == {Lane.BULK: 20, Lane.TELEMETRY: 10, Lane.EVENT: 6, Lane.LEDGER: 4, Lane.EMERGENCY: 0}
    stats = rig.writer.stats()
    assert stats.refused == {"emergency": 40, "ledger": 36, "event": 34, "telemetry": 30, "bulk": 20}
    assert (stats.queued, stats.highest) == (40, 40)
    rig.writer.start()
    assert rig.writer.flush(PATIENCE_S)
    assert rig.writer.put(record(Lane.BULK))
    assert rig.writer.flush(PATIENCE_S)
    stored = rig.journal.read(rig.journal.epoch, Lane.BULK, 21, 1, 1)[0]
    assert stored.record.kind == Kind.GAP
    assert decode_body(Kind.GAP, stored.record.body) == Gap(rig.journal.epoch, 21, 40, GapReason.OVERRUN)
    assert numbers(rig.journal, Lane.BULK) == [*range(1, 21), 40, 41]
    assert rig.writer.stats().queued == 0
    rig.writer.stop()


def test_an_oversized_record_is_refused_and_leaves_a_gap(rig: Rig) -> None:
    """It never reaches the thread, which goes on."""
    rig.writer.start()
    assert not rig.writer.put(record(Lane.EVENT, size=20_000))
    assert rig.writer.put(record(Lane.EVENT))
    assert rig.writer.flush(PATIENCE_S)
    assert numbers(rig.journal, Lane.EVENT) == [1, 2]


def test_a_failing_disk_is_tried_again(rig: Rig) -> None:
    """Faults are counted and told; the records become durable when the disk works again, none lost, none twice."""
    failed = threading.Event()
    works = threading.Event()

    def fail(op: Operation) -> None:
        if op.kind == "sync" and not works.is_set():
            failed.set()
            raise refusal(5, "flash: Input/output error")

    rig.storage.fail = fail
    rig.writer.start()
    for n in range(3):
        rig.writer.put(record(Lane.EMERGENCY, n))
    assert failed.wait(PATIENCE_S)
    works.set()
    assert rig.writer.flush(PATIENCE_S)
    assert numbers(rig.journal, Lane.EMERGENCY) == [1, 2, 3]
    stats = rig.writer.stats()
    assert stats.failed_commits >= 1
    assert stats.last_fault is not None
    assert "Input/output error" in stats.last_fault


def test_a_reader_wakes_when_something_is_durable(rig: Rig) -> None:
    """wait_durable on another thread returns on the commit, and the record is readable then."""
    rig.writer.start()
    seen: queue.Queue[list[int]] = queue.Queue()

    def read() -> None:
        assert rig.journal.wait_durable(PATIENCE_S)
        seen.put(numbers(rig.journal, Lane.EMERGENCY))

    reader = threading.Thread(target=read)
    reader.start()
    rig.writer.put(record(Lane.EMERGENCY))
    assert seen.get(timeout=PATIENCE_S) == [1]
    reader.join()


def test_who_can_wait_loses_nothing() -> None:
    """put_waiting blocks while the queue is full: every record is taken, in order, without a gap."""
    rig = Rig(WriterOptions(queue_records=8, telemetry_commit_s=3600))
    rig.writer.start()
    assert all(rig.writer.put_waiting(record(Lane.BULK, n)) for n in range(500))
    assert rig.writer.flush(PATIENCE_S)
    assert numbers(rig.journal, Lane.BULK) == list(range(1, 501))
    assert rig.writer.stats().highest <= 4
    assert rig.writer.stats().refused["bulk"] == 0
    rig.writer.stop()
    assert not rig.writer.put_waiting(record())


def test_a_fault_in_a_hook_does_not_end_the_thread() -> None:
    """It is told and counted, and the next record is durable."""
    journal = open_journal(SharedMemory())
    told: queue.Queue[int] = queue.Queue()

    def hook(_epoch: int, _lane: Lane, seq: int) -> None:
        told.put(seq)
        if seq == 1:
            raise ValueError("not our day")

    writer = JournalWriter(journal, NEVER, SystemClock(), on_durable=hook)
    writer.start()
    for seq in (1, 2):
        writer.put(record(Lane.EMERGENCY))
        assert told.get(timeout=PATIENCE_S) == seq
    writer.stop()
    assert writer.stats().last_fault == "ValueError: not our day"


def test_a_record_the_journal_trips_over_takes_no_other_with_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came with it in one turn becomes durable; a gap names the one that was lost, and the fault is told."""
    append = rig.journal.append

    def trip(item: Record) -> int:
        if item.t_us == 1:
            raise ValueError("not this one")
        return append(item)

    monkeypatch.setattr(rig.journal, "append", trip)
    for n in range(3):
        rig.writer.put(record(Lane.EVENT, n))
    assert not rig.writer.stats().alive
    rig.writer.start()
    assert rig.writer.flush(PATIENCE_S)
    stored = rig.journal.read(rig.journal.epoch, Lane.EVENT, 1, 10, 1 << 20)
    assert [(s.seq, s.record.kind) for s in stored] == [(1, Kind.EVENT), (2, Kind.GAP), (3, Kind.EVENT)]
    stats = rig.writer.stats()
    assert stats.alive
    assert stats.last_fault == "record of lane EVENT not taken: ValueError: not this one"


def test_a_lane_that_trips_holds_up_no_other(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even by an error nobody foresaw."""
    commit = rig.journal.commit

    def trip(lane: Lane) -> int:
        if lane is Lane.EMERGENCY:
            raise ValueError("not this lane")
        return commit(lane)

    monkeypatch.setattr(rig.journal, "commit", trip)
    rig.writer.put(record(Lane.EMERGENCY))
    rig.writer.put(record(Lane.LEDGER))
    rig.writer.start()
    assert rig.wait() == (Lane.LEDGER, 1)


def test_a_burst_larger_than_memory_may_hold_is_kept_whole() -> None:
    """The evidence of a crash is put at once: committed in parts, none of it shed, and urgent records before it."""
    little = dataclasses.replace(SMALL, pending_bytes=64 * 1024)
    rig = Rig(dataclasses.replace(NEVER, burst_bytes=16 * 1024), little)
    for n in range(200):
        assert rig.writer.put(record(Lane.BULK, n, size=4000))
    assert rig.writer.put(record(Lane.EMERGENCY))
    rig.writer.start()
    assert rig.wait() == (Lane.EMERGENCY, 1)
    rig.writer.stop()
    assert rig.journal.stats().lanes[Lane.BULK].shed == 0
    assert numbers(rig.journal, Lane.BULK) == list(range(1, 201))
