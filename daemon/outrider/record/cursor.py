"""The cursor: what is acknowledged and durable, by stream, and which numbers are gone for good.

It lives in ``cursor.state`` (a two-slot file). Written before any segment is released; losing it costs a resend and a
new epoch, never a record. Payload, little-endian::

    version u16 | streams u16 | holes u16 | zero u16 | current epoch u64
    stream   epoch u64 | lane u8 | acknowledged u64 | durable u64 | next segment no u64
    hole     epoch u64 | lane u8 | reason u8 | first u64 | last u64 | boot id u32 | time us i64
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from outrider.model.record import GapReason, Lane
from outrider.record.format import BLOCK
from outrider.record.hole import Hole

FILE_NAME: Final = "cursor.state"
SLOT_BYTES: Final = 4 * BLOCK
MAX_STREAMS: Final = 160
MAX_HOLES: Final = 200
VERSION: Final = 1

_HEAD: Final = struct.Struct("<HHHHQ")
_STREAM: Final = struct.Struct("<QBQQQ")
_HOLE: Final = struct.Struct("<QBBQQIq")

StreamKey = tuple[int, Lane]


@dataclass(frozen=True, slots=True)
class Position:
    """Of one stream. next_segment: the number its next segment gets."""

    acknowledged: int = 0
    durable: int = 0
    next_segment: int = 0


@dataclass(slots=True)
class CursorState:
    epoch: int
    positions: dict[StreamKey, Position] = field(default_factory=dict)
    holes: list[tuple[int, Lane, Hole]] = field(default_factory=list)


def encode_cursor(state: CursorState) -> bytes:
    """What does not fit is what can be found again: holes of what was unreadable, and first of all streams of old
    epochs of which nothing is acknowledged and nothing is missing. Losing the position of others costs a resend."""
    positions = list(state.positions.items())
    if len(positions) > MAX_STREAMS:
        holed = {(epoch, lane) for epoch, lane, _hole in state.holes}
        positions.sort(key=lambda each: (each[0][0] == state.epoch, each[0] in holed, each[1].acknowledged > 0))
        positions = positions[-MAX_STREAMS:]
    holes = sorted(state.holes, key=lambda h: h[2].reason == GapReason.CORRUPT)[:MAX_HOLES]
    parts = [_HEAD.pack(VERSION, len(positions), len(holes), 0, state.epoch)]
    parts += [_STREAM.pack(e, lane, p.acknowledged, p.durable, p.next_segment) for (e, lane), p in positions]
    parts += [_HOLE.pack(e, lane, h.reason, h.first, h.last, h.boot_id, h.t_us) for e, lane, h in holes]
    return b"".join(parts)


def decode_cursor(payload: bytes) -> CursorState | None:
    """None: another version, or not a cursor."""
    try:
        version, streams, holes, _zero, epoch = _HEAD.unpack_from(payload)
        if version != VERSION:
            return None
        state = CursorState(epoch)
        at = _HEAD.size
        for _ in range(streams):
            stream_epoch, lane, *numbers = _STREAM.unpack_from(payload, at)
            state.positions[stream_epoch, Lane(lane)] = Position(*numbers)
            at += _STREAM.size
        for _ in range(holes):
            hole_epoch, lane, reason, first, last, boot_id, t_us = _HOLE.unpack_from(payload, at)
            state.holes.append((hole_epoch, Lane(lane), Hole(first, last, GapReason(reason), boot_id, t_us)))
            at += _HOLE.size
    except (struct.error, ValueError):
        return None
    return state
