"""A terminal that comes off its holder: falls, bounces, lies, and is put back by a hand.

Owns the sensor's attitude in the car and what it feels beside the car's motion, as functions of time. In free fall a
sensor feels nothing; each landing gives it back its speed within some milliseconds (cases of plastic on a carpeted
floor bounce with about a third of it); a hand turns it within seconds and trembles at some hertz.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Final

from outrider.sim.mounting import Matrix, Vector, applied, axis_and_angle, mounting_matrix, turned
from outrider.sim.plan import G
from outrider.sim.tables import Device, Mounting

_BOUNCE: Final = 0.33
_LANDING_S: Final = 0.008
_LANDINGS: Final = 3
_TREMBLE: Final = 0.9  # m/s2
_TREMBLE_HZ: Final = (1.7, 4.3)
_NONE: Final = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Hold:
    """How the sensor is held at one moment. ``free``: it falls and feels nothing of the car.

    ``push``: specific force beside that [m/s2], ``turn``: angular rate [rad/s], both in the sensor's axes.
    """

    matrix: Matrix
    free: bool = False
    push: Vector = _NONE
    turn: Vector = _NONE


@dataclass(frozen=True, slots=True)
class _Flight:
    """One arc from ``begin`` to the landing at ``end``; ``speed``: taken off by the landing [m/s]."""

    begin: float
    end: float
    speed: float


class Handling:
    """``hold(t)`` at any time."""

    def __init__(self, device: Device, mounting: Mounting, rng: Random) -> None:
        self._device = device
        self._first, self._lying = mounting_matrix(mounting), mounting_matrix(device.lies)
        self._back = mounting_matrix(device.back)
        self._flights = _flights(device)
        self._tremble = tuple((rng.uniform(*_TREMBLE_HZ), rng.uniform(0.0, 2.0 * math.pi)) for _ in range(3))

    def hold(self, t: float) -> Hold:
        device = self._device
        last = self._flights[-1].end
        if t < device.at_s:
            return Hold(self._first)
        if t < last + _LANDING_S:
            return self._falling(t)
        again = device.remount_s
        if again is None or t < again:
            return Hold(self._lying)
        if t < again + device.hand_s:
            return self._in_hand((t - again) / device.hand_s, t, device.hand_s)
        return Hold(self._back)

    def _falling(self, t: float) -> Hold:
        """Tumbles through the first arc; lies as it will lie from the first landing on."""
        first = self._flights[0]
        matrix, turn = self._lying, _NONE
        if t < first.end:
            share = (t - first.begin) / (first.end - first.begin)
            matrix, turn = _between(self._first, self._lying, share, 1.0 / (first.end - first.begin))
        for flight in self._flights:
            since = t - flight.end
            if 0.0 <= since < _LANDING_S:
                size = flight.speed / _LANDING_S * (1.0 - math.cos(2.0 * math.pi * since / _LANDING_S))
                return Hold(matrix, True, applied(matrix, (0.0, 0.0, size)), turn)
        return Hold(matrix, True, _NONE, turn)

    def _in_hand(self, share: float, t: float, length: float) -> Hold:
        smooth = 0.5 - 0.5 * math.cos(math.pi * share)
        speed = 0.5 * math.pi / length * math.sin(math.pi * share)
        matrix, turn = _between(self._lying, self._back, smooth, speed)
        size = _TREMBLE * math.sin(math.pi * share)
        x, y, z = (size * math.sin(2.0 * math.pi * hz * t + phase) for hz, phase in self._tremble)
        return Hold(matrix, False, (x, y, z), turn)


def _flights(device: Device) -> tuple[_Flight, ...]:
    """The fall and its bounces; a landing takes the speed down and gives the way up of the next."""
    begin, speed = device.at_s, math.sqrt(2.0 * G * device.drop_m)
    length = speed / G
    found = []
    for number in range(_LANDINGS):
        up = _BOUNCE * speed if number < _LANDINGS - 1 else 0.0
        found.append(_Flight(begin, begin + length, speed + up))
        begin += length + _LANDING_S
        speed, length = up, 2.0 * up / G
    return tuple(found)


def _between(a: Matrix, b: Matrix, share: float, speed: float) -> tuple[Matrix, Vector]:
    """Attitude between two, turned about one axis, and the angular rate at ``speed`` shares a second."""
    axis, angle = axis_and_angle(a, b)
    x, y, z = (value * angle * speed for value in axis)
    return turned(a, axis, angle * share), (x, y, z)
