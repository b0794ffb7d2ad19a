"""Decode, slow and obviously right: bit by bit, exact integers, no tables. What the C engine is compared with."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction

from outrider.model.frame import EFF, ERR, FRAME, RTR
from outrider.model.vehicle import BitField, Condition, Encoding, MessageDef, SignalDef, Transform, VehicleTables

Row = tuple[int, int, float]  # frame number, slot, value


def raw_value(field: BitField, data: bytes) -> int | None:
    """The unsigned value of the field's bits; None when the data ends before it."""
    value = 0
    for i in range(field.length):
        if field.big_endian:  # from the most significant bit on: down within a byte, then the next byte's bit 7
            position = (field.start // 8) * 8 + (7 - field.start % 8) + i
            byte, bit = position // 8, 7 - position % 8
        else:
            byte, bit = divmod(field.start + i, 8)
        if byte >= len(data):
            return None
        one = data[byte] >> bit & 1
        value = value << 1 | one if field.big_endian else value | one << i
    return value


def holds(condition: Condition, data: bytes) -> bool:
    raw = raw_value(condition.field, data)
    return raw is not None and any(low <= raw <= high for low, high in condition.ranges)


def number(signal: SignalDef, raw: int) -> float:
    if signal.encoding is Encoding.FLOAT32:
        return float(struct.unpack("<f", struct.pack("<I", raw))[0])
    if signal.encoding is Encoding.FLOAT64:
        return float(struct.unpack("<d", struct.pack("<Q", raw))[0])
    if signal.encoding is Encoding.INT and raw >= 1 << (signal.field.length - 1):
        raw -= 1 << signal.field.length
    return float(raw)  # rounds once, ties to even, above 53 bits


def transformed(transform: Transform, x: float) -> float | None:
    if not transform.program:
        return next((float(target) for source, target in transform.table if source == x), None)
    stack: list[float] = []
    for token in transform.program:
        if token == "x":
            stack.append(x)
        elif not isinstance(token, str):
            stack.append(float(token))
        elif token in {"neg", "abs", "floor", "ceil", "round", "sqrt"}:
            stack.append(_unary(token, stack.pop()))
        else:
            right, left = stack.pop(), stack.pop()
            stack.append(_binary(token, left, right))
    return stack.pop() if math.isfinite(stack[-1]) else None


def _unary(token: str, a: float) -> float:
    if token == "neg":
        return -a
    if token == "abs":
        return abs(a)
    if not math.isfinite(a):
        return a
    if token == "sqrt":
        return math.sqrt(a) if a >= 0 else math.nan
    return float({"floor": math.floor, "ceil": math.ceil, "round": round}[token](a))


def _binary(token: str, a: float, b: float) -> float:
    if token in {"/", "%"} and b == 0:
        return math.nan if token == "%" or a == 0 or math.isnan(a) else math.inf
    if token == "%" and (math.isinf(a) or math.isnan(a) or math.isnan(b)):
        return math.nan
    if token == "%":  # exact, then the sign of the divisor
        if math.isinf(b):
            return a if a == 0 or (a < 0) == (b < 0) else b
        rest = Fraction(a) - Fraction(b) * int(Fraction(a) / Fraction(b))
        exact = float(rest)
        return exact + b if exact != 0 and (exact < 0) != (b < 0) else exact
    if token == "min":
        return b if b < a else a
    if token == "max":
        return b if b > a else a
    return {"+": a + b, "-": a - b, "*": a * b}[token] if token != "/" else a / b


def signal_value(signal: SignalDef, data: bytes) -> float | None:
    if not all(holds(condition, data) for condition in signal.conditions):
        return None
    raw = raw_value(signal.field, data)
    if raw is None or any(low <= raw <= high for low, high in signal.not_available):
        return None
    x = number(signal, raw) * signal.factor + signal.offset
    if not math.isfinite(x):
        return None
    if (signal.minimum is not None and x < signal.minimum) or (signal.maximum is not None and x > signal.maximum):
        return None
    return x if signal.transform is None else transformed(signal.transform, x)


def matches(message: MessageDef, frame_id: int, flags: int, bus: int) -> bool:
    if message.bus is not None and message.bus != bus:
        return False
    if message.extended != bool(flags & EFF):
        return False
    return pgn(message.frame_id) == pgn(frame_id) if message.j1939 else message.frame_id == frame_id


def pgn(frame_id: int) -> int:
    """Parameter group: priority and source masked; the destination too where the group is sent to one (PDU1)."""
    group = frame_id >> 8 & 0x3FFFF
    return group & 0x3FF00 if (group >> 8 & 0xFF) < 240 else group


def decode(tables: VehicleTables, frames: bytes) -> Iterator[Row]:
    for number_of, (_t, frame_id, bus, flags, length, _rsv, data) in enumerate(FRAME.iter_unpack(frames)):
        if flags & (RTR | ERR) or length > 64:
            continue
        for message in tables.messages:
            if matches(message, frame_id, flags, bus):
                yield from _rows(message, number_of, data[:length])


def _rows(message: MessageDef, frame: int, data: bytes) -> Iterable[Row]:
    for signal in message.signals:
        value = signal_value(signal, data)
        if value is not None:
            yield frame, signal.slot, value
