"""Records of crashes as a terminal makes them, without disk: a simulated drive, and pulses given by their delta-V."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from outrider.app.intake import Intake
from outrider.app.pipeline import Pipeline
from outrider.engine import ALGORITHM, EngineOptions, Mount
from outrider.model.fix import Fix, FixType, ImuSample, PowerSample
from outrider.model.record import BootInfo, ClockFix, ClockSource, Lane, Record, StoredRecord
from outrider.model.vehicle import VehicleTables
from outrider.ports import SourceItem
from outrider.wire.bodies import decode_body, encode_body
from tests.support.crash_drive import crash_drive, options, profile

EPOCH = 0x0123456789ABCDEF
BOOT_ID = 0xB0071D
START_US = 1_000_000
UTC_US = 1_795_000_000_000_000
BARE = VehicleTables("bare", (), ())
G = 9.80665


class KeptRecords:
    """A journal in memory: numbers records as a journal does."""

    def __init__(self, epoch: int = EPOCH) -> None:
        self._epoch = epoch
        self._next: dict[Lane, int] = {}
        self.records: list[StoredRecord] = []

    def put(self, record: Record) -> bool:
        self._next[record.lane] = self._next.get(record.lane, 0) + 1
        self.records.append(StoredRecord(self._epoch, self._next[record.lane], record))
        return True


@cache
def driven() -> tuple[StoredRecord, ...]:
    """The simulated crash at 50 km/h: CAN, IMU on CAN, positions, supply; then 20 s in which the bus is silent."""
    drive, sink = crash_drive(), KeptRecords()
    boot = BootInfo("1.2.3", ALGORITHM, profile().tables.profile_id, "test")
    with Pipeline(profile().tables, Intake(sink, BOOT_ID), boot, options()) as pipeline:
        pipeline.feed(SourceItem(START_US, clock=(START_US, ClockFix(UTC_US, 1000, ClockSource.GNSS))))
        seconds = drive.duration_us // 1_000_000 + 1
        for second in range(seconds):
            at_us = START_US + second * 1_000_000
            pipeline.feed(SourceItem(at_us, frames=drive.batch(second * 1_000_000, (second + 1) * 1_000_000, START_US)))
            pipeline.feed(SourceItem(at_us, fix=fix(at_us + 500_000, 40.0)))
            pipeline.feed(SourceItem(at_us, power=PowerSample(at_us + 600_000, True, 13.8)))
            pipeline.advance(at_us + 1_000_000)
        pipeline.advance(START_US + (seconds + 20) * 1_000_000)
        pipeline.finish()
    return tuple(sink.records)


def fix(t_us: int, speed_kmh: float) -> Fix:
    """A position near Munich, going north."""
    lat = 48.0 + t_us / 1e6 * speed_kmh / 3.6 / 111_000
    return Fix(t_us, FixType.FIX_3D, UTC_US + t_us - START_US, lat, 11.5, 500.0, speed_kmh / 3.6, 0.0, 2.0, 1.0, 9)


FORWARD, LEFT, UP = (0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)  # of the car, in the axes of the sensor


def pulsed(
    times_s: Sequence[float],
    along_kmh: Sequence[float],
    left_kmh: Sequence[float],
    *,
    range_g: float = 200.0,
    before_s: float = 35.0,
    speeds_kmh: tuple[float, float] = (60.0, 20.0),
    mount: Mount | None = Mount(UP, FORWARD, 0.95, 0.0),  # noqa: B008  # frozen
) -> tuple[StoredRecord, ...]:
    """A car with an IMU at 100 Hz and GNSS, no bus. Cumulative delta-V by time from the impact, ISO 8855."""
    sink, zero_us = KeptRecords(), START_US + round(before_s * 1e6)
    boot = BootInfo("1.2.3", ALGORITHM, BARE.profile_id, "test")
    with Pipeline(BARE, Intake(sink, BOOT_ID), boot, EngineOptions(imu_range_g=range_g)) as pipeline:
        if mount is not None:
            pipeline.engine.set_mount(mount)
        pipeline.feed(SourceItem(START_US, clock=(START_US, ClockFix(UTC_US, 1000, ClockSource.GNSS))))
        end_us = zero_us + 20_000_000
        steps, noise = _accelerations(times_s, along_kmh, left_kmh), random.Random(1)
        for begin in range(START_US, end_us, 100_000):
            stamps = range(begin, begin + 100_000, 10_000)
            imu = [_sample(t_us, (t_us - zero_us) / 1e6, steps, range_g, noise) for t_us in stamps]
            pipeline.feed(SourceItem(begin, imu=imu))
            if begin % 1_000_000 == 0:
                speed = speeds_kmh[0] if begin <= zero_us else speeds_kmh[1]
                pipeline.feed(SourceItem(begin, fix=fix(begin + 5_000, speed)))
            pipeline.advance(begin + 100_000)
        pipeline.finish()
    return tuple(sink.records)


def blow(along_kmh: float, left_kmh: float, duration_s: float = 0.1) -> tuple[list[float], list[float], list[float]]:
    """A haversine: time [s] and cumulative delta-V forward and to the left [km/h]. No car stops like a rectangle."""
    times = [duration_s * i / 20 for i in range(21)]
    share = [i / 20 - math.sin(math.tau * i / 20) / math.tau for i in range(21)]
    return times, [along_kmh * part for part in share], [left_kmh * part for part in share]


def _accelerations(
    times_s: Sequence[float], along_kmh: Sequence[float], left_kmh: Sequence[float]
) -> list[tuple[float, float, float, float]]:
    """(from, to, forward, left) with m/s2 between two points of the curve."""
    points = list(zip(times_s, along_kmh, left_kmh, strict=True))
    return [
        (t0, t1, (x1 - x0) / 3.6 / (t1 - t0), (y1 - y0) / 3.6 / (t1 - t0))
        for (t0, x0, y0), (t1, x1, y1) in pairwise(points)
    ]


def _sample(
    t_us: int, t_s: float, steps: Sequence[tuple[float, float, float, float]], range_g: float, noise: random.Random
) -> ImuSample:
    ahead, left = next(((x, y) for t0, t1, x, y in steps if t0 <= t_s < t1), (0.0, 0.0))
    felt = [FORWARD[i] * ahead + LEFT[i] * left + UP[i] * G + noise.gauss(0, 0.15) for i in range(3)]
    limit = range_g * G
    clipped = (max(-limit, min(felt[0], limit)), max(-limit, min(felt[1], limit)), max(-limit, min(felt[2], limit)))
    return ImuSample(t_us, clipped, (noise.gauss(0, 0.002), noise.gauss(0, 0.002), noise.gauss(0, 0.002)))


def recorded_pulse(path: Path) -> tuple[list[float], list[float], list[float]]:
    """Time [s], longitudinal, lateral delta-V [km/h] of an event data recorder's curve, ISO 8855.

    The recorder counts y from left to right (49 CFR 563.5): the sign is turned here.
    """
    channels: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["channels"]
    along, across = channels["delta_v_long"], channels["delta_v_lat"]
    times = [0.0, *(t for t in along["t"] if t > 0)]
    offset = len(along["v"]) - len(times) + 1
    return times, [0.0, *along["v"][offset:]], [0.0, *(-v for v in across["v"][offset:])]


def changed(records: Sequence[StoredRecord], kind: type, **fields: Any) -> list[StoredRecord]:
    """The records with fields of one kind of body replaced."""
    return [_with(stored, fields) if isinstance(body_of(stored), kind) else stored for stored in records]


def _with(stored: StoredRecord, fields: dict[str, Any]) -> StoredRecord:
    body: Any = body_of(stored)
    return replace(stored, record=replace(stored.record, body=encode_body(replace(body, **fields))))


def without(records: Sequence[StoredRecord], kind: type) -> list[StoredRecord]:
    """The records but for one kind of body."""
    return [stored for stored in records if not isinstance(body_of(stored), kind)]


def body_of(stored: StoredRecord) -> object:
    """What the record holds."""
    return decode_body(stored.record.kind, stored.record.body)
