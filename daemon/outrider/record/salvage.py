"""Reading from a medium that gives some blocks no more: they come as zeros, which parse as nothing.

A bad sector must cost what lies in it, not the daemon's start and not the lane behind it. Only what the medium says
about its own data counts (``EIO`` and the like), and only when it says so twice; any other refusal passes through.
"""

from __future__ import annotations

import errno
from typing import Final

from outrider.errors import JournalError
from outrider.ports import Storage, StorageFile
from outrider.record.format import BLOCK

TRIES: Final = 2
UNREADABLE: Final = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN, errno.EREMOTEIO, errno.EILSEQ})


def read_around(file: StorageFile, size: int, offset: int) -> tuple[bytes, int]:
    """(size bytes from a block-aligned offset, or less at the end of the file; blocks that could not be read)."""
    data = _read(file, size, offset)
    if data is not None:
        return data, 0
    parts, bad = [], 0
    for at in range(offset, offset + size, BLOCK):
        part = _read(file, min(BLOCK, offset + size - at), at)
        bad += part is None
        parts.append(bytes(min(BLOCK, offset + size - at)) if part is None else part)
    return b"".join(parts), bad


def open_around(storage: Storage, name: str) -> StorageFile | None:
    """None: the medium does not give what is needed to open it."""
    for _ in range(TRIES):
        try:
            return storage.open(name)
        except JournalError as err:
            if not lost_on_medium(err):
                raise
    return None


def lost_on_medium(err: JournalError) -> bool:
    """The medium says that it does not have its data any more; anything else may be different the next time."""
    return err.errno in UNREADABLE


def _read(file: StorageFile, size: int, offset: int) -> bytes | None:
    """None: the medium does not give it."""
    for _ in range(TRIES):
        try:
            return file.pread(size, offset)
        except JournalError as err:
            if not lost_on_medium(err):
                raise
    return None
