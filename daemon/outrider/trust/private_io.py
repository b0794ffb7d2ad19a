"""Small files that must be whole or absent, and readable by nobody else: keys, certificates, settings.

A file is written beside its place, synced, renamed, and the directory synced: after a power cut there is the old one or
the new one, never half of one, and never a moment in which another user could read it.

What root writes belongs to the owner of the directory: a certificate renewed by hand with sudo must not be unreadable
to the daemon that it is for.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from outrider.errors import TrustError
from outrider.files_io import read_file

LIMIT_BYTES: Final = 256 * 1024
PRIVATE: Final = 0o600
PUBLIC: Final = 0o644


def make_private_directory(path: Path, *, like_parent: bool = False) -> None:
    """``path``, 0700 when it is new. like_parent: it is for whoever owns the directory it is in. OSError when it cannot
    be made."""
    if path.is_dir():
        return
    if like_parent and not path.parent.exists():
        path.parent.mkdir(parents=True)
        _give(path.parent, path.parent.parent)
    path.mkdir(parents=True, mode=0o700, exist_ok=True)
    if like_parent:
        _give(path, path.parent)
    _sync_directory(path.parent)


def write_whole(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Replace ``path``; on flash when it returns. OSError names the file."""
    part = path.with_name(f".part-{path.name}")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)  # whatever the umask took away
            _give(file.fileno(), path.parent)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        move(part, path)
    finally:
        part.unlink(missing_ok=True)


def move(path: Path, to: Path) -> None:
    """Rename within a directory; on flash when it returns."""
    path.replace(to)
    _sync_directory(to.parent)


def remove(path: Path) -> None:
    """Gone from flash when it returns; nothing happens when it is not there."""
    if path.exists():
        path.unlink()
        _sync_directory(path.parent)


def read_whole(path: Path) -> bytes | None:
    """The content; None when there is no such file. TrustError names a file that cannot be read."""
    try:
        return read_file(path, LIMIT_BYTES)
    except FileNotFoundError:
        return None
    except OSError as err:
        raise TrustError(f"cannot be read: {err.strerror}", path=path) from None


def is_private(path: Path) -> bool:
    """Whether nobody but the owner may read it."""
    return path.stat().st_mode & 0o077 == 0


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """One process at a time; it goes with the process. TrustError when another one is inside."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    try:
        _give(handle, path.parent)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise TrustError("another process is at work there; try again in a minute", path=path) from None
    finally:
        os.close(handle)


def _give(what: Path | int, directory: Path) -> None:
    """To the owner of a directory, where root is at work."""
    if os.geteuid() != 0:
        return
    owner = directory.stat()
    if isinstance(what, int):
        os.fchown(what, owner.st_uid, owner.st_gid)
    else:
        os.lchown(what, owner.st_uid, owner.st_gid)  # not through a link that the owner has put there meanwhile


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
