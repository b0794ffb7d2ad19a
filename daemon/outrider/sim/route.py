"""The road: curvature, grade, surface and sky along the path, and the way from metres to WGS-84.

Owns geometry only; who drives on it how fast is ``plan.py``. Positions along the path are metres from its start (s);
curvature is 1/m, + to the left; ground coordinates are metres east and north of the start.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from outrider.sim.scenario import Scenario
from outrider.sim.tables import Leg, Sky, Surface

STEP_M: Final = 0.5
_TAIL_M: Final = 400.0  # road beyond the last leg, for whoever slides or overshoots
_GRADE_BLEND_M: Final = 30.0

# WGS-84 ellipsoid: semi-major axis and first eccentricity squared (NIMA TR8350.2).
_A: Final = 6_378_137.0
_E2: Final = 6.694_379_990_14e-3


@dataclass(frozen=True, slots=True)
class Stretch:
    """One leg as laid out: where it begins and ends."""

    leg: Leg
    begin_m: float
    end_m: float


class Route:
    """The path of a scenario as tables over s; lookups interpolate and clamp at the ends."""

    def __init__(self, stretches: tuple[Stretch, ...], curvature: array[float], grade: array[float]) -> None:
        self.stretches = stretches
        self.length_m = stretches[-1].end_m if stretches else 0.0
        self._curvature = curvature
        self._grade = grade
        self._ends = [stretch.end_m for stretch in stretches]

    def curvature(self, s: float) -> float:
        """1/m at s, + to the left."""
        return _lookup(self._curvature, s)

    def grade(self, s: float) -> float:
        """Rise over run at s, + uphill."""
        return _lookup(self._grade, s)

    def index(self, s: float) -> int:
        """Number of the stretch that s lies in."""
        return min(bisect_right(self._ends, s), len(self._ends) - 1)

    def surface(self, index: int) -> Surface:
        return self.stretches[index].leg.surface if self.stretches else "smooth"

    def sky(self, index: int) -> Sky:
        return self.stretches[index].leg.sky if self.stretches else "open"

    def place(self, leg: int, at_m: float) -> float:
        """s of a place given as leg (from 1) and metres into it."""
        return self.stretches[leg - 1].begin_m + at_m


def _lookup(table: array[float], s: float) -> float:
    x = s / STEP_M
    i = int(x)
    if i < 0:
        return table[0]
    if i >= len(table) - 1:
        return table[-1]
    part = x - i
    return table[i] * (1.0 - part) + table[i + 1] * part


def build_route(scenario: Scenario) -> Route:
    stretches: list[Stretch] = []
    at = 0.0
    for leg in scenario.leg:
        length = leg.length_m if leg.length_m is not None else curve_length_m(leg)
        stretches.append(Stretch(leg, at, at + length))
        at += length
    count = int((at + _TAIL_M) / STEP_M) + 2
    curvature = array("d", bytes(8 * count))
    grade = array("d", bytes(8 * count))
    for stretch in stretches:
        if stretch.leg.radius_m is not None:
            _lay_curve(curvature, stretch)
        for change in stretch.leg.lane_change:
            _lay_lane_change(curvature, stretch.begin_m + change.at_m, change.length_m, change.offset_m)
        first = int(stretch.begin_m / STEP_M)
        last = count if stretch is stretches[-1] else int(stretch.end_m / STEP_M)
        for i in range(first, last):
            grade[i] = stretch.leg.grade_percent / 100.0
    return Route(tuple(stretches), curvature, _smooth(grade, int(_GRADE_BLEND_M / STEP_M)))


def curve_length_m(leg: Leg) -> float:
    """Length of a curve with transitions: the arc at full curvature plus one transition length."""
    assert leg.radius_m is not None
    return math.radians(abs(leg.turn_deg)) * leg.radius_m + _transition_m(leg)


def _transition_m(leg: Leg) -> float:
    """A transition takes up to 0.4 of the arc, at most the radius (roads in towns have short ones)."""
    assert leg.radius_m is not None
    return min(0.4 * math.radians(abs(leg.turn_deg)) * leg.radius_m, leg.radius_m)


def _lay_curve(table: array[float], stretch: Stretch) -> None:
    """Curvature rises and falls as half a cosine, so that steering angle and its rate are smooth."""
    leg = stretch.leg
    assert leg.radius_m is not None
    peak = math.copysign(1.0 / leg.radius_m, leg.turn_deg)
    ramp = _transition_m(leg)
    for i in range(int(stretch.begin_m / STEP_M), int(stretch.end_m / STEP_M) + 1):
        inside = min(i * STEP_M - stretch.begin_m, stretch.end_m - i * STEP_M)
        if inside >= ramp:
            table[i] += peak
        elif inside > 0.0:
            table[i] += peak * 0.5 * (1.0 - math.cos(math.pi * inside / ramp))


def _lay_lane_change(table: array[float], begin: float, length: float, offset: float) -> None:
    """y(x) = W (x/L - sin(2 pi x/L)/2 pi): curvature y'' is one full sine, heading comes back to what it was."""
    amplitude = 2.0 * math.pi * offset / (length * length)
    for i in range(int(begin / STEP_M), int((begin + length) / STEP_M) + 1):
        x = i * STEP_M - begin
        if 0.0 <= x <= length:
            table[i] += amplitude * math.sin(2.0 * math.pi * x / length)


def _smooth(table: array[float], width: int) -> array[float]:
    """Moving mean: a step of grade becomes a vertical curve."""
    sums = [0.0]
    for value in table:
        sums.append(sums[-1] + value)
    out = array("d", bytes(8 * len(table)))
    for i in range(len(table)):
        low, high = max(0, i - width // 2), min(len(table), i + width // 2 + 1)
        out[i] = (sums[high] - sums[low]) / (high - low)
    return out


class Datum:
    """East and north metres around a start point to WGS-84 degrees (radii of curvature at the start's latitude).

    Good to 1 m within 20 km of the start.
    """

    def __init__(self, lat_deg: float, lon_deg: float) -> None:
        self._lat, self._lon = lat_deg, lon_deg
        sine = math.sin(math.radians(lat_deg))
        w = math.sqrt(1.0 - _E2 * sine * sine)
        self._meridian = _A * (1.0 - _E2) / (w * w * w)
        self._parallel = _A / w * math.cos(math.radians(lat_deg))

    def place(self, east_m: float, north_m: float) -> tuple[float, float]:
        """(latitude, longitude) in degrees."""
        lat = self._lat + math.degrees(north_m / self._meridian)
        return lat, self._lon + math.degrees(east_m / self._parallel)
