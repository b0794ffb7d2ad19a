"""Whether a terminal on a bus said what replay says of the same drive. Pure.

What may differ, and why. A frame's time is the moment the kernel passed it on: the player's lateness and the grain of
the machine's scheduling, times the speed of the drive, move it. Sensors' samples move with it, so that a value
integrated over time (a change of velocity) moves a little too. What is decided (kind, phase, level, order) must not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

FINAL_PHASES: Final = {"end", "closed", "confirmed", "cancelled"}  # updates tell how far a verdict has got, on the way
NEAR_S: Final = 1.0  # what an event looks at before and behind itself
EARTH_M_PER_DEG: Final = 111_320.0
Content = dict[str, Any]
Span = tuple[float, float]  # seconds of the drive


@dataclass(frozen=True)
class Tolerance:
    """t_s: seconds of the drive. dv_kmh and dv_share: the larger counts. place_m: metres."""

    t_s: float
    dv_kmh: float = 1.0
    dv_share: float = 0.05
    place_m: float = 15.0


@dataclass(frozen=True)
class Difference:
    """The largest seen, for the record."""

    t_s: float = 0.0
    dv_kmh: float = 0.0
    place_m: float = 0.0


def final(events: Sequence[Content], until_s: float = math.inf) -> list[Content]:
    """Events as they were in the end, in order of their beginning; those noticed after ``until_s`` are left out."""
    kept = [e for e in events if e["phase"] in FINAL_PHASES and e["t_detect_us"] / 1e6 <= until_s]
    return sorted(kept, key=lambda e: (e["t0_us"], e["kind"], e["phase"]))


def shifted(events: Sequence[Content], zero_us: int) -> list[Content]:
    """The same events with times from ``zero_us`` on."""
    names = ("t0_us", "t_detect_us", "t_end_us")  # zero: has no end
    return [e | {name: e[name] - zero_us for name in names if e[name]} for e in events]


def set_aside(
    expected: Sequence[Content], found: Sequence[Content], disturbed: Sequence[Span]
) -> tuple[list[Content], list[Content]]:
    """Both lists without what lies in a disturbed part of the drive, or overlaps an event that does.

    Where the sender was late the terminal heard another drive: a silence of half a second is an event of its own, and
    may cut a turn in two. What it says about the rest must be right.
    """
    spans, wanted, got = list(disturbed), list(expected), list(found)
    while spoiled := [event for event in (*wanted, *got) if _touches(event, spans)]:
        wanted = [event for event in wanted if not _touches(event, spans)]
        got = [event for event in got if not _touches(event, spans)]
        spans = [_span(event) for event in spoiled]
    return wanted, got


def _span(event: Content) -> Span:
    first, last = event["t0_us"] / 1e6, max(event["t0_us"], event["t_end_us"]) / 1e6
    return first - NEAR_S, last + NEAR_S


def _touches(event: Content, spans: Sequence[Span]) -> bool:
    first, last = _span(event)
    return any(first <= end and begin <= last for begin, end in spans)


def disagreements(
    expected: Sequence[Content], found: Sequence[Content], tolerance: Tolerance
) -> tuple[list[str], Difference]:
    """What differs by more than it may, in sentences, and the largest differences of what was found."""
    wanted, got = [_name(e) for e in expected], [_name(e) for e in found]
    if wanted != got:
        return [f"replay finds {wanted}, the terminal {got}"], Difference()
    pairs = list(zip(expected, found, strict=True))
    wrong = [text for a, b in pairs for text in _apart(a, b, tolerance)]
    return wrong, Difference(
        max((abs(_t_s(a, b)) for a, b in pairs), default=0.0),
        max((abs(_dv(b) - _dv(a)) for a, b in pairs), default=0.0),
        max((_metres(a, b) for a, b in pairs), default=0.0),
    )


def _name(event: Content) -> tuple[str, str, int]:
    return event["kind"], event["phase"], event["level"]


def _apart(a: Content, b: Content, tolerance: Tolerance) -> list[str]:
    what = f"{a['kind']} at {a['t0_us'] / 1e6:.2f} s"
    wrong = []
    if abs(_t_s(a, b)) > tolerance.t_s:
        wrong.append(f"{what} begins {_t_s(a, b):+.3f} s away, allowed {tolerance.t_s} s")
    allowed = max(tolerance.dv_kmh, tolerance.dv_share * abs(_dv(a)))
    if abs(_dv(b) - _dv(a)) > allowed:
        wrong.append(f"{what}: change of velocity {_dv(b):.2f} km/h, replay says {_dv(a):.2f}, allowed {allowed:.2f}")
    if _metres(a, b) > tolerance.place_m:
        wrong.append(f"{what}: {_metres(a, b):.1f} m away, allowed {tolerance.place_m} m")
    return wrong


def _t_s(a: Content, b: Content) -> float:
    return float(b["t0_us"] - a["t0_us"]) / 1e6


def _dv(event: Content) -> float:
    return float(event["dv_kmh"] or 0.0)


def _metres(a: Content, b: Content) -> float:
    """Distance of the two places; without bounds when only one of the two has a place."""
    if (a.get("lat_deg") is None) != (b.get("lat_deg") is None):
        return math.inf
    if a.get("lat_deg") is None:
        return 0.0
    north = (b["lat_deg"] - a["lat_deg"]) * EARTH_M_PER_DEG
    east = (b["lon_deg"] - a["lon_deg"]) * EARTH_M_PER_DEG * math.cos(math.radians(a["lat_deg"]))
    return math.hypot(north, east)
