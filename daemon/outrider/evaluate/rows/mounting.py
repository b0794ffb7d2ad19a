"""Row F: how soon and how well the direction of travel is found, and that it is never claimed when far off."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from outrider.engine import MotionDetector
from outrider.evaluate import samples as sm
from outrider.evaluate.detect import feed
from outrider.evaluate.layouts import DRIVES
from outrider.evaluate.recordings import DRIVE_RANGE_G, Drive, Recordings
from outrider.evaluate.results import Curve, Panel, Picture, RowResult, Table, at_most, share
from outrider.evaluate.rows.effort import Effort
from outrider.evaluate.samples import Samples
from outrider.evaluate.words import SEEN

AT_S: Final = 300.0
_EVERY = 500  # samples between two looks
_PAUSE_US = 5_000_000


def without_gyro(samples: Samples) -> Samples:
    """The turn rate has to come from the course of GNSS."""
    out = samples.copy()
    out["x"][sm.is_imu(out), 3:6] = np.nan
    return out


def obd_alone(samples: Samples) -> Samples:
    """Whole km/h, no GNSS."""
    return np.asarray(samples[samples["kind"] != sm.GNSS])


def without_speed(samples: Samples) -> Samples:
    """The sensor alone: bends."""
    return np.asarray(samples[sm.is_imu(samples) | (samples["kind"] == sm.TICK)])


LESS: Final[dict[str, Callable[[Samples], Samples]]] = {
    "no gyro": without_gyro,
    "OBD speed alone": obd_alone,
    "no speed": without_speed,
}


@dataclass(frozen=True)
class Course:
    """Claims of one drive: time [s] and angle [degrees] to the answer of all drives of the car."""

    name: str
    car: str
    claims: Sequence[tuple[float, float]]

    @property
    def at_300_s(self) -> float | None:
        return next((angle for t, angle in self.claims if t >= AT_S), None)


def score(recordings: Recordings, _effort: Effort) -> RowResult:
    """Each drive alone against all drives of its car joined."""
    result = RowResult(row="F", title="Mounting", layouts=(DRIVES,), method=METHOD, limits=LIMITS, seen=SEEN)
    courses: list[Course] = []
    less: dict[str, list[Course]] = {name: [] for name in LESS}
    for car in sorted({drive.car for drive in recordings.drives()}):
        mine = [drive for drive in recordings.drives() if drive.car == car]
        answer = forward_of(mine)
        if answer is not None:
            courses += [Course(drive.name, car, claims(drive.samples(), answer)) for drive in mine]
            for name, change in LESS.items():
                less[name] += [Course(drive.name, car, claims(change(drive.samples()), answer)) for drive in mine]
    late = {c.name: c.at_300_s for c in courses if c.at_300_s is not None}
    worst = max((angle for c in courses for _, angle in c.claims), default=None)
    first = {c.name: round(c.claims[0][0], 1) for c in courses if c.claims}
    result.numbers = {"deg_at_300_s": late, "worst_claim_deg": worst, "first_claim_s": first}
    result.numbers["less"] = {name: _less(some) for name, some in less.items()}
    result.tables = [_table(courses), _less_table(less)]
    result.bars = [
        at_most("angle at 300 s, largest", 8, max(late.values(), default=None), unit="°", digits=1),
        at_most("angle of any claim, largest", 20, worst, unit="°", digits=1),
        at_most("angle of any claim with less to go by, largest", 20, _worst(less), unit="°", digits=1),
    ]
    result.pictures = _pictures(courses)
    return result


def forward_of(drives: Sequence[Drive]) -> tuple[float, ...] | None:
    """The forward direction after all drives in a row; None when none was found."""
    detector, offset = MotionDetector(DRIVE_RANGE_G), 0
    for drive in drives:
        part = drive.samples()
        part["t_us"] += offset
        offset = int(part["t_us"][-1]) + _PAUSE_US
        feed(detector, part)
    return detector.mount().forward if detector.aligned else None


def claims(samples: Samples, answer: Sequence[float]) -> list[tuple[float, float]]:
    """Where a new detector claims the direction to be known: time and angle to the answer."""
    detector, out = MotionDetector(DRIVE_RANGE_G), []
    for begin in range(0, len(samples), _EVERY):
        part = samples[begin : begin + _EVERY]
        feed(detector, part)
        if detector.aligned:
            out.append((float(part["t_us"][-1]) / 1e6, angle_deg(detector.mount().forward, answer)))
    return out


def angle_deg(a: Sequence[float], b: Sequence[float]) -> float:
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    cosine = float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


def _table(courses: Sequence[Course]) -> Table:
    rows: list[tuple[Any, ...]] = []
    for course in courses:
        worst = max((angle for _, angle in course.claims), default=None)
        first = course.claims[0][0] if course.claims else None
        last = course.claims[-1][1] if course.claims else None
        rows.append((course.name, share(first, 0), share(course.at_300_s, 1), share(last, 1), share(worst, 1)))
    columns = ("drive", "first claim, s", "° at 300 s", "° at the end", "° worst")
    note = "–: shorter than 300 s, or no claim made."
    return Table(title="Angle to the answer of all drives", columns=columns, rows=tuple(rows), note=note)


def _less(courses: Sequence[Course]) -> dict[str, Any]:
    claimed = [course for course in courses if course.claims]
    return {
        "drives": len(courses),
        "claimed": len(claimed),
        "first_s": min((course.claims[0][0] for course in claimed), default=None),
        "end_deg": max((course.claims[-1][1] for course in claimed), default=None),
        "worst_deg": max((angle for course in claimed for _, angle in course.claims), default=None),
    }


def _worst(less: dict[str, list[Course]]) -> float | None:
    return max((angle for some in less.values() for c in some for _, angle in c.claims), default=None)


def _less_table(less: dict[str, list[Course]]) -> Table:
    rows = []
    for name, courses in less.items():
        n = _less(courses)
        ends = (share(n["first_s"], 0), share(n["end_deg"], 1), share(n["worst_deg"], 1))
        rows.append((name, n["drives"], n["claimed"], *ends))
    columns = ("to go by", "drives", "claimed", "first claim, s", "° at the end, largest", "° worst")
    return Table(title="With less to go by", columns=columns, rows=tuple(rows))


def _pictures(courses: Sequence[Course]) -> list[Picture]:
    out = []
    for car in dict.fromkeys(c.car for c in courses):
        mine = [c for c in courses if c.car == car and c.claims]
        roles = ("main", "second", "third", "fourth")
        curves = [
            Curve(c.name, np.array([t for t, _ in c.claims]), np.array([a for _, a in c.claims]), roles[i % 4])
            for i, c in enumerate(mine)
        ]
        panel = Panel("degrees", curves, levels=[("bar at 300 s", 8.0), ("never above", 20.0)])
        sentence = f"{len(mine)} of {sum(c.car == car for c in courses)} drives made a claim."
        title = f"{car}: angle of the claimed forward direction"
        out.append(Picture(title, sentence, [panel], x_label="s of the drive"))
    return out


METHOD = (
    "The answer is the direction that the detector holds after all drives of a car in a row (a folder is taken for a "
    "car with one mounting). Each drive alone is then looked at every 500 samples. With less: the "
    "gyro's rates taken away (the course of GNSS turns instead), GNSS taken away, or every speed (bends alone)."
)
LIMITS = (
    "The answer is the detector's own over more data, not an independent measurement: the row shows consistency, and "
    "that an early claim is no wild guess."
)
