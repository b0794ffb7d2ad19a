"""Packing ``VehicleTables`` into the blob of native/include/outrider/tables.h (the layout is drawn there).

What cannot be packed is a ProfileError naming message and signal.
"""

from __future__ import annotations

import math
import struct
from typing import Final

from outrider.engine.native import crc32c, lib
from outrider.errors import ProfileError
from outrider.model.vehicle import BitField, Condition, Encoding, MessageDef, SignalDef, Slot, Transform, VehicleTables

_HEADER: Final = struct.Struct("<IHH8IIIQ")
_MESSAGE: Final = struct.Struct("<IBBHII")
_SIGNAL: Final = struct.Struct("<IHBBBBHHHddddIIII")
_CONDITION: Final = struct.Struct("<HBBII")
_RANGE: Final = struct.Struct("<QQ")
_TRANSFORM: Final = struct.Struct("<III")
_SLOT: Final = struct.Struct("<BBHI")

_OPERATORS: Final[dict[str, int]] = {
    "x": lib.OTR_OP_X,
    "+": lib.OTR_OP_ADD,
    "-": lib.OTR_OP_SUB,
    "*": lib.OTR_OP_MUL,
    "/": lib.OTR_OP_DIV,
    "%": lib.OTR_OP_MOD,
    "neg": lib.OTR_OP_NEG,
    "abs": lib.OTR_OP_ABS,
    "floor": lib.OTR_OP_FLOOR,
    "ceil": lib.OTR_OP_CEIL,
    "round": lib.OTR_OP_ROUND,
    "sqrt": lib.OTR_OP_SQRT,
    "min": lib.OTR_OP_MIN,
    "max": lib.OTR_OP_MAX,
}
_BINARY: Final = frozenset({"+", "-", "*", "/", "%", "min", "max"})
_MAX_MESSAGES: Final = 65534
_UINT64: Final = 2**64 - 1


def pack_tables(tables: VehicleTables) -> bytes:
    """The canonical blob: equal tables give equal bytes."""
    return _Packer(tables).blob()


class _Packer:
    """Collects the sections; equal lists of conditions, ranges and transforms are stored once."""

    def __init__(self, tables: VehicleTables) -> None:
        self._tables = tables
        self._messages = bytearray()
        self._signals = bytearray()
        self._conditions = bytearray()
        self._ranges = bytearray()
        self._transforms = bytearray()
        self._tokens = bytearray()
        self._known_ranges: dict[tuple[tuple[int, int], ...], int] = {}
        self._known_conditions: dict[tuple[Condition, ...], int] = {}
        self._known_transforms: dict[Transform, int] = {}

    def blob(self) -> bytes:
        if len(self._tables.messages) > _MAX_MESSAGES:
            raise ProfileError(f"{len(self._tables.messages)} messages, at most {_MAX_MESSAGES}")
        for message in self._tables.messages:
            self._message(message)
        slots = b"".join(_slot(slot) for slot in self._tables.slots)
        parts = (self._messages, self._signals, self._conditions, self._ranges, self._transforms, self._tokens, slots)
        counts = [len(part) // size for part, size in zip(parts, (16, 64, 12, 16, 12, 16, 8), strict=True)]
        body = b"".join(parts)
        header = _HEADER.pack(lib.OTR_TABLES_MAGIC, lib.OTR_TABLES_VERSION, 0, *counts, 0, crc32c(body), 0, 0)
        return header + body

    def _message(self, message: MessageDef) -> None:
        limit = 0x1FFFFFFF if message.extended else 0x7FF
        if not 0 <= message.frame_id <= limit:
            raise ProfileError(f"message {message.name}: identifier {message.frame_id:X} out of range")
        if message.j1939 and not message.extended:
            raise ProfileError(f"message {message.name}: J1939 needs a 29-bit identifier")
        if message.bus is not None and not 0 <= message.bus < lib.OTR_BUS_ANY:
            raise ProfileError(f"message {message.name}: bus {message.bus} out of range")
        flags = lib.OTR_MSG_EXTENDED if message.extended else 0
        flags |= lib.OTR_MSG_J1939 if message.j1939 else 0
        flags |= lib.OTR_MSG_OBD if message.obd else 0
        bus = lib.OTR_BUS_ANY if message.bus is None else message.bus
        first = len(self._signals) // _SIGNAL.size
        length = max(0, min(message.length, 64))
        self._messages += _MESSAGE.pack(message.frame_id, flags, bus, length, first, len(message.signals))
        for signal in message.signals:
            self._signal(signal, f"message {message.name}, signal {signal.name}")

    def _signal(self, signal: SignalDef, where: str) -> None:
        if not 0 <= signal.slot < len(self._tables.slots):
            raise ProfileError(f"{where}: slot {signal.slot} does not exist")
        _check_field(signal.field, where)
        needed = {Encoding.FLOAT32: 32, Encoding.FLOAT64: 64}.get(signal.encoding)
        if needed is not None and signal.field.length != needed:
            raise ProfileError(f"{where}: a float of {signal.field.length} bits, needs {needed}")
        if not (math.isfinite(signal.factor) and math.isfinite(signal.offset)):
            raise ProfileError(f"{where}: factor and offset must be finite")
        flags = (lib.OTR_SIG_MIN if signal.minimum is not None else 0) | (
            lib.OTR_SIG_MAX if signal.maximum is not None else 0
        )
        low, high = signal.minimum or 0.0, signal.maximum or 0.0
        if math.isnan(low) or math.isnan(high):
            raise ProfileError(f"{where}: minimum or maximum is NaN")
        self._signals += _SIGNAL.pack(
            *(signal.slot, signal.field.start, signal.field.length, signal.field.big_endian, signal.encoding, flags),
            *(len(signal.conditions), len(signal.not_available), 0),
            *(signal.factor, signal.offset, low, high),
            self._condition_list(signal.conditions, where),
            self._range_list(signal.not_available, where),
            0 if signal.transform is None else self._transform(signal.transform, where) + 1,
            0,
        )

    def _condition_list(self, conditions: tuple[Condition, ...], where: str) -> int:
        if not conditions:
            return 0
        if conditions not in self._known_conditions:
            packed = b""
            for condition in conditions:
                field = condition.field
                _check_field(field, where)
                first = self._range_list(condition.ranges, where)
                packed += _CONDITION.pack(field.start, field.length, field.big_endian, first, len(condition.ranges))
            self._known_conditions[conditions] = len(self._conditions) // _CONDITION.size
            self._conditions += packed
        return self._known_conditions[conditions]

    def _range_list(self, ranges: tuple[tuple[int, int], ...], where: str) -> int:
        if not ranges:
            return 0
        if ranges not in self._known_ranges:
            for low, high in ranges:
                if not 0 <= low <= high <= _UINT64:
                    raise ProfileError(f"{where}: {low}..{high} is no range of raw values")
            self._known_ranges[ranges] = len(self._ranges) // _RANGE.size
            self._ranges += b"".join(_RANGE.pack(low, high) for low, high in ranges)
        return self._known_ranges[ranges]

    def _transform(self, transform: Transform, where: str) -> int:
        if transform not in self._known_transforms:
            if transform.table and transform.program:
                raise ProfileError(f"{where}: a transform is a value map or a program, not both")
            kind, tokens = (
                (lib.OTR_XF_PROGRAM, _program(transform.program, where))
                if transform.program
                else (lib.OTR_XF_MAP, _value_map(transform.table, where))
            )
            self._known_transforms[transform] = len(self._transforms) // _TRANSFORM.size
            self._transforms += _TRANSFORM.pack(kind, len(self._tokens) // 16, len(tokens) // 16)
            self._tokens += tokens
        return self._known_transforms[transform]


def _check_field(field: BitField, where: str) -> None:
    first = (field.start // 8) * 8 + 7 - field.start % 8 if field.big_endian else field.start
    if not (1 <= field.length <= 64 and 0 <= field.start < 512 and first + field.length <= 512):
        raise ProfileError(f"{where}: start bit {field.start}, {field.length} bits do not fit 64 bytes of data")


def _slot(slot: Slot) -> bytes:
    if not 0 <= slot.max_age_ms <= 0xFFFFFFFF:
        raise ProfileError(f"slot {slot.path}: max_age_ms {slot.max_age_ms} out of range")
    return _SLOT.pack(slot.role, lib.OTR_SLOT_TELEMETRY if slot.telemetry else 0, 0, slot.max_age_ms)


def _value_map(table: tuple[tuple[float, float], ...], where: str) -> bytes:
    entries: dict[float, float] = {}
    for source, target in table:
        if not (math.isfinite(source) and math.isfinite(target)):
            raise ProfileError(f"{where}: value map {source} -> {target} is not finite")
        entries.setdefault(float(source) + 0.0, float(target))  # the first of equal entries wins; -0.0 is 0.0
    return b"".join(struct.pack("<dd", source, entries[source]) for source in sorted(entries))


def _program(program: tuple[str | float, ...], where: str) -> bytes:
    packed, depth = b"", 0
    for token in program:
        if isinstance(token, str):
            if token not in _OPERATORS:
                raise ProfileError(f"{where}: unknown operator {token!r} in a transform")
            taken = 0 if token == "x" else 2 if token in _BINARY else 1
            packed += struct.pack("<Qd", _OPERATORS[token], 0.0)
        else:
            taken = 0
            packed += struct.pack("<Qd", lib.OTR_OP_CONST, token)
        if depth < taken:
            raise ProfileError(f"{where}: operator {token!r} lacks an operand")
        depth += 1 - taken
        if depth > lib.OTR_STACK_MAX:
            raise ProfileError(f"{where}: transform nests deeper than {lib.OTR_STACK_MAX}")
    if depth != 1:
        raise ProfileError(f"{where}: a transform leaves {depth} values, must leave one")
    return packed
