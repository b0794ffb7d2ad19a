"""Telemetry rows as they lie on flash.

A row is canonical: every row has exactly one encoding and everything else is refused, so that a receiver that got
columns rebuilds the very bytes the terminal hashed. Layout::

    u32 table id, little-endian | per value, in order of id:  varint id step | varint zigzag(value)

id step: first value: the id; then ``id - previous id - 1``. varint: LEB128, least significant group first, shortest
form. zigzag: 0, -1, 1, -2, ... -> 0, 1, 2, 3, ... Ids are 0..2^32-1, values int64.
"""

from __future__ import annotations

import struct
from typing import Final

from outrider.errors import WireError
from outrider.model.record import TelemetryRow

MAX_ID: Final = 0xFFFFFFFF
MIN_VALUE: Final = -(1 << 63)
MAX_VALUE: Final = (1 << 63) - 1
_TABLE_ID: Final = struct.Struct("<I")


def encode_row(row: TelemetryRow) -> bytes:
    """The row's only encoding. WireError when ids are not strictly ascending or a number is out of range."""
    if not 0 <= row.table_id <= 0xFFFFFFFF:
        raise WireError(f"table id {row.table_id} is not 32 bits")
    out = bytearray(_TABLE_ID.pack(row.table_id))
    append = out.append
    last = -1
    for signal, value in row.values:
        if not last < signal <= MAX_ID:
            raise WireError(f"signal id {signal} after {last}: ids of a row must ascend, up to {MAX_ID}")
        if not MIN_VALUE <= value <= MAX_VALUE:
            raise WireError(f"signal {signal}: value {value} is not 64 bits")
        rest = signal - last - 1
        last = signal
        while rest > 0x7F:
            append(rest & 0x7F | 0x80)
            rest >>= 7
        append(rest)
        rest = value << 1 if value >= 0 else ~(value << 1)
        while rest > 0x7F:
            append(rest & 0x7F | 0x80)
            rest >>= 7
        append(rest)
    return bytes(out)


def decode_row(body: bytes) -> TelemetryRow:
    """The row; WireError for anything that ``encode_row`` would not have written."""
    if len(body) < 4:
        raise WireError(f"telemetry row of {len(body)} bytes: too short")
    values: list[tuple[int, int]] = []
    pos, end, last = 4, len(body), -1
    while pos < end:
        step, pos = _varint(body, pos)
        last += step + 1
        if last > MAX_ID:
            raise WireError(f"telemetry row: signal id {last} is too large")
        number, pos = _varint(body, pos)
        values.append((last, number >> 1 if not number & 1 else ~(number >> 1)))
    return TelemetryRow(_TABLE_ID.unpack_from(body)[0], tuple(values))


def _varint(data: bytes, pos: int) -> tuple[int, int]:
    """One shortest-form LEB128 number of at most 64 bits and the position after it."""
    try:
        byte = data[pos]
        if byte < 0x80:
            return byte, pos + 1
        number, shift = byte & 0x7F, 7
        while True:
            pos += 1
            byte = data[pos]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 63:
                raise WireError("telemetry row: number longer than 64 bits")
    except IndexError:
        raise WireError("telemetry row ends inside a number") from None
    if byte == 0 or number > 0xFFFFFFFFFFFFFFFF:
        raise WireError("telemetry row: number is not in its shortest form or exceeds 64 bits")
    return number, pos + 1
