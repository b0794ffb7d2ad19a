"""Bodies of records: model object <-> bytes, one format per kind.

TELEMETRY is the canonical row of ``rows``; all others are protobuf messages, written in order of field number, so the
same object always gives the same bytes. What a newer version added (a kind, an enumerator, a field) never makes a
body unreadable: ``decode_body`` then returns it as ``Opaque`` or without the added field, and the bytes are kept.

Numbers that come from the engine as 32-bit floats (all but degrees of position in an event) are stored as such.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message

from outrider.errors import WireError
from outrider.model.crash import CrashStage, CrashState
from outrider.model.event import CrashEvidence, DataQuality, Event, EventFlag, EventKind, Phase, Trip, TripEndReason
from outrider.model.evidence import MAX_CHUNK_BYTES, EvidenceChunk, EvidencePart, Packing
from outrider.model.notice import Notice, NoticeCode, NoticeLevel
from outrider.model.record import (
    BootInfo,
    Category,
    ClockFix,
    ClockSource,
    Gap,
    GapReason,
    Kind,
    SignalSpec,
    SignalTable,
    TelemetryRow,
)
from outrider.wire import outrider_pb2 as pb
from outrider.wire.crash_state import state_from_message, state_message
from outrider.wire.notice import notice_from_message, notice_message
from outrider.wire.rows import decode_row, encode_row


@dataclass(frozen=True, slots=True)
class Opaque:
    """A body this version cannot take apart, kept whole. why: what it does not know."""

    kind: int
    body: bytes
    why: str


class _Format(NamedTuple):
    model: type
    message: Callable[[], Message]
    enums: dict[str, Callable[[int], Any]]


_M = TypeVar("_M", bound=Message)

_EVENT_ENUMS: Final[dict[str, Callable[[int], Any]]] = {
    "kind": EventKind,
    "phase": Phase,
    "flags": EventFlag,
    "quality": DataQuality,
    "evidence": CrashEvidence,
}
_FORMATS: Final[dict[int, _Format]] = {
    Kind.BOOT: _Format(BootInfo, pb.Boot, {}),
    Kind.CLOCK: _Format(ClockFix, pb.Clock, {"source": ClockSource}),
    Kind.EVENT: _Format(Event, pb.Event, _EVENT_ENUMS),
    Kind.TRIP: _Format(Trip, pb.Trip, {"end_reason": lambda n: TripEndReason(n) if n else None}),
    Kind.GAP: _Format(Gap, pb.Gap, {"reason": GapReason}),
    Kind.EVIDENCE: _Format(EvidenceChunk, pb.EvidenceChunk, {"part": EvidencePart, "packing": Packing}),
}
_KINDS: Final[dict[type, Kind]] = {form.model: Kind(kind) for kind, form in _FORMATS.items()} | {
    SignalTable: Kind.SIGNAL_TABLE,
    TelemetryRow: Kind.TELEMETRY,
    CrashState: Kind.CRASH,
    Notice: Kind.NOTICE,
}


def kind_of(obj: object) -> Kind:
    """The kind of record that carries obj; WireError for anything that has no body format."""
    kind = _KINDS.get(type(obj))
    if kind is None:
        raise WireError(f"{type(obj).__name__} is not the body of any record")
    return kind


def encode_body(obj: object) -> bytes:
    """Body bytes of a model object, the same each time. WireError: no such body, or a number out of its range."""
    if isinstance(obj, TelemetryRow):
        return encode_row(obj)
    if isinstance(obj, SignalTable):
        return table_message(obj).SerializeToString(deterministic=True)
    if isinstance(obj, CrashState):
        return state_message(obj).SerializeToString(deterministic=True)
    if isinstance(obj, Notice):
        return notice_message(obj).SerializeToString(deterministic=True)
    form = _FORMATS[kind_of(obj)]
    message = form.message()
    if isinstance(obj, EvidenceChunk) and len(obj.data) > MAX_CHUNK_BYTES:
        raise WireError(f"evidence chunk of {len(obj.data)} bytes, at most {MAX_CHUNK_BYTES}")
    for field in fields(form.model):
        value = getattr(obj, field.name)
        if value is None:
            continue
        if isinstance(value, float) and not math.isfinite(value):
            raise WireError(f"{form.model.__name__}.{field.name} is {value}: unknown is None")
        try:
            setattr(message, field.name, value)
        except (ValueError, TypeError) as err:
            raise WireError(f"{form.model.__name__}.{field.name}: {err}") from None
    return message.SerializeToString(deterministic=True)


def decode_body(kind: Kind, body: bytes) -> object:
    """The model object, or Opaque when a newer version wrote something unknown. WireError when damaged."""
    if kind == Kind.TELEMETRY:
        return decode_row(body)
    if kind == Kind.SIGNAL_TABLE:
        return table_from_message(_parse(kind, pb.SignalTable(), body))
    if kind == Kind.CRASH:
        return state_from_message(_parse(kind, pb.CrashState(), body))
    if kind == Kind.NOTICE:
        return notice_from_message(_parse(kind, pb.Notice(), body))
    form = _FORMATS.get(kind)
    if form is None:
        return Opaque(int(kind), body, f"kind {int(kind)}")
    message = _parse(kind, form.message(), body)
    values: dict[str, Any] = {}
    for field in fields(form.model):
        descriptor = message.DESCRIPTOR.fields_by_name[field.name]
        if descriptor.has_presence and not message.HasField(field.name):
            values[field.name] = None
            continue
        value = getattr(message, field.name)
        if field.name in form.enums:
            try:
                value = form.enums[field.name](value)
            except ValueError:
                return Opaque(int(kind), body, f"{field.name} {value}")
        values[field.name] = value
    return form.model(**values)


def parse_message(kind: Kind, body: bytes) -> Message | None:
    """The protobuf message in a body, None for telemetry and unknown kinds. WireError when damaged."""
    if kind == Kind.SIGNAL_TABLE:
        return _parse(kind, pb.SignalTable(), body)
    if kind == Kind.CRASH:
        return _parse(kind, pb.CrashState(), body)
    if kind == Kind.NOTICE:
        return _parse(kind, pb.Notice(), body)
    form = _FORMATS.get(kind)
    return None if form is None else _parse(kind, form.message(), body)


def enum_of(kind: Kind, field: str) -> Callable[[int], Any] | None:
    """What names the numbers of a field, if they have names."""
    if kind == Kind.CRASH:
        return CrashStage if field == "stage" else None
    if kind == Kind.NOTICE:
        return {"code": NoticeCode, "level": NoticeLevel}.get(field)
    form = _FORMATS.get(kind)
    return None if form is None else form.enums.get(field)


def _parse(kind: Kind, message: _M, body: bytes) -> _M:
    try:
        message.ParseFromString(body)
    except DecodeError:
        raise WireError(f"body of a {kind.name} record is damaged") from None
    return message


def table_message(table: SignalTable) -> pb.SignalTable:
    """The table as a message. WireError when ids are not unique or a step is not a positive number."""
    message = pb.SignalTable()
    seen: set[int] = set()
    for spec in table.signals:
        if spec.id in seen:
            raise WireError(f"signal table: id {spec.id} ({spec.path}) is used twice")
        seen.add(spec.id)
        if not (math.isfinite(spec.step) and spec.step > 0 and math.isfinite(spec.offset)):
            raise WireError(f"signal table: {spec.path}: step {spec.step}, offset {spec.offset}")
        try:
            signal = message.signals.add(
                id=spec.id,
                path=spec.path,
                unit=spec.unit,
                step=spec.step,
                offset=spec.offset,
                category=spec.category,
            )
            for value, text in spec.labels:
                signal.labels.add(value=value, text=text)
        except (ValueError, TypeError) as err:
            raise WireError(f"signal table: {spec.path}: {err}") from None
    return message


def table_from_message(message: pb.SignalTable) -> SignalTable:
    """The table in a message; WireError when a category is no byte, an id comes twice or a step is not positive."""
    specs: list[SignalSpec] = []
    seen: set[int] = set()
    for signal in message.signals:
        bad_step = not (math.isfinite(signal.step) and signal.step > 0 and math.isfinite(signal.offset))
        if signal.id in seen or signal.category > 255 or bad_step:
            raise WireError(f"signal table: signal {signal.id} ({signal.path[:80]}) is not usable")
        seen.add(signal.id)
        specs.append(
            SignalSpec(
                signal.id,
                signal.path,
                signal.unit,
                signal.step,
                signal.offset,
                Category(signal.category),
                tuple((label.value, label.text) for label in signal.labels),
            )
        )
    return SignalTable(tuple(specs))


def table_id(table: SignalTable) -> int:
    """What rows name their table by: the first 4 bytes, big-endian, of the SHA-256 of the table's body."""
    return int.from_bytes(hashlib.sha256(encode_body(table)).digest()[:4], "big")
