"""DBC + overlay to ``VehicleTables``: every mapped path becomes a slot, every frame that feeds one a message.

Rules: an explicit overlay wins over a profile's, an earlier profile over a later one; a path and a role have one
source. A value outside the DBC's range is dropped and counted by the engine, never clipped to the range.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from outrider.errors import ProfileError
from outrider.model.vehicle import Encoding, MessageDef, Role, SignalDef, Slot, VehicleTables
from outrider.profile.anomaly import Anomaly
from outrider.profile.catalogue import Catalogue, PathInfo
from outrider.profile.conditions import (
    fits_frame,
    mux_conditions,
    not_available,
    physical_range,
    selector_conditions,
)
from outrider.profile.dbc_model import Dbc, DbcMessage, DbcSignal
from outrider.profile.overlay import Mapping, nearest
from outrider.profile.values import ValuePlan, plan_value

OBD_PREFIX: Final = "Vehicle.OBD."
MAX_HINTS: Final = 5


@dataclass(frozen=True, slots=True)
class Alias:
    """The same content under another identifier: other ECUs that answer in the same layout."""

    message: str
    frame_id: int
    extended: bool
    j1939: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One profile, or the explicit overlays: mappings and where their signals are looked for, first list first.

    j1939: True = every 29-bit message, False = none, None = as the DBC says.
    """

    name: str
    mappings: tuple[Mapping, ...]
    dbcs: tuple[Dbc, ...]
    user_dbcs: tuple[Dbc, ...] = ()
    aliases: tuple[Alias, ...] = ()
    j1939: bool | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """For explanations: where a slot comes from. ``message.signals`` holds ``signal``."""

    part: str
    mapping: Mapping
    message: DbcMessage
    signal: DbcSignal
    slot: Slot


@dataclass(frozen=True, slots=True)
class Compiled:
    tables: VehicleTables
    sources: tuple[Source, ...]
    anomalies: tuple[Anomaly, ...]


def compile_profile(profile_id: str, parts: Sequence[Part], catalogue: Catalogue) -> Compiled:
    """Raises ProfileError for a contradiction; a signal that is missing costs its path only and is an anomaly, unless
    a part finds none of its signals."""
    compiler = _Compiler(catalogue)
    for part in parts:
        compiler.add(part)
    return compiler.result(profile_id)


class _Messages:
    """Collects signals by the frame they are decoded from."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, bool, bool], tuple[MessageDef, list[SignalDef]]] = {}

    def add(self, base: MessageDef, signal: SignalDef) -> None:
        key = (pgn_of(base.frame_id) if base.j1939 else base.frame_id, base.extended, base.j1939)
        known, signals = self._found.setdefault(key, (base, []))
        signals.append(signal)
        if base.length > known.length or base.obd > known.obd:
            merged = replace(known, length=max(known.length, base.length), obd=known.obd or base.obd)
            self._found[key] = merged, signals

    def result(self) -> tuple[MessageDef, ...]:
        return tuple(replace(base, signals=tuple(signals)) for base, signals in self._found.values())


def pgn_of(frame_id: int) -> int:
    """Parameter group of a 29-bit identifier; without the destination address where there is one (PDU1)."""
    pgn = frame_id >> 8 & 0x3FFFF
    return pgn if (pgn >> 8 & 0xFF) >= 240 else pgn & 0x3FF00


def is_obd_answer(frame_id: int, *, extended: bool) -> bool:
    """ISO 15765-4: identifiers of ECUs that answer a tester."""
    return frame_id >> 8 == 0x18DAF1 if extended else 0x7E8 <= frame_id <= 0x7EF


class _Compiler:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._messages = _Messages()
        self._sources: list[Source] = []
        self._anomalies: list[Anomaly] = []
        self._paths: dict[str, Mapping] = {}
        self._roles: dict[Role, str] = {}
        self._hints = 0

    def add(self, part: Part) -> None:
        _check_aliases(part)
        found = 0
        for mapping in part.mappings:
            first = self._paths.get(mapping.path)
            if first is not None:
                at = f"{first.file}:{first.line}" if first.line else first.file
                self._odd(mapping, "path-twice", f"{mapping.path} is already mapped by {at}", "the first one is used")
                found += 1
                continue
            place = self._find(part, mapping)
            if place is not None:
                found += 1
                self._paths[mapping.path] = mapping
                self._map(part, mapping, *place)
        if part.mappings and not found:
            raise ProfileError(
                f"none of the {len(part.mappings)} signals of {part.name} (such as {part.mappings[0].signal}) is in a "
                "DBC; give the car's DBC with --dbc", path=part.mappings[0].file,
            )  # fmt: skip

    def result(self, profile_id: str) -> Compiled:
        slots = tuple(source.slot for source in self._sources)
        tables = VehicleTables(profile_id, self._messages.result(), slots)
        return Compiled(tables, tuple(self._sources), tuple(self._anomalies))

    # ---- one mapping -------------------------------------------------------------------------------

    def _odd(self, mapping: Mapping, code: str, found: str, action: str) -> None:
        self._anomalies.append(Anomaly(mapping.file, mapping.line or 0, code, found, action))

    def _find(self, part: Part, mapping: Mapping) -> tuple[DbcMessage, DbcSignal] | None:
        for dbcs in (part.dbcs, part.user_dbcs):
            hits = [
                (message, signal)
                for dbc in dbcs
                for message, signal in dbc.find_signal(mapping.signal)
                if mapping.message in (None, message.name)
            ]
            if len({(m.name, m.frame_id, m.extended) for m, _s in hits}) > 1:
                names = ", ".join(sorted({m.name for m, _s in hits}))
                raise ProfileError(
                    f"{mapping.path}: signal {mapping.signal} is in several messages ({names}); "
                    "name one as message under outrider", path=mapping.file, line=mapping.line,
                )  # fmt: skip
            if hits:
                return hits[0]
        where = f" in message {mapping.message}" if mapping.message else ""
        found = f"{mapping.path}: no DBC has the signal {mapping.signal}{where}{self._hint(part, mapping)}"
        self._odd(mapping, "missing-signal", found, "the path stays empty")
        return None

    def _hint(self, part: Part, mapping: Mapping) -> str:
        """The nearest signal, for the first few only: looking through thousands of names takes time."""
        self._hints += 1
        if self._hints > MAX_HINTS:
            return ""
        names = {s.name for dbc in (*part.dbcs, *part.user_dbcs) for m in dbc.messages for s in m.signals}
        return nearest(mapping.signal, sorted(names))

    def _map(self, part: Part, mapping: Mapping, message: DbcMessage, signal: DbcSignal) -> None:
        if not fits_frame(signal.field):
            found = f"{mapping.path}: {message.name}.{signal.name} lies behind byte 64, in a transport message"
            self._odd(mapping, "transport", found, "the path stays empty")
            return
        info = self._catalogue.find(mapping.path)
        obd = mapping.path.startswith(OBD_PREFIX) or is_obd_answer(message.frame_id, extended=message.extended)
        role = self._role(mapping, info, obd=obd)
        plan = plan_value(mapping, signal, info, role, self._anomalies)
        slot = Slot(
            path=mapping.path,
            unit=plan.unit,
            role=role,
            step=plan.step,
            max_age_ms=mapping.max_age_ms or max(info.max_age_ms, 3 * (mapping.interval_ms or 0)),
            category=mapping.category if mapping.category is not None else info.category,
            telemetry=mapping.telemetry if mapping.telemetry is not None else info.telemetry,
            labels=plan.labels,
        )
        j1939 = message.j1939 if part.j1939 is None else part.j1939 and message.extended
        definition = self._definition(mapping, message, signal, plan, len(self._sources), j1939=j1939 and not obd)
        base = MessageDef(message.name, message.frame_id, message.extended, message.length, (), j1939, obd=obd)
        self._messages.add(base, definition)
        for alias in part.aliases:
            if alias.message == message.name:
                name = f"{message.name}@{alias.frame_id:X}"
                other = replace(base, name=name, frame_id=alias.frame_id, extended=alias.extended, j1939=alias.j1939)
                self._messages.add(other, definition)
        self._sources.append(Source(part.name, mapping, message, signal, slot))

    def _role(self, mapping: Mapping, info: PathInfo, *, obd: bool) -> Role:
        role = mapping.role if mapping.role is not None else info.role
        if role == Role.SPEED and obd:
            role = Role.SPEED_OBD
        if role == Role.NONE:
            return role
        other = self._roles.setdefault(role, mapping.path)
        if other != mapping.path:
            found = f"{mapping.path} has the role {role.name}, which {other} already fills"
            self._odd(mapping, "role-twice", found, "kept without a role")
            return Role.NONE
        return role

    def _definition(
        self, mapping: Mapping, message: DbcMessage, signal: DbcSignal, plan: ValuePlan, slot: int, *, j1939: bool
    ) -> SignalDef:
        limits, why = physical_range(signal)
        if why:
            self._odd(mapping, "range", f"{mapping.path}: {why}", "not checked")
        low, high = limits if limits is not None else (None, None)
        if low is not None and high is not None:
            low, high = sorted((low * plan.factor + plan.offset, high * plan.factor + plan.offset))
        return SignalDef(
            name=f"{message.name}.{signal.name}",
            slot=slot,
            field=signal.field,
            encoding=signal.encoding,
            factor=signal.factor * plan.factor,
            offset=signal.offset * plan.factor + plan.offset,
            minimum=low,
            maximum=high,
            not_available=not_available(signal, mapping, j1939=j1939),
            conditions=mux_conditions(_by_name(message), signal) + selector_conditions(message, mapping),
            transform=plan.transform,
        )


def _check_aliases(part: Part) -> None:
    names = [m.name for dbc in (*part.dbcs, *part.user_dbcs) for m in dbc.messages]
    for alias in part.aliases:
        if alias.message not in names:
            raise ProfileError(
                f"{part.name}: alias of an unknown message {alias.message}{nearest(alias.message, names)}"
            )


def compile_dbc(dbc: Dbc, profile_id: str | None = None) -> VehicleTables:
    """Every signal of a DBC as a slot ``Message.Signal``: no ranges, no "no value" codes, no conversion, so that values
    equal the file's own factor and offset. Signals behind byte 64 (transport messages) are left out."""
    names = Counter(m.name for m in dbc.messages)
    messages = _Messages()
    slots: list[Slot] = []
    for message in dbc.messages:
        label = message.name if names[message.name] == 1 else f"{message.name}@{message.frame_id:X}"
        base = MessageDef(message.name, message.frame_id, message.extended, message.length, (), message.j1939)
        by_name = _by_name(message)
        for signal in message.signals:
            if not fits_frame(signal.field):
                continue
            definition = SignalDef(
                name=f"{message.name}.{signal.name}",
                slot=len(slots),
                field=signal.field,
                encoding=signal.encoding,
                factor=signal.factor,
                offset=signal.offset,
                conditions=mux_conditions(by_name, signal),
            )
            slots.append(_plain_slot(f"{label}.{signal.name}", signal))
            messages.add(base, definition)
    return VehicleTables(profile_id or dbc.file, messages.result(), tuple(slots))


def _by_name(message: DbcMessage) -> dict[str, DbcSignal]:
    return {signal.name: signal for signal in message.signals}


def _plain_slot(path: str, signal: DbcSignal) -> Slot:
    whole = signal.encoding in (Encoding.UINT, Encoding.INT) and signal.factor == 1 and signal.offset == 0
    return Slot(path=path, unit=signal.unit, step=abs(signal.factor) or 1.0, labels=signal.choices if whole else ())
