"""What the control units put into their messages: physical values in the order of the DBC's signals.

Counters and checksums are added by ``can.py``. A function gets the row of the track and the time in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Final

from outrider.sim.plan import G
from outrider.sim.road import TRACK_M
from outrider.sim.scenario import Scenario
from outrider.sim.track import Track
from outrider.sim.vehicle import Moments

Values = Callable[[int, float], tuple[float, ...]]

_AMBIENT_DEGC: Final = 11.0
_SLIP_PER_G: Final = 0.025  # driven front wheels under traction, all under braking
_WHEEL_FLOOR: Final = 0.15  # m/s: below, a wheel sensor counts no teeth


def coolant_degc(t: float) -> float:
    """Warms up from ambient to 90 degC with a time constant of 160 s."""
    return _AMBIENT_DEGC + (90.0 - _AMBIENT_DEGC) * (1.0 - math.exp(-t / 160.0))


def fuel_percent(litres: float, scenario: Scenario) -> float:
    return min(100.0, 100.0 * litres / scenario.vehicle.tank_l)


class Contents:
    """``of(name)`` is the function that fills a message."""

    def __init__(self, scenario: Scenario, track: Track, moments: Moments, rng: Random) -> None:
        self._scenario, self._moments, self._rng = scenario, moments, rng
        self._c = track.columns
        crash = scenario.crash
        self.airbag_at: float | None = None
        if crash is not None and crash.airbag_ms is not None and moments.crash is not None:
            self.airbag_at = moments.crash + crash.airbag_ms / 1e3
        self._vin_part = -1

    def of(self, name: str) -> Values:
        functions: dict[str, Values] = {
            "SRS_Status": self._restraints,
            "ENG_Speed": self._engine,
            "BRK_Status": self._brake,
            "ESC_Speed": self._speed,
            "ESC_Wheels": self._wheels,
            "ESC_Dynamics": self._dynamics,
            "TCM_Gear": self._gear,
            "BCM_Power": self._power,
            "ENG_Temperature": self._temperatures,
            "ENG_Fuel": self._fuel,
            "IC_Odometer": lambda row, now: (self._c["odo"][row],),
            "BMS_Battery": self._battery,
            "TPM_Pressure": self._tyres,
            "GW_Vin": self._vin,
            "GW_Clock": self._clock,
        }
        return functions[name]

    def _restraints(self, row: int, now: float) -> tuple[float, ...]:
        fired = self.airbag_at is not None and now >= self.airbag_at
        side = self._scenario.crash.pdof_deg if self._scenario.crash is not None else 0.0
        front = fired and abs(side) < 50.0
        left, right = fired and 50.0 <= side <= 130.0, fired and -130.0 <= side <= -50.0
        belted = self._c["power"][row] > 0.0
        return (fired, front, left, right, fired, fired, fired, belted, 0.0, 0.0)

    def _engine(self, row: int, now: float) -> tuple[float, ...]:
        c = self._c
        throttle = c["throttle"][row]
        pedal = 100.0 * math.sqrt(throttle) * 0.9
        cranking = c["power"][row] == 3.0
        rpm = 220.0 + 15.0 * self._rng.gauss(0.0, 1.0) if cranking else c["rpm"][row]
        if rpm > 0.0 and not cranking:
            rpm += 4.0 * self._rng.gauss(0.0, 1.0)
        return (rpm, 12.0 * (rpm > 0.0) + 85.0 * throttle, pedal, c["torque"][row], c["rpm"][row] > 400.0)

    def _brake(self, row: int, now: float) -> tuple[float, ...]:
        c = self._c
        bar = c["brake"][row]
        hard = -c["along"][row] > 0.85 * self._scenario.vehicle.grip * G and not c["crash"][row]
        return (bar > 0.5, bar > 0.5, hard, c["power"][row] == 0.0, bar)

    def _speed(self, row: int, now: float) -> tuple[float, ...]:
        v = self._c["esc_v"][row]
        return (v * 3.6, 1.0, v < 0.05)

    def _wheels(self, row: int, now: float) -> tuple[float, ...]:
        c, scale = self._c, self._scenario.vehicle.tyre_scale
        v, turn = abs(c["v"][row]), 0.5 * TRACK_M * c["yaw"][row]
        slip = _SLIP_PER_G * max(-1.0, min(1.0, c["along"][row] / G))
        front, rear = 1.0 + slip, 1.0 + min(0.0, slip) * 0.7
        speeds = []
        spin = c["slip"][row]
        for share, side, more in ((front, -turn, spin), (front, turn, spin), (rear, -turn, 0.0), (rear, turn, 0.0)):
            wheel = ((v + side) * share + more) * scale
            noisy = wheel + 0.006 * self._rng.gauss(0.0, 1.0) * min(1.0, wheel)
            speeds.append(noisy * 3.6 if wheel > _WHEEL_FLOOR else 0.0)
        return tuple(speeds)

    def _dynamics(self, row: int, now: float) -> tuple[float, ...]:
        c, gauss = self._c, self._rng.gauss
        yaw = math.degrees(c["yaw"][row]) + 0.06 * gauss(0.0, 1.0)
        return (c["steer"][row], yaw, c["across"][row] + 0.05 * gauss(0.0, 1.0), 1.0)

    def _gear(self, row: int, now: float) -> tuple[float, ...]:
        gear = self._c["gear"][row]
        return (gear, 3.0 if gear else 0.0)

    def _power(self, row: int, now: float) -> tuple[float, ...]:
        mode = self._c["power"][row]
        crash = self._scenario.crash
        hit = self._moments.crash
        hazard = crash is not None and crash.hazard_s is not None and hit is not None and now >= hit + crash.hazard_s
        lane = self._c["steer"][row]
        driving = self._c["v"][row] > 1.0
        open_door = self._moments.ignition_off is not None and now > self._moments.ignition_off + 2.0
        unlocked = crash is not None and self.airbag_at is not None and now >= self.airbag_at
        left, right = driving and lane > 60.0, driving and lane < -60.0
        return (mode, open_door, 0.0, 0.0, 0.0, driving and not unlocked, hazard, left, right, mode > 0.0)

    def _temperatures(self, row: int, now: float) -> tuple[float, ...]:
        coolant = coolant_degc(now)
        return (coolant, _AMBIENT_DEGC + 0.85 * (coolant - _AMBIENT_DEGC), _AMBIENT_DEGC + 8.0, _AMBIENT_DEGC)

    def _fuel(self, row: int, now: float) -> tuple[float, ...]:
        return (self._c["fuel_lph"][row], fuel_percent(self._c["fuel_l"][row], self._scenario))

    def _battery(self, row: int, now: float) -> tuple[float, ...]:
        mode, running = self._c["power"][row], self._c["rpm"][row] > 400.0
        volts = 10.4 if mode == 3.0 else 14.2 if running else 12.2 if mode else 12.6
        amperes = -180.0 if mode == 3.0 else 6.0 if running else -9.0 if mode else -0.4
        return (volts + 0.02 * self._rng.gauss(0.0, 1.0), amperes + 0.2 * self._rng.gauss(0.0, 1.0))

    def _tyres(self, row: int, now: float) -> tuple[float, ...]:
        return (232.0, 230.0, 224.0, 226.0)

    def _vin(self, row: int, now: float) -> tuple[float, ...]:
        self._vin_part = (self._vin_part + 1) % 3
        part = self._scenario.vehicle.vin[7 * self._vin_part : 7 * self._vin_part + 7]
        return (self._vin_part, int.from_bytes(part.encode("ascii"), "little"), 0.0, 0.0)

    def _clock(self, row: int, now: float) -> tuple[float, ...]:
        at = self._scenario.start.utc + timedelta(seconds=now)
        return (at.year, at.month, at.day, at.hour, at.minute, at.second)
