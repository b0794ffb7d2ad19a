"""Each operation on the storage fails once, in turn: the journal goes on; each record is there or named by a gap."""

from __future__ import annotations

import contextlib
import errno
import random
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pytest

from outrider.errors import JournalError
from outrider.model.record import Gap, GapReason, Kind, Lane, Record
from outrider.ports import Guard, Storage, StorageFile
from outrider.record.cursor import SLOT_BYTES
from outrider.record.format import BLOCK
from outrider.record.journal import Journal
from outrider.record.options import JournalOptions
from outrider.record.storage_memory import MemoryStorage, refusal
from outrider.wire.bodies import decode_body
from tests.support.records import SMALL, open_journal, record

T = TypeVar("T")
Deny = Callable[[str, str, int], None]


class FaultyFile:
    def __init__(self, file: StorageFile, name: str, ask: Deny) -> None:
        self._file, self._name, self._ask = file, name, ask

    def pread(self, size: int, offset: int) -> bytes:
        for at in range(offset - offset % BLOCK, offset + size, BLOCK):
            self._ask("pread", self._name, at)
        return self._file.pread(size, offset)

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int:
        self._ask("pwrite", self._name, offset)
        return self._file.pwrite(data, offset)

    def sync(self) -> None:
        self._ask("sync", self._name, 0)
        self._file.sync()

    def size(self) -> int:
        self._ask("size", self._name, 0)
        return self._file.size()

    def close(self) -> None:
        self._file.close()


class FaultyStorage:
    """Asks before each operation, reading ones too, whether it may be done."""

    def __init__(self, inner: MemoryStorage, ask: Deny) -> None:
        self.inner = inner
        self.ask = ask

    def open(self, name: str, *, create: bool = False) -> StorageFile:
        self.ask("create" if create else "open", name, 0)
        return FaultyFile(self.inner.open(name, create=create), name, self._asked)

    def _asked(self, kind: str, name: str, offset: int) -> None:
        self.ask(kind, name, offset)  # whoever is asked by then

    def rename(self, old: str, new: str) -> None:
        self.ask("rename", old, 0)
        self.inner.rename(old, new)

    def unlink(self, name: str) -> None:
        self.ask("unlink", name, 0)
        self.inner.unlink(name)

    def sync_dir(self) -> None:
        self.ask("sync_dir", "", 0)
        self.inner.sync_dir()

    def names(self) -> list[str]:
        self.ask("names", "", 0)
        return self.inner.names()

    def free_bytes(self) -> int:
        self.ask("free_bytes", "", 0)
        return self.inner.free_bytes()

    def guard(self) -> Guard:
        return self.inner.guard()

    def close(self) -> None:
        self.inner.close()


class OneFault:
    """Refuses the operation number ``at``, once. ``what``: the operation it was."""

    def __init__(self, at: int, code: int) -> None:
        self.count = 0
        self.what: tuple[str, str, int] | None = None
        self._at = at
        self._code = code

    def __call__(self, kind: str, name: str, offset: int) -> None:
        self.count += 1
        if self.count - 1 == self._at:
            self.what = kind, name, offset
            raise refusal(self._code, f"{name}: {kind} refused")


def insist(action: Callable[[], T]) -> T:
    """Again after a fault, as the writer's thread does; the second time must do."""
    try:
        return action()
    except JournalError:
        return action()


def opened(storage: Storage, seed: int) -> Journal:
    # a quota that makes bulk and telemetry go
    options = JournalOptions(SMALL.lanes, quota_bytes=16 * 16 * 1024, reserve_segments=1, spare_segments=1)
    return Journal.open(storage, options, boot_id=7, rng=random.Random(seed))


class Workload:
    """Two openings with all lanes, small segments, acknowledgements and eviction; ``given`` holds what was appended."""

    def __init__(self, fault: OneFault) -> None:
        self.storage = FaultyStorage(MemoryStorage(), fault)
        self.given: dict[tuple[int, Lane, int], Record] = {}
        self.acknowledged: dict[tuple[int, Lane], int] = {}

    def run(self) -> None:
        for seed in (1, 2):
            journal = insist(partial(opened, self.storage, seed))
            for n in range(9):
                for lane in Lane:
                    item = record(lane, n + 100 * seed, size=3000)
                    self.given[journal.epoch, lane, journal.append(item)] = item
                    insist(partial(journal.commit, lane))
                if n % 4 == 3:
                    self._acknowledge(journal, Lane.LEDGER)
                    self._acknowledge(journal, Lane.TELEMETRY)
                    insist(journal.maintain)
            try:
                journal.close()
            except JournalError:
                continue  # as after a crash

    def _acknowledge(self, journal: Journal, lane: Lane) -> None:
        for stream in journal.streams():
            if stream.lane is lane:
                up_to = max(1, stream.durable - 2)
                assert journal.acknowledge(stream.epoch, lane, up_to)
                self.acknowledged[stream.epoch, lane] = up_to

    def check(self, *, corrupt: bool = False) -> None:
        """Opened anew: each number that was not acknowledged is its record, or named by a gap."""
        journal = opened(MemoryStorage(self.storage.inner.files()), 9)
        seen: dict[tuple[int, Lane, int], Record | Gap] = {}
        for stream in journal.streams():
            at = stream.acknowledged + 1
            while at <= stream.durable:
                for stored in journal.read(stream.epoch, stream.lane, at, 100, 1 << 20):
                    at = stored.seq + 1
                    if stored.record.kind != Kind.GAP:
                        seen[stored.epoch, stream.lane, stored.seq] = stored.record
                        continue
                    gap = decode_body(Kind.GAP, stored.record.body)
                    assert isinstance(gap, Gap)
                    assert corrupt or gap.reason in (GapReason.QUOTA, GapReason.FULL), gap
                    for seq in range(gap.first_seq, gap.last_seq + 1):
                        seen[gap.epoch, stream.lane, seq] = gap
        for (epoch, lane, seq), given in self.given.items():
            if seq <= self.acknowledged.get((epoch, lane), 0):
                continue
            found = seen.get((epoch, lane, seq))
            assert found == given or isinstance(found, Gap), (lane, seq, found)
            assert lane > Lane.LEDGER or found == given, (lane, seq, found)


def operations() -> int:
    fault = OneFault(-1, 0)
    work = Workload(fault)
    work.run()
    work.check()
    return fault.count


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_any_operation_may_fail_once(code: int) -> None:
    """Whatever it is: open, read, write, sync, rename, unlink: no record of an urgent lane is lost, and none at all
    without a gap that names it."""
    failed = []
    for at in range(operations()):
        fault = OneFault(at, code)
        work = Workload(fault)
        try:
            work.run()
            work.check()
        except (AssertionError, JournalError) as err:
            failed.append(f"operation {at} {fault.what}: {err!r:.200}")
    assert not failed, "\n".join(failed)


class BadBlock:
    """One block of one file cannot be read any more."""

    def __init__(self, name: str, offset: int) -> None:
        self.place = ("pread", name, offset)

    def __call__(self, kind: str, name: str, offset: int) -> None:
        if (kind, name, offset) == self.place:
            raise refusal(errno.EIO, f"{name}: Input/output error")


def with_events(count: int) -> MemoryStorage:
    storage = MemoryStorage()
    journal = open_journal(storage)
    for n in range(count):
        journal.append(record(Lane.EVENT, n))
        journal.commit(Lane.EVENT)
    journal.close()
    return storage


def read_all(journal: Journal) -> tuple[list[int], list[Gap]]:
    """Numbers of records, and gaps."""
    stored = journal.read(journal.epoch, Lane.EVENT, 1, 1000, 1 << 20)
    while stored[-1].seq < journal.streams()[0].durable:
        stored += journal.read(journal.epoch, Lane.EVENT, stored[-1].seq + 1, 1000, 1 << 20)
    gaps = [decode_body(Kind.GAP, s.record.body) for s in stored if s.record.kind == Kind.GAP]
    return [s.seq for s in stored if s.record.kind != Kind.GAP], [g for g in gaps if isinstance(g, Gap)]


@pytest.mark.parametrize("block", [0, 1, 2, 3])
def test_a_block_that_cannot_be_read_does_not_stop_the_opening(block: int) -> None:
    """A bad sector on the medium: the daemon starts, the records in it are named by a gap, all others are there."""
    storage = with_events(5)
    name = next(n for n in storage.names() if n.endswith(".seg"))
    journal = opened(FaultyStorage(storage, BadBlock(name, block * BLOCK)), 2)
    stream = next(s for s in journal.streams() if s.lane is Lane.EVENT)
    there: list[int] = []
    at = 1
    while at <= stream.durable:
        for stored in journal.read(stream.epoch, Lane.EVENT, at, 100, 1 << 20):
            at = stored.seq + 1
            if stored.record.kind == Kind.GAP:
                gap = decode_body(Kind.GAP, stored.record.body)
                assert isinstance(gap, Gap)
                assert gap.reason is GapReason.CORRUPT
            else:
                there.append(stored.seq)
    lost = {0: set[int](), 1: {1}, 2: {2}, 3: {3}}[block]  # block 0 is the header
    assert there == sorted({1, 2, 3, 4, 5} - lost)
    assert journal.append(record()) > 0
    journal.commit()


@pytest.mark.parametrize("slot", [0, 1])
def test_a_cursor_slot_that_cannot_be_read_does_not_stop_the_opening(slot: int) -> None:
    """The other slot, or none, is taken; the records are there."""
    storage = with_events(5)
    journal = opened(FaultyStorage(storage, BadBlock("cursor.state", slot * SLOT_BYTES)), 2)
    assert sum(s.durable for s in journal.streams() if s.lane is Lane.EVENT) >= 5


def test_a_block_that_goes_bad_while_running_does_not_hold_up_the_lane() -> None:
    """Reading goes on behind it, with a gap in its place."""
    storage = FaultyStorage(with_events(5), lambda *_what: None)
    journal = opened(storage, 2)
    name = next(n for n in storage.names() if n.endswith(".seg"))
    storage.ask = BadBlock(name, 2 * BLOCK)
    there, gaps = read_all(journal)
    assert there == [1, 3, 4, 5]
    assert [(g.first_seq, g.last_seq, g.reason) for g in gaps] == [(2, 2, GapReason.CORRUPT)]


def test_a_file_that_cannot_be_opened_for_now_is_not_called_corrupt() -> None:
    """No descriptor left is no damage: the reader is told, and finds everything later."""
    storage = FaultyStorage(with_events(3), lambda *_what: None)
    journal = opened(storage, 2)

    def no_files(kind: str, name: str, offset: int) -> None:
        if kind == "open":
            raise refusal(errno.EMFILE, f"{name}: Too many open files")

    storage.ask = no_files
    with pytest.raises(JournalError):
        journal.read(journal.epoch, Lane.EVENT, 1, 10, 1000)
    storage.ask = lambda *_what: None
    assert read_all(journal) == ([1, 2, 3], [])


@pytest.mark.parametrize("kind", ["rename", "unlink", "pwrite"])
def test_a_segment_that_could_not_be_freed_is_freed_later(kind: str) -> None:
    """The commit stands, since its records are durable; the file goes when the disk allows, not at the next start."""
    storage = FaultyStorage(MemoryStorage(), lambda *_what: None)
    options = JournalOptions(SMALL.lanes, reserve_segments=1, spare_segments=0 if kind == "unlink" else 9)
    journal = Journal.open(storage, options, boot_id=7, rng=random.Random(1))
    for n in range(9):
        journal.append(record(Lane.EVENT, n, size=3000))
        journal.commit(Lane.EVENT)
    assert journal.acknowledge(journal.epoch, Lane.EVENT, 9)
    doomed = sorted(n for n in storage.names() if n.startswith("2-"))[:-1]
    assert len(doomed) == 2
    journal.append(record(Lane.EMERGENCY))

    def refuse(what: str, name: str, _offset: int) -> None:
        if what == kind and (name in doomed or name.startswith("cursor.state")):
            raise refusal(errno.EIO, f"{name}: {what} refused")

    storage.ask = refuse
    with contextlib.suppress(JournalError):  # the first segment of a lane writes the cursor, too
        journal.commit(Lane.EMERGENCY)
    assert journal.commit(Lane.EMERGENCY) == 1
    assert set(doomed) <= set(storage.names())
    storage.ask = lambda *_what: None
    journal.maintain()
    assert not set(doomed) & set(storage.names())
