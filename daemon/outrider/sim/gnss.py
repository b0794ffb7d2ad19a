"""The satellite receiver: fixes with wandering errors, gaps in tunnels and a poor first fix after them.

Owns the error model. Each horizontal axis has a slow error (first-order Gauss-Markov, 90 s) and a white one; speed
comes from Doppler and is good; course follows from it and is lost at standstill. Places are WGS-84.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from outrider.sim.route import Datum
from outrider.sim.tables import Gnss, Start
from outrider.sim.track import Track

_LONG_S: Final = 600.0
_TAU_S: Final = 90.0
_WHITE_M: Final = 0.12
_SPEED_NOISE: Final = 0.06  # m/s, each axis
_CITY_FACTOR: Final = 2.4
_SETTLE_TAU_S: Final = 6.0  # the error of a first fix fades with this
_COAST_S: Final = 1.5  # without satellites the filter goes on for a moment
_UERE_M: Final = 1.9  # receivers print HDOP; one sigma = HDOP * this


@dataclass(frozen=True, slots=True)
class Solution:
    """One epoch. ``fix``: 0 none, 2 2D, 3 3D. Speeds m/s, course degrees clockwise from north, None = not known."""

    t: float
    fix: int
    lat_deg: float = 0.0
    lon_deg: float = 0.0
    alt_m: float = 0.0
    speed: float = 0.0
    course_deg: float | None = None
    hdop: float = 99.9
    sigma_m: float = 0.0
    sats: tuple[int, ...] = ()


class Receiver:
    """``solutions`` walks a track at the receiver's epochs (whole seconds of UTC and fractions)."""

    def __init__(self, spec: Gnss, start: Start, rng: Random) -> None:
        self._spec, self._rng = spec, rng
        self._datum = Datum(start.lat_deg, start.lon_deg)
        self._phase = -(start.utc.microsecond / 1e6) % (1.0 / spec.rate_hz)
        self._drift = [0.0, 0.0, 0.0]
        self._fresh = [0.0, 0.0, 0.0]  # extra error since the last first fix
        self._clear_since: float | None = None  # sky free since then
        self._fixed_at: float | None = -_LONG_S if start.speed_kmh > 0.0 else None  # on its way: fixed for long
        self._lost_at: float | None = None
        self._sats = sorted(rng.sample(range(1, 33), 11))

    def solutions(self, track: Track) -> Iterator[Solution]:
        period = 1.0 / self._spec.rate_hz
        end = track.columns["t"][-1] if len(track) else 0.0
        count = 0
        while (t := self._phase + count * period) <= end:
            count += 1
            yield self._solve(t, track, track.row_at(t))

    def _solve(self, t: float, track: Track, row: int) -> Solution:
        columns = track.columns
        sky = columns["sky"][row]
        self._walk()
        if not self._has_fix(t, sky):
            return Solution(t, 0)
        poor = _CITY_FACTOR if sky == 1.0 else 1.0
        fade = math.exp(-(t - self._fixed_at) / _SETTLE_TAU_S) if self._fixed_at is not None else 0.0
        sigma = self._spec.sigma_m * poor
        error = [
            self._drift[i] * poor + self._fresh[i] * fade + _WHITE_M * poor * self._rng.gauss(0.0, 1.0)
            for i in range(3)
        ]
        lat, lon = self._datum.place(columns["east"][row] + error[0], columns["north"][row] + error[1])
        east, north = self._velocity(columns, row, t, poor)
        speed = math.hypot(east, north)
        used = self._sats[: max(4, round((9 - 4 * (sky == 1.0)) * (1.0 - 0.5 * fade)))]
        hdop = round(math.sqrt(2.0) * sigma / _UERE_M * (1.0 + 2.0 * fade) + 0.1 * self._rng.random() + 0.15, 2)
        return Solution(
            t,
            3 if len(used) > 4 else 2,
            lat,
            lon,
            columns["up"][row] + error[2] * 1.6,
            speed,
            math.degrees(math.atan2(east, north)) % 360.0 if speed > 0.7 else None,
            hdop,
            sigma * (1.0 + 3.0 * fade),
            tuple(used),
        )

    def _velocity(self, columns: dict[str, array[float]], row: int, t: float, poor: float) -> tuple[float, float]:
        """Speed over ground east and north, with Doppler noise; too low or high right after a first fix."""
        speed, course = columns["ground_v"][row], columns["course"][row] + columns["drift"][row]
        if columns["crash"][row] == 0.0:
            speed = columns["v"][row]
        fade = math.exp(-(t - self._fixed_at) / 1.0) if self._fixed_at is not None else 0.0
        speed *= 1.0 - 0.25 * fade
        noise = _SPEED_NOISE * poor
        return (
            speed * math.cos(course) + noise * self._rng.gauss(0.0, 1.0),
            speed * math.sin(course) + noise * self._rng.gauss(0.0, 1.0),
        )

    def _walk(self) -> None:
        keep = math.exp(-1.0 / (self._spec.rate_hz * _TAU_S))
        size = self._spec.sigma_m * math.sqrt(1.0 - keep * keep)
        for i in range(3):
            self._drift[i] = keep * self._drift[i] + size * self._rng.gauss(0.0, 1.0)

    def _has_fix(self, t: float, sky: float) -> bool:
        """Fix now? Coasts shortly into a tunnel; needs its time to come back."""
        if sky == 2.0:
            self._clear_since = None
            if self._fixed_at is not None and self._lost_at is None:
                self._lost_at = t
            if self._lost_at is not None and t - self._lost_at < _COAST_S:
                return True
            self._fixed_at = None
            return False
        if self._fixed_at is not None:
            self._lost_at = None
            return True
        if self._clear_since is None:
            self._clear_since = t
        needed = self._spec.reacquire_s if self._lost_at is not None else self._spec.first_fix_s
        if t - self._clear_since < needed:
            return False
        self._fixed_at, self._lost_at = t, None
        self._fresh = [self._rng.gauss(0.0, 6.0) for _ in range(3)]
        return True
