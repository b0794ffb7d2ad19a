"""Telemetry rows as they lie on flash.

A row is canonical: every row has exactly one encoding and everything else is refused, so that a receiver that got
columns rebuilds the very bytes the terminal hashed. Layout::

    u32 table id, little-endian | per value, in order of id:  varint id step | varint zigzag(value)

id step: first value: the id; then ``id - previous id - 1``. varint: LEB128, least significant group first, shortest
form. zigzag: 0, -1, 1, -2, ... -> 0, 1, 2, 3, ... Ids are 0..2^32-1, values int64.
"""

from __future__ import annotations

import struct
from itertools import accumulate
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
    table_id, ids, values = split_row(body)
    return TelemetryRow(table_id, tuple(zip(ids, values, strict=True)))


def split_row(body: bytes) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """(table id, ids, values) of a row; WireError as ``decode_row``."""
    if len(body) < 4:
        raise WireError(f"telemetry row of {len(body)} bytes: too short")
    numbers = _varints(body)
    if len(numbers) & 1:
        raise WireError("telemetry row ends after an id")
    steps = numbers[::2]
    ids = tuple(accumulate(steps, _next_id)) if steps else ()
    if ids and ids[-1] > MAX_ID:
        raise WireError(f"telemetry row: signal id {ids[-1]} is too large")
    return _TABLE_ID.unpack_from(body)[0], ids, tuple([n >> 1 if not n & 1 else ~(n >> 1) for n in numbers[1::2]])


def _next_id(last: int, step: int) -> int:
    return last + step + 1


def _varints(body: bytes) -> list[int]:
    """The shortest-form LEB128 numbers of at most 64 bits after the table id."""
    numbers: list[int] = []
    append = numbers.append
    number = shift = 0
    for byte in body[4:]:
        if byte > 0x7F:
            number |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise WireError("telemetry row: number longer than 64 bits")
        elif not shift:
            append(byte)
        else:
            number |= byte << shift
            if not byte or number > 0xFFFFFFFFFFFFFFFF:
                raise WireError("telemetry row: number is not in its shortest form or exceeds 64 bits")
            append(number)
            number = shift = 0
    if shift:
        raise WireError("telemetry row ends inside a number")
    return numbers
