"""Files that lost a part of themselves: what their checksums still prove is read, the rest is named as a gap."""

from __future__ import annotations

import errno

import pytest

from outrider.errors import JournalError
from outrider.model.record import Gap, GapReason, Kind, Lane
from outrider.record.format import BLOCK, SegmentHeader
from outrider.record.inspect import inspect
from outrider.record.journal import Journal
from outrider.record.segment import Segment
from outrider.record.storage_memory import MemoryStorage, refusal
from outrider.record.stream import LogStream
from outrider.wire.bodies import decode_body
from tests.support.records import open_journal, record
from tests.unit.record.test_record_faults import BadBlock, FaultyStorage

LANE = Lane.EVENT


def written(count: int = 10) -> tuple[MemoryStorage, int]:
    """Records 1 to 3, 4 to 6, 7 to 9 and 10 in files of their own, one commit each; the epoch."""
    storage = MemoryStorage()
    journal = open_journal(storage)
    for n in range(count):
        journal.append(record(LANE, n, size=700))
        journal.commit(LANE)
    journal.close()
    return storage, journal.epoch


def segments(storage: MemoryStorage) -> list[str]:
    return [name for name in storage.names() if name.startswith("2-")]


def shortened(storage: MemoryStorage, name: str, size: int) -> MemoryStorage:
    files = storage.files()
    return MemoryStorage(files | {name: files[name][:size]})


def found(journal: Journal, epoch: int) -> tuple[list[int], list[Gap]]:
    """Numbers of the records that are there, and gaps, of one epoch; each number is one or the other."""
    there: list[int] = []
    gaps: list[Gap] = []
    at = 1
    while batch := journal.read(epoch, LANE, at, 100, 1 << 20):
        for stored in batch:
            gap = decode_body(Kind.GAP, stored.record.body) if stored.record.kind == Kind.GAP else None
            assert (gap.first_seq if isinstance(gap, Gap) else stored.seq) == at
            if isinstance(gap, Gap):
                gaps.append(gap)
            else:
                there.append(stored.seq)
            at = stored.seq + 1
    return there, gaps


@pytest.mark.parametrize("size", [0, 10, 48, 512, 4096, 4097, 4096 + 500, 8191, 8192, 12_000, 12_287, 16_000, 16_383])
def test_a_file_cut_short_gives_what_is_left(size: int) -> None:
    """Each record that is whole in what is left is read, the others are one gap; the epoch goes on, since a later file
    proves its end; the file has its size again afterwards, and the damage is told once."""
    storage, epoch = written()
    name = segments(storage)[1]
    cut = shortened(storage, name, size)
    assert [d.name for d in inspect(cut).damage if not d.last] == [name]
    journal = open_journal(cut, seed=2)
    left = [4 + n for n in range(3) if size >= (n + 1) * BLOCK + 36 + 32 + 700]
    there, gaps = found(journal, epoch)
    assert there == [1, 2, 3, *left, 7, 8, 9, 10]
    lost = [n for n in (4, 5, 6) if n not in left]
    assert [n for gap in gaps for n in range(gap.first_seq, gap.last_seq + 1)] == lost
    assert {gap.reason for gap in gaps} <= {GapReason.CORRUPT}
    assert journal.epoch == epoch
    assert journal.stats().lanes[LANE].unreadable == len(lost)
    assert journal.append(record(LANE)) == 11
    journal.close()
    assert not inspect(cut).damage
    again = open_journal(MemoryStorage(cut.files()), seed=3)
    assert again.epoch == epoch
    assert again.stats().quarantined == 1, "what there was of it is kept for people, once"
    assert found(again, epoch)[0] == [*there, 11]


def test_the_newest_file_cut_short_gives_what_is_left_and_ends_the_epoch() -> None:
    """What is missing may have been the newest commit, which may have been sent: its number is not used again."""
    storage, epoch = written(9)
    journal = open_journal(shortened(storage, segments(storage)[-1], 2 * BLOCK), seed=2)
    assert journal.epoch != epoch
    there, gaps = found(journal, epoch)
    assert there == [1, 2, 3, 4, 5, 6, 7]
    assert [(g.first_seq, g.last_seq, g.reason) for g in gaps] == [(8, 9, GapReason.CORRUPT)]
    assert journal.append(record(LANE)) == 1


def test_a_newest_file_cut_short_behind_its_last_commit_loses_nothing() -> None:
    """Nothing is missing that the cursor knows; whether more was there cannot be proved, so the epoch ends."""
    storage, epoch = written(8)
    journal = open_journal(shortened(storage, segments(storage)[-1], 3 * BLOCK), seed=2)
    assert found(journal, epoch) == ([1, 2, 3, 4, 5, 6, 7, 8], [])
    assert journal.epoch != epoch


def test_a_lost_header_costs_nothing() -> None:
    """The name says the place that the checksums start from; the header is written anew."""
    storage, epoch = written()
    files = storage.files()
    name = segments(storage)[1]
    storage = MemoryStorage(files | {name: b"\xff" * BLOCK + files[name][BLOCK:]})
    journal = open_journal(storage, seed=2)
    assert found(journal, epoch) == ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [])
    assert journal.epoch == epoch
    journal.close()
    assert not inspect(storage).damage
    mended = storage.files()[name]
    assert mended[16:40] == files[name][16:40], "epoch, number and first sequence as they were"
    assert mended[BLOCK:] == files[name][BLOCK:]


def test_a_bad_block_amid_a_large_commit_costs_what_lies_in_it() -> None:
    """Records in front of it and behind it, in the same commit, are proved by their own checksums."""
    storage = MemoryStorage()
    journal = open_journal(storage)
    for n in range(30):
        journal.append(record(LANE, n, size=300))
    journal.commit(LANE)
    journal.append(record(LANE, 31))
    journal.commit(LANE)
    journal.close()
    faulty = FaultyStorage(storage, BadBlock(segments(storage)[0], 2 * BLOCK))
    journal = open_journal(MemoryStorage(storage.files()))
    assert found(journal, journal.epoch)[0] == list(range(1, 32))
    epoch = journal.epoch
    journal = open_journal(faulty, seed=3)
    there, gaps = found(journal, epoch)
    assert [g.reason for g in gaps] == [GapReason.CORRUPT]
    first, last = gaps[0].first_seq, gaps[0].last_seq
    assert there == [n for n in range(1, 32) if not first <= n <= last]
    assert last - first + 1 <= BLOCK // 332 + 2, "the block's records, and the two that reach into it"


def test_a_file_that_the_medium_does_not_open_stops_nothing() -> None:
    """An inode in a bad sector: its records are a gap, the file stays where it is, the daemon starts."""
    storage, epoch = written()
    name = segments(storage)[1]

    def refuse(kind: str, what: str, _offset: int) -> None:
        if what == name and kind != "size":
            raise refusal(errno.EUCLEAN, f"{what}: Structure needs cleaning")

    journal = open_journal(FaultyStorage(storage, refuse), seed=2)
    there, gaps = found(journal, epoch)
    assert there == [1, 2, 3, 7, 8, 9, 10]
    assert [(g.first_seq, g.last_seq, g.reason) for g in gaps] == [(4, 6, GapReason.CORRUPT)]
    assert journal.epoch == epoch
    assert name in storage.names()


def test_mending_that_the_disk_refuses_is_done_at_the_next_opening() -> None:
    """A cut, or a disk that takes nothing, while a file is mended: the gap is on flash already, and that is all."""
    storage, epoch = written()
    name = segments(storage)[1]
    cut = shortened(storage, name, 2 * BLOCK)

    def refuse(kind: str, what: str, _offset: int) -> None:
        if what == name and kind == "pwrite":
            raise refusal(errno.EIO, f"{what}: Input/output error")

    journal = open_journal(FaultyStorage(cut, refuse), seed=2)
    assert found(journal, epoch)[0] == [1, 2, 3, 4, 7, 8, 9, 10]
    journal.close()
    again = open_journal(cut, seed=3)
    assert found(again, epoch)[0] == [1, 2, 3, 4, 7, 8, 9, 10]
    assert again.stats().lanes[LANE].unreadable == 0
    assert len(cut.files()[name]) == 4 * BLOCK


def test_a_spare_that_the_disk_refuses_is_not_forgotten() -> None:
    """A disk that fails for a night takes no spare away: the file is tried again, after the others."""
    storage = FaultyStorage(MemoryStorage(), lambda *_what: None)
    journal = open_journal(storage)
    spares = [name for name in storage.names() if name.endswith(".free")]
    assert spares

    def refuse(kind: str, what: str, _offset: int) -> None:
        if kind == "sync":
            raise refusal(errno.EIO, f"{what}: Input/output error")

    journal.append(record(Lane.EMERGENCY))
    storage.ask = refuse
    for _ in range(5):
        with pytest.raises(JournalError):
            journal.commit(Lane.EMERGENCY)
    storage.ask = lambda *_what: None
    assert journal.commit(Lane.EMERGENCY) == 1
    held = [name for name in storage.names() if name.endswith(".free")]
    journal.maintain()
    assert len([name for name in storage.names() if name.endswith(".free")]) == len(spares)
    assert set(held) <= set(spares), "nothing was made that nobody knows"


def test_a_hole_that_reaches_beyond_an_evicted_segment_keeps_its_rest() -> None:
    """Damage at the end of a segment runs on into numbers behind it; giving up the segment forgets none of these."""
    stream = LogStream(1, LANE)
    segment = Segment(MemoryStorage(), "2-0000000000000001-00000000.seg", SegmentHeader(LANE, 7, 1, 0, 1, 4))
    segment.last_seq = 69
    stream.segments.append(segment)
    stream.durable = 71
    stream.add_holes(50, 71, GapReason.CORRUPT, 7, 0)
    stream.evict_oldest(GapReason.QUOTA)
    assert [(hole.first, hole.last, hole.reason) for hole in stream.holes] == [
        (1, 69, GapReason.QUOTA),
        (70, 71, GapReason.CORRUPT),
    ]
