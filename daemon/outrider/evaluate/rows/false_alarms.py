"""Row D: driving without a crash: no alarm, told with its hours and kilometres and what that can show."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from outrider.engine import MotionDetector
from outrider.evaluate import samples as sm
from outrider.evaluate.detect import alarms, feed
from outrider.evaluate.layouts import DRIVES, OBD_LOGS, STRETCHES, TRIPS
from outrider.evaluate.recordings import DRIVE_RANGE_G, Drive, MissingError, Recordings, Stretch
from outrider.evaluate.results import Curve, Mark, Panel, Picture, RowResult, Table, exactly, share
from outrider.evaluate.rows.effort import Effort
from outrider.evaluate.samples import Array, Samples
from outrider.evaluate.statistics import upper_rate
from outrider.evaluate.words import SEEN
from outrider.model.event import Event

SCALES: Final = (1.0, 3.0)
TILT_DEG: Final = 20.0
STRETCH_HZ: Final = 50
_STAND_S = 10


@dataclass
class Exposure:
    """Driving of one data set, and the alarms in it. km None: the recordings have no speed."""

    name: str
    seconds: float = 0.0
    km: float | None = None
    pieces: int = 0
    false: list[tuple[str, Event, Samples]] = field(default_factory=list)

    def add(self, name: str, samples: Samples, seconds: float, detector: MotionDetector) -> None:
        self.false += [(name, event, samples) for event in alarms(feed(detector, samples))]
        self.seconds += seconds
        self.pieces += 1
        if detector.distance_m > 0:
            self.km = (self.km or 0.0) + detector.distance_m / 1e3

    def numbers(self) -> dict[str, Any]:
        hours = self.seconds / 3600
        return {
            "recordings": self.pieces,
            "hours": round(hours, 3),
            "km": None if self.km is None else round(self.km, 1),
            "alarms": len(self.false),
            "upper_95_per_hour": upper_rate(len(self.false), hours),
            "upper_95_per_1000_km": None if not self.km else upper_rate(len(self.false), self.km / 1e3),
        }


def score(recordings: Recordings, effort: Effort) -> RowResult:
    """Each data set by itself; one that is missing is left out and named."""
    result = RowResult(
        row="D",
        title="False alarms",
        layouts=(DRIVES, OBD_LOGS, STRETCHES, TRIPS),
        method=METHOD,
        limits=LIMITS,
        seen=SEEN,
    )
    exposures, missing = [], []
    for make in _SETS:
        try:
            exposures += list(make(recordings))
        except MissingError as err:
            missing.append(str(err))
    if not exposures:
        raise MissingError("; ".join(missing))
    result.numbers = {e.name: e.numbers() for e in exposures}
    result.tables = [_table(exposures, missing)]
    result.bars = [exactly(f"alarms: {e.name}", 0, len(e.false)) for e in exposures]
    every = [alarm_picture(name, event, data) for e in exposures for name, event, data in e.false]
    result.pictures = every[: effort.pictures]
    return result


def drives(recordings: Recordings) -> Iterator[Exposure]:
    yield expose_drives("drives with IMU, GNSS and OBD", recordings.drives())


def expose_drives(name: str, every: Iterable[Drive], change: Callable[[Samples], Samples] = lambda s: s) -> Exposure:
    """The drives through a detector each, their samples changed on the way."""
    out = Exposure(name)
    for drive in every:
        out.add(drive.name, change(drive.samples()), drive.seconds, MotionDetector(DRIVE_RANGE_G))
    return out


def obd_logs(recordings: Recordings) -> Iterator[Exposure]:
    out = Exposure("OBD alone")
    for log in recordings.obd_logs():
        out.add(log.name, log.samples(), log.seconds, MotionDetector())
    yield out


def stretches(recordings: Recordings) -> Iterator[Exposure]:
    for scale in SCALES:
        out = Exposure(f"bad road × {scale:g}, {TILT_DEG:g}° tilt")
        for stretch in recordings.stretches():
            seconds = len(stretch.vertical) / STRETCH_HZ
            out.add(f"{stretch.kind}/{stretch.name}", shaken(stretch, scale), seconds, MotionDetector())
        yield out


def trips(recordings: Recordings) -> Iterator[Exposure]:
    out = Exposure("harsh driving on purpose, phone")
    for trip in recordings.trips():
        out.add(trip.name, trip.samples, trip.seconds, MotionDetector())
    yield out


_SETS: Final = (drives, obd_logs, stretches, trips)


def shaken(stretch: Stretch, scale: float) -> Samples:
    """The stretch after ten seconds of standing, its motion amplified and leaking into the plane by the tilt."""
    tilt = math.radians(TILT_DEG)
    z = stretch.vertical
    shake = np.concatenate([np.zeros(_STAND_S * STRETCH_HZ), (z - z.mean()) * scale, np.zeros(STRETCH_HZ)])
    acc = np.array([0, 0, sm.G]) + shake[:, None] * np.array([math.sin(tilt), 0, math.cos(tilt)])
    return sm.make_imu(np.arange(len(shake)) / STRETCH_HZ, acc)


def _table(exposures: Iterable[Exposure], missing: list[str]) -> Table:
    rows = []
    for exposure in exposures:
        n = exposure.numbers()
        bound = n["upper_95_per_1000_km"]
        rows.append(
            (
                exposure.name,
                n["recordings"],
                share(n["hours"]),
                share(n["km"], 1),
                n["alarms"],
                share(n["upper_95_per_hour"], 1),
                share(bound, 0),
            )
        )
    columns = ("data", "recordings", "hours", "km", "alarms", "at most per hour", "at most per 1000 km")
    note = "At most: upper 95 % bound, 3/T where there was no alarm. " + "; ".join(f"Missing: {m}" for m in missing)
    return Table(title="Exposure", columns=columns, rows=tuple(rows), note=note.strip())


def alarm_picture(name: str, event: Event, data: Samples) -> Picture:
    """Ten seconds around a false alarm: what the IMU and the speeds said."""
    at = event.t0_us / 1e6
    near = data[np.abs(data["t_us"] / 1e6 - at) < 10]
    imu, speed = near[near["kind"] == sm.IMU], near[np.isin(near["kind"], (sm.SPEED, sm.GNSS))]
    mark = Mark(f"rule {event.rule}", at, event.t_detect_us / 1e6, "false")
    panels = []
    if len(imu):
        size: Array = np.linalg.norm(imu["x"][:, :3], axis=1) / sm.G
        panels.append(Panel("|a|, g", [Curve("", imu["t_us"] / 1e6, size)], [mark], legend=False))
    if len(speed):
        curve = Curve("", speed["t_us"] / 1e6, speed["x"][:, 0] * 3.6, dots=True)
        panels.append(Panel("km/h", [curve], [] if panels else [mark], legend=False))
    sentence = f"False alarm: {event.kind.name.lower()}, confidence {event.conf:.2f}."
    return Picture(name, sentence, panels, "false")


METHOD = (
    "Ordinary and harsh driving without a crash, each recording through a new detector. Bad road: vertical "
    f"acceleration as recorded and at three times its size, leaking into the plane by {TILT_DEG:g}° of tilt. Any alarm "
    "of the emergency lane counts, confirmed or not."
)
LIMITS = (
    "Short exposure: with no alarm in T hours the true rate may still be 3/T (95 %). The bounds say how little the "
    "data show, not how good the detector is. Not in the data: slammed doors, kerbs, jacks, towing, devices that fall."
)
