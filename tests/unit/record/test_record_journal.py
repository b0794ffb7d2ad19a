"""The journal on storage in memory: numbers, durability, acknowledgement, recovery."""

from __future__ import annotations

import random

import pytest

from outrider.errors import JournalError
from outrider.model.record import Gap, GapReason, Kind, Lane, Record
from outrider.ports import Stream
from outrider.record.format import BLOCK
from outrider.record.journal import Journal
from outrider.record.options import JournalOptions, LaneOptions
from outrider.record.recovery import read_cursor
from outrider.record.storage_memory import MemoryStorage, Operation, refusal
from outrider.record.stream import LogStream
from outrider.wire.bodies import decode_body
from tests.support.records import SMALL, numbers, open_journal, record


def filled(storage: MemoryStorage, count: int, lane: Lane = Lane.EVENT) -> Journal:
    journal = open_journal(storage)
    for n in range(count):
        journal.append(record(lane, n))
        journal.commit(lane)
    return journal


def gap_at(journal: Journal, lane: Lane, seq: int, epoch: int | None = None) -> Gap:
    stored = journal.read(journal.epoch if epoch is None else epoch, lane, seq, 1, 1)[0]
    assert stored.record.kind == Kind.GAP
    gap = decode_body(Kind.GAP, stored.record.body)
    assert isinstance(gap, Gap)
    assert gap.last_seq == stored.seq
    return gap


def damage(storage: MemoryStorage, name: str, offset: int, size: int = 8) -> MemoryStorage:
    files = storage.files()
    data = bytearray(files[name])
    data[offset : offset + size] = bytes(255 - b for b in data[offset : offset + size])
    return MemoryStorage(files | {name: bytes(data)})


def segments(storage: MemoryStorage) -> list[str]:
    return [name for name in storage.names() if name.endswith(".seg")]


def test_numbers_count_from_one_in_each_lane() -> None:
    """Lanes count on their own, without holes."""
    journal = open_journal(MemoryStorage())
    assert [journal.append(record(Lane.EVENT)) for _ in range(3)] == [1, 2, 3]
    assert journal.append(record(Lane.BULK)) == 1


def test_nothing_is_readable_before_its_commit() -> None:
    """read, streams and wait_durable know durable records only."""
    journal = open_journal(MemoryStorage())
    journal.append(record())
    assert journal.streams() == []
    assert journal.read(journal.epoch, Lane.EVENT, 1, 10, 1000) == []
    assert not journal.wait_durable(0)
    assert journal.commit(Lane.EVENT) == 1
    assert journal.streams() == [Stream(journal.epoch, Lane.EVENT, 0, 1)]
    assert journal.wait_durable(0)
    assert not journal.wait_durable(0), "the news is told once"


def test_a_commit_syncs_before_it_returns_and_costs_one_fdatasync() -> None:
    """One write, one fdatasync in a lane whose segment is open; none when nothing is pending."""
    storage = MemoryStorage()
    journal = filled(storage, 1)
    storage.log.clear()
    journal.append(record())
    journal.append(record())
    journal.commit()
    assert [op.kind for op in storage.log] == ["write", "sync"]
    journal.commit()
    assert len(storage.log) == 2


def test_each_commit_starts_a_fresh_block() -> None:
    """No commit writes into a 4 KiB block that holds another."""
    storage = MemoryStorage()
    journal = filled(storage, 1)
    storage.log.clear()
    for n in range(20):
        journal.append(record(size=100 * n))
        journal.commit(Lane.EVENT)
    blocks: list[tuple[int, int]] = []
    for op in storage.log:
        if op.kind == "write" and op.data[:4] == b"OTRC":
            assert op.offset % BLOCK == 0
            blocks += [(op.node, b) for b in range(op.offset // BLOCK, -(-(op.offset + len(op.data)) // BLOCK))]
    assert len(blocks) >= 20
    assert len(blocks) == len(set(blocks))


def test_read_is_contiguous_and_bounded() -> None:
    """At least one record; then no more than asked for, in records and bytes, across segments."""
    journal = filled(MemoryStorage(), 30)
    assert [s.seq for s in journal.read(journal.epoch, Lane.EVENT, 5, 3, 1 << 20)] == [5, 6, 7]
    assert [s.seq for s in journal.read(journal.epoch, Lane.EVENT, 5, 100, 1)] == [5]
    assert [s.seq for s in journal.read(journal.epoch, Lane.EVENT, 5, 100, 2 * (40 + 32))] == [5, 6]
    assert numbers(journal, Lane.EVENT) == list(range(1, 31))
    assert journal.read(journal.epoch, Lane.EVENT, 31, 10, 1000) == []
    assert journal.read(12345, Lane.EVENT, 1, 10, 1000) == []


def test_content_survives_reopening() -> None:
    """The same epoch, numbers, stamps and bodies, and counting goes on."""
    storage = MemoryStorage()
    journal = filled(storage, 30)
    epoch = journal.epoch
    before = journal.read(epoch, Lane.EVENT, 1, 100, 1 << 20)
    journal.close()
    journal = open_journal(MemoryStorage(storage.files()), seed=2)
    assert journal.epoch == epoch
    assert journal.read(epoch, Lane.EVENT, 1, 100, 1 << 20) == before
    assert journal.append(record()) == 31


def test_acknowledgement_frees_segments_after_the_cursor() -> None:
    """Whole acknowledged segments go, the newest stays, and the cursor is synced before each of them goes."""
    storage = MemoryStorage()
    journal = filled(storage, 30)
    held = segments(storage)
    storage.log.clear()
    assert journal.acknowledge(journal.epoch, Lane.EVENT, 30)
    assert journal.streams() == []
    assert storage.log == [], "the reader's side touches no file"
    journal.maintain()
    assert segments(storage) == held[-1:]
    kinds = [op.kind for op in storage.log]
    gone = [n for n, op in enumerate(storage.log) if op.kind in ("unlink", "rename") and op.name.endswith(".seg")]
    assert len(gone) == len(held) - 1
    assert kinds.index("sync") < gone[0]
    reopened = open_journal(MemoryStorage(storage.files()), seed=3)
    assert reopened.epoch == journal.epoch
    assert reopened.stats().lanes[Lane.EVENT].acknowledged == 30
    assert reopened.append(record()) == 31


def test_an_absurd_acknowledgement_changes_nothing() -> None:
    """Unknown epoch or above the durable number: refused. Going back: ignored."""
    journal = filled(MemoryStorage(), 5)
    journal.append(record())
    for epoch, up_to in ((journal.epoch, 6), (journal.epoch + 1, 1), (journal.epoch, -1)):
        assert not journal.acknowledge(epoch, Lane.EVENT, up_to)
    assert journal.acknowledge(journal.epoch, Lane.EVENT, 4)
    assert journal.acknowledge(journal.epoch, Lane.EVENT, 2)
    assert journal.streams() == [Stream(journal.epoch, Lane.EVENT, 4, 5)]


def test_refused_records_become_a_gap_in_their_place() -> None:
    """The GAP carries the last number it names; what follows counts on; it survives reopening."""
    storage = MemoryStorage()
    journal = filled(storage, 2)
    journal.append(record())
    journal.note_lost(Lane.EVENT, 4, GapReason.OVERRUN, 55)
    assert journal.append(record()) == 8
    journal.commit()
    for each in (journal, open_journal(MemoryStorage(storage.files()), seed=2)):
        assert numbers(each, Lane.EVENT) == [1, 2, 3, 7, 8]
        assert gap_at(each, Lane.EVENT, 4) == Gap(each.epoch, 4, 7, GapReason.OVERRUN)
        assert each.stats().lanes[Lane.EVENT].unreadable == 0


def test_a_bad_record_before_a_good_one_is_a_named_gap() -> None:
    """Counted, named CORRUPT, a copy of the file set aside; everything else is read; the epoch goes on."""
    storage = MemoryStorage()
    journal = filled(storage, 3)
    epoch = journal.epoch
    storage = damage(storage, segments(storage)[0], 2 * BLOCK + 60)
    journal = open_journal(storage, seed=2)
    assert journal.epoch == epoch
    assert numbers(journal, Lane.EVENT) == [1, 2, 3]
    assert gap_at(journal, Lane.EVENT, 2) == Gap(epoch, 2, 2, GapReason.CORRUPT)
    stats = journal.stats()
    assert (stats.quarantined, stats.lanes[Lane.EVENT].unreadable) == (1, 1)
    assert journal.append(record()) == 4
    journal.commit()
    assert len(segments(storage)) == 2, "a file with damage is not written any more"
    again = open_journal(MemoryStorage(storage.files()), seed=3)
    assert again.stats().quarantined == 1, "noted once"
    assert again.stats().lanes[Lane.EVENT].unreadable == 0
    assert gap_at(again, Lane.EVENT, 2) == Gap(epoch, 2, 2, GapReason.CORRUPT)


def test_a_bad_header_of_a_commit_costs_that_commit() -> None:
    """The commits behind it are found."""
    storage = MemoryStorage()
    filled(storage, 3)
    journal = open_journal(damage(storage, segments(storage)[0], 2 * BLOCK), seed=2)
    assert gap_at(journal, Lane.EVENT, 2).reason == GapReason.CORRUPT
    assert numbers(journal, Lane.EVENT) == [1, 2, 3]


def test_a_segment_that_proves_nothing_is_set_aside() -> None:
    """In the middle it is a gap; numbers go on behind it."""
    storage = MemoryStorage()
    journal = filled(storage, 10)
    epoch = journal.epoch
    names = segments(storage)
    for block in range(4):
        storage = damage(storage, names[1], block * BLOCK)
    journal = open_journal(storage, seed=2)
    gap = gap_at(journal, Lane.EVENT, 4)
    assert (gap.first_seq, gap.last_seq, gap.reason) == (4, 6, GapReason.CORRUPT)
    assert journal.epoch == epoch
    assert f"quarantine/{names[1]}.0" in storage.names()
    assert names[1] not in storage.names()


def test_a_lost_durable_tail_ends_the_epoch() -> None:
    """The cursor knows of more than can be read: named as gap, new epoch, and what is left is still sent."""
    storage = MemoryStorage()
    journal = filled(storage, 3)
    epoch = journal.epoch
    journal.close()
    journal = open_journal(damage(storage, segments(storage)[0], 3 * BLOCK), seed=2)
    assert journal.epoch != epoch
    assert journal.streams() == [Stream(epoch, Lane.EVENT, 0, 3)]
    assert numbers(journal, Lane.EVENT, epoch) == [1, 2, 3]
    assert gap_at(journal, Lane.EVENT, 3, epoch) == Gap(epoch, 3, 3, GapReason.CORRUPT)
    assert journal.append(record()) == 1
    journal.commit()
    assert [s.epoch for s in journal.streams()] == [epoch, journal.epoch], "the older epoch first"
    assert journal.acknowledge(epoch, Lane.EVENT, 3)
    journal.maintain()
    assert [s.epoch for s in journal.streams()] == [journal.epoch]


@pytest.mark.parametrize("victim", ["segment", "cursor", "both"])
def test_a_lost_file_ends_the_epoch(victim: str) -> None:
    """Without the newest segment or the cursor nobody knows which numbers were sent: a new epoch."""
    storage = MemoryStorage()
    journal = filled(storage, 4)
    epoch = journal.epoch
    journal.acknowledge(epoch, Lane.EVENT, 4)
    journal.close()
    files = storage.files()
    for name in list(files):
        if victim in ("segment", "both") and name.endswith(".seg"):
            del files[name]
        if victim in ("cursor", "both") and name == "cursor.state":
            del files[name]
    journal = open_journal(MemoryStorage(files), seed=2)
    assert journal.epoch != epoch
    assert journal.append(record()) == 1
    if victim == "cursor":
        assert numbers(journal, Lane.EVENT, epoch)[-1] == 4, "sent again; the receiver removes duplicates"


def test_rot_while_running_becomes_a_gap_on_reading() -> None:
    """A record that cannot be read any more does not stop the stream."""
    storage = MemoryStorage()
    journal = filled(storage, 3)
    file = storage.open(segments(storage)[0])
    file.pwrite(b"rot", 2 * BLOCK + 70)
    assert numbers(journal, Lane.EVENT) == [1, 2, 3]
    assert gap_at(journal, Lane.EVENT, 2).reason == GapReason.CORRUPT


def test_an_uncommitted_record_is_not_there_after_a_crash() -> None:
    """Its number is used again: it was never durable, so it was never sent."""
    storage = MemoryStorage()
    journal = filled(storage, 2)
    journal.append(record(number=77))
    journal = open_journal(storage, seed=2)
    assert numbers(journal, Lane.EVENT) == [1, 2]
    assert journal.append(record()) == 3


def test_a_failed_sync_is_tried_again_elsewhere() -> None:
    """After EIO nobody knows what the file holds: the same records go to a new segment under the same numbers."""
    storage = MemoryStorage()
    journal = filled(storage, 1)
    broken = {"left": 1}

    def fail(op: Operation) -> None:
        if op.kind == "sync" and broken["left"]:
            broken["left"] -= 1
            raise refusal(5, "Input/output error")

    storage.fail = fail
    assert journal.append(record(number=9)) == 2
    with pytest.raises(JournalError, match="Input/output"):
        journal.commit()
    assert [s.durable for s in journal.streams()] == [1]
    assert journal.commit(Lane.EVENT) == 2
    assert len(segments(storage)) == 2
    assert journal.stats().faults == 1
    for each in (journal, open_journal(MemoryStorage(storage.files()), seed=2)):
        assert numbers(each, Lane.EVENT) == [1, 2]
        assert each.read(each.epoch, Lane.EVENT, 2, 1, 1)[0].record == record(number=9)


def test_quotas_evict_the_oldest_bulk_then_telemetry() -> None:
    """Never emergency or ledger; each eviction leaves a QUOTA gap that survives reopening."""
    options = JournalOptions(lanes=SMALL.lanes, quota_bytes=14 * 16 * 1024, reserve_segments=0)
    storage = MemoryStorage()
    journal = open_journal(storage, options)
    for n in range(18):
        for lane in (Lane.LEDGER, Lane.TELEMETRY, Lane.BULK):
            journal.append(record(lane, n, 3000))
            journal.commit(lane)
    stats = journal.stats()
    assert stats.lanes[Lane.LEDGER].evicted == 0
    assert numbers(journal, Lane.LEDGER) == list(range(1, 19))
    assert stats.lanes[Lane.BULK].evicted > 0
    gap = gap_at(journal, Lane.BULK, 1)
    assert (gap.first_seq, gap.reason) == (1, GapReason.QUOTA)
    assert numbers(journal, Lane.BULK)[-1] == 18
    journal.close()
    again = open_journal(MemoryStorage(storage.files()), options, seed=2)
    assert gap_at(again, Lane.BULK, 1) == gap
    assert again.epoch == journal.epoch


def test_a_lane_quota_takes_from_its_own_lane() -> None:
    """Bulk beyond its cap gives up bulk, though the device has room."""
    lanes = dict(SMALL.lanes) | {Lane.BULK: LaneOptions(16 * 1024, 3 * 16 * 1024)}
    journal = open_journal(MemoryStorage(), JournalOptions(lanes=lanes, reserve_segments=0))
    for n in range(20):
        for lane in (Lane.TELEMETRY, Lane.BULK):
            journal.append(record(lane, n))
            journal.commit(lane)
    stats = journal.stats().lanes
    assert stats[Lane.BULK].bytes <= 3 * 16 * 1024
    assert stats[Lane.BULK].evicted > 0
    assert stats[Lane.TELEMETRY].evicted == 0


def test_released_files_are_used_again() -> None:
    """A spare is not written with zeros a second time."""
    storage = MemoryStorage()
    journal = filled(storage, 4)
    journal.acknowledge(journal.epoch, Lane.EVENT, 4)
    journal.maintain()
    written = journal.stats().segments_written
    for n in range(3):
        journal.append(record(number=n))
        journal.commit(Lane.EVENT)
    assert journal.stats().segments_written == written
    assert journal.stats().segments_reused == 1
    again = open_journal(MemoryStorage(storage.files()), seed=2)
    assert numbers(again, Lane.EVENT, first=5) == [5, 6, 7]


def test_too_large_a_record_is_refused_by_name() -> None:
    """JournalError says what the lane takes."""
    journal = open_journal(MemoryStorage())
    with pytest.raises(JournalError, match="lane BULK takes 12220"):
        journal.append(record(Lane.BULK, size=12221))
    assert journal.append(record(Lane.BULK, size=12220)) == 1
    assert journal.commit(Lane.BULK) == 1


def test_epochs_are_random_and_never_zero() -> None:
    """Two terminals, or two lost logs, do not share one."""

    class Stubborn(random.Random):
        def __init__(self) -> None:
            self.given = iter([0, 42])
            super().__init__(1)

        def getrandbits(self, k: int, /) -> int:
            return next(self.given, 7)

    assert Journal.open(MemoryStorage(), SMALL, boot_id=1, rng=Stubborn()).epoch == 42
    assert open_journal(MemoryStorage(), seed=1).epoch != open_journal(MemoryStorage(), seed=2).epoch


def test_all_fields_of_a_record_survive() -> None:
    """Also negative times, empty bodies, extremes of boot id and schema."""
    storage = MemoryStorage()
    journal = open_journal(storage)
    odd = [
        Record(lane, Kind.BOOT, record().category, 0xFFFFFFFF, t_us, body, schema)
        for lane in Lane
        for t_us, body, schema in ((-5, b"", 0), (1 << 62, b"x" * 9000, 255))
    ]
    for each in odd:
        journal.append(each)
    journal.close()
    again = open_journal(MemoryStorage(storage.files()), seed=2)
    got = [s.record for lane in Lane for s in again.read(again.epoch, lane, 1, 10, 1 << 20)]
    assert got == odd


def test_finished_epochs_are_forgotten() -> None:
    """A terminal that lost its log many times does not carry all of them along."""
    files: dict[str, bytes] = {}
    for turn in range(20):
        storage = MemoryStorage({name: data for name, data in files.items() if not name.endswith(".seg")})
        journal = open_journal(storage, seed=turn)
        for stream in journal.streams():
            assert gap_at(journal, Lane.EVENT, stream.durable, stream.epoch).reason == GapReason.CORRUPT
            journal.acknowledge(stream.epoch, stream.lane, stream.durable)
        journal.append(record())
        journal.close()
        files = storage.files()
    cursor = read_cursor(MemoryStorage(files), list(files))
    assert cursor is not None
    assert len({epoch for epoch, _lane in cursor.positions}) <= 2
    assert not cursor.holes


def test_the_epoch_that_is_written_comes_last() -> None:
    """The sender takes the last stream of a lane for the present; an old one may be found after it, where the cursor
    had no room to name all."""
    journal = filled(MemoryStorage(), 3)
    old = LogStream(journal.epoch ^ 1, Lane.EVENT)
    old.durable = 2
    journal._streams[old.epoch, old.lane] = old
    assert [stream.epoch for stream in journal.streams()] == [old.epoch, journal.epoch]
