"""The impact: how velocity changes within a crash pulse.

Shapes follow what event data recorders and barrier tests show (NHTSA CISS event-recorder delta-v curves; NHTSA test
10146, a 57 km/h barrier test with 10 kHz accelerometers): frontal pulses last 70 to 150 ms; stiff ones against poles
and bridge heads have most of the change within 40 ms; car structures answer in two humps, crush zone then engine and
compartment (test 10146: 20 g around 15 to 25 ms, 38 g around 65 ms); velocity swings past its largest change and comes
back by 1 to 4 per cent; under it ring the structure's own modes at tens of hertz, whose integral is nothing. The
functions here are our own; no recorded curve is used.

Each component is a haversine of acceleration, (1 - cos 2 pi x)/T, whose integral over [0, T] is 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Final

from outrider.sim.tables import Again, Crash

# (share of delta-V, begin, end) in units of the pulse duration
_SHAPES: Final = {
    "haversine": ((1.0, 0.0, 1.0),),
    "bimodal": ((0.36, 0.0, 0.52), (0.64, 0.30, 1.0)),
    "stiff": ((0.84, 0.0, 0.55), (0.16, 0.40, 1.0)),
}
_REBOUND_SPAN: Final = 1.1  # the way back lasts about as long as the pulse


@dataclass(frozen=True, slots=True)
class Ring:
    """One mode of the structure: velocity amplitude [m/s], frequency [Hz], phase."""

    amplitude: float
    hz: float
    phase: float


class Pulse:
    """Change of velocity in the car's axes since contact, in m/s, as a function of time since contact in s."""

    def __init__(self, crash: Crash | Again, rng: Random) -> None:
        self.duration_s = crash.duration_ms / 1000.0
        self.total_s = self.duration_s * (1.0 + _REBOUND_SPAN)
        self.delta_v = crash.delta_v_kmh / 3.6
        angle = math.radians(crash.pdof_deg)
        # force from the front pushes backwards, force from the left pushes to the right
        self._x, self._y = -math.cos(angle), -math.sin(angle)
        self._parts = _SHAPES[crash.shape]
        self._rebound = crash.rebound
        self._rings = tuple(
            Ring(self.delta_v * rng.uniform(0.004, 0.009), rng.uniform(low, high), rng.uniform(0.0, 2.0 * math.pi))
            for low, high in ((28.0, 40.0), (55.0, 75.0), (90.0, 130.0))
        )
        self._vertical = Ring(self.delta_v * rng.uniform(0.015, 0.025), rng.uniform(18.0, 26.0), 0.0)

    def velocity(self, t: float) -> tuple[float, float, float]:
        """(forward, left, up) [m/s] at ``t`` seconds after contact."""
        if t <= 0.0:
            return 0.0, 0.0, 0.0
        main = self.delta_v * self.progress(t)
        across = up = 0.0
        if t < self.total_s:
            window = math.sin(math.pi * min(t / self.duration_s, 1.0)) ** 2
            for ring in self._rings:
                main += window * ring.amplitude * math.sin(2.0 * math.pi * ring.hz * t + ring.phase)
            first = self._rings[0]
            across = window * 0.4 * first.amplitude * math.sin(2.0 * math.pi * first.hz * 1.3 * t)
            up = window * self._vertical.amplitude * math.sin(2.0 * math.pi * self._vertical.hz * t)
        return main * self._x - across * self._y, main * self._y + across * self._x, up

    def progress(self, t: float) -> float:
        """Share of delta-V reached, without the ringing: 1 at the end of the pulse, less after the rebound."""
        share = sum(
            part * _haversine_integral(t, a * self.duration_s, b * self.duration_s) for part, a, b in self._parts
        )
        return share - self._rebound * _haversine_integral(t, self.duration_s, self.total_s)

    def peak(self) -> tuple[float, float]:
        """(largest horizontal change of velocity [m/s], its time [s]) with all that rings, on a 0.1 ms grid."""
        best, when = 0.0, 0.0
        for i in range(int(self.total_s * 1e4) + 1):
            x, y, _ = self.velocity(i / 1e4)
            size = math.hypot(x, y)
            if size > best:
                best, when = size, i / 1e4
        return best, when

    def peak_accel(self, mean_s: float = 0.010) -> float:
        """Largest horizontal acceleration [m/s2] as a mean over ``mean_s``."""
        best = 0.0
        for i in range(int(self.total_s * 1e3) + 1):
            a, b = self.velocity(i / 1e3), self.velocity(i / 1e3 + mean_s)
            best = max(best, math.hypot(b[0] - a[0], b[1] - a[1]) / mean_s)
        return best


def _haversine_integral(t: float, begin: float, end: float) -> float:
    x = (t - begin) / (end - begin)
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    return x - math.sin(2.0 * math.pi * x) / (2.0 * math.pi)
