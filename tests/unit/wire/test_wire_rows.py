"""Telemetry rows on flash: one encoding per row."""

from __future__ import annotations

import pytest

from outrider.errors import WireError
from outrider.model.record import TelemetryRow
from outrider.wire.rows import MAX_ID, MAX_VALUE, MIN_VALUE, decode_row, encode_row

ROW = TelemetryRow(0xDEADBEEF, ((0, 0), (1, -1), (3, 64), (200, MIN_VALUE), (MAX_ID, MAX_VALUE)))


def test_layout_is_the_documented_one() -> None:
    """Table id little-endian, then id steps and zigzag values as varints."""
    assert encode_row(TelemetryRow(0x01020304, ((0, 0), (1, -1), (130, 64)))).hex() == "040302010000000180018001"


def test_round_trip_of_extremes() -> None:
    """Smallest and largest ids and values survive."""
    assert decode_row(encode_row(ROW)) == ROW
    assert decode_row(encode_row(TelemetryRow(0, ()))) == TelemetryRow(0, ())


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (((1, 0), (1, 0)), "ascend"),
        (((2, 0), (1, 0)), "ascend"),
        (((-1, 0),), "ascend"),
        (((MAX_ID + 1, 0),), "ascend"),
        (((0, MAX_VALUE + 1),), "64 bits"),
        (((0, MIN_VALUE - 1),), "64 bits"),
    ],
)
def test_a_row_outside_the_format_is_refused(values: tuple[tuple[int, int], ...], what: str) -> None:
    """Ids ascend and everything has its range."""
    with pytest.raises(WireError, match=what):
        encode_row(TelemetryRow(0, values))
    with pytest.raises(WireError):
        encode_row(TelemetryRow(1 << 32, ()))


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("", "too short"),
        ("000000", "too short"),
        ("0000000005", "after an id"),
        ("000000000580", "inside a number"),
        ("00000000058000", "shortest form"),
        ("0000000005ffffffffffffffffff02", "exceeds 64 bits"),
        ("0000000005ffffffffffffffffffff01", "longer than 64"),
        ("00000000ffffffff0f000000", "too large"),
    ],
)
def test_non_canonical_bytes_are_refused(body: str, what: str) -> None:
    """Whatever encode_row would not have written is an error, never a second spelling."""
    with pytest.raises(WireError, match=what):
        decode_row(bytes.fromhex(body))
