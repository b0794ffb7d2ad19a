"""What happens to a car that stands: doors that fall shut, jacks, the hook of a tow truck.

Owns what these add to attitude and acceleration of the body, as functions of time. A door of 28 kg that falls shut
gives its momentum to the car, which swings back on its tyres (2.5 Hz) while panels ring (24 and 47 Hz): a sensor on
the dashboard feels some tenths of a g for a tenth of a second. Nothing of it changes the car's speed for good.
"""

from __future__ import annotations

import math
from typing import Final

from outrider.sim.free import Extra
from outrider.sim.scenario import Scenario
from outrider.sim.tables import Door

_DOOR_KG: Final = 28.0
_SHUT_S: Final = 0.012  # the seal takes the door up
_SWAY_HZ: Final = 2.5
_SWAY_DAMPING: Final = 0.25
_PANELS: Final = ((24.0, 1.1, 0.07), (47.0, 0.8, 0.04))  # Hz, m/s2 for each m/s of the door, time constant [s]
_LONGEST_S: Final = 2.0


class Standing:
    """``extra(t, h)``: what is added over the step that begins at ``t``."""

    def __init__(self, scenario: Scenario) -> None:
        self._mass = scenario.vehicle.mass_kg
        self._doors = scenario.door
        self._lifts = tuple((lift.at_s, lift.over_s, lift.roll_deg, lift.pitch_deg) for lift in scenario.lift)
        tow = scenario.tow
        if tow is not None:
            self._lifts = (*self._lifts, (tow.at_s, tow.lift_s, 0.0, -tow.lift_deg))  # nose up
        self.idle = not self._doors and not self._lifts

    def extra(self, t: float, h: float) -> Extra:
        out = Extra()
        for door in self._doors:
            if -h < t - door.at_s < _LONGEST_S:
                self._slam(door, t - door.at_s, h, out)
        before, after = self._attitude(t), self._attitude(t + h)
        out.roll, out.pitch = after
        out.roll_rate, out.pitch_rate = (after[0] - before[0]) / h, (after[1] - before[1]) / h
        return out

    def _slam(self, door: Door, since: float, h: float, out: Extra) -> None:
        side = -1.0 if door.side == "left" else 1.0  # the left door pushes to the right
        speed = _DOOR_KG * door.speed_mps / self._mass
        out.left += side * speed * (_sway(since + h) - _sway(since)) / h
        for hz, size, tau in _PANELS:
            ring = size * door.speed_mps * (_ring(hz, tau, since + h) - _ring(hz, tau, since)) / h
            out.left += 0.6 * ring
            out.up += 0.8 * ring

    def _attitude(self, t: float) -> tuple[float, float]:
        """(roll, pitch) [rad]; each lift goes on from where the one before it ended."""
        roll = pitch = 0.0
        for at, over, to_roll, to_pitch in self._lifts:
            if t <= at:
                break
            share = min(1.0, (t - at) / over)
            part = 0.5 - 0.5 * math.cos(math.pi * share)
            roll += (math.radians(to_roll) - roll) * part
            pitch += (math.radians(to_pitch) - pitch) * part
        return roll, pitch


def _ring(hz: float, tau: float, t: float) -> float:
    """Velocity of a panel whose acceleration begins at 1."""
    omega = 2.0 * math.pi * hz
    t = max(t, 0.0)
    return math.exp(-t / tau) * math.sin(omega * t) / omega


def _sway(t: float) -> float:
    """Velocity of a body on its tyres after a push of 1, taken up within ``_SHUT_S``."""
    if t <= 0.0:
        return 0.0
    x = min(t / _SHUT_S, 1.0)
    rise = x - math.sin(2.0 * math.pi * x) / (2.0 * math.pi)
    omega = 2.0 * math.pi * _SWAY_HZ
    swing = math.exp(-_SWAY_DAMPING * omega * t) * math.cos(omega * math.sqrt(1.0 - _SWAY_DAMPING**2) * t)
    return rise * swing
