"""From a signal's physical value to a VSS value: unit conversion, formula or value map, step, labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from outrider.errors import ProfileError
from outrider.model.vehicle import Role, Transform
from outrider.profile.anomaly import Anomaly
from outrider.profile.catalogue import ROLE_UNITS, PathInfo
from outrider.profile.dbc_model import DbcSignal
from outrider.profile.formula import Formula
from outrider.profile.overlay import Mapping, Scalar, nearest
from outrider.profile.units import canonical, conversion

_PROGRAM_STEP: Final = 0.01


@dataclass(frozen=True, slots=True)
class ValuePlan:
    """value = factor * DBC value + offset (to be folded into the signal's own), then ``transform``."""

    unit: str
    factor: float
    offset: float
    transform: Transform | None
    step: float
    labels: tuple[tuple[int, str], ...]


def plan_value(mapping: Mapping, signal: DbcSignal, info: PathInfo, role: Role, anomalies: list[Anomaly]) -> ValuePlan:
    """Raises ProfileError where the overlay contradicts itself; doubts about units become anomalies."""
    target = _target_unit(mapping, info, role)
    if mapping.table:
        table, labels = _table(mapping, signal)
        if labels and role != Role.NONE:
            raise _error(mapping, f"role {role.name} needs numbers, but the mapping gives texts; map a second path")
        step = mapping.step or info.step or _table_step(table)
        return ValuePlan(target or "", 1.0, 0.0, Transform(table=table), step, labels)
    if mapping.formula is not None:
        return _formula_plan(mapping, mapping.formula, signal, info, target or "")
    factor, offset, unit = _convert(mapping, signal, target, anomalies)
    identity = factor == 1.0 and offset == 0.0 and signal.factor == 1.0 and signal.offset == 0.0
    step = mapping.step or info.step or decimal_step(signal.factor * factor)
    return ValuePlan(unit, factor, offset, None, step, signal.choices if identity else ())


def decimal_step(factor: float) -> float:
    """The largest 1, 2 or 5 times a power of ten that is not above ``factor``: telemetry loses nothing but noise."""
    size = abs(factor)
    if not math.isfinite(size) or size == 0:
        return 1.0
    exponent = math.floor(math.log10(size))
    for exp in (exponent + 1, exponent, exponent - 1):
        for digit in (5, 2, 1):
            step = float(f"{digit}e{exp}")
            if step <= size * (1 + 1e-9):
                return step
    return size


def _error(mapping: Mapping, message: str) -> ProfileError:
    return ProfileError(f"{mapping.path}: {message}", path=mapping.file, line=mapping.line)


def _target_unit(mapping: Mapping, info: PathInfo, role: Role) -> str | None:
    """Unit of the path: the overlay's, the catalogue's, the role's; None = as in the DBC."""
    needed = ROLE_UNITS.get(role)
    given = mapping.unit if mapping.unit is not None else info.unit
    if needed is None:
        return None if given is None else (canonical(given) or given)
    if given and conversion(given, needed) != (1.0, 0.0):
        raise _error(mapping, f"role {role.name} needs the unit {needed}, but the path has {given}")
    return needed


def _formula_plan(mapping: Mapping, formula: Formula, signal: DbcSignal, info: PathInfo, unit: str) -> ValuePlan:
    if formula.program:
        step = mapping.step or info.step or (1.0 if formula.whole else _PROGRAM_STEP)
        return ValuePlan(unit, 1.0, 0.0, Transform(program=formula.program), step, ())
    step = mapping.step or info.step or decimal_step(signal.factor * formula.factor)
    return ValuePlan(unit, formula.factor, formula.offset, None, step, ())


def _convert(
    mapping: Mapping, signal: DbcSignal, target: str | None, anomalies: list[Anomaly]
) -> tuple[float, float, str]:
    own = canonical(signal.unit)
    if target is None:
        return 1.0, 0.0, own if own is not None else signal.unit.strip()
    factors = conversion(signal.unit, target)
    if factors is not None:
        return *factors, target
    if target or own:
        found = f"{mapping.path}: {mapping.signal} is in '{signal.unit}', the path in '{target}'"
        action = "taken as it is; give a transform in the overlay if that is wrong"
        code = "unit" if signal.unit.strip() and target else "unit-missing"
        anomalies.append(Anomaly(mapping.file, mapping.line or 0, code, found, action))
    return 1.0, 0.0, target


def _table(mapping: Mapping, signal: DbcSignal) -> tuple[tuple[tuple[float, float], ...], tuple[tuple[int, str], ...]]:
    codes: dict[str, int] = {}
    table: dict[float, float] = {}
    for source, target in mapping.table:
        value = float(codes.setdefault(target, len(codes)) if isinstance(target, str) else target)
        table.setdefault(_physical(source, mapping, signal), value)
    return tuple(sorted(table.items())), tuple((code, text) for text, code in codes.items())


def _physical(source: Scalar, mapping: Mapping, signal: DbcSignal) -> float:
    """The physical value meant by ``from``: a number, or the raw value behind a text of the DBC."""
    if not isinstance(source, str):
        return float(source)
    for raw, text in signal.choices:
        if text == source:
            return raw * signal.factor + signal.offset
    texts = [text for _raw, text in signal.choices]
    raise _error(mapping, f"{signal.name} has no value text '{source}'{nearest(source, texts)}")


def _table_step(table: tuple[tuple[float, float], ...]) -> float:
    return 1.0 if all(value.is_integer() for _source, value in table) else _PROGRAM_STEP
