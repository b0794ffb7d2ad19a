"""Every placement of a field, and the edges of ranges: what random examples meet too seldom."""

from __future__ import annotations

import dataclasses
import random
import sys
from pathlib import Path

import pytest

from outrider.engine import Decoder
from outrider.model.frame import EFF, FD, FrameBatch
from outrider.model.vehicle import BitField, Encoding, MessageDef, SignalDef, Slot, Transform, VehicleTables

sys.path.insert(0, str(Path(__file__).parents[1] / "oracles"))
from decode import decode


@pytest.mark.parametrize("encoding", [Encoding.UINT, Encoding.INT])
@pytest.mark.parametrize("big_endian", [False, True])
def test_every_start_and_length_equals_the_oracle(encoding: Encoding, big_endian: bool) -> None:
    """All lengths at all bit positions of the first and last bytes of a 64-byte frame, and of a frame cut short."""
    fields = []
    for length in range(1, 65):
        for first in (*range(24), *range(440, 513 - length)):
            if first + length <= 512:
                start = first // 8 * 8 + 7 - first % 8 if big_endian else first
                fields.append(BitField(start, length, big_endian))
    signals = tuple(SignalDef("s", i, field, encoding) for i, field in enumerate(fields))
    tables = VehicleTables("p", (MessageDef("m", 1, False, 64, signals),), tuple(Slot("s") for _ in fields))
    batch, rng = FrameBatch(), random.Random(6)
    for length in (64, 64, 9, 8, 3):
        batch.append(0, 1, rng.randbytes(length), FD)
    decoded = Decoder(tables).decode(batch)
    got = sorted(zip(decoded.frame_index, decoded.slots, decoded.values, strict=True))
    assert got == sorted(decode(tables, bytes(batch.buffer)))


SIGNAL = SignalDef("s", 0, BitField(0, 8))


@pytest.mark.parametrize(
    ("change", "raw", "expected"),
    [
        ({"minimum": 5.0, "maximum": 7.0}, (4, 5, 7, 8), (None, 5.0, 7.0, None)),
        ({"minimum": 5.0}, (4, 5, 255), (None, 5.0, 255.0)),
        ({"maximum": 0.0}, (0, 1), (0.0, None)),
        ({"minimum": 5.0, "maximum": 7.0, "not_available": ((6, 6),)}, (4, 5, 6, 7, 8), (None, 5.0, None, 7.0, None)),
        ({"not_available": ((0xFE, 0xFF), (0, 0))}, (0, 1, 0xFD, 0xFE, 0xFF), (None, 1.0, 253.0, None, None)),
        ({"encoding": Encoding.INT, "minimum": -1.0}, (0xFE, 0xFF, 0), (None, -1.0, 0.0)),
        (
            {"transform": Transform(table=((1.0, 10.0), (1.0, 11.0), (3.0, 30.0)))},
            (0, 1, 2, 3),
            (None, 10.0, None, 30.0),
        ),
        ({"offset": -3.5, "transform": Transform(program=("x", 3.0, "%"))}, (0, 1, 7), (2.5, 0.5, 0.5)),
        (
            {"offset": -3.5, "transform": Transform(program=("x", "round"))},
            (0, 1, 2, 5, 6),
            (-4.0, -2.0, -2.0, 2.0, 2.0),
        ),
        ({"offset": -2.0, "transform": Transform(program=(1.0, "x", "/"))}, (1, 2, 4), (-1.0, None, 0.5)),
        ({"offset": -1.0, "transform": Transform(program=("x", "sqrt"))}, (0, 1, 5), (None, 0.0, 2.0)),
    ],
)
def test_edges(change: dict[str, object], raw: tuple[int, ...], expected: tuple[float | None, ...]) -> None:
    """Ranges are inclusive, the first entry of a map wins, programs follow Python."""
    signal = dataclasses.replace(SIGNAL, **change)  # type: ignore[arg-type]
    tables = VehicleTables("p", (MessageDef("m", 1, False, 8, (signal,)),), (Slot("s"),))
    batch = FrameBatch()
    for value in raw:
        batch.append(0, 1, bytes([value]))
    decoded = Decoder(tables).decode(batch)
    found = dict(zip(decoded.frame_index, decoded.values, strict=True))
    assert tuple(found.get(i) for i in range(len(raw))) == expected


def test_more_than_53_bits_round_once_to_even() -> None:
    """The stated rule above 53 bits: nearest double, ties to even, before the multiplication."""
    signal = SignalDef("s", 0, BitField(0, 64))
    tables = VehicleTables("p", (MessageDef("m", 1, False, 8, (signal,)),), (Slot("s"),))
    for raw in (2**53, 2**53 + 1, 2**53 + 3, 2**63 + 1025, 2**64 - 1):
        batch = FrameBatch()
        batch.append(0, 1, raw.to_bytes(8, "little"))
        assert list(Decoder(tables).decode(batch).values) == [float(raw)]


def test_j1939_masks_priority_source_and_the_destination_of_pdu1() -> None:
    """A group is found whoever sends it at whatever priority; its number and the bus still count."""
    message = MessageDef("m", 0x18EA0021, True, 8, (SIGNAL,), j1939=True)
    broadcast = MessageDef("b", 0x18FEF100, True, 8, (dataclasses.replace(SIGNAL, slot=1),), j1939=True, bus=1)
    tables = VehicleTables("p", (message, broadcast), (Slot("a"), Slot("b")))
    hits = ((0x18EA0021, 0, 0), (0x0CEAFF55, 3, 0), (0x18FEF1AA, 1, 1))
    misses = ((0x18EB0021, 0), (0x19EA0021, 0), (0x18FEF100, 0), (0x18FEF200, 1))
    batch = FrameBatch()
    for frame_id, bus, _slot in hits:
        batch.append(0, frame_id, b"\x01", EFF, bus)
    for frame_id, bus in misses:
        batch.append(0, frame_id, b"\x01", EFF, bus)
    decoded = Decoder(tables).decode(batch)
    assert list(zip(decoded.frame_index, decoded.slots, strict=True)) == [(i, hits[i][2]) for i in range(len(hits))]
