"""A record's body for people and programs: a JSON-ready dict whatever the body holds, damaged ones included."""

from __future__ import annotations

import hashlib
import math
from enum import IntFlag
from typing import Any

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from outrider.errors import WireError
from outrider.model.record import Kind, SignalSpec, SignalTable, TelemetryRow
from outrider.wire.bodies import enum_of, parse_message, table_id
from outrider.wire.rows import decode_row


def describe(kind: Kind, body: bytes, table: SignalTable | None = None) -> dict[str, Any]:
    """What the body says, never raising for its content.

    Always ``type`` (the kind in lower case). Telemetry: ``signals`` {path: value in its unit} and ``labels`` with the
    table it names, else ``values`` {id: integer}. Enumerated numbers become their names. ``unknown`` lists what a
    newer version added, ``opaque`` holds the hex of a body of unknown kind, ``error`` says why it is not readable.
    """
    known = Kind(kind)
    out: dict[str, Any] = {"type": known.name.lower()}
    try:
        if known == Kind.TELEMETRY:
            return out | _row(decode_row(body), table)
        message = parse_message(known, body)
    except WireError as err:
        return out | {"error": str(err), "opaque": body.hex()}
    if message is None:
        return out | {"opaque": body.hex()}
    out |= _message(known, message)
    if known == Kind.SIGNAL_TABLE:
        out["table_id"] = _table_id_of(body)
    return out


def _table_id_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:8]


def _row(row: TelemetryRow, table: SignalTable | None) -> dict[str, Any]:
    out: dict[str, Any] = {"table_id": f"{row.table_id:08x}"}
    if table is None or table_id(table) != row.table_id:
        return out | {"values": {str(signal): value for signal, value in row.values}}
    specs = {spec.id: spec for spec in table.signals}
    out["signals"] = {}
    labels: dict[str, str] = {}
    unknown: dict[str, int] = {}
    for signal, value in row.values:
        spec = specs.get(signal)
        if spec is None:
            unknown[str(signal)] = value
            continue
        out["signals"][spec.path] = physical(spec, value)
        text = dict(spec.labels).get(value)
        if text is not None:
            labels[spec.path] = text
    if labels:
        out["labels"] = labels
    if unknown:
        out["values"] = unknown
    return out


def physical(spec: SignalSpec, value: int) -> float:
    """value * step + offset, without the noise of binary fractions (12 significant digits)."""
    return float(f"{value * spec.step + spec.offset:.12g}")


def _message(kind: Kind | None, message: Message) -> dict[str, Any]:
    """Fields by name; absent optional ones are None; names of enumerators where they have one."""
    out: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.is_repeated:
            out[field.name] = [_item(item) for item in value]
        elif field.has_presence and not message.HasField(field.name):
            out[field.name] = None
        elif isinstance(value, Message):
            out[field.name] = _message(None, value)
        else:
            out[field.name] = _scalar(kind, field.name, value)
    added: Any = UnknownFieldSet(message)  # iterable, whatever its stub says
    unknown = sorted({field.field_number for field in added})
    if unknown:
        out["unknown"] = unknown
    return out


def _item(item: Any) -> Any:
    return _message(None, item) if isinstance(item, Message) else _scalar(None, "", item)


def _scalar(kind: Kind | None, name: str, value: Any) -> Any:
    if name in ("epoch", "tables_hash"):  # 64 bits: more than a JSON number holds everywhere
        return f"{value:016x}"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    name_of = None if kind is None else enum_of(kind, name)
    if name_of is None:
        return value
    try:
        member = name_of(value)
    except ValueError:
        return value
    return None if member is None else _names(member)


def _names(member: Any) -> Any:
    if isinstance(member, IntFlag):
        return [flag.name.lower() for flag in member if flag.name]
    return member.name.lower()
