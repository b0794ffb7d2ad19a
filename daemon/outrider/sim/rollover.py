"""A car that rolls over: a rigid body in the plane across its way, on springs at its corners.

Owns the equations of that plane (across, up, roll); the way over ground stays with ``free.py``. Nothing of the motion
is laid down: how often the car turns and on which side it ends follows from speed, friction, shape and mass. Masses
and sizes are those of an ordinary passenger car (centre of gravity 0.55 m, track 1.54 m: a static stability factor of
1.40, as NHTSA lists for passenger cars; radius of gyration in roll 0.62 m). Peak roll rates of 200 to 400 degrees a
second and a contact a quarter turn are what staged rollovers show (Orlowski, Bundorf, Moffatt: Rollover Crash Tests,
SAE 851734).

Axes: y left, z up, roll + right side down. Friction works against each corner's way over ground.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from outrider.sim.plan import G
from outrider.sim.tables import Rollover

_CG_M: Final = 0.55
_HALF_TRACK_M: Final = 0.77
_GYRATION2: Final = 0.385  # m2
_STEP_S: Final = 0.00025
_SLIP: Final = 0.15  # m/s: below, friction fades
_LIFTED: Final = math.radians(50.0)  # from here the wheels dig no more
_STILL: Final = 0.06  # rad/s and m/s
_QUIET_S: Final = 0.3  # longer than a body pauses while it rocks

# (y, z) from the centre of gravity, stiffness and damping per kilogram of the car [1/s2, 1/s]: springs and tyres at the
# wheels, sheet metal that gives back little elsewhere
_WHEELS: Final = ((-_HALF_TRACK_M, -_CG_M), (_HALF_TRACK_M, -_CG_M))
_METAL: Final = ((-0.88, -0.15), (0.88, -0.15), (-0.88, 0.25), (0.88, 0.25), (-0.58, 0.90), (0.58, 0.90))
_CORNERS: Final = tuple((y, z, 46.0, 3.6, True) for y, z in _WHEELS) + tuple(
    (y, z, 260.0, 19.0, False) for y, z in _METAL
)


@dataclass(slots=True)
class Moved:
    """Means over a step [m/s2, rad/s]."""

    along: float
    across: float
    up: float
    roll_rate: float


class Tumble:
    """``step`` from the moment the wheels dig in; ``roll`` is the attitude, ``settled`` once it lies still."""

    def __init__(self, spec: Rollover) -> None:
        self._dig, self._scrape = spec.trip_g, spec.scrape_g
        self._z = _CG_M - G / (2.0 * 46.0)
        self._w = 0.0
        self._rate = 0.0
        self._digging = True
        self._quiet_s = 0.0
        self.roll = 0.0
        self.peak_rate = 0.0
        self.settled = False

    def step(self, along: float, across: float, h: float) -> Moved:
        """Advance by ``h`` from these velocities over ground along the car and to its left."""
        if self.settled:
            return Moved(0.0, 0.0, 0.0, 0.0)
        count = max(1, math.ceil(h / _STEP_S))
        dt = h / count
        x, y, w, roll = along, across, self._w, self.roll
        for _ in range(count):
            ax, ay, az, turn = self._forces(x, y)
            x, y = x + ax * dt, y + ay * dt
            self._w += (az - G) * dt
            self._z += self._w * dt
            self._rate += turn * dt
            self.roll += self._rate * dt
            self.peak_rate = max(self.peak_rate, abs(self._rate))
        quiet = max(abs(self._rate), abs(self._w), math.hypot(x, y)) < _STILL
        self._quiet_s = self._quiet_s + h if quiet else 0.0
        self.settled = self._quiet_s > _QUIET_S
        if self.settled:
            self._rate = self._w = 0.0
        return Moved((x - along) / h, (y - across) / h, (self._w - w) / h, (self.roll - roll) / h)

    def _forces(self, x: float, y: float) -> tuple[float, float, float, float]:
        """Accelerations by the ground along, left and up [m/s2], and of the roll [rad/s2]."""
        cos, sin = math.cos(self.roll), math.sin(self.roll)
        self._digging = self._digging and abs(self.roll) < _LIFTED
        ax = ay = az = turn = 0.0
        for yb, zb, stiff, damp, wheel in _CORNERS:
            ry, rz = yb * cos - zb * sin, yb * sin + zb * cos
            deep = -(self._z + rz)
            if deep <= 0.0:
                continue
            vy, vz = y - self._rate * rz, self._w + self._rate * ry
            push = max(0.0, stiff * deep - damp * vz)
            slip = math.hypot(x, vy)
            grip = (self._dig if wheel and self._digging else self._scrape) * push / max(slip, _SLIP)
            fx, fy = -grip * x, -grip * vy
            ax, ay, az = ax + fx, ay + fy, az + push
            turn += (ry * push - rz * fy) / _GYRATION2
        return ax, ay, az, turn
