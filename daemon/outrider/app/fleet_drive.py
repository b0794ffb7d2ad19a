"""What a virtual terminal records: a drive as real records with real bodies, a row a second. Pure, from a seed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import Final

from outrider.model.event import Event, EventFlag, EventKind, Phase
from outrider.model.record import (
    BootInfo,
    Category,
    ClockFix,
    ClockSource,
    Kind,
    Lane,
    Record,
    SignalSpec,
    SignalTable,
    TelemetryRow,
)
from outrider.wire.bodies import encode_body, table_id

_SECOND_US: Final = 1_000_000
_CLOCK_EVERY_S: Final = 600
_HARSH: Final = (EventKind.HARSH_BRAKE, EventKind.HARSH_ACCEL, EventKind.HARSH_CORNER, EventKind.LANE_CHANGE)
_EVENT_CHANCE: Final = 1 / 60  # a second
_CRASH_CHANCE: Final = 1 / 3000
_BULK_CHANCE: Final = 1 / 300
_BULK_BYTES: Final = 2048
_PLACE = "Vehicle.CurrentLocation."

TABLE: Final = SignalTable(
    (
        SignalSpec(1, _PLACE + "Latitude", "deg", 1e-7, 0.0, Category.LOCATION),
        SignalSpec(2, _PLACE + "Longitude", "deg", 1e-7, 0.0, Category.LOCATION),
        SignalSpec(3, _PLACE + "Heading", "deg", 0.1, 0.0, Category.LOCATION),
        SignalSpec(4, "Vehicle.Speed", "km/h", 0.1, 0.0, Category.DRIVING),
        SignalSpec(5, "Vehicle.Powertrain.CombustionEngine.Speed", "rpm", 1.0, 0.0, Category.DRIVING),
        SignalSpec(6, "Vehicle.OBD.FuelLevel", "percent", 0.4),
        SignalSpec(7, "Vehicle.Chassis.Accelerator.PedalPosition", "percent", 0.4, 0.0, Category.DRIVING),
        SignalSpec(8, "Vehicle.LowVoltageBattery.CurrentVoltage", "V", 0.01),
    )
)
_TABLE_ID: Final = table_id(TABLE)


class Drive:
    """utc_us: at boot, by the terminal's own clock. clock_error_s: how wrong that is at first; None: it knows none.

    ``boot`` and ``second`` give the records of one moment, in the order in which they are made.
    """

    def __init__(self, rng: Random, utc_us: int, clock_error_s: float | None = 0.0) -> None:
        self._rng = rng
        self._utc_us = utc_us
        self._clock_error_s = clock_error_s
        self._boot_id = rng.getrandbits(32)
        self._second = 0
        self._events = 0
        self._lat, self._lon = rng.uniform(47.0, 54.0), rng.uniform(7.0, 14.0)
        self._heading, self._speed, self._fuel = rng.uniform(0, 360), 0.0, rng.uniform(20, 100)

    @property
    def boot_id(self) -> int:
        return self._boot_id

    def boot(self, reason: str) -> Iterator[Record]:
        """The terminal starts, for the first time or again: the time since boot begins anew."""
        self._utc_us += self._second * _SECOND_US
        self._boot_id, self._second = self._rng.getrandbits(32), 0
        info = BootInfo("sim-fleet", "none", "sim-fleet", reason)
        yield self._record(Lane.EVENT, Kind.BOOT, Category.SYSTEM, encode_body(info))
        yield self._record(Lane.TELEMETRY, Kind.SIGNAL_TABLE, Category.SYSTEM, encode_body(TABLE))

    def second(self, *, is_clock_right: bool = True) -> Iterator[Record]:
        """One second of driving."""
        self._second += 1
        self._move()
        if self._second % _CLOCK_EVERY_S == 1:
            yield from self._clock(is_clock_right)
        yield self._record(Lane.TELEMETRY, Kind.TELEMETRY, Category.LOCATION, encode_body(self._row()))
        if self._rng.random() < _EVENT_CHANCE:
            yield self._event(self._rng.choice(_HARSH), Lane.EVENT, Category.DRIVING)
        if self._rng.random() < _CRASH_CHANCE:
            yield self._event(EventKind.CRASH, Lane.EMERGENCY, Category.EMERGENCY)
        if self._rng.random() < _BULK_CHANCE:  # of a kind that no receiver knows yet
            yield self._record(Lane.BULK, Kind(250), Category.VEHICLE, self._rng.randbytes(_BULK_BYTES))

    def _clock(self, is_right: bool) -> Iterator[Record]:
        error = 0.0 if is_right else self._clock_error_s
        if error is not None:
            utc = self._utc_us + self._second * _SECOND_US + round(error * 1e6)
            fix = ClockFix(utc, 50_000, ClockSource.GNSS if is_right else ClockSource.RTC)
            yield self._record(Lane.EVENT, Kind.CLOCK, Category.SYSTEM, encode_body(fix))

    def _move(self) -> None:
        rng = self._rng
        self._speed = min(38.0, max(0.0, self._speed + rng.gauss(0.05, 0.8)))
        self._heading = (self._heading + rng.gauss(0, 2.0)) % 360
        north, east = math.cos(math.radians(self._heading)), math.sin(math.radians(self._heading))
        self._lat += self._speed * north / 111_320
        self._lon += self._speed * east / (111_320 * math.cos(math.radians(self._lat)))
        self._fuel = max(0.0, self._fuel - 0.0005 * self._speed)

    def _row(self) -> TelemetryRow:
        kmh = self._speed * 3.6
        values = (
            round(self._lat * 1e7),
            round(self._lon * 1e7),
            round(self._heading * 10) % 3600,
            round(kmh * 10),
            round(800 + 45 * kmh % 2500 + self._rng.gauss(0, 15)),
            round(self._fuel / 0.4),
            round(max(0.0, self._rng.gauss(20, 10)) / 0.4),
            round(self._rng.gauss(14.1, 0.03) * 100),
        )
        return TelemetryRow(_TABLE_ID, tuple(enumerate(values, 1)))

    def _event(self, kind: EventKind, lane: Lane, category: Category) -> Record:
        self._events += 1
        at = self._second * _SECOND_US
        event = Event(
            seq=self._events, kind=kind, phase=Phase.CONFIRMED, level=1, flags=EventFlag.POSITION, src_mask=1, rule=1,
            t0_us=at - 300_000, t_detect_us=at, t_end_us=at, lat_deg=self._lat, lon_deg=self._lon, conf=1.0,
        )  # fmt: skip
        return self._record(lane, Kind.EVENT, category, encode_body(event))

    def _record(self, lane: Lane, kind: Kind, category: Category, body: bytes) -> Record:
        return Record(lane, kind, category, self._boot_id, self._second * _SECOND_US, body)
