"""Packing and thinning: what stays, what is named, when it is done and in which order things are given up."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from outrider.errors import JournalError
from outrider.model.record import Category, ClockFix, ClockSource, Gap, GapReason, Kind, Lane, Record, StoredRecord
from outrider.record.format import PACKED, PLAIN, THINNED
from outrider.record.hole import first_number
from outrider.record.inspect import inspect
from outrider.record.journal import Journal
from outrider.record.options import JournalOptions, LaneOptions
from outrider.record.rewrite import SLOT_US, TMP
from outrider.record.segment import parse_segment_name
from outrider.record.storage_memory import MemoryStorage, Operation, refusal
from outrider.wire.bodies import decode_body, encode_body
from tests.support.records import open_journal

SEGMENT = 16 * 1024
SECOND = 1_000_000


def options(segments: int, **more: int) -> JournalOptions:
    """A sum of quotas of so many segments."""
    lanes = {lane: LaneOptions(SEGMENT, more.get(lane.name.lower())) for lane in Lane}
    return JournalOptions(lanes=lanes, quota_bytes=segments * SEGMENT, reserve_segments=1, spare_segments=0)


def row(second: float, boot: int = 7, size: int = 80) -> Record:
    body = random.Random(second).randbytes(size)
    return Record(Lane.TELEMETRY, Kind.TELEMETRY, Category.DRIVING, boot, round(second * SECOND), body)


def clock(second: int) -> Record:
    body = encode_body(ClockFix(second * SECOND, 1000, ClockSource.GNSS))
    return Record(Lane.TELEMETRY, Kind.CLOCK, Category.SYSTEM, 7, second * SECOND, body)


def drive(journal: Journal, seconds: int, start: int = 0, *, tidy: bool = True) -> list[Record]:
    """A record and a commit a second, as while the car moves."""
    given = [row(start + n) for n in range(seconds)]
    for each in given:
        journal.append(each)
        journal.commit(Lane.TELEMETRY)
        while tidy and journal.tidy():
            pass
    return given


def tidy_up(journal: Journal) -> None:
    while journal.tidy():
        pass


def held(journal: Journal, lane: Lane = Lane.TELEMETRY) -> list[StoredRecord]:
    """Everything from the first number on; asserts that no number is passed over."""
    out: list[StoredRecord] = []
    at = 1
    while batch := journal.read(journal.epoch, lane, at, 100, 1 << 20):
        out += batch
        at = batch[-1].seq + 1
    for before, after in pairwise(out):
        assert before.seq < after.seq
        assert first_number(after) <= before.seq + 1
    assert not out or first_number(out[0]) == 1
    return out


def gap(stored: StoredRecord) -> Gap | None:
    body = decode_body(Kind.GAP, stored.record.body) if stored.record.kind == Kind.GAP else None
    return body if isinstance(body, Gap) else None


def forms(storage: MemoryStorage, journal: Journal) -> list[int]:
    """Of the telemetry segments, oldest first."""
    names = [name for name in storage.names() if (parse_segment_name(name) or (None,))[0] is Lane.TELEMETRY]
    assert names
    return [storage.files()[name][11] for name in names]


def test_packing_loses_nothing_and_frees_most() -> None:
    """Forty times the records of before in the same room, each one still there, also after a restart."""
    storage = MemoryStorage()
    journal = open_journal(storage, options(16))
    given = drive(journal, 600)
    stats = journal.stats()
    assert stats.lanes[Lane.TELEMETRY].evicted == stats.lanes[Lane.TELEMETRY].thinned == 0
    assert stats.lanes[Lane.TELEMETRY].bytes <= 16 * SEGMENT
    assert stats.rewritten >= 100
    assert [stored.record for stored in held(journal)] == given
    assert PACKED in forms(storage, journal)
    again = open_journal(MemoryStorage(storage.files()), options(16), seed=2)
    assert again.epoch == journal.epoch
    assert [stored.record for stored in held(again)] == given
    assert inspect(MemoryStorage(storage.files())).damage == []


def test_thinning_keeps_one_telemetry_record_of_ten_seconds() -> None:
    """The first of each ten seconds of a boot stays; runs between are named THINNED, oldest first, and nothing else."""
    storage = MemoryStorage()
    journal = open_journal(storage, options(24))
    given = drive(journal, 4000)
    stats = journal.stats().lanes[Lane.TELEMETRY]
    assert stats.evicted == 0
    assert stats.thinned > 0
    stored = held(journal)
    missing = 0
    for each in stored:
        named = gap(each)
        if named is None:
            assert each.record == given[each.seq - 1]
            continue
        assert named.reason == GapReason.THINNED
        missing += named.last_seq - named.first_seq + 1
        for seq in range(named.first_seq, named.last_seq + 1):
            assert (seq - 1) % 10 != 0, "the first of ten seconds"
    assert missing == stats.thinned
    shapes = forms(storage, journal)
    assert shapes == sorted(shapes, reverse=True), "oldest first: thinned, then packed, then plain"
    assert shapes[0] == THINNED
    assert shapes[-1] == PLAIN


def test_other_kinds_and_slow_records_are_never_thinned() -> None:
    """Signal tables, clock records and gaps stay, a new boot begins a new ten seconds, one record a minute stays."""
    journal = open_journal(MemoryStorage(), options(12))
    given = []
    for n in range(1800):
        minute = n // 90
        each = clock(n) if n % 7 == 3 else row(n * 60.0) if minute % 2 else row(n / 10, boot=7 + n // 5 % 2)
        given.append(each)
        journal.append(each)
        journal.commit(Lane.TELEMETRY)
        while journal.tidy():
            pass
    named = {seq for each in held(journal) if (g := gap(each)) for seq in range(g.first_seq, g.last_seq + 1)}
    evicted = journal.stats().lanes[Lane.TELEMETRY].evicted
    lost = [given[seq - 1] for seq in named if seq > evicted]
    assert lost
    before = {id(after): first for first, after in pairwise(r for r in given if r.kind == Kind.TELEMETRY)}
    for record in lost:
        assert record.kind == Kind.TELEMETRY
        neighbour = before[id(record)]
        assert (neighbour.boot_id, neighbour.t_us // SLOT_US) == (record.boot_id, record.t_us // SLOT_US)


def test_what_is_thinned_goes_at_last_and_is_not_thinned_again() -> None:
    """Months in a small journal: the oldest goes in the end, as one gap; what is left is one of ten, then all."""
    storage = MemoryStorage()
    journal = open_journal(storage, options(16))
    given = drive(journal, 6_000)
    stats = journal.stats().lanes[Lane.TELEMETRY]
    assert stats.evicted > 0
    assert stats.bytes <= 16 * SEGMENT
    stored = held(journal)
    first = gap(stored[0])
    assert first is not None
    assert (first.first_seq, first.reason) == (1, GapReason.QUOTA)
    assert stored[-1].record == given[-1]
    kept = [s.seq for s in stored[1:] if gap(s) is None]
    assert set(range(10 * (kept[0] // 10) + 11, 6_000, 10)) <= set(kept)
    assert len(kept) < 6_000 / 5
    assert all(given[seq - 1] == s.record for seq, s in ((s.seq, s) for s in stored) if gap(s) is None)
    again = open_journal(MemoryStorage(storage.files()), options(16), seed=2)
    assert [s.canonical() for s in held(again)] == [s.canonical() for s in stored]


def test_order_of_sacrifice() -> None:
    """Packing first, then the oldest bulk, then thinning, then the oldest telemetry; emergency and ledger never."""
    journal = open_journal(MemoryStorage(), options(32))
    for n in range(40):
        for lane in (Lane.EMERGENCY, Lane.LEDGER, Lane.BULK):
            journal.append(Record(lane, Kind(200), Category.SYSTEM, 7, n, bytes(700 if lane is Lane.BULK else 60)))
            journal.commit(lane)
    told: list[str] = []
    start = 0
    while "evicted" not in told and start < 20_000:
        drive(journal, 50, start)
        start += 50
        stats = journal.stats()
        for name, happened in (
            ("packed", stats.rewritten),
            ("bulk", stats.lanes[Lane.BULK].evicted),
            ("thinned", stats.lanes[Lane.TELEMETRY].thinned),
            ("evicted", stats.lanes[Lane.TELEMETRY].evicted),
        ):
            if happened and name not in told:
                told.append(name)
    assert told == ["packed", "bulk", "thinned", "evicted"]
    for lane in (Lane.EMERGENCY, Lane.LEDGER):
        assert [s.seq for s in held(journal, lane)] == list(range(1, 41))


def test_a_full_device_is_treated_like_a_full_quota() -> None:
    """Room on the device runs short: packed and thinned before anything is shed."""
    storage = MemoryStorage()
    journal = open_journal(storage, options(1000))
    used = sum(len(data) for data in storage.files().values())
    storage.capacity = used + 64 * 1024 + 16 * SEGMENT
    drive(journal, 3000)
    stats = journal.stats().lanes[Lane.TELEMETRY]
    assert stats.thinned > 0
    assert stats.evicted == stats.shed == 0
    held(journal)


def test_a_lane_has_its_own_quota() -> None:
    """Events that flood are packed, then their oldest go; telemetry is not touched for them."""
    journal = open_journal(MemoryStorage(), options(200, event=6 * SEGMENT))
    drive(journal, 100)
    for n in range(800):
        journal.append(Record(Lane.EVENT, Kind(200), Category.DRIVING, 7, n, bytes(300)))
        journal.commit(Lane.EVENT)
        while journal.tidy():
            pass
    lanes = journal.stats().lanes
    assert lanes[Lane.EVENT].evicted > 0
    assert lanes[Lane.EVENT].bytes <= 6 * SEGMENT
    assert 800 - lanes[Lane.EVENT].evicted > 6 * 3, "packed: more than one a block"
    assert lanes[Lane.TELEMETRY].evicted == lanes[Lane.TELEMETRY].thinned == 0


def test_holes_within_become_records() -> None:
    """What was unreadable is named by a record of the packed file; the cursor has its room back."""
    storage = MemoryStorage()
    journal = open_journal(storage, options(200))
    drive(journal, 30)
    journal.close()
    files = storage.files()
    name = next(name for name in files if parse_segment_name(name) and name.startswith("3-"))
    spoiled = bytearray(files[name])
    spoiled[2 * 4096 : 2 * 4096 + 64] = bytes(64)
    journal = open_journal(MemoryStorage(files | {name: bytes(spoiled)}), options(10), seed=3)
    assert len(journal._current[Lane.TELEMETRY].holes) == 1
    while journal.tidy():
        pass
    assert journal.stats().rewritten > 0
    assert journal._current[Lane.TELEMETRY].holes == []
    gaps = [named for each in held(journal) if (named := gap(each))]
    assert [(g.first_seq, g.last_seq, g.reason) for g in gaps] == [(2, 2, GapReason.CORRUPT)]


@pytest.mark.parametrize("kind", ["create", "write", "sync", "rename", "sync_dir", "unlink"])
def test_a_disk_that_refuses_stops_only_the_tidying(kind: str) -> None:
    """Whatever fails: an error for the log, nothing lost, and the next time it is done."""
    storage = MemoryStorage()
    journal = open_journal(storage, options(200))
    given = drive(journal, 60)
    journal.close()
    storage = MemoryStorage(storage.files())
    journal = open_journal(storage, options(10), seed=2)
    armed = True

    def fail(op: Operation) -> None:
        if armed and op.kind == kind:
            raise refusal(5, "Input/output error")

    storage.fail = fail
    with pytest.raises(JournalError):
        tidy_up(journal)
    armed = False
    journal.maintain()
    while journal.tidy():
        pass
    assert journal.stats().rewritten > 0
    assert TMP not in storage.names()
    assert [s.record for s in held(journal)] == given
    again = open_journal(MemoryStorage(storage.files()), options(10), seed=3)
    assert [s.record for s in held(again)] == given


def test_acknowledged_and_evicted_meanwhile() -> None:
    """Segments that go while they are being written anew: the work is dropped, nothing else."""
    journal = open_journal(MemoryStorage(), options(200))
    drive(journal, 60)
    journal._retention._headroom = 1 << 40
    journal.maintain()
    assert journal._space._tidy.busy
    assert journal.acknowledge(journal.epoch, Lane.TELEMETRY, 40)
    journal.commit()
    while journal.stats().rewritten == 0 and journal.tidy():
        pass
    numbers = [s.seq for s in journal.read(journal.epoch, Lane.TELEMETRY, 41, 100, 1 << 20)]
    assert numbers == list(range(41, 61))


def test_one_piece_of_work_is_bounded() -> None:
    """An emergency waits for one piece: it reads and writes no more than a source or 128 records."""
    storage = MemoryStorage()
    journal = open_journal(storage, options(16))
    drive(journal, 300, tidy=False)
    begun = len(storage.log)
    most = 0
    while journal.tidy():
        written = sum(len(op.data) for op in storage.log[begun:] if op.kind == "write")
        most = max(most, written)
        begun = len(storage.log)
    assert 0 < most <= 2 * SEGMENT
