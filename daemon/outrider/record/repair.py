"""What opening a journal does to the directory before the first append: sync, set aside, choose the epoch.

Each step may be cut by the next power failure: all of them can be done again from the start.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final, Protocol

from outrider.errors import JournalError
from outrider.ports import Storage
from outrider.record.cursor import MAX_STREAMS
from outrider.record.format import BLOCK, SegmentHeader, pack_segment_header, parse_segment_header
from outrider.record.recovery import Survey, read_whole
from outrider.record.salvage import lost_on_medium, read_around
from outrider.record.segment import parse_segment_name

QUARANTINE: Final = "quarantine/"
MAX_SET_ASIDE: Final = 16


class Random(Protocol):
    def getrandbits(self, k: int, /) -> int: ...


def choose_epoch(found: Survey, rng: Random) -> int:
    """The epoch to go on with: a new one when nothing proves that this one is known to its end."""
    cursor = found.cursor
    if cursor is not None:
        known = {epoch for epoch, _lane in cursor.positions} | {cursor.epoch}
        strange = {epoch for epoch, _lane in found.streams} - known
        if len(cursor.positions) >= MAX_STREAMS:
            strange = set()  # it has no room for all of them
        lost = any(epoch == cursor.epoch for epoch, _lane in found.tail_lost)
        if not strange and not lost:
            return cursor.epoch
    used = {epoch for epoch, _lane in found.streams}
    while (epoch := rng.getrandbits(64)) in used or epoch == 0:
        pass
    return epoch


def settle(storage: Storage, found: Survey) -> None:
    """What was read counts as durable only after this: a killed process may have left it in the cache."""
    for name in storage.names():
        if name.endswith(".tmp"):
            storage.unlink(name)
    for stream in found.streams.values():
        for segment in stream.segments[-2:]:
            file = storage.open(segment.name)
            try:
                file.sync()
            finally:
                file.close()
    storage.sync_dir()


def set_aside(storage: Storage, found: Survey) -> int:
    """Move what is no segment, copy what lost records, into ``quarantine/``. How many files.

    Call it when the cursor that names what is lost is on flash: mending takes away what told of the damage.
    """
    taken = sum(_move(storage, name) for name in found.unusable)
    damaged = dict.fromkeys(d.name for d in found.damage if d.name not in found.unusable)
    for name in damaged:
        if parse_segment_name(name) is not None and _copy(storage, name):
            taken += 1
    if taken:
        storage.sync_dir()
    _forget_oldest(storage)
    for name, header in found.mendable.items():
        _mend(storage, name, header)
    return taken


def _move(storage: Storage, name: str) -> bool:
    """False: the medium does not let go of it; it stays, and is read as nothing again the next time."""
    try:
        storage.rename(name, _free_name(storage, name))
    except JournalError as err:
        if not lost_on_medium(err):
            raise
        return False
    return True


def _mend(storage: Storage, name: str, header: SegmentHeader) -> None:
    """Give a segment its header and its size again; no block that holds a commit is touched. Tried again at the next
    opening if the disk refuses."""
    with suppress(JournalError):
        file = storage.open(name)
        try:
            end = file.size()
            for at in range(end, header.blocks * BLOCK, BLOCK):
                file.pwrite(bytes(min(BLOCK, header.blocks * BLOCK - at)), at)
            file.sync()
            if parse_segment_header(read_around(file, BLOCK, 0)[0]) != header:
                file.pwrite(pack_segment_header(header), 0)
                file.sync()
        finally:
            file.close()


def _free_name(storage: Storage, name: str) -> str:
    held = set(storage.names())
    number = 0
    while f"{QUARANTINE}{name}.{number}" in held:
        number += 1
    return f"{QUARANTINE}{name}.{number}"


def _copy(storage: Storage, name: str) -> bool:
    """False: no room for it, or there is one. A copy is for people; the readable records stay in the log either way."""
    if any(held.startswith(f"{QUARANTINE}{name}.") for held in storage.names()):
        return False
    whole = read_whole(storage, name)
    if whole is None or storage.free_bytes() < 2 * len(whole[0]):
        return False
    data = whole[0]
    tmp = "quarantine.tmp"
    try:
        file = storage.open(tmp, create=True)
        try:
            file.pwrite(data, 0)
            file.sync()
        finally:
            file.close()
        storage.rename(tmp, _free_name(storage, name))
    except JournalError:
        if tmp in storage.names():
            storage.unlink(tmp)
        return False
    return True


def _forget_oldest(storage: Storage) -> None:
    held = [name for name in storage.names() if name.startswith(QUARANTINE)]
    for name in held[: max(0, len(held) - MAX_SET_ASIDE)]:
        storage.unlink(name)
