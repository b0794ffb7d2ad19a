"""The sensor: mounting, noise, bias."""

from __future__ import annotations

import math
from random import Random

import pytest

from outrider.sim import Drive
from outrider.sim.imu import ImuSensor
from outrider.sim.mounting import mounting_matrix
from outrider.sim.tables import Imu, Mounting

G = 9.80665


def test_mounting_by_hand() -> None:
    """A sensor turned 90 degrees to the left feels a forward push on its right: car x is its -y."""
    m = mounting_matrix(Mounting(yaw_deg=90.0))
    assert [round(row[0], 9) for row in m] == [0.0, -1.0, 0.0]
    m = mounting_matrix(Mounting(pitch_deg=90.0))  # nose down: gravity's reaction (up) shows on its -x
    assert [round(row[2], 9) for row in m] == [-1.0, 0.0, 0.0]
    m = mounting_matrix(Mounting(roll_deg=90.0))  # right side down: up shows on its +y
    assert [round(row[2], 9) for row in m] == [0.0, 1.0, 0.0]


def test_standing_sensor_feels_gravity_along_the_mounted_up(city_crash: Drive) -> None:
    """At standstill the mean is 1 g along 'up' within the bias, and the truth's matrix says where that is."""
    rows = city_crash.track.columns["v"]
    up = [line[2] for line in city_crash.truth()["imu"]["mounting"]["car_to_sensor"]]
    still = [s for s in city_crash.samples() if s.t < 3.5 and s.valid]
    assert rows[city_crash.track.row_at(3.5)] == 0.0
    mean = [sum(s.acc[i] for s in still) / len(still) for i in range(3)]
    assert math.dist(mean, [G * value for value in up]) < 4 * 0.015 * G * math.sqrt(3)
    assert math.hypot(*mean) == pytest.approx(G, rel=0.06)


def test_noise_has_the_stated_density(parked_bump: Drive) -> None:
    """White noise of a parked sensor: density times root of half the rate, within 10 per cent."""
    spec = parked_bump.scenario.imu
    still = [s for s in parked_bump.samples() if s.t < 35.0 and s.valid]
    rate = (len(still) - 1) / (still[-1].t - still[0].t)
    values = [s.acc[0] for s in still]
    mean = sum(values) / len(values)
    sigma = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
    assert sigma == pytest.approx(spec.noise_ug * 1e-6 * G * math.sqrt(rate / 2.0), rel=0.1)


def test_every_device_has_its_own_bias() -> None:
    """Biases are drawn per seed and keep their spread."""
    draws = [ImuSensor(Imu(bias_mg=15.0), Random(f"{i}")).bias[0] for i in range(400)]
    spread = math.sqrt(sum(b * b for b in draws) / len(draws))
    assert spread == pytest.approx(0.015 * G, rel=0.15)
