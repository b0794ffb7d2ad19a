"""Looking into a journal without touching it, also while a daemon writes to it.

A running daemon releases files and moves the end of the log while somebody reads; what looks damaged is therefore
looked at again, and only what stays damaged is reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from outrider.errors import JournalError
from outrider.model.record import Lane, StoredRecord
from outrider.ports import Storage
from outrider.record.recovery import Damage, Survey, survey
from outrider.record.repair import QUARANTINE
from outrider.record.stream import LogStream

LOOKS: Final = 3
_BATCH: Final = 256


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """One (epoch, lane): numbers first..durable are held; missing: numbers named by gaps of the cursor."""

    epoch: int
    lane: Lane
    current: bool
    first: int
    acknowledged: int
    durable: int
    records: int
    segments: int
    bytes: int
    missing: int


class Inspection:
    """A journal as found. ``damage`` is empty for a sound one; ``quarantined`` names the files set aside."""

    def __init__(self, storage: Storage, found: Survey) -> None:
        self._found = found
        self.epoch = None if found.cursor is None else found.cursor.epoch
        self.damage: list[Damage] = list(found.damage)
        self.quarantined = [name for name in storage.names() if name.startswith(QUARANTINE)]
        if found.cursor is None and found.streams:
            self.damage.insert(0, Damage("cursor.state", "no readable cursor"))

    def _ordered(self) -> list[LogStream]:
        return sorted(self._found.streams.values(), key=lambda s: (s.epoch == self.epoch, s.epoch, s.lane))

    def streams(self) -> list[StreamSummary]:
        """Older epochs first, then by lane."""
        return [
            StreamSummary(
                epoch=s.epoch,
                lane=s.lane,
                current=s.epoch == self.epoch,
                first=min(s.segments[0].header.first_seq if s.segments else s.durable + 1, s.durable + 1),
                acknowledged=s.acknowledged,
                durable=s.durable,
                records=sum(segment.records for segment in s.segments),
                segments=len(s.segments),
                bytes=s.bytes,
                missing=sum(hole.last - max(hole.first, s.acknowledged + 1) + 1 for hole in s.holes),
            )
            for s in self._ordered()
        ]

    def records(self, lane: Lane | None = None, epoch: int | None = None) -> Iterator[StoredRecord]:
        """All records still held, acknowledged ones too, by epoch and lane, with gaps in their places."""
        for stream in self._ordered():
            if lane in (None, stream.lane) and epoch in (None, stream.epoch):
                yield from _all_of(stream)


def _all_of(stream: LogStream) -> Iterator[StoredRecord]:
    at = stream.segments[0].header.first_seq if stream.segments else stream.acknowledged + 1
    at = min([at, *(hole.first for hole in stream.holes)])
    while at <= stream.durable:
        try:
            batch = stream.read(at, _BATCH, 1 << 30)
        except JournalError as err:
            if not isinstance(err.__cause__, FileNotFoundError):
                raise
            stream.segments.pop(0)  # released by a running daemon since we looked
            continue
        if not batch:
            return
        yield from batch
        at = batch[-1].seq + 1


def inspect(storage: Storage) -> Inspection:
    """Look until it is the same twice or sound. JournalError when the directory cannot be read."""
    found = Inspection(storage, survey(storage))
    for _ in range(LOOKS - 1):
        if not found.damage:
            break
        again = Inspection(storage, survey(storage))
        again.damage = [damage for damage in again.damage if damage in found.damage]
        found = again
    return found
