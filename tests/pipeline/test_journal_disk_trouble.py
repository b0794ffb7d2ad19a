"""The disk refuses everything for a while, under the real writer and a real directory, and then works again.

Promise: the writer goes on, says what is wrong and when it is over; nothing that was committed is lost; what waited of
the urgent lanes is on flash afterwards, and nothing is missing without a gap.
"""

from __future__ import annotations

import errno
import queue
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from outrider.clock import SystemClock
from outrider.model.notice import Notice, NoticeCode
from outrider.model.record import Gap, GapReason, Kind, Lane
from outrider.ports import StorageFile
from outrider.record import disk_watch
from outrider.record.inspect import inspect
from outrider.record.journal import Journal
from outrider.record.storage_io import DirectoryStorage
from outrider.record.storage_memory import refusal
from outrider.record.writer_io import JournalWriter, WriterOptions
from outrider.wire.bodies import decode_body
from tests.support.records import SMALL, record

WAIT_S = 60.0
QUICK = WriterOptions(event_commit_s=0.01, telemetry_commit_s=0.01, telemetry_commit_moving_s=0.01, retry_s=0.01)


class SickFile:
    """A file of a disk that may refuse writing and syncing."""

    def __init__(self, file: StorageFile, disk: SickDisk) -> None:
        self._file = file
        self._disk = disk

    def pread(self, size: int, offset: int) -> bytes:
        return self._file.pread(size, offset)

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int:
        self._disk.ask("pwrite")
        return self._file.pwrite(data, offset)

    def sync(self) -> None:
        self._disk.ask("sync")
        self._file.sync()

    def size(self) -> int:
        return self._file.size()

    def close(self) -> None:
        self._file.close()


class SickDisk(DirectoryStorage):
    """``code``: the answer to the operations ``refused``, None while it is well."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.code: int | None = None
        self.refused: tuple[str, ...] = ()
        self.refusals = 0

    def ask(self, operation: str) -> None:
        if self.code is not None and operation in self.refused:
            self.refusals += 1
            raise refusal(self.code, f"{operation} refused")

    def open(self, name: str, *, create: bool = False) -> StorageFile:
        if create:
            self.ask("create")
        return SickFile(super().open(name, create=create), self)

    def rename(self, old: str, new: str) -> None:
        self.ask("rename")
        super().rename(old, new)

    def unlink(self, name: str) -> None:
        self.ask("unlink")
        super().unlink(name)

    def sync_dir(self) -> None:
        self.ask("sync_dir")
        super().sync_dir()


@contextmanager
def writing(storage: SickDisk, told: queue.Queue[Notice]) -> Iterator[tuple[Journal, JournalWriter]]:
    journal = Journal.open(storage, SMALL, boot_id=7, rng=random.Random(1))
    writer = JournalWriter(journal, QUICK, SystemClock(), on_notice=told.put)
    writer.start()
    try:
        yield journal, writer
    finally:
        storage.code = None
        writer.stop(WAIT_S)
        journal.close()


EVERYTHING = ("create", "pwrite", "sync", "rename", "unlink", "sync_dir")


@pytest.mark.parametrize(
    ("code", "refused", "notice"),
    [
        (errno.EIO, EVERYTHING, NoticeCode.STORAGE_FAULT),
        (errno.EIO, ("sync",), NoticeCode.STORAGE_FAULT),
        (errno.EROFS, EVERYTHING, NoticeCode.STORAGE_READ_ONLY),
        (errno.ENOSPC, ("create", "pwrite"), NoticeCode.STORAGE_FULL),
    ],
    ids=["EIO", "EIO on sync", "read-only", "full"],
)
def test_it_lives_through_a_disk_in_trouble(
    code: int, refused: tuple[str, ...], notice: NoticeCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All lanes while the disk refuses; the notices come in order; afterwards everything is a record or a gap, the
    urgent lanes whole. (Seen to fail with a journal that forgets what was pending when a commit is refused.)"""
    monkeypatch.setattr(disk_watch, "CALM_US", 0)
    told: queue.Queue[Notice] = queue.Queue()
    storage = SickDisk(tmp_path / "journal")
    given: dict[Lane, int] = dict.fromkeys(Lane, 0)
    with writing(storage, told) as (journal, writer):

        def put(rounds: int) -> None:
            for _ in range(rounds):
                for lane in Lane:
                    given[lane] += 1
                    assert writer.put(record(lane, given[lane], size=900))

        put(4)
        assert writer.flush(WAIT_S)
        before = {lane: stats.durable for lane, stats in journal.stats().lanes.items()}
        storage.refused, storage.code = refused, code
        put(12)
        first = told.get(timeout=WAIT_S)
        assert (first.code, dict(first.detail)["phase"]) == (notice, "begin")
        assert writer.stats().disk != "ok"
        assert writer.stats().alive
        for lane in Lane:  # what was promised can be read all the while
            assert len(journal.read(journal.epoch, lane, 1, 100, 1 << 20)) >= before[lane]
        storage.code = None
        put(2)
        assert writer.flush(WAIT_S)
        put(1)
        assert writer.flush(WAIT_S)
        phases = [(each.code, dict(each.detail)["phase"]) for each in drained(told, notice)]
        assert phases[-1] == (notice, "end")
        assert writer.stats().disk == "ok"
    assert storage.refusals
    check(tmp_path / "journal", given)


def drained(told: queue.Queue[Notice], code: NoticeCode) -> list[Notice]:
    """Up to the end of this trouble."""
    out = []
    while not out or (out[-1].code, dict(out[-1].detail)["phase"]) != (code, "end"):
        out.append(told.get(timeout=WAIT_S))
    return out


def check(place: Path, given: dict[Lane, int]) -> None:
    """Every number of every lane is its record, or named by a gap; emergency and ledger are whole."""
    found = inspect(DirectoryStorage(place, read_only=True))
    assert not found.damage
    assert not found.quarantined
    seen: dict[Lane, int] = dict.fromkeys(Lane, 0)
    for stored in found.records():
        lane = stored.record.lane
        gap = decode_body(Kind.GAP, stored.record.body) if stored.record.kind == Kind.GAP else None
        if isinstance(gap, Gap):
            assert lane > Lane.LEDGER
            assert gap.reason is GapReason.FULL
            assert gap.first_seq == seen[lane] + 1
        else:
            assert stored.seq == seen[lane] + 1
            assert stored.record == record(lane, stored.seq, size=900)
        seen[lane] = stored.seq
    assert seen == given
