"""What a drive gave: each event once with its last word, distance, trips, and a trace for the plot.

Owns how the many reports of an event become one finding, the same whether they come from a replay in this process, a
journal, or the JSON of another release. Bounded: a trace holds at most ``TRACE_MAX`` points however long the drive.
The types say what can be of a drive, far beyond any real one, so that what was read (a results file, another program)
is known to be fit for arithmetic and pictures; ``checked`` holds what was made elsewhere against them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from outrider.model.event import Event, EventFlag, Snapshot, Trip
from outrider.suite.model import MANOEUVRES

BASE_S: Final = 1.0  # a drive's time line begins here
TRACE_MAX: Final = 1200
G_MPS2: Final = 9.80665
MAX_FINDINGS: Final = 10_000
DAY_S: Final = 86_400.0
EARLIEST_S: Final = -DAY_S
LATEST_S: Final = 3660 * DAY_S  # recordings of one drive may lie months apart

Instant = Annotated[float, msgspec.Meta(ge=EARLIEST_S, le=LATEST_S)]
Duration = Annotated[float, msgspec.Meta(ge=0, le=LATEST_S)]
Amount = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]  # km/h, g, a confidence
Metres = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
Degrees = Annotated[float, msgspec.Meta(ge=-360, le=360)]
Small = Annotated[int, msgspec.Meta(ge=0, le=255)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Kind = Annotated[str, msgspec.Meta(max_length=120)]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One event. Times in s on the drive's time line; ``reported_s``: when it was said first (alarms only).

    outcome: suspected, confirmed, withdrawn (alarms), ended (manoeuvres). None = unknown.
    """

    kind: Kind
    outcome: Kind
    t_s: Instant
    reported_s: Instant | None = None
    level: Small = 0
    confidence: Amount = 0.0
    delta_v_kmh: Amount | None = None
    delta_v_at_least: bool = False
    peak_g: Amount | None = None
    duration_s: Duration | None = None
    clock: Small | None = None
    speed_before_kmh: Amount | None = None
    speed_after_kmh: Amount | None = None
    lat_deg: Degrees | None = None
    lon_deg: Degrees | None = None


class Point(msgspec.Struct, frozen=True, array_like=True):
    """One second or more of a drive: speed and acceleration in vehicle axes (None = unknown)."""

    t_s: Instant
    speed_kmh: Amount | None = None
    along_g: Amount | None = None
    across_g: Amount | None = None


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of one drive. ``lost_frames``: refused by a full queue or dropped by the socket.

    inputs: SHA-256 of what was put in, so that only equals are compared.
    """

    name: str
    inputs: str
    duration_s: Duration
    distance_m: Metres
    trips: Count
    findings: Annotated[tuple[Finding, ...], msgspec.Meta(max_length=MAX_FINDINGS)]
    trace: Annotated[tuple[Point, ...], msgspec.Meta(max_length=10 * TRACE_MAX)] = ()
    frames: Count = 0
    lost_frames: Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)] = 0
    notes: Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_FINDINGS)] = ()
    software: str = ""
    algorithm: str | None = None
    error: str | None = None
    error_code: Small = 0


def checked(observed: Observed) -> Observed:
    """The same; msgspec.ValidationError for what no drive can be, as when it is read from a file."""
    return msgspec.convert(msgspec.to_builtins(observed), Observed)


@dataclass(slots=True)
class _Story:
    """Reports of one event so far."""

    first_us: int
    confirmed: bool
    last: Mapping[str, Any]


class Observer:
    """Takes outputs in order; ``observed`` at the end. Reports after ``until_us`` are about what followed the drive."""

    def __init__(self, *, origin_us: int = 0, until_us: int | None = None) -> None:
        """``origin_us``: engine time at which the drive's time line reads 0."""
        self._origin_us = origin_us
        self._until_us = until_us
        self._stories: dict[int, _Story] = {}
        self._trips = 0
        self._distance_m = 0.0
        self._first_us: int | None = None
        self._last_us = 0
        self._trace = Trace()

    def note(self, output: Event | Trip | Snapshot) -> None:
        """An output of a pipeline."""
        if isinstance(output, Event):
            self.note_report(report_of(output))
        elif isinstance(output, Trip):
            self.note_trip(output.t_end_us)
        else:
            speed = None if output.speed_mps is None else output.speed_mps * 3.6
            self.note_second(output.t_us, speed, output.acc_long, output.acc_lat, output.distance_m)

    def note_report(self, report: Mapping[str, Any]) -> None:
        """A report of an event, as ``outrider replay --json`` prints it."""
        if self._late(report["t_detect_us"]) or report["phase"] == "begin":
            return
        story = self._stories.get(report["seq"])
        confirmed = report["phase"] == "confirmed"
        if story is None:
            self._stories[report["seq"]] = _Story(report["t_detect_us"], confirmed, report)
        else:
            story.confirmed = story.confirmed or confirmed
            story.last = report

    def note_trip(self, t_end_us: int) -> None:
        """A trip that is over (0: it is not). One that ends with the drive counts, whenever that was noticed."""
        self._trips += t_end_us != 0

    def note_second(
        self, t_us: int, speed_kmh: float | None, along: float | None, across: float | None, distance_m: float | None
    ) -> None:
        """State once a second; accelerations in m/s²."""
        if self._late(t_us):
            return
        if self._first_us is None:
            self._first_us = t_us
        self._last_us = max(self._last_us, t_us)
        if distance_m is not None:
            self._distance_m = distance_m
        self._trace.add(Point(self._seconds(t_us), _known(speed_kmh, 2), _in_g(along), _in_g(across)))

    def observed(self, name: str, inputs: str, **more: Any) -> Observed:
        """Everything, events in order of time. ``more``: further fields of ``Observed``."""
        length_us = 0 if self._first_us is None else self._last_us - self._first_us
        stories = sorted(self._stories.values(), key=lambda s: (s.last["t0_us"], s.first_us))
        base: dict[str, Any] = {
            "duration_s": round(length_us / 1e6, 3),
            "distance_m": round(self._distance_m, 1),
            "trips": self._trips,
        }
        findings = tuple(self._finding(story) for story in stories)
        return Observed(name=name, inputs=inputs, findings=findings, trace=self._trace.points(), **(base | more))

    def _late(self, t_us: int) -> bool:
        return self._until_us is not None and t_us > self._until_us

    def _seconds(self, t_us: int) -> float:
        return round((t_us - self._origin_us) / 1e6, 3)

    def _finding(self, story: _Story) -> Finding:
        last = story.last
        duration_ms = last.get("dur_ms")
        return Finding(
            kind=last["kind"],
            outcome=_outcome(story),
            t_s=self._seconds(last["t0_us"]),
            reported_s=None if last["kind"] in MANOEUVRES else self._seconds(story.first_us),
            level=last["level"],
            confidence=_known(last["conf"], 3) or 0.0,
            delta_v_kmh=_known(last.get("dv_kmh"), 2),
            delta_v_at_least="dv_lower_bound" in last["flags"],
            peak_g=_known(last.get("peak_g"), 3),
            duration_s=None if duration_ms is None else _known(duration_ms / 1000, 3),
            clock=last["clock"] or None,
            speed_before_kmh=_known(last.get("v_pre_kmh"), 1),
            speed_after_kmh=_known(last.get("v_post_kmh"), 1),
            lat_deg=_known(last.get("lat_deg"), 7),
            lon_deg=_known(last.get("lon_deg"), 7),
        )


def report_of(event: Event) -> dict[str, Any]:
    """An event under the names of the JSON output, as far as findings need it."""
    names = ("seq", "level", "t0_us", "t_detect_us", "lat_deg", "lon_deg", "clock", "conf", "dv_kmh", "peak_g")
    more = ("dur_ms", "v_pre_kmh", "v_post_kmh")
    report: dict[str, Any] = {name: getattr(event, name) for name in (*names, *more)}
    flags = ["dv_lower_bound"] if EventFlag.DV_LOWER_BOUND in event.flags else []
    return report | {"kind": event.kind.name.lower(), "phase": event.phase.name.lower(), "flags": flags}


def _outcome(story: _Story) -> str:
    if story.last["kind"] in MANOEUVRES:
        return "ended"
    if story.last["phase"] == "cancelled":
        return "withdrawn"
    return "confirmed" if story.confirmed else "suspected"


class Trace:
    """At most ``limit`` points: when it is full, neighbours become one, which keeps the larger acceleration."""

    def __init__(self, limit: int = TRACE_MAX) -> None:
        self._limit = limit
        self._points: list[Point] = []
        self._open: list[Point] = []
        self._width = 1

    def add(self, point: Point) -> None:
        self._open.append(point)
        if len(self._open) < self._width:
            return
        self._points.append(merged(self._open))
        self._open = []
        if len(self._points) >= self._limit:
            pairs = range(0, len(self._points), 2)
            self._points = [merged(self._points[at : at + 2]) for at in pairs]
            self._width *= 2

    def points(self) -> tuple[Point, ...]:
        """In order of time."""
        return (*self._points, *([merged(self._open)] if self._open else []))


def merged(points: list[Point]) -> Point:
    """One point for several: mean speed, the acceleration furthest from zero."""
    if len(points) == 1:
        return points[0]
    speeds = [p.speed_kmh for p in points if p.speed_kmh is not None]
    along = [p.along_g for p in points if p.along_g is not None]
    across = [p.across_g for p in points if p.across_g is not None]
    return Point(
        points[0].t_s,
        round(math.fsum(speeds) / len(speeds), 2) if speeds else None,
        max(along, key=abs, default=None),
        max(across, key=abs, default=None),
    )


def thinned(points: tuple[Point, ...], limit: int) -> tuple[Point, ...]:
    """At most ``limit`` points, for a small picture."""
    width = math.ceil(len(points) / limit) if points else 1
    return tuple(merged(list(points[at : at + width])) for at in range(0, len(points), width))


def _known(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)


def _in_g(value_mps2: float | None) -> float | None:
    return None if value_mps2 is None else _known(value_mps2 / G_MPS2, 4)
