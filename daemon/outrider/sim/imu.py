"""The inertial sensor: what it makes of the true specific force and angular rate.

Owns mounting, bias, noise, range and resolution. A sample is the mean over its interval (the sensor's own filter), so
sums of samples times interval are changes of velocity as long as no axis is at its range.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from outrider.sim.handling import Handling
from outrider.sim.mounting import Matrix, applied, mounting_matrix
from outrider.sim.plan import G
from outrider.sim.tables import Device, Imu
from outrider.sim.track import Track

_ADC_STEPS: Final = 32_768  # 16 bits signed
_AXES: Final = ("fx", "fy", "fz", "wx", "wy", "wz")


@dataclass(frozen=True, slots=True)
class Sample:
    """t: seconds since the start, end of the interval. acc m/s2, gyro deg/s, sensor axes."""

    t: float
    acc: tuple[float, float, float]
    gyro: tuple[float, float, float]
    saturated: bool
    valid: bool


class ImuSensor:
    """Draws its biases once; ``samples`` walks a track."""

    def __init__(self, spec: Imu, rng: Random, device: Device | None = None) -> None:
        self._spec, self._rng = spec, rng
        self.matrix = mounting_matrix(spec.mounting)
        acc_bias, gyro_bias = spec.bias_mg * 1e-3 * G, spec.bias_dps
        self.bias = tuple(rng.gauss(0.0, 1.0) * size for size in (acc_bias,) * 3 + (gyro_bias,) * 3)
        self._handling = Handling(device, spec.mounting, Random(rng.random())) if device is not None else None
        self.saturated = 0  # samples with an axis at its range, so far

    def samples(self, track: Track, steps: int) -> Iterator[Sample]:
        """One sample for every ``steps`` rows."""
        spec, rng = self._spec, self._rng
        interval = track.step_s * steps
        half_band = 0.5 / interval
        acc_noise = spec.noise_ug * 1e-6 * G * math.sqrt(half_band)
        gyro_noise = spec.noise_dps * math.sqrt(half_band)
        acc_limit, gyro_limit = spec.range_g * G, spec.range_dps
        acc_step, gyro_step = acc_limit / _ADC_STEPS, gyro_limit / _ADC_STEPS
        chance = spec.invalid_per_hour * interval / 3600.0
        columns = [track.columns[name] for name in _AXES]
        stamps = track.columns["t"]
        bias, gauss = self.bias, rng.gauss
        for end in range(steps - 1, len(track), steps):
            true = self._felt(columns, stamps, end, steps)
            values, saturated = [], False
            for i in range(6):
                noise, limit, step = (acc_noise, acc_limit, acc_step) if i < 3 else (gyro_noise, gyro_limit, gyro_step)
                value = true[i] + bias[i] + noise * gauss(0.0, 1.0)
                if abs(value) >= limit - step:
                    value = math.copysign(limit - step, value)
                    saturated = True
                values.append(round(value / step) * step)
            valid = rng.random() >= chance
            if not valid:
                values = [rng.uniform(-0.6, 0.6) * (acc_limit if i < 3 else 250.0) for i in range(6)]
            elif saturated:
                self.saturated += 1
            yield Sample(
                stamps[end], (values[0], values[1], values[2]), (values[3], values[4], values[5]), saturated, valid
            )

    def _felt(self, columns: list[array[float]], stamps: array[float], end: int, steps: int) -> tuple[float, ...]:
        """Specific force [m/s2] and rate [deg/s] in the sensor's axes, without its errors."""
        if self._handling is None:
            return _in_axes(self.matrix, _means(columns, end, steps))
        sums = [0.0] * 6
        for row in range(end - steps + 1, end + 1):
            hold = self._handling.hold(stamps[row])
            force, turn = (columns[0][row], columns[1][row], columns[2][row]), [columns[i][row] for i in (3, 4, 5)]
            own = (0.0, 0.0, 0.0) if hold.free else applied(hold.matrix, force)
            rate = applied(hold.matrix, (turn[0], turn[1], turn[2]))
            for i in range(3):
                sums[i] += own[i] + hold.push[i]
                sums[i + 3] += math.degrees(rate[i] + hold.turn[i])
        return tuple(value / steps for value in sums)


def _in_axes(m: Matrix, means: tuple[float, ...]) -> tuple[float, ...]:
    x, y, z, p, q, r = means
    return (
        *(row[0] * x + row[1] * y + row[2] * z for row in m),
        *(math.degrees(row[0] * p + row[1] * q + row[2] * r) for row in m),
    )


def _means(columns: list[array[float]], end: int, steps: int) -> tuple[float, ...]:
    if steps == 1:
        return tuple(column[end] for column in columns)
    return tuple(sum(column[end - steps + 1 : end + 1]) / steps for column in columns)
