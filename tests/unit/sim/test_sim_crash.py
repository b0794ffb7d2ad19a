"""Impacts: the sensor sees the change of velocity that the truth states; the car behaves like one that was hit."""

from __future__ import annotations

import itertools
import json
import math
import os
from pathlib import Path
from random import Random

import pytest

from outrider.sim import Drive
from outrider.sim.crash import Pulse
from outrider.sim.dbc import layout
from outrider.sim.imu import ImuSensor
from outrider.sim.tables import Crash, Imu, Mounting

G = 9.80665
DATA = Path(os.environ.get("OUTRIDER_DATA", Path(__file__).parents[4] / "shared" / "data"))


def crash_of(drive: Drive) -> dict[str, float]:
    (event,) = [e for e in drive.truth()["events"] if e["kind"] == "crash"]
    return event


def measured(drive: Drive, imu: Imu) -> tuple[float, float]:
    """Change of velocity [km/h] that a sensor sees between contact and the largest change."""
    event = crash_of(drive)
    end = event["t0_s"] + event["delta_v_time_ms"] / 1e3
    x = y = last = 0.0
    for sample in ImuSensor(imu, Random(1)).samples(drive.track, drive.simulation.steps_per_sample):
        if event["t0_s"] + 1e-6 < sample.t <= end + 0.010:
            x += sample.acc[0] * (sample.t - last)
            y += sample.acc[1] * (sample.t - last)
        last = sample.t
    return x * 3.6, y * 3.6


IDEAL = Imu(range_g=400, noise_ug=0, noise_dps=0, bias_mg=0, bias_dps=0, invalid_per_hour=0, mounting=Mounting())


@pytest.mark.parametrize("name", ["city_crash", "rear_end"])
def test_sensor_integral_is_the_true_delta_v(name: str, request: pytest.FixtureRequest) -> None:
    """Before saturation the IMU stream integrates to the truth's delta-V within 2 per cent."""
    drive = request.getfixturevalue(name)
    event = crash_of(drive)
    x, y = measured(drive, IDEAL)
    assert math.hypot(x, y) == pytest.approx(event["delta_v_kmh"], rel=0.02)
    assert x == pytest.approx(event["delta_v_long_kmh"], abs=0.02 * event["delta_v_kmh"])
    assert y == pytest.approx(event["delta_v_lat_kmh"], abs=0.02 * event["delta_v_kmh"])


def test_a_small_range_saturates_and_says_so(city_crash: Drive) -> None:
    """16 g cut the peaks of a severe pulse: samples are marked, nothing exceeds the range."""
    event = crash_of(city_crash)
    assert event["peak_g"] > 16.0
    samples = list(city_crash.samples())
    inside = [s for s in samples if event["t0_s"] < s.t < event["t0_s"] + 0.2 and s.valid]
    assert any(s.saturated for s in inside)
    assert max(abs(a) for s in inside for a in s.acc) <= 16.0 * G
    assert not any(s.saturated for s in samples if s.t < event["t0_s"] and s.valid)


def test_frontal_crash_happens_at_62_and_stops_the_car(city_crash: Drive) -> None:
    """Impact speed 62 km/h; speed drops by delta-V at once, the rest is sliding; then standstill and a dead engine."""
    event = crash_of(city_crash)
    c = city_crash.track.columns
    assert event["speed_kmh"] == pytest.approx(62.0, abs=1.0)
    after = city_crash.track.row_at(event["t0_s"] + 0.110)
    drop = event["speed_kmh"] - c["v"][after] * 3.6
    assert drop == pytest.approx(-event["delta_v_long_kmh"], rel=0.06)
    rest = city_crash.track.row_at(event["rest_s"] + 0.1)
    assert 0.5 < event["rest_s"] - event["t0_s"] < 5.0
    assert all(c["v"][i] == 0.0 for i in range(rest, len(c["v"])))
    assert c["rpm"][-1] == 0.0
    assert c["power"][-1] == 2.0
    assert event["clock"] == 12
    assert city_crash.duration_s > event["rest_s"] + 25.0


def test_airbag_fires_on_the_bus_within_its_time(city_crash: Drive) -> None:
    """The first frame with the bag bit comes 15 to 30 ms after contact; the fuel stays cut, the bit stays set."""
    event, message = crash_of(city_crash), layout()["SRS_Status"]
    frames = [f for f in city_crash.frames() if f.frame_id == message.frame_id]
    fired = [f for f in frames if f.data[0] & 1]
    at_ms = (fired[0].t_us - city_crash.start_us) / 1e3 - event["t0_s"] * 1e3
    assert 15.0 <= at_ms <= 30.0
    assert frames.index(fired[0]) + len(fired) == len(frames)  # every one after it
    assert len(fired) > 200


def test_hit_from_behind_pushes_forward(rear_end: Drive) -> None:
    """Standing car, force at six o'clock, speed afterwards about delta-V, no bag."""
    event = crash_of(rear_end)
    assert event["speed_kmh"] == 0.0
    assert event["delta_v_long_kmh"] > 18.0
    assert event["clock"] == 6
    assert event["airbag_ms"] is None
    row = rear_end.track.row_at(event["t0_s"] + 0.13)
    assert rear_end.track.columns["v"][row] * 3.6 == pytest.approx(19.0, abs=1.5)


def test_parked_bump_happens_with_everything_asleep(parked_bump: Drive) -> None:
    """No trip, ignition off; at the time of the bump only the inertial sensor still talks."""
    event = crash_of(parked_bump)
    assert event["ignition"] is False
    assert parked_bump.truth()["trips"] == []
    around = {
        f.frame_id for f in parked_bump.frames() if abs((f.t_us - parked_bump.start_us) / 1e6 - event["t0_s"]) < 5.0
    }
    assert around == {layout()["IMU_Data"].frame_id}


@pytest.mark.parametrize("shape", ["haversine", "bimodal", "stiff"])
def test_pulse_starts_and_ends_without_a_step(shape: str) -> None:
    """Velocity is continuous and ends at delta-V less the rebound; the largest change is delta-V within 3 per cent."""
    pulse = Pulse(Crash(delta_v_kmh=50.0, at_s=1.0, shape=shape, rebound=0.03), Random(3))
    assert pulse.velocity(0.0) == (0.0, 0.0, 0.0)
    before = pulse.velocity(0.0)
    for i in range(1, 4000):
        now = pulse.velocity(i * 1e-4)
        assert math.dist(now, before) < 0.12
        before = now
    assert math.hypot(*before[:2]) * 3.6 == pytest.approx(50.0 * 0.97, rel=1e-6)
    assert pulse.peak()[0] * 3.6 == pytest.approx(50.0, rel=0.03)


def recorded_frontals() -> list[list[tuple[float, float]]]:
    """Longitudinal delta-V curves of recorded frontal crashes that reach an end, as (t [s], share of the maximum)."""
    folder = DATA / "ciss-edr"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: set OUTRIDER_DATA to the folder of recordings")
    curves = []
    for path in sorted(folder.glob("*.json")):
        channel = json.loads(path.read_text())["channels"]["delta_v_long"]
        points = list(zip(channel["t"], channel["v"], strict=True))
        peak = min(v for _t, v in points)
        if peak <= -9.0 and points[-1][0] >= 0.2:
            curves.append([(t, v / peak) for t, v in points])
    assert len(curves) >= 4
    return curves


def time_of(curve: list[tuple[float, float]], share: float) -> float:
    for (t0, a), (t1, b) in itertools.pairwise(curve):
        if b >= share:
            return t0 + (t1 - t0) * max(0.0, (share - a) / (b - a))
    raise AssertionError("never reached")


def test_pulse_rises_like_recorded_ones() -> None:
    """Times to 25, 50 and 90 per cent of delta-V lie in the range of recorded frontal crashes, at default duration."""
    curves = recorded_frontals()
    for shape in ("haversine", "bimodal", "stiff"):
        pulse = Pulse(Crash(delta_v_kmh=40.0, at_s=1.0, shape=shape), Random(5))
        ours = [(i / 1e3, pulse.progress(i / 1e3)) for i in range(300)]
        for share in (0.25, 0.5, 0.9):
            times = [time_of(curve, share) for curve in curves]
            assert min(times) - 0.005 <= time_of(ours, share) <= max(times) + 0.005, (shape, share)
