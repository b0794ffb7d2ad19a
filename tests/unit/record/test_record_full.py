"""A full device: capture goes on, low lanes are shed first and counted, urgent lanes are written, all recovers."""

from __future__ import annotations

import pytest

from outrider.errors import JournalError
from outrider.model.record import Gap, GapReason, Kind, Lane
from outrider.record.inspect import inspect
from outrider.record.journal import Journal
from outrider.record.options import JournalOptions, LaneOptions
from outrider.record.storage_memory import MemoryStorage, Operation, refusal
from outrider.wire.bodies import decode_body
from tests.support.records import numbers, open_journal, record

SEGMENT = 16 * 1024
OPTIONS = JournalOptions(lanes=dict.fromkeys(Lane, LaneOptions(SEGMENT)), reserve_segments=2, spare_segments=0)
MARGIN = 64 * 1024


def nearly_full(extra_segments: int = 0) -> tuple[MemoryStorage, Journal]:
    """The reserve is there, and room for so many segments more."""
    storage = MemoryStorage()
    journal = open_journal(storage, OPTIONS)
    used = sum(len(data) for data in storage.files().values())
    storage.capacity = used + MARGIN + extra_segments * SEGMENT
    return storage, journal


def fill(journal: Journal, lane: Lane, count: int) -> None:
    for n in range(count):
        journal.append(record(lane, n, 3000))
        journal.commit(lane)


def gaps(journal: Journal, lane: Lane) -> list[Gap]:
    out, first = [], 1
    while batch := journal.read(journal.epoch, lane, first, 1000, 1 << 30):
        out += [decode_body(s.record.kind, s.record.body) for s in batch if s.record.kind == Kind.GAP]
        first = batch[-1].seq + 1
    assert all(isinstance(gap, Gap) for gap in out)
    return [gap for gap in out if isinstance(gap, Gap)]


def test_telemetry_is_shed_and_comes_back_with_a_gap() -> None:
    """No exception, a count, and once there is room one FULL gap over exactly what was shed."""
    storage, journal = nearly_full(extra_segments=1)
    fill(journal, Lane.TELEMETRY, 10)
    stats = journal.stats()
    assert stats.full
    assert (stats.lanes[Lane.TELEMETRY].durable, stats.lanes[Lane.TELEMETRY].shed) == (3, 7)
    assert storage.capacity is not None
    storage.capacity += 4 * SEGMENT
    fill(journal, Lane.TELEMETRY, 2)
    assert not journal.stats().full
    assert gaps(journal, Lane.TELEMETRY) == [Gap(journal.epoch, 4, 10, GapReason.FULL)]
    assert numbers(journal, Lane.TELEMETRY) == [1, 2, 3, 10, 11, 12]
    assert journal.stats().lanes[Lane.TELEMETRY].shed == 7


def test_emergency_and_ledger_use_the_reserve() -> None:
    """With no room at all both are written, durable and readable; the device is still called full."""
    storage, journal = nearly_full()
    fill(journal, Lane.TELEMETRY, 1)
    assert journal.stats().full
    for lane in (Lane.EMERGENCY, Lane.LEDGER):
        fill(journal, lane, 3)
        assert numbers(journal, lane) == [1, 2, 3]
        assert journal.stats().full
    assert open_journal(MemoryStorage(storage.files()), OPTIONS, seed=2).epoch == journal.epoch


@pytest.mark.parametrize("held", [0, 3])
def test_a_full_device_ends_no_epoch(held: int) -> None:
    """A lane that got no segment leaves no trace of one: after a restart the log is whole, goes on, and verifies."""
    storage, journal = nearly_full(extra_segments=held and 1)
    fill(journal, Lane.TELEMETRY, held + 1)
    assert journal.stats().full
    fill(journal, Lane.LEDGER, 1)
    journal.maintain()
    again = MemoryStorage(storage.files())
    assert inspect(MemoryStorage(storage.files())).damage == []
    journal = open_journal(again, OPTIONS, seed=2)
    assert journal.epoch == inspect(MemoryStorage(storage.files())).epoch
    fill(journal, Lane.TELEMETRY, 1)
    assert numbers(journal, Lane.TELEMETRY)[:held] == list(range(1, held + 1))


def test_the_lower_lane_makes_room_for_the_higher() -> None:
    """Bulk goes for telemetry, telemetry for event, all of them for emergency; each loss is a FULL gap."""
    _storage, journal = nearly_full(extra_segments=6)
    fill(journal, Lane.BULK, 9)
    fill(journal, Lane.TELEMETRY, 9)
    assert journal.stats().lanes[Lane.BULK].evicted == 0
    fill(journal, Lane.TELEMETRY, 3)
    assert journal.stats().lanes[Lane.BULK].evicted == 3
    assert journal.stats().lanes[Lane.TELEMETRY].shed == 0
    assert gaps(journal, Lane.BULK) == [Gap(journal.epoch, 1, 3, GapReason.FULL)]
    fill(journal, Lane.EVENT, 6)
    assert journal.stats().lanes[Lane.BULK].evicted == 6
    assert journal.stats().lanes[Lane.TELEMETRY].evicted == 3
    assert numbers(journal, Lane.EVENT) == [1, 2, 3, 4, 5, 6]
    fill(journal, Lane.EMERGENCY, 12)
    assert numbers(journal, Lane.EMERGENCY) == list(range(1, 13))


def test_emergency_raises_only_when_nothing_is_left_and_keeps_the_record() -> None:
    """Reserve used up, nothing to shed: an error for the writer, and the record is written when there is room."""
    storage, journal = nearly_full()
    with pytest.raises(JournalError, match="free some space"):
        fill(journal, Lane.EMERGENCY, 7)
    assert journal.stats().lanes[Lane.EMERGENCY].durable == 6
    storage.capacity = None
    assert journal.commit(Lane.EMERGENCY) == 7
    journal.maintain()
    assert sum(name.endswith(".free") for name in storage.names()) == 2, "the reserve is filled again"


def test_what_piles_up_uncommitted_is_bounded() -> None:
    """A lane that is never committed sheds itself beyond its bound; urgent lanes keep all."""
    options = JournalOptions(lanes=OPTIONS.lanes, pending_bytes=10_000)
    journal = open_journal(MemoryStorage(), options)
    for n in range(10):
        for lane in (Lane.TELEMETRY, Lane.LEDGER):
            journal.append(record(lane, n, 3000))
    assert journal.stats().lanes[Lane.TELEMETRY].shed == 8
    assert journal.stats().lanes[Lane.LEDGER].shed == 0
    journal.commit()
    assert numbers(journal, Lane.LEDGER) == list(range(1, 11))
    assert gaps(journal, Lane.TELEMETRY) == [Gap(journal.epoch, 1, 8, GapReason.FULL)]
    assert numbers(journal, Lane.TELEMETRY) == [8, 9, 10]


@pytest.mark.parametrize("clean", [True, False])
def test_what_was_shed_is_named_after_a_power_cut(clean: bool) -> None:
    """The cursor needs no room: numbers that a full device took are never used for other records, nor forgotten."""
    storage, journal = nearly_full(extra_segments=1)
    fill(journal, Lane.TELEMETRY, 10)
    journal.maintain()
    fill(journal, Lane.TELEMETRY, 5)
    if clean:
        journal.close()
    else:
        journal.maintain()
    storage = MemoryStorage(storage.files())
    journal = open_journal(storage, OPTIONS, seed=2)
    assert journal.stats().lanes[Lane.TELEMETRY].durable == 15
    assert gaps(journal, Lane.TELEMETRY) == [Gap(journal.epoch, 4, 15, GapReason.FULL)], "one, however long it lasts"
    fill(journal, Lane.TELEMETRY, 2)
    assert numbers(journal, Lane.TELEMETRY) == [1, 2, 3, 15, 16, 17]
    assert inspect(MemoryStorage(storage.files())).damage == []


def test_a_cursor_that_cannot_be_written_declares_nothing() -> None:
    """What is not on flash is not told: the numbers would be used again after a power cut."""
    storage, journal = nearly_full()
    fill(journal, Lane.TELEMETRY, 4)

    def fail(op: Operation) -> None:
        if op.kind == "sync":
            raise refusal(5, "Input/output error")

    storage.fail = fail
    with pytest.raises(JournalError):
        journal.maintain()
    assert journal.stats().lanes[Lane.TELEMETRY].durable == 0
    assert numbers(journal, Lane.TELEMETRY) == []
    storage.fail = None
    journal.maintain()
    assert gaps(journal, Lane.TELEMETRY) == [Gap(journal.epoch, 1, 4, GapReason.FULL)]


def test_shedding_counts_each_record_once() -> None:
    """Gaps of the queue inside what is shed are not counted again, and the gap names all of them."""
    storage, journal = nearly_full()
    for _ in range(3):
        journal.append(record(Lane.BULK))
        journal.note_lost(Lane.BULK, 5, GapReason.OVERRUN, 1)
        journal.commit(Lane.BULK)
    stats = journal.stats().lanes[Lane.BULK]
    assert (stats.shed, stats.overrun) == (3, 15)
    storage.capacity = None
    journal.commit()
    assert gaps(journal, Lane.BULK) == [Gap(journal.epoch, 1, 18, GapReason.FULL)]
