"""C decode against the slow oracle, over random tables and frames."""

from __future__ import annotations

import struct
import sys
from collections import Counter
from pathlib import Path

from hypothesis import given, settings

from outrider.engine import Decoder
from outrider.model.frame import FrameBatch
from outrider.model.vehicle import VehicleTables

sys.path.insert(0, str(Path(__file__).parents[1] / "oracles"))
from decode import decode
from strategies import frame_batches, vehicles


def bits(value: float) -> bytes:
    """Zero has one form here: the sign of a zero is not part of the promise."""
    return struct.pack("<d", value + 0.0)


@settings(max_examples=100, deadline=None)
@given(vehicles(), frame_batches())
def test_decode_equals_the_oracle_bit_by_bit(tables: VehicleTables, batch: FrameBatch) -> None:
    """All encodings, orders, lengths, conditions, ranges, transforms, FD, J1939 and buses: same values, none more."""
    decoded = Decoder(tables).decode(batch)
    got = Counter(
        (frame, slot, bits(value))
        for frame, slot, value in zip(decoded.frame_index, decoded.slots, decoded.values, strict=True)
    )
    expected = Counter((frame, slot, bits(value)) for frame, slot, value in decode(tables, bytes(batch.buffer)))
    assert got == expected
    assert list(decoded.frame_index) == sorted(decoded.frame_index)


@settings(max_examples=40, deadline=None)
@given(vehicles(), frame_batches())
def test_every_signal_of_a_matching_frame_is_accounted_for(tables: VehicleTables, batch: FrameBatch) -> None:
    """A signal is either decoded or counted under exactly one reason: nothing vanishes."""
    decoder = Decoder(tables)
    decoder.decode(batch)
    stats = decoder.stats()
    assert stats.frames == len(batch)
    assert stats.frames == stats.matched + stats.unknown + stats.not_data + stats.malformed
    dropped = (
        stats.short_signals
        + stats.absent
        + stats.not_available
        + stats.out_of_range
        + stats.not_finite
        + stats.unmapped
    )
    assert stats.values + dropped == _offered(tables, batch)


def _offered(tables: VehicleTables, batch: FrameBatch) -> int:
    from decode import matches

    from outrider.model.frame import ERR, FRAME, RTR

    return sum(
        len(message.signals)
        for _t, frame_id, bus, flags, _length, _rsv, _data in FRAME.iter_unpack(batch.buffer)
        for message in tables.messages
        if not flags & (RTR | ERR) and matches(message, frame_id, flags, bus)
    )
