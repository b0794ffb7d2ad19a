"""The log of dm-log-writes: reading it, and making of it what a disk may hold after a power cut. Pure.

Format (kernel: drivers/md/dm-log-writes.c), little-endian, all in units of the log's sector size::

    sector 0   magic u64 | version u64 | entries u64 | sector size u32
    then each  sector u64 | sectors u64 | flags u64 | bytes u64   in a sector of its own, a mark's text behind it,
               then the data: ``sectors`` sectors; none for a discard or a mark

The kernel writes a plain write into the log when the flush after it is done, right before that flush; a write with FUA
when it is done. So what stands before a flush or FUA in the log was on the medium when that was confirmed; a plain
write before the next flush may have been there or not, in any order, sector by sector.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

MAGIC: Final = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
END: Final = "dm-log-writes-end"
SECTOR: Final = 512
_SUPER: Final = struct.Struct("<QQQI")
_ENTRY: Final = struct.Struct("<4Q")


class LogError(ValueError):
    """The log is damaged or not whole."""


@dataclass(frozen=True, slots=True)
class Entry:
    """offset, size: bytes on the disk. data: empty for flushes, discards and marks. mark: the text of one, else ''."""

    flags: int
    offset: int = 0
    size: int = 0
    data: bytes = b""
    mark: str = ""

    @property
    def barrier(self) -> bool:
        """What stands before it is on the medium, and so is this."""
        return bool(self.flags & (FLUSH | FUA))

    @property
    def changes(self) -> bool:
        return self.size > 0


def read_log(log: bytes) -> list[Entry]:
    """LogError unless it is whole: the kernel's closing mark must be the last entry (a full log device has none)."""
    magic, version, count, sector = _SUPER.unpack_from(log)
    if magic != MAGIC or version != 1:
        raise LogError(f"no log of dm-log-writes: magic {magic:#x}, version {version}")
    entries = list(_entries(log, count, sector))
    if not entries or entries[-1].mark != END:
        raise LogError(f"{len(entries)} entries without the closing mark: the log device was full, or is still open")
    return entries[:-1]


def _entries(log: bytes, count: int, sector: int) -> Iterator[Entry]:
    at = sector
    for number in range(count):
        if at + sector > len(log):
            raise LogError(f"entry {number} of {count} lies behind the end of the log")
        start, sectors, flags, length = _ENTRY.unpack_from(log, at)
        text = log[at + _ENTRY.size : at + _ENTRY.size + length] if flags & MARK else b""
        at += sector
        size = 0 if flags & MARK else sectors * sector
        held = 0 if flags & DISCARD else size
        if at + held > len(log):
            raise LogError(f"entry {number} of {count}: its data lies behind the end of the log")
        yield Entry(flags, start * sector, size, log[at : at + held], text.rstrip(b"\0").decode("ascii", "replace"))
        at += held


@dataclass(frozen=True, slots=True)
class Cut:
    """Power goes when ``entries[:done]`` had been issued. seed: None = what was not flushed is all there, in order;
    else some of it is lost or torn, as the seed says."""

    done: int
    seed: str | None = None

    def __str__(self) -> str:
        return f"cut after entry {self.done}" + ("" if self.seed is None else f", unflushed writes by seed {self.seed}")


def choose_cuts(entries: Sequence[Entry], count: int, seed: int) -> list[Cut]:
    """About ``count`` cuts, in order: half after flushes, FUA writes and marks, half amid unflushed writes.

    Spread evenly over the log; all of them where there are fewer than asked for.
    """
    places = range(1, len(entries) + 1)
    settled = [done for done in places if entries[done - 1].barrier or entries[done - 1].mark]
    pending = [done for done in places if entries[done - 1].changes and not entries[done - 1].barrier]
    rng = random.Random(seed)
    cuts = [Cut(done) for done in _spread(settled, count - count // 2, rng)]
    cuts += [Cut(done, f"{seed}/{done}") for done in _spread(pending, count // 2, rng)]
    return sorted(cuts, key=lambda cut: cut.done)


def _spread(places: list[int], count: int, rng: random.Random) -> list[int]:
    if len(places) <= count:
        return places
    step = len(places) / count
    return sorted({places[min(len(places) - 1, int((n + rng.random()) * step))] for n in range(count)})


class Medium:
    """The disk along its log; ``cut`` must be asked for in rising order."""

    def __init__(self, image: bytes, entries: Sequence[Entry]) -> None:
        self._image = bytearray(image)
        self._entries = entries
        self._done = 0  # entries[:_done] are on the medium for ever

    def cut(self, cut: Cut) -> bytearray:
        """What the disk holds after it."""
        assert cut.done >= self._done, "cuts go forward"
        self._settle(cut.done)
        image = bytearray(self._image)
        pending = [entry for entry in self._entries[self._done : cut.done] if entry.changes]
        if cut.seed is None:
            for entry in pending:
                _put(image, entry)
            return image
        rng = random.Random(cut.seed)
        following = self._entries[cut.done : cut.done + 1]
        pending += [entry for entry in following if entry.flags & FUA and entry.changes]  # was under way
        keep, torn = rng.choice(((0.0, 0.0), (0.5, 0.0), (0.3, 0.4), (0.1, 0.8), (0.8, 0.1)))
        for entry in pending:
            fate = rng.random()
            if fate < torn:
                _put_torn(image, entry, rng)
            elif fate < torn + keep:
                _put(image, entry)
        return image

    def _settle(self, done: int) -> None:
        barriers = [n for n in range(self._done, done) if self._entries[n].barrier]
        if barriers:
            for entry in self._entries[self._done : barriers[-1] + 1]:
                _put(self._image, entry)
            self._done = barriers[-1] + 1


def _put(image: bytearray, entry: Entry) -> None:
    if entry.changes:
        image[entry.offset : entry.offset + entry.size] = entry.data or bytes(entry.size)


def _put_torn(image: bytearray, entry: Entry, rng: random.Random) -> None:
    """Each sector new or old."""
    data = entry.data or bytes(entry.size)
    for at in range(0, entry.size, SECTOR):
        if rng.random() < 0.5:
            image[entry.offset + at : entry.offset + at + SECTOR] = data[at : at + SECTOR]
