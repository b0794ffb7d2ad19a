"""Columns of integers <-> bytes."""

from __future__ import annotations

from dataclasses import dataclass

from outrider.errors import WireError

MAX_CELLS = 500_000


@dataclass(frozen=True, slots=True)
class Column:
    """One signal over the rows of a batch; None where a row lacks it."""

    id: int
    values: tuple[int | None, ...]


def _put(out: bytearray, n: int) -> None:
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.pos = data, 0

    def take(self) -> int:
        number = shift = 0
        while True:
            if self.pos >= len(self.data) or shift > 70:
                raise WireError("columns end inside a number")
            byte = self.data[self.pos]
            self.pos += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7

    def signed(self) -> int:
        number = self.take()
        return number >> 1 if not number & 1 else ~(number >> 1)


def encode_columns(times: list[int], columns: list[Column]) -> bytes:
    out = bytearray()
    last = 0
    for t in times:
        d = t - last
        _put(out, d << 1 if d >= 0 else ~(d << 1))
        last = t
    _put(out, len(columns))
    for column in columns:
        _put(out, column.id)
        last = 0
        for v in column.values:
            if v is None:
                _put(out, 0)
                continue
            d = v - last
            _put(out, (d << 1 if d >= 0 else ~(d << 1)) + 1)
            last = v
    return bytes(out)


def decode_columns(data: bytes, count: int, rows: int) -> tuple[list[int], list[Column]]:
    reader = _Reader(data)
    times, last = [], 0
    for _ in range(count):
        last += reader.signed()
        times.append(last)
    n = reader.take()
    if n * max(rows, 1) > MAX_CELLS:
        raise WireError("too many columns")
    columns = []
    for _ in range(n):
        signal = reader.take()
        values: list[int | None] = []
        last = 0
        for _ in range(rows):
            z = reader.take()
            if not z:
                values.append(None)
                continue
            z -= 1
            last += z >> 1 if not z & 1 else ~(z >> 1)
            values.append(last)
        columns.append(Column(signal, tuple(values)))
    return times, columns
