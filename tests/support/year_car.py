"""A commuter's car for a year: when it drives, and the records that its terminal makes. Pure, from a seed.

Each trip is a start of the terminal: a car that is parked switches it off. Workdays have a trip in the morning and one
in the evening, weekends none to three; in August the car goes on holiday, where nothing is paid for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from outrider.app.fleet_drive import TABLE
from outrider.model.event import CrashEvidence, Event, EventFlag, EventKind, Phase, Trip, TripEndReason
from outrider.model.evidence import EvidenceChunk, EvidencePart
from outrider.model.record import (
    BootInfo,
    Category,
    ClockFix,
    ClockSource,
    Kind,
    Lane,
    Record,
    TelemetryRow,
)
from outrider.wire.bodies import encode_body, kind_of, table_id

SECOND_US: Final = 1_000_000
DAY_S: Final = 86_400
_TABLE_ID: Final = table_id(TABLE)
_HARSH: Final = (EventKind.HARSH_BRAKE, EventKind.HARSH_ACCEL, EventKind.HARSH_CORNER)
_REAL: Final = CrashEvidence.DV25 | CrashEvidence.COLLAPSE | CrashEvidence.STANDING
_BROKEN: Final = CrashEvidence.DV25


@dataclass(frozen=True, slots=True)
class Outing:
    """day: of the year, from 0. start_s: of the day. crash_s: an accident so long after the start. broken: the sensor
    is, and sees an accident every minute. clock_error_s: of the terminal's clock at its start, None: it has none."""

    day: int
    start_s: int
    seconds: int
    crash_s: int | None = None
    broken: bool = False
    clock_error_s: float | None = 0.0


def outings(rng: Random, first_day: int, days: int, shortened: float = 1.0) -> Iterator[Outing]:
    """In order. shortened: trips last this share of their time."""
    crash_days = {rng.randrange(365) for _ in range(3)} | {first_day + days // 2}
    for day in range(first_day, first_day + days):
        for number, (start_s, minutes) in enumerate(_starts(rng, day)):
            seconds = max(20, round(minutes * 60 * shortened))
            crash = rng.randrange(seconds // 2, seconds) if day in crash_days and number == 0 else None
            broken = day % 90 == 45
            yield Outing(day, start_s, seconds, crash, broken, _clock_error(rng))


def _starts(rng: Random, day: int) -> list[tuple[int, float]]:
    """(second of the day, minutes) of each trip."""
    weekday = day % 7
    if 212 <= day < 233:  # on holiday: long drives, every day
        return [(9 * 3600, rng.uniform(60, 120)), (15 * 3600, rng.uniform(40, 100))]
    if weekday >= 5:
        count = rng.choice((0, 1, 1, 2, 3))
        return [(9 * 3600 + 3 * 3600 * n, rng.uniform(10, 70)) for n in range(count)]
    return [
        (7 * 3600 + rng.randrange(1800), rng.uniform(20, 40)),
        (17 * 3600 + rng.randrange(3600), rng.uniform(20, 45)),
    ]


def _clock_error(rng: Random) -> float | None:
    roll = rng.random()
    if roll < 0.8:
        return 0.0
    return rng.choice((None, -3600.0, 3600.0, 365.0 * DAY_S, -50.0 * 365 * DAY_S))


class Car:
    """The records of one outing, second by second. boot_us: CLOCK_BOOTTIME at its start; utc_us: what it really is."""

    def __init__(self, rng: Random, outing: Outing, utc_us: int) -> None:
        self.boot_id = rng.getrandbits(32) or 1
        self._rng = rng
        self._outing = outing
        self._utc_us = utc_us
        self._at = 0
        self._speed = 0
        self._lat, self._lon, self._heading = 481_000_000, 115_000_000, 900
        self._events = 0

    @property
    def t_us(self) -> int:
        return (self._at + 10) * SECOND_US

    def starts(self) -> Iterator[Record]:
        yield self._record(Lane.EVENT, Category.SYSTEM, BootInfo("year", "year", "commuter", "start"))
        yield self._record(Lane.TELEMETRY, Category.SYSTEM, TABLE)
        yield from self._clock(self._outing.clock_error_s, ClockSource.RTC)

    def second(self) -> Iterator[Record]:
        self._at += 1
        self._move()
        yield Record(
            Lane.TELEMETRY, Kind.TELEMETRY, Category.LOCATION, self.boot_id, self.t_us, encode_body(self._row())
        )
        if self._at == 30 or self._at % 600 == 0:
            yield from self._clock(0.0, ClockSource.GNSS)
        if self._rng.random() < 1 / 240:
            yield self._event(self._rng.choice(_HARSH), Phase.END, CrashEvidence(0), 1, None)
        if self._at == self._outing.crash_s:
            yield from self._accident(_REAL, 45.0)
        elif self._outing.broken and self._at % 60 == 0:
            yield from self._accident(_BROKEN, 30.0 + self._rng.random())

    def ends(self) -> Iterator[Record]:
        """The trip, unless nobody was there any more to write it down."""
        seconds = float(self._at)
        yield self._record(
            Lane.LEDGER,
            Category.DRIVING,
            Trip(1, 10 * SECOND_US, self.t_us, None, None, None, None, 13.0 * seconds, None, None, seconds, 0.0, 30.0,
                 1, 0, 0, 0, 0, TripEndReason.IGNITION_OFF),
        )  # fmt: skip

    def _accident(self, evidence: CrashEvidence, dv_kmh: float) -> Iterator[Record]:
        self._events += 1
        yield self._event(EventKind.CRASH, Phase.SUSPECT, CrashEvidence(0), 1, None)
        for index in range(6):
            chunk = EvidenceChunk(
                self._events, EvidencePart.FRAMES, index, 6, self.t_us, self.t_us, self._rng.randbytes(4000)
            )
            yield self._record(Lane.BULK, Category.EMERGENCY, chunk)
        yield self._event(EventKind.CRASH, Phase.CONFIRMED, evidence, 3, dv_kmh)
        yield self._event(EventKind.CRASH, Phase.CLOSED, evidence, 3, dv_kmh)

    def _event(
        self, kind: EventKind, phase: Phase, evidence: CrashEvidence, level: int, dv_kmh: float | None
    ) -> Record:
        if not kind.is_crash:
            self._events += 1
        t_us = self.t_us
        event = Event(
            self._events, kind, phase, level, EventFlag(0), 0, 1, t_us, t_us, t_us, self._lat / 1e7, self._lon / 1e7,
            2.0, self._heading / 10, 0, 1, 0.9, dv_kmh, None, None, None, None, None, None, None, None, None, None,
            None, None, evidence=evidence,
        )  # fmt: skip
        urgent = kind.is_crash
        return self._record(
            Lane.EMERGENCY if urgent else Lane.EVENT, Category.EMERGENCY if urgent else Category.DRIVING, event
        )

    def _clock(self, error_s: float | None, source: ClockSource) -> Iterator[Record]:
        if error_s is not None:
            utc_us = max(0, self._utc_us + self._at * SECOND_US + round(error_s * SECOND_US))
            yield self._record(Lane.EVENT, Category.SYSTEM, ClockFix(utc_us, 50_000, source))

    def _record(self, lane: Lane, category: Category, body: object) -> Record:
        return Record(lane, kind_of(body), category, self.boot_id, self.t_us, encode_body(body))

    def _move(self) -> None:
        aim = 0 if self._at % 90 > 70 else 300 + 500 * (self._at // 300 % 3)
        self._speed += max(-60, min(40, aim - self._speed)) + self._rng.randrange(-3, 4)
        self._speed = max(0, self._speed)
        self._lat += self._speed // 4 + self._rng.randrange(-2, 3)
        self._lon += self._speed // 3 + self._rng.randrange(-2, 3)
        self._heading = (self._heading + self._rng.randrange(-15, 16)) % 3600

    def _row(self) -> TelemetryRow:
        rpm = 800 + 3 * self._speed + self._rng.randrange(20)
        values = (self._lat, self._lon, self._heading, self._speed, rpm, 180, self._speed // 12, 1380)
        return TelemetryRow(_TABLE_ID, tuple(enumerate(values, 1)))
