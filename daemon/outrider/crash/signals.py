"""The car's signals around a crash as series: from each frame where the tables are at hand, from the flight recorder's
ticks, from the black-box page, else from telemetry once a second.

One series a path; the best source wins. What is not a finite number, or further away than the window, is left out.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Mapping
from itertools import pairwise
from statistics import median
from typing import Final

from outrider.crash.bundle import CrashBundle
from outrider.crash.document import Series
from outrider.engine import BlackBox, Decoder, parse_black_box
from outrider.errors import InputError
from outrider.model.evidence import EvidencePart
from outrider.model.frame import FRAME, FRAME_SIZE
from outrider.model.record import SignalTable
from outrider.model.vehicle import VehicleTables

FROM_S: Final = -45.0
TO_S: Final = 60.0
_SIGNAL: Final = struct.Struct("<qIId")
_MAX_SLOTS: Final = 4096
PAGE_BYTES: Final = 4096
_Points = list[tuple[float, float]]

_BRANCHES: Final = frozenset(
    {"Vehicle", "Outrider", "Cabin", "Chassis", "Body", "Powertrain", "CurrentLocation", "ADAS"}
)

# What an expert asks for first; these are taken from every frame where that is possible.
ESSENTIAL: Final = (
    "Vehicle.Speed",
    "Vehicle.OBD.Speed",
    "Vehicle.Chassis.Accelerator.PedalPosition",
    "Vehicle.OBD.RelativeAcceleratorPosition",
    "Vehicle.Powertrain.CombustionEngine.TPS",
    "Vehicle.OBD.ThrottlePosition",
    "Vehicle.Powertrain.CombustionEngine.Speed",
    "Vehicle.OBD.EngineSpeed",
    "Vehicle.Chassis.Brake.PedalPosition",
    "Vehicle.Outrider.BrakePedalPressed",
    "Vehicle.Chassis.SteeringWheel.Angle",
    "Vehicle.Outrider.YawRate",
    "Vehicle.ADAS.ABS.IsEngaged",
    "Vehicle.ADAS.ESC.IsEngaged",
    "Vehicle.Outrider.AirbagDeployed",
    "Vehicle.Cabin.Seat.Row1.DriverSide.IsBelted",
    "Vehicle.Cabin.Seat.Row1.PassengerSide.IsBelted",
    "Vehicle.Powertrain.Transmission.CurrentGear",
    "Vehicle.Outrider.IgnitionOn",
)


def series_of(bundle: CrashBundle, tables: VehicleTables | None = None) -> tuple[Series, ...]:
    """By path. ``tables``: those of the recording, when at hand; they name slots and allow to decode every frame."""
    best: dict[str, Series] = {}
    telemetry = _of_rows(bundle)
    recorded = _of_signals(bundle, _names(bundle, tables))
    frames = _of_frames(bundle, tables) if tables is not None else {}
    for found in (telemetry, _of_black_box(bundle), recorded, frames):
        for path, series in found.items():
            if path not in best or len(series.t_s) >= len(best[path].t_s) or series.source == "evidence":
                best[path] = series
    return tuple(best[path] for path in sorted(best))


def label_of(path: str) -> str:
    """A path as words: ``Vehicle.Chassis.Brake.PedalPosition`` is ``Brake pedal position``."""
    names = [name for name in path.split(".") if name not in _BRANCHES]
    words = " ".join(re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name) for name in names[-4:])
    words = " ".join(w if w.isupper() else w.lower() for w in words.split())
    return (words[:1].upper() + words[1:])[:80] or path[:80]


def rate_hz(times: Iterable[float]) -> float | None:
    """Median rate of time stamps in seconds; None for fewer than three."""
    stamps = list(times)
    steps = [after - before for before, after in pairwise(stamps) if after > before]
    return round(1 / median(steps), 2) if len(steps) > 1 else None


def _names(bundle: CrashBundle, tables: VehicleTables | None) -> dict[int, tuple[str, str]]:
    told = {name.slot: (name.path, name.unit) for state in bundle.states for name in state.slots}
    if told or tables is None:
        return told
    return {i: (slot.path, slot.unit) for i, slot in enumerate(tables.slots)}


def _of_signals(bundle: CrashBundle, names: Mapping[int, tuple[str, str]]) -> dict[str, Series]:
    points: dict[int, _Points] = {}
    for t_us, slot, _rsv, value in _SIGNAL.iter_unpack(bundle.items(EvidencePart.SIGNALS)):
        t_s = (t_us - bundle.t0_us) / 1e6
        if slot in names and math.isfinite(value) and FROM_S <= t_s <= TO_S:
            points.setdefault(slot, []).append((t_s, value))
    return {names[s][0]: _series(*names[s], points[s], "evidence") for s in list(points)[:_MAX_SLOTS]}


def _of_rows(bundle: CrashBundle) -> dict[str, Series]:
    tables = dict(bundle.tables)
    points: dict[tuple[str, str], _Points] = {}
    for t_us, row in bundle.rows:
        t_s = (t_us - bundle.t0_us) / 1e6
        table = tables.get(row.table_id)
        if table is None or not FROM_S <= t_s <= TO_S:
            continue
        specs = _specs(table)
        for number, integer in row.values:
            path, unit, step, offset = specs.get(number, ("", "", math.nan, 0.0))
            value = integer * step + offset
            if math.isfinite(value):
                points.setdefault((path, unit), []).append((t_s, value))
    return {path: _series(path, unit, found, "telemetry") for (path, unit), found in points.items()}


def _specs(table: SignalTable) -> dict[int, tuple[str, str, float, float]]:
    return {spec.id: (spec.path, spec.unit, spec.step, spec.offset) for spec in table.signals}


def _of_black_box(bundle: CrashBundle) -> dict[str, Series]:
    """The last 20 s as the black-box page tells them: what is left when the supply went with the impact."""
    box = black_box_of(bundle)
    if box is None:
        return {}
    names = [
        ("Vehicle.Outrider.Speed", "km/h"),
        *((f"Vehicle.Outrider.SensorAcceleration.{a}", "m/s^2") for a in "XYZ"),
    ]
    points: list[_Points] = [[], [], [], []]
    for moment in box.moments:
        t_s = (moment.t_us - bundle.t0_us) / 1e6
        speed = None if moment.speed_mps is None else moment.speed_mps * 3.6
        for found, value in zip(points, (speed, *(moment.acc or (None,) * 3)), strict=True):
            if value is not None and math.isfinite(value) and FROM_S <= t_s <= TO_S:
                found.append((t_s, value))
    return {name: _series(name, unit, p, "black_box") for (name, unit), p in zip(names, points, strict=True) if p}


def black_box_of(bundle: CrashBundle) -> BlackBox | None:
    """The newest page that belongs to the crash; None without one, or when it is torn."""
    page = bundle.items(EvidencePart.BLACK_BOX)[-PAGE_BYTES:]
    try:
        return parse_black_box(page) if page else None
    except InputError:
        return None


def _of_frames(bundle: CrashBundle, tables: VehicleTables) -> dict[str, Series]:
    """Every value of the essential signals. Empty when the frames were recorded with other tables."""
    frames = bundle.items(EvidencePart.FRAMES)
    wanted = {i: slot for i, slot in enumerate(tables.slots) if slot.path in ESSENTIAL}
    decoder = Decoder(tables)
    if not frames or not wanted or (bundle.state is not None and bundle.state.tables_hash != decoder.tables_hash):
        return {}
    decoded = decoder.decode(frames)
    points: dict[int, _Points] = {}
    times = [FRAME.unpack_from(frames, i * FRAME_SIZE)[0] for i in range(len(frames) // FRAME_SIZE)]
    for i, t_us in enumerate(times):
        for k in range(decoded.starts[i], decoded.starts[i + 1]):
            slot, value = decoded.slots[k], decoded.values[k]
            if slot in wanted and math.isfinite(value):
                points.setdefault(slot, []).append(((t_us - bundle.t0_us) / 1e6, value))
    return {wanted[s].path: _series(wanted[s].path, wanted[s].unit, found, "frames") for s, found in points.items()}


def _series(path: str, unit: str, points: _Points, source: str) -> Series:
    points.sort(key=lambda point: point[0])
    times = tuple(round(t_s, 6) for t_s, _value in points)
    return Series(path, label_of(path), unit, rate_hz(times), times, tuple(v for _t, v in points), source)
