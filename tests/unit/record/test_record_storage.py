"""A real directory as storage: the same answers as memory, one owner, faults told for people."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from outrider.errors import JournalError, JournalLockedError
from outrider.model.record import Lane
from outrider.ports import Storage
from outrider.record.journal import Journal
from outrider.record.storage_io import DirectoryStorage, journal_error
from outrider.record.storage_memory import MemoryStorage
from tests.support.records import SMALL, numbers, record


@pytest.fixture(params=["directory", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return DirectoryStorage(tmp_path / "journal") if request.param == "directory" else MemoryStorage()


def test_files_are_written_moved_and_removed(storage: Storage) -> None:
    """Both storages answer alike."""
    file = storage.open("a.tmp", create=True)
    assert file.pwrite(b"hello", 3) == 5
    file.sync()
    assert (file.size(), file.pread(100, 0), file.pread(2, 4)) == (8, b"\0\0\0hello", b"el")
    file.close()
    storage.rename("a.tmp", "quarantine/a")
    storage.sync_dir()
    assert [n for n in storage.names() if n != "journal.lock"] == ["quarantine/a"]
    storage.unlink("quarantine/a")
    assert storage.free_bytes() > 0
    for missing in (lambda: storage.open("a"), lambda: storage.unlink("a"), lambda: storage.rename("a", "b")):
        with pytest.raises(JournalError, match="No such file"):
            missing()
    storage.close()


def test_a_second_owner_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    """JournalLockedError names it; after closing the directory is free again."""
    first = DirectoryStorage(tmp_path)
    with pytest.raises(JournalLockedError, match=f"in use by process {os.getpid()}; stop it first") as caught:
        DirectoryStorage(tmp_path)
    assert caught.value.pid == os.getpid()
    DirectoryStorage(tmp_path, read_only=True).close()
    first.close()
    DirectoryStorage(tmp_path).close()


def test_a_full_disk_does_not_keep_the_owner_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock holds without its pid, and an existing lock file is never made smaller: that would need a free block."""
    DirectoryStorage(tmp_path).close()
    size = (tmp_path / "journal.lock").stat().st_size

    def refuse(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    first = DirectoryStorage(tmp_path)
    assert (tmp_path / "journal.lock").stat().st_size == size
    with pytest.raises(JournalLockedError, match="in use by"):
        DirectoryStorage(tmp_path)
    first.close()


def test_a_journal_gives_its_directory_back(tmp_path: Path) -> None:
    """By close, and when opening fails."""
    journal = Journal.open(DirectoryStorage(tmp_path), SMALL, boot_id=1, rng=random.Random(1))
    for lane in Lane:
        journal.append(record(lane))
    journal.close()
    (tmp_path / "cursor.state").unlink()
    (tmp_path / "cursor.state").mkdir()
    with pytest.raises(JournalError, match=r"cursor\.state"):
        Journal.open(DirectoryStorage(tmp_path), SMALL, boot_id=1, rng=random.Random(1))
    (tmp_path / "cursor.state").rmdir()
    journal = Journal.open(DirectoryStorage(tmp_path), SMALL, boot_id=1, rng=random.Random(2))
    assert len(journal.streams()) == len(Lane)
    journal.close()


def test_segments_are_closed_files(tmp_path: Path) -> None:
    """A long log does not use up file descriptors: only the segments being written are open."""
    journal = Journal.open(DirectoryStorage(tmp_path), SMALL, boot_id=1, rng=random.Random(1))
    for n in range(200):
        journal.append(record(Lane.TELEMETRY, n, 3000))
        journal.commit(Lane.TELEMETRY)
    before = open_segments(tmp_path)
    assert numbers(journal, Lane.TELEMETRY) == list(range(1, 201))
    assert open_segments(tmp_path) == before == 1
    journal.close()
    assert open_segments(tmp_path) == 0


def open_segments(directory: Path) -> int:
    links = [fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink() and fd.exists()]
    return sum(link.parent == directory and link.suffix == ".seg" for link in links)


@pytest.mark.parametrize(
    ("code", "advice"), [(errno.ENOSPC, "free some space"), (errno.EIO, "replace it"), (errno.EROFS, "for writing")]
)
def test_a_fault_says_file_reason_and_what_to_do(code: int, advice: str) -> None:
    """And keeps errno, by which a full device is told from a broken one."""
    err = journal_error(Path("/flash/x.seg"), OSError(code, os.strerror(code)))
    assert str(err).startswith("/flash/x.seg: ")
    assert advice in str(err)
    assert err.errno == code


def test_reading_needs_a_directory(tmp_path: Path) -> None:
    """A wrong path is one clear error, and nothing is created."""
    with pytest.raises(JournalError, match="no such directory"):
        DirectoryStorage(tmp_path / "nowhere", read_only=True)
    assert not (tmp_path / "nowhere").exists()


def test_what_only_the_cache_holds_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On opening, the clean pages of the newest two files of each stream are dropped and read anew: after a sync that
    failed they may hold what the medium does not."""
    names = [f"2-00000000000000aa-{number:08d}.seg" for number in range(4)] + ["3-00000000000000aa-00000000.seg"]
    for name in names:
        (tmp_path / name).write_bytes(bytes(4096))
    dropped: list[str] = []

    def note(fd: int, offset: int, size: int, advice: int) -> None:
        assert (offset, size, advice) == (0, 0, os.POSIX_FADV_DONTNEED)
        dropped.append(Path(f"/proc/self/fd/{fd}").readlink().name)

    monkeypatch.setattr("outrider.record.storage_io.os.posix_fadvise", note)
    DirectoryStorage(tmp_path).close()
    assert dropped == [*names[2:4], names[4]]
