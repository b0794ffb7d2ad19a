"""Numbers that are missing from the log, and the GAP record that stands for them.

A hole (evicted or unreadable) has no bytes in a segment; it is kept in the cursor file and read as one GAP record that
carries the last number it names. A gap known before its place in the log is written (a full queue, a full device) is an
ordinary stored record with the same rule. So each number of a stream is a record, or named by the next GAP.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from outrider.errors import WireError
from outrider.model.record import Category, Gap, GapReason, Kind, Lane, Record, StoredRecord
from outrider.wire.bodies import decode_body, encode_body


@dataclass(frozen=True, slots=True)
class Hole:
    """first..last are gone. boot_id, t_us: of the last missing record, or of its neighbour when unknown."""

    first: int
    last: int
    reason: GapReason
    boot_id: int
    t_us: int

    def record(self, epoch: int, lane: Lane) -> StoredRecord:
        """What the sending side gets in place of the missing numbers."""
        return StoredRecord(epoch, self.last, gap_record(lane, Gap(epoch, self.first, self.last, self.reason), self))


def gap_record(lane: Lane, gap: Gap, stamp: Hole | Record) -> Record:
    return Record(lane, Kind.GAP, Category.SYSTEM, stamp.boot_id, stamp.t_us, encode_body(gap))


def first_number(stored: StoredRecord) -> int:
    """The first number a record accounts for: its own, or the start of the gap it names."""
    if stored.record.kind != Kind.GAP:
        return stored.seq
    try:
        gap = decode_body(Kind.GAP, stored.record.body)
    except WireError:
        return stored.seq
    if isinstance(gap, Gap) and gap.epoch == stored.epoch and gap.last_seq == stored.seq:
        return min(gap.first_seq, stored.seq)
    return stored.seq


def covering(holes: Iterable[Hole], seq: int) -> Hole | None:
    return next((hole for hole in holes if hole.first <= seq <= hole.last), None)


def merged(holes: Iterable[Hole]) -> list[Hole]:
    """In order; neighbours that are gone for the same reason become one, so that the cursor has room for all."""
    out: list[Hole] = []
    for hole in sorted(holes, key=lambda each: each.first):
        before = out[-1] if out else None
        if before is not None and before.last + 1 == hole.first and before.reason == hole.reason:
            out[-1] = Hole(before.first, hole.last, hole.reason, hole.boot_id, hole.t_us)
        else:
            out.append(hole)
    return out


def without(first: int, last: int, holes: Iterable[Hole]) -> list[tuple[int, int]]:
    """The parts of first..last that no hole names yet."""
    parts = []
    at = first
    for hole in sorted(holes, key=lambda h: h.first):
        if hole.last < at or hole.first > last:
            continue
        if hole.first > at:
            parts.append((at, hole.first - 1))
        at = max(at, hole.last + 1)
    if at <= last:
        parts.append((at, last))
    return parts
