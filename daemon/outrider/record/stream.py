"""One stream of the log: its segments in order, its holes, and what is acknowledged and durable.

Only the writer's thread adds and removes segments, under the guard; readers read under it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace

from outrider.model.record import GapReason, Lane, StoredRecord
from outrider.record.format import record_bytes
from outrider.record.hole import Hole, covering, first_number, merged, without
from outrider.record.segment import Segment


class LogStream:
    """Numbers count from 1; each number up to ``durable`` is a stored record or named by a gap."""

    def __init__(self, epoch: int, lane: Lane) -> None:
        self.epoch = epoch
        self.lane = lane
        self.acknowledged = 0
        self.durable = 0
        self.next_segment = 0
        self.segments: list[Segment] = []
        self.holes: list[Hole] = []

    @property
    def bytes(self) -> int:
        return sum(segment.bytes for segment in self.segments)

    def acknowledge(self, up_to: int) -> None:
        self.acknowledged = max(self.acknowledged, up_to)
        self.holes = [hole for hole in self.holes if hole.last > self.acknowledged]

    def add_holes(self, first: int, last: int, reason: GapReason, boot_id: int, t_us: int) -> int:
        """Name the numbers first..last that no hole names yet; how many these were."""
        parts = without(max(first, self.acknowledged + 1), last, self.holes)
        self.holes = merged([*self.holes, *(Hole(a, b, reason, boot_id, t_us) for a, b in parts)])
        return sum(b - a + 1 for a, b in parts)

    def drop_holes(self, first: int, last: int) -> None:
        """Records name these holes now."""
        self.holes = [hole for hole in self.holes if not first <= hole.first <= hole.last <= last]

    def evict_oldest(self, reason: GapReason) -> tuple[Segment, int]:
        """Take the oldest segment out; one hole names everything up to its end. (segment, numbers newly lost)"""
        segment = self.segments.pop(0)
        first, last = self.acknowledged + 1, segment.last_seq
        lost = sum(b - a + 1 for a, b in without(first, last, self.holes))
        if first <= last:
            behind = [replace(hole, first=max(hole.first, last + 1)) for hole in self.holes if hole.last > last]
            self.holes = merged([Hole(first, last, reason, segment.boot_id, segment.t_us), *behind])
        return segment, lost

    def read(self, first_seq: int, max_records: int, max_bytes: int) -> list[StoredRecord]:
        """See ``ports.RecordLog.read``. A number that has rotted away since opening becomes a hole here."""
        out: list[StoredRecord] = []
        seq = max(1, first_seq)
        for stored in self._items(seq):
            if out and (len(out) >= max_records or first_number(stored) > out[-1].seq + 1):
                break
            max_bytes -= record_bytes(stored.record)
            if out and max_bytes < 0:
                break
            out.append(stored)
        return out

    def _items(self, seq: int) -> Iterator[StoredRecord]:
        """Everything from seq to the durable end: stored records, and one GAP record for each hole."""
        stored = self._stored(seq)
        upcoming = next(stored, None)
        while seq <= self.durable:
            hole = covering(self.holes, seq)
            if hole is not None:
                yield hole.record(self.epoch, self.lane)
                seq = hole.last + 1
                continue
            while upcoming is not None and upcoming.seq < seq:
                upcoming = next(stored, None)
            start = self.durable + 1 if upcoming is None else first_number(upcoming)
            if upcoming is None or start > seq:
                seq = self._missing(seq, start, upcoming)
                continue
            yield upcoming
            seq = upcoming.seq + 1

    def _stored(self, seq: int) -> Iterator[StoredRecord]:
        start = bisect_left(self.segments, seq, key=lambda segment: segment.last_seq)
        for segment in self.segments[start:]:
            for stored in segment.records_from(seq):
                if stored.seq > self.durable:
                    return
                yield stored

    def _missing(self, seq: int, start: int, upcoming: StoredRecord | None) -> int:
        """Numbers seq..start-1 are not there: freed, or rotten and from now on a hole. Where to go on."""
        if seq <= self.acknowledged:
            return min(start, self.acknowledged + 1)
        boot_id, t_us = (upcoming.record.boot_id, upcoming.record.t_us) if upcoming else (0, 0)
        self.add_holes(seq, start - 1, GapReason.CORRUPT, boot_id, t_us)
        return seq
