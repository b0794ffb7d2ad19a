"""Telemetry: one row a second of integer values, in columns that a signal table describes.

Owns which columns exist and when a row is worth keeping. The first ids are the terminal's own (place, trusted speed,
distance, acceleration); after them come the telemetry slots of the vehicle profile, in the profile's order, so that
the same profile always gives the same table. A value that is unknown or stale is absent from the row, never zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from outrider.drive.precision import check_precision, with_precision
from outrider.model.event import Snapshot
from outrider.model.record import Category, SignalSpec, SignalTable, TelemetryRow
from outrider.model.vehicle import Role, Slot

FIX_MAX_AGE_US: Final = 2_000_000
PARKED_INTERVAL_US: Final = 60_000_000

_LOCATION = "Vehicle.CurrentLocation."
_Getter = Callable[[Snapshot], float | None]


def _kmh(snapshot: Snapshot) -> float | None:
    return None if snapshot.speed_mps is None else snapshot.speed_mps * 3.6


# (path, unit, step, category, value, needs a fresh fix)
_OWN: Final[tuple[tuple[str, str, float, Category, _Getter, bool], ...]] = (
    (_LOCATION + "Latitude", "deg", 1e-7, Category.LOCATION, lambda s: s.lat_deg, True),
    (_LOCATION + "Longitude", "deg", 1e-7, Category.LOCATION, lambda s: s.lon_deg, True),
    (_LOCATION + "Altitude", "m", 0.1, Category.LOCATION, lambda s: s.alt_m, True),
    (_LOCATION + "Heading", "deg", 0.1, Category.LOCATION, lambda s: s.heading_deg, True),
    (_LOCATION + "HorizontalAccuracy", "m", 0.1, Category.LOCATION, lambda s: s.hacc_m, True),
    (_LOCATION + "GNSSReceiver.FixType", "", 1.0, Category.SYSTEM, lambda s: s.fix_type, True),
    (_LOCATION + "GNSSReceiver.Satellites", "", 1.0, Category.SYSTEM, lambda s: s.sats or None, True),
    ("Vehicle.Outrider.Speed", "km/h", 0.1, Category.DRIVING, _kmh, False),
    ("Vehicle.Outrider.SpeedSource", "", 1.0, Category.SYSTEM, lambda s: s.speed_src, False),
    ("Vehicle.Outrider.Distance", "m", 1.0, Category.DRIVING, lambda s: s.distance_m, False),
    ("Vehicle.Outrider.Motion", "", 1.0, Category.DRIVING, lambda s: s.motion, False),
    ("Vehicle.Acceleration.Longitudinal", "m/s^2", 0.01, Category.DRIVING, lambda s: s.acc_long, False),
    ("Vehicle.Acceleration.Lateral", "m/s^2", 0.01, Category.DRIVING, lambda s: s.acc_lat, False),
)

# Slots whose content is already among the terminal's own columns, or is a raw 100 Hz channel of no use at 1 Hz.
_COVERED: Final = frozenset(
    {Role.LAT, Role.LON, Role.ALT, Role.HEADING, Role.HACC, Role.SATS, Role.FIX_TYPE, Role.UTC, Role.HDOP}
    | {Role.ACC_X, Role.ACC_Y, Role.ACC_Z, Role.GYRO_X, Role.GYRO_Y, Role.GYRO_Z}
)
_LIMIT: Final = 2**62


class Telemetry:
    """Turns snapshots into rows. ``table`` describes the columns; ``table_id`` is put into every row."""

    def __init__(
        self,
        slots: tuple[Slot, ...],
        table_id: Callable[[SignalTable], int],
        precision: Mapping[str, float] | None = None,
    ) -> None:
        """precision: steps by VSS path or class (``precision``). ConfigError for one that cannot be."""
        check_precision(precision or {})
        own = [SignalSpec(i, path, unit, step, 0.0, cat) for i, (path, unit, step, cat, _g, _f) in enumerate(_OWN, 1)]
        self._slots = [(i, s) for i, s in enumerate(slots) if s.telemetry and s.role not in _COVERED]
        first = len(own) + 1
        profile = [
            SignalSpec(first + n, slot.path, slot.unit, slot.step, 0.0, slot.category, slot.labels)
            for n, (_index, slot) in enumerate(self._slots)
        ]
        self.table = SignalTable(tuple(with_precision(spec, precision or {}) for spec in own + profile))
        self._steps = [spec.step for spec in self.table.signals]
        self.table_id = table_id(self.table)
        self._first_slot_id = first
        self._last_parked_us: int | None = None

    def row(self, snapshot: Snapshot) -> TelemetryRow | None:
        """The row of this second; None while parked and quiet, but for one a minute."""
        if not self._worth(snapshot):
            return None
        values = self._own_values(snapshot) + self._slot_values(snapshot)
        return TelemetryRow(self.table_id, tuple(values)) if values else None

    def _worth(self, snapshot: Snapshot) -> bool:
        if snapshot.bus_alive or snapshot.motion == 2:
            self._last_parked_us = None
            return True
        if self._last_parked_us is not None and snapshot.t_us - self._last_parked_us < PARKED_INTERVAL_US:
            return False
        self._last_parked_us = snapshot.t_us
        return True

    def _own_values(self, snapshot: Snapshot) -> list[tuple[int, int]]:
        fresh = snapshot.fix_t_us > 0 and snapshot.t_us - snapshot.fix_t_us <= FIX_MAX_AGE_US
        values = []
        for number, (_path, _unit, _step, _cat, get, needs_fix) in enumerate(_OWN, 1):
            if needs_fix and not fresh:
                continue
            quantised = quantise(get(snapshot), self._steps[number - 1])
            if quantised is not None:
                values.append((number, quantised))
        return values

    def _slot_values(self, snapshot: Snapshot) -> list[tuple[int, int]]:
        values = []
        for number, (index, _slot) in enumerate(self._slots, self._first_slot_id):
            quantised = quantise(snapshot.values[index], self._steps[number - 1])
            if quantised is not None:
                values.append((number, quantised))
        return values


def quantise(value: float | None, step: float) -> int | None:
    """Nearest whole number of steps; None for unknown, non-finite or absurdly large values."""
    if value is None or not math.isfinite(value):
        return None
    steps = value / step
    return round(steps) if -_LIMIT < steps < _LIMIT else None
