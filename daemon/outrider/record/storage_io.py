"""A real directory as storage: pread, pwrite, fdatasync, rename, unlink, fsync of the directory, one owner.

The lock file ``journal.lock`` is held (flock) for as long as the storage is open, and names the owner's pid. What could
not be done is a JournalError with the file, the reason and ``errno``.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from outrider.errors import JournalError, JournalLockedError
from outrider.ports import Guard, StorageFile

LOCK_NAME: Final = "journal.lock"
QUARANTINE: Final = "quarantine"
_PID_BYTES: Final = 16
_ADVICE: Final = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EACCES: "run as the user who owns the directory",
    errno.EPERM: "run as the user who owns the directory",
    errno.EROFS: "mount the file system for writing",
    errno.EIO: "the storage medium is failing; replace it",
}


def journal_error(path: Path, err: OSError) -> JournalError:
    """The same fault, told for a person: file, reason, what to do."""
    code = err.errno or 0
    reason = err.strerror or str(err)
    advice = _ADVICE.get(code)
    failure = JournalError(f"{path}: {reason}" + (f"; {advice}" if advice else ""))
    failure.errno = code
    return failure


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except JournalError:
        raise
    except OSError as err:
        raise journal_error(path, err) from err


def open_flags(*, create: bool) -> int:
    """For reading and writing; a file that is created starts empty."""
    return os.O_RDWR | (os.O_CREAT | os.O_TRUNC if create else 0)


def sync_directory(path: Path) -> None:
    with _told(path):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


class DirectoryFile:
    """One open file."""

    def __init__(self, path: Path, flags: int) -> None:
        self._path = path
        with _told(path):
            self._fd = os.open(path, flags | os.O_CLOEXEC, 0o640)

    def pread(self, size: int, offset: int) -> bytes:
        parts = []
        with _told(self._path):
            while size > 0 and (part := os.pread(self._fd, size, offset)):
                parts.append(part)
                size -= len(part)
                offset += len(part)
        return b"".join(parts)

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int:
        view = memoryview(data)
        done = 0
        with _told(self._path):
            while done < len(view):
                done += os.pwrite(self._fd, view[done:], offset + done)
        return done

    def sync(self) -> None:
        with _told(self._path):
            os.fdatasync(self._fd)

    def size(self) -> int:
        with _told(self._path):
            return os.fstat(self._fd).st_size

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class DirectoryStorage:
    """The directory ``path``. Opening it for writing creates it and locks it; JournalLockedError names the owner.

    lock=False: for a file beside the journal that has an owner of its own; the directory must be there.
    """

    def __init__(self, path: Path, *, read_only: bool = False, lock: bool = True) -> None:
        self._path = path
        self._read_only = read_only
        self._guard = threading.Condition()
        self._lock_fd = -1
        if read_only:
            if not path.is_dir():
                raise JournalError(f"{path}: no such directory; name the directory of a journal")
            return
        if lock:
            with _told(path):
                (path / QUARANTINE).mkdir(parents=True, exist_ok=True)
            self._lock()
            self._forget_cached()

    @property
    def path(self) -> Path:
        return self._path

    def _lock(self) -> None:
        path = self._path / LOCK_NAME
        with _told(path):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            os.close(fd)
            pid = int(text) if text.isdigit() else None
            who = f"process {pid}" if pid is not None else "another process"
            raise JournalLockedError(f"{self._path}: in use by {who}; stop it first", pid) from None
        with suppress(OSError):  # the pid is for people; a full disk must not keep the daemon from its journal
            os.pwrite(fd, f"{os.getpid()}\n".encode("ascii").ljust(_PID_BYTES), 0)  # in place: needs no free block
        self._lock_fd = fd

    def _forget_cached(self) -> None:
        """After a sync that failed, the kernel calls pages clean that never reached the medium. A process that died
        then must not make its successor believe in them: of the newest files what is clean is read anew."""
        newest: dict[str, list[str]] = {}
        for name in sorted(name for name in self.names() if name.endswith(".seg")):
            newest.setdefault(name.rpartition("-")[0], []).append(name)
        for names in newest.values():
            for name in names[-2:]:
                with suppress(OSError):  # the file is read later; what it says then is told there
                    fd = os.open(self._path / name, os.O_RDONLY | os.O_CLOEXEC)
                    try:
                        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                    finally:
                        os.close(fd)

    def open(self, name: str, *, create: bool = False) -> StorageFile:
        return DirectoryFile(self._path / name, os.O_RDONLY if self._read_only else open_flags(create=create))

    def rename(self, old: str, new: str) -> None:
        with _told(self._path / old):
            (self._path / old).rename(self._path / new)

    def unlink(self, name: str) -> None:
        with _told(self._path / name):
            (self._path / name).unlink()

    def sync_dir(self) -> None:
        if (self._path / QUARANTINE).is_dir():
            sync_directory(self._path / QUARANTINE)
        sync_directory(self._path)

    def names(self) -> list[str]:
        """Files of the directory, and those set aside as ``quarantine/NAME``."""
        with _told(self._path):
            here = [entry.name for entry in os.scandir(self._path) if entry.is_file(follow_symlinks=False)]
            aside = self._path / QUARANTINE
            if aside.is_dir():
                here += [f"{QUARANTINE}/{entry.name}" for entry in os.scandir(aside) if entry.is_file()]
        return sorted(here)

    def free_bytes(self) -> int:
        with _told(self._path):
            stat = os.statvfs(self._path)
        return stat.f_bavail * stat.f_frsize

    def guard(self) -> Guard:
        return self._guard

    def close(self) -> None:
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1
