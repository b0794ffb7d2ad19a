"""Pre-written files waiting to become segments: the reserve for urgent lanes on a full device, that for evidence, and
released segments.

A released file is used again as it is: what it still holds belongs to another place and does not parse. So its blocks
need not be written twice. ``free-N.free`` holds any content; ``new.tmp`` is a file in the making.
"""

from __future__ import annotations

import errno
import re
from contextlib import suppress
from typing import Final

from outrider.errors import JournalError
from outrider.model.record import Lane
from outrider.ports import Storage
from outrider.record.format import BLOCK, SegmentHeader, pack_segment_header
from outrider.record.options import MARGIN_BYTES, URGENT, JournalOptions
from outrider.record.segment import Segment, segment_name

TMP: Final = "new.tmp"
_NAME: Final = re.compile(r"free-([0-9]+)\.free")
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_ZEROS: Final = bytes(16 * BLOCK)


def is_full(err: JournalError) -> bool:
    return err.errno in _NO_SPACE


class FilePool:
    """Makes segments: from a spare, from a new file, for urgent lanes from the reserve, for evidence from its own."""

    def __init__(self, storage: Storage, options: JournalOptions) -> None:
        self._storage = storage
        self._options = options
        self._bulk_bytes = options.lanes[Lane.BULK].segment_bytes
        self._sizes = {lane.segment_bytes for lane in options.lanes.values()}  # a packed file has any other
        self._urgent_bytes = max(options.lanes[lane].segment_bytes for lane in URGENT)
        self._free: dict[str, int] = {}
        self._next = 0
        self.written = 0
        self.reused = 0
        self.reserve_used = False  # the last segment came from the reserve: there is no room for others

    def load(self, names: list[str]) -> None:
        """Take stock of the free files of an earlier run."""
        for name in names:
            match = _NAME.fullmatch(name)
            if match is not None:
                self._next = max(self._next, int(match[1]) + 1)
                file = self._storage.open(name)
                self._free[name] = file.size()
                file.close()

    def count(self, size: int) -> int:
        return sum(1 for held in self._free.values() if held == size)

    def _kept(self, size: int) -> int:
        return self._kept_urgent(size) + (self._options.evidence_segments if size == self._bulk_bytes else 0)

    def _kept_urgent(self, size: int) -> int:
        return self._options.reserve_segments if size == self._urgent_bytes else 0

    def create(self, header: SegmentHeader, *, evidence: bool = False) -> Segment:
        """A segment under its final name, durable, open for writing. JournalError; ``is_full``: no room.

        evidence: take what is kept for it first; writing a file takes longer than power may last.
        """
        size = header.blocks * BLOCK
        self.reserve_used = False
        name = self._take(size, self._kept_urgent(size) if evidence else self._kept(size))
        if name is None:
            try:
                name = self._write_new(size)
            except JournalError as err:
                name = self._take(size, 0) if header.lane in URGENT and is_full(err) else None
                if name is None:
                    raise
                self.reserve_used = True
        try:
            return self._begin(name, header)
        except JournalError:
            self._keep(name, size)
            raise

    def _keep(self, name: str, size: int) -> None:
        """A spare that could not be used now comes last the next time; it must not be forgotten."""
        with suppress(JournalError):
            if name != TMP and name in self._storage.names():
                self._free[name] = size

    def _begin(self, name: str, header: SegmentHeader) -> Segment:
        final = segment_name(header.lane, header.epoch, header.segment)
        file = self._storage.open(name)
        try:
            file.pwrite(pack_segment_header(header), 0)
            file.sync()
            self._storage.rename(name, final)
            self._storage.sync_dir()
        except JournalError:
            file.close()
            raise
        return Segment(self._storage, final, header, file)

    def _take(self, size: int, keep: int) -> str | None:
        if self.count(size) <= keep:
            return None
        name = next(name for name, held in self._free.items() if held == size)
        del self._free[name]
        self.reused += 1
        return name

    def _write_new(self, size: int) -> str:
        if self._storage.free_bytes() < size + MARGIN_BYTES:
            raise _full(size)
        file = self._storage.open(TMP, create=True)
        try:
            for offset in range(0, size, len(_ZEROS)):
                file.pwrite(_ZEROS[: size - offset], offset)
            file.sync()
        except JournalError:
            file.close()
            self._storage.unlink(TMP)
            raise
        file.close()
        self.written += 1
        return TMP

    def give_back(self, name: str, size: int) -> None:
        """A file whose records nobody needs any more becomes a spare, or goes. The caller syncs the directory."""
        if size not in self._sizes or self.count(size) >= self._kept(size) + self._options.spare_segments:
            self._storage.unlink(name)
            return
        free = self._name()
        self._storage.rename(name, free)
        self._free[free] = size

    def replenish(self) -> bool:
        """Add one file to the reserve if it lacks one and there is room. True: did."""
        return self._add(self._urgent_bytes)

    def replenish_evidence(self) -> bool:
        """The same for the room that is kept for evidence."""
        return self._add(self._bulk_bytes)

    def _add(self, size: int) -> bool:
        if self.count(size) >= self._kept(size) or self._storage.free_bytes() < size + MARGIN_BYTES:
            return False
        free = self._name()
        try:
            self._storage.rename(self._write_new(size), free)
        except JournalError as err:
            if not is_full(err):
                raise
            return False
        self._storage.sync_dir()
        self._free[free] = size
        return True

    def _name(self) -> str:
        name = f"free-{self._next}.free"
        self._next += 1
        return name


def _full(size: int) -> JournalError:
    err = JournalError(f"no room for a segment of {size} bytes: No space left on device; free some space")
    err.errno = errno.ENOSPC
    return err
