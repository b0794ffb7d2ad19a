"""The black-box file: two 4 KiB slots beside the journal, rewritten in turn while moving.

A page comes rendered from the engine (layout in native/include/outrider/blackbox.h: magic "OTRB", counter u64 at 8,
CRC-32C of bytes 0..4091 at 4092). A write that power cuts short damages one slot; the other holds the page before it.
"""

from __future__ import annotations

import logging
import struct
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from outrider.engine import crc32c
from outrider.errors import JournalError
from outrider.ports import Storage, StorageFile
from outrider.record.storage_io import DirectoryStorage

_log = logging.getLogger(__name__)

FILE_NAME: Final = "blackbox.page"
PAGE_BYTES: Final = 4096
_MAGIC: Final = b"OTRB"


class BlackBoxFile:
    """Opens or makes ``blackbox.page`` in a directory. A fault of the disk is counted and logged once, never raised.

    newest: counter of the newest whole page there was on opening, of whatever version; 0 without one.
    """

    def __init__(self, place: Path | Storage) -> None:
        self._place = place
        self._file: StorageFile | None = None
        self._next = 0
        self.newest = 0
        self.writes = 0
        self.faults = 0
        try:
            self._open()
        except (OSError, JournalError) as err:
            self._note(err)

    def _open(self) -> StorageFile:
        if self._file is not None:
            return self._file
        storage = DirectoryStorage(self._place, lock=False) if isinstance(self._place, Path) else self._place
        file = storage.open(FILE_NAME) if FILE_NAME in storage.names() else None
        if file is not None and file.size() < 2 * PAGE_BYTES:
            file.close()
            file = None
        self._file = file = file or _made(storage)
        counters = [_counter(self._page(slot)) for slot in (0, 1)]
        self._next = 1 if counters[0] > counters[1] else 0
        self.newest = max(0, *counters)
        return file

    def _page(self, slot: int) -> bytes:
        """Empty when the disk does not give it."""
        if self._file is None:
            return b""
        try:
            return self._file.pread(PAGE_BYTES, slot * PAGE_BYTES)
        except JournalError as err:
            self._note(err)
            return b""

    def _note(self, err: Exception) -> None:
        if not self.faults:
            _log.error("black box: %s", err)
        self.faults += 1

    def write(self, page: bytes) -> None:
        """One page of 4096 bytes, durable when it returns without a fault counted."""
        if len(page) != PAGE_BYTES:
            raise ValueError(f"a page has {PAGE_BYTES} bytes, not {len(page)}")
        try:
            file = self._open()
            file.pwrite(page, self._next * PAGE_BYTES)
            file.sync()
        except (OSError, JournalError) as err:
            self._note(err)
            return
        self._next = 1 - self._next
        self.writes += 1

    def read(self) -> bytes | None:
        """The newest whole page, None when there is none."""
        pages = [page for page in (self._page(0), self._page(1)) if _counter(page) >= 0]
        return max(pages, key=_counter, default=None)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _made(storage: Storage) -> StorageFile:
    """Two empty slots, durable."""
    file = storage.open(FILE_NAME, create=True)
    try:
        file.pwrite(bytes(2 * PAGE_BYTES), 0)
        file.sync()
        storage.sync_dir()
    except JournalError:
        file.close()
        raise
    return file


def _counter(page: bytes) -> int:
    """Of a whole page; -1 for anything else."""
    if len(page) != PAGE_BYTES or page[:4] != _MAGIC:
        return -1
    if struct.unpack_from("<I", page, PAGE_BYTES - 4)[0] != crc32c(page[:-4]):
        return -1
    return int(struct.unpack_from("<Q", page, 8)[0])
