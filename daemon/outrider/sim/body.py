"""The sprung body: how it pitches and rolls under the accelerations of the drive.

Two independent second-order systems (an ordinary car: 1.4 and 1.6 Hz, lightly damped). Angles in rad after ISO 8855:
roll + right side down, pitch + nose down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from outrider.sim.plan import G

_PITCH_PER_G: Final = math.radians(2.2)
_ROLL_PER_G: Final = math.radians(3.8)
_CLIP_G: Final = 1.2  # the bump stops


@dataclass(slots=True)
class _Swing:
    """A damped oscillator that follows a wanted angle."""

    hz: float
    damping: float
    angle: float = 0.0
    rate: float = 0.0

    def step(self, wanted: float, h: float) -> None:
        omega = 2.0 * math.pi * self.hz
        self.rate += h * (omega * omega * (wanted - self.angle) - 2.0 * self.damping * omega * self.rate)
        self.angle += h * self.rate


@dataclass(slots=True)
class Body:
    pitch: _Swing = field(default_factory=lambda: _Swing(1.4, 0.38))
    roll: _Swing = field(default_factory=lambda: _Swing(1.6, 0.35))

    def step(self, forward: float, left: float, road_roll: float, h: float) -> None:
        """Accelerations [m/s2] of the drive along the car's axes."""
        self.pitch.step(-_PITCH_PER_G * _clip(forward), h)
        self.roll.step(_ROLL_PER_G * _clip(left) + road_roll, h)


def _clip(accel: float) -> float:
    return max(-_CLIP_G, min(_CLIP_G, accel / G))


def to_body(accel: tuple[float, float, float], pitch: float, roll: float) -> tuple[float, float, float]:
    """A vector in road axes (x along the road, y left, z up) seen in the axes of the pitched and rolled body."""
    ax, ay, az = accel
    cp, sp = math.cos(pitch), math.sin(pitch)
    x, z = ax * cp - az * sp, ax * sp + az * cp
    cr, sr = math.cos(roll), math.sin(roll)
    return x, ay * cr + z * sr, z * cr - ay * sr


def body_rates(
    yaw: float, pitch: float, roll: float, pitch_rate: float, roll_rate: float
) -> tuple[float, float, float]:
    """Angular rate [rad/s] in body axes of a body that yaws, then pitches, then rolls."""
    sp, cp = math.sin(pitch), math.cos(pitch)
    sr, cr = math.sin(roll), math.cos(roll)
    return roll_rate - yaw * sp, pitch_rate * cr + yaw * cp * sr, yaw * cp * cr - pitch_rate * sr
