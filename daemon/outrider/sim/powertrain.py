"""Engine and gearbox: what acceleration the car can give, and what rpm, throttle and fuel that takes.

A six-speed automatic and a 1.5 l petrol engine of ordinary numbers; longitudinal force balance of a point mass with
rolling resistance, air drag and grade. SI inside, the names carry other units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Self

from outrider.sim.plan import G

_RATIOS: Final = (3.77, 2.09, 1.42, 1.08, 0.85, 0.69)
_FINAL: Final = 4.05
_WHEEL_M: Final = 0.31
_EFFICIENCY: Final = 0.92
_ROLLING: Final = 0.011
_DRAG: Final = 0.5 * 1.2 * 0.66  # half air density times drag area
_ROTATING: Final = 1.05  # share of rotating mass
_IDLE_RPM: Final = 780.0
_SHIFT_S: Final = 0.28
_WHEELS_KGM2: Final = 2.0  # two driven wheels with brakes and shafts
_ENGINE_KGM2: Final = 0.15
_N_PER_BAR: Final = 215.0
# Willans line: fuel power = (brake work + friction) / indicated efficiency; petrol 42.5 kJ/g, 745 g/l.
_FUEL_J_PER_G: Final = 0.40 * 42_500.0
_FRICTION_NM: Final = 15.0
_ACCESSORY_W: Final = 1300.0
_G_PER_L: Final = 745.0


@dataclass(slots=True)
class Powertrain:
    """State of engine and gearbox; ``limit`` then ``settle`` once per step."""

    mass_kg: float
    rpm: float = 0.0
    gear: int = 0
    throttle: float = 0.0  # 0..1
    torque_nm: float = 0.0
    brake_bar: float = 0.0
    fuel_lph: float = 0.0
    _shift_left_s: float = 0.0
    _gear_age_s: float = 9.0

    @classmethod
    def running_at(cls, mass_kg: float, v: float) -> Self:
        """As it is in a car that goes steadily at ``v``; off in one that stands."""
        made = cls(mass_kg)
        if v > 0.0:
            ratio = v / _WHEEL_M * _FINAL * 60.0 / (2.0 * math.pi)
            made.gear = next((i + 1 for i, r in enumerate(_RATIOS) if r * ratio < 2000.0), len(_RATIOS))
            made.rpm = max(_IDLE_RPM, _RATIOS[made.gear - 1] * ratio)
        return made

    def rotating_kg(self) -> float:
        """Mass that the driven wheels, gears and engine are when they spin up alone."""
        ratio = _RATIOS[max(self.gear, 1) - 1] * _FINAL
        return (_WHEELS_KGM2 + _ENGINE_KGM2 * ratio * ratio) / (_WHEEL_M * _WHEEL_M)

    def limit(self, wanted: float, v: float, grade: float) -> float:
        """The acceleration that engine and gearbox give when ``wanted`` is asked for (braking is not limited here)."""
        if wanted <= 0.0:
            return wanted
        if self._shift_left_s > 0.0:
            wanted *= 0.45
        resist = self._resistance(v, grade)
        force = _max_torque(self._sync_rpm(v)) * self._leverage()
        return min(wanted, max(0.0, (force - resist) / (_ROTATING * self.mass_kg)))

    def settle(self, accel: float, v: float, grade: float, h: float, engine_on: bool) -> None:
        """Rpm, gear, throttle, brake and fuel that belong to ``accel`` at ``v``."""
        if not engine_on:
            self._off(accel, h)
            return
        force = _ROTATING * self.mass_kg * accel + (self._resistance(v, grade) if v > 0.05 else 0.0)
        torque = force / self._leverage()
        drag = -(12.0 + 0.008 * self.rpm) if v > 1.5 else 0.0
        self.brake_bar = max(0.0, (drag - torque) * self._leverage() / _N_PER_BAR)
        if v == 0.0:
            self.brake_bar = 9.0
        self.torque_nm = max(torque, drag)
        self._choose_gear(v, h)
        full = _max_torque(self.rpm)
        wanted = min(1.0, max(0.0, self.torque_nm) / full)
        self.throttle += (wanted - self.throttle) * min(1.0, h / 0.12)
        sync = self._sync_rpm(v) if v > 0.3 else _IDLE_RPM
        self.rpm += (max(_IDLE_RPM, sync) - self.rpm) * min(1.0, h / 0.15)
        self.fuel_lph = self._fuel()

    def _off(self, accel: float, h: float) -> None:
        self.rpm = max(0.0, self.rpm - 1400.0 * h)
        self.throttle = self.torque_nm = self.fuel_lph = 0.0
        self.brake_bar = min(60.0, max(0.0, -accel * self.mass_kg / _N_PER_BAR))

    def _resistance(self, v: float, grade: float) -> float:
        return self.mass_kg * G * (_ROLLING + grade) + _DRAG * v * v

    def _leverage(self) -> float:
        return _RATIOS[max(self.gear, 1) - 1] * _FINAL * _EFFICIENCY / _WHEEL_M

    def _sync_rpm(self, v: float) -> float:
        """Rpm at locked clutch; the converter slips at low speed."""
        locked = v / _WHEEL_M * _RATIOS[max(self.gear, 1) - 1] * _FINAL * 60.0 / (2.0 * math.pi)
        return max(locked, _IDLE_RPM + (900.0 * self.throttle if self.gear == 1 else 0.0))

    def _choose_gear(self, v: float, h: float) -> None:
        self._shift_left_s = max(0.0, self._shift_left_s - h)
        self._gear_age_s += h
        if self.gear == 0:
            self.gear = 1
        if self._gear_age_s < 1.0:
            return
        rpm = self._sync_rpm(v)
        up = 1850.0 + 3000.0 * self.throttle * self.throttle + 300.0 * self.throttle
        down = 1150.0 + 1500.0 * self.throttle * self.throttle
        if rpm > up and self.gear < len(_RATIOS) and rpm * _RATIOS[self.gear] / _RATIOS[self.gear - 1] > down + 80.0:
            self._shift(+1)
        elif rpm < down and self.gear > 1:
            self._shift(-1)

    def _shift(self, step: int) -> None:
        self.gear += step
        self._gear_age_s = 0.0
        self._shift_left_s = _SHIFT_S if step > 0 else 0.0

    def _fuel(self) -> float:
        """Litres an hour; the injectors close in overrun."""
        if self.torque_nm < -5.0 and self.rpm > 1300.0:
            return 0.0
        omega = self.rpm * 2.0 * math.pi / 60.0
        power = (max(self.torque_nm, 0.0) + _FRICTION_NM) * omega + _ACCESSORY_W
        return power / _FUEL_J_PER_G * 3600.0 / _G_PER_L


def _max_torque(rpm: float) -> float:
    """Full-load torque [Nm]: 205 Nm around 3,600 rpm, falling to both sides."""
    x = (rpm - 3600.0) / 3600.0
    return max(60.0, 205.0 * (1.0 - 0.42 * x * x))
