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
STALL_NEAR_US: Final = 5_000_000
EARTH_M_PER_DEG: Final = 111_320.0
Content = dict[str, Any]


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
    return [e | {name: e[name] - zero_us for name in ("t0_us", "t_detect_us")} for e in events]


def set_aside(expected: Sequence[Content], found: Sequence[Content]) -> tuple[list[Content], list[Content], int]:
    """Both lists without what a stalled machine made of them, and the number of stalls.

    A sender that stands still for 50 ms of a drive at ten times its speed makes a silence of half a second, which is
    an event of its own (buses fall silent at speed, and it goes on) and may spoil others around it. Whether it was the
    sender that stalled is for the caller to check: he knows how late it was.
    """
    stalls = [e for e in found if _is_stall(e)]

    def clear(event: Content) -> bool:
        return not any(abs(event["t0_us"] - stall["t0_us"]) < STALL_NEAR_US for stall in stalls)

    return [e for e in expected if clear(e)], [e for e in found if clear(e)], len(stalls)


def _is_stall(event: Content) -> bool:
    return bool(event["kind"] == "bus_lost_moving" and event["phase"] == "cancelled")


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
