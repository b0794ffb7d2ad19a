"""A parked car that is moved or tilted, and what is neither."""

from __future__ import annotations

import numpy as np
import pytest

from tests.native import motion_harness as mh

TOWED, MOVING_RULE, TILT_RULE = 11, 27, 28


def off(at: float) -> mh.Samples:
    return mh.scalar(mh.POWER, np.arange(at, at + 300, 10.0), 0)


def lie(seconds: float, angle_deg: np.ndarray, rate: float = 50) -> mh.Samples:
    """An IMU in a car that is tilted by so much about its long axis."""
    t = np.arange(int(seconds * rate)) / rate
    roll = np.radians(np.interp(t, np.linspace(0, seconds, len(angle_deg)), angle_deg))
    noise = np.random.default_rng(3).normal(0, 0.02, (len(t), 3))
    acc = np.stack([np.zeros_like(t), mh.G * np.sin(roll), mh.G * np.cos(roll)], 1) + noise
    return mh.imu(t, acc, np.zeros((len(t), 3)))


def towed(*parts: mh.Samples, **config: float) -> list[int]:
    """Rules of the TOWED events."""
    events = mh.Detector(**config).push(mh.merge(*parts))
    assert not np.isin(events["kind"], [mh.CRASH, mh.PARKED, mh.ROLLOVER]).any(), events["kind"]
    return [int(e["rule"]) for e in events if e["kind"] == TOWED]


def test_a_car_that_drives_with_its_ignition_off() -> None:
    """A minute after it was parked a GNSS goes at 20 km/h: said once, some seconds after it began."""
    fixes = mh.gnss(np.arange(0, 200.0), np.where(np.arange(0, 200.0) > 100, 5.6, 0))
    events = mh.Detector().push(mh.merge(off(0), fixes, mh.ticks(0, 200)))
    said = events[events["kind"] == TOWED]
    assert len(said) == 1
    assert (said["rule"][0], said["phase"][0]) == (MOVING_RULE, mh.CONFIRMED)
    assert 100 <= said["t0_us"][0] / 1e6 <= 102
    assert said["t_detect_us"][0] / 1e6 <= 108


def test_rolling_to_a_stop_without_ignition_is_no_tow() -> None:
    """The driver switches off at 40 km/h and rolls on for forty seconds."""
    t = np.arange(0, 120.0)
    assert towed(off(20), mh.gnss(t, np.interp(t, [0, 20, 60], [11, 11, 0])), mh.ticks(0, 120)) == []


def test_a_first_fix_in_a_parked_car_is_no_tow() -> None:
    """A receiver that wakes up says 30 km/h for three seconds."""
    t = np.arange(0, 300.0)
    speed = np.where((t > 100) & (t < 103), 8.3, 0.1)
    assert towed(off(0), mh.gnss(t, speed), mh.ticks(0, 300)) == []


def test_driving_off_is_no_tow() -> None:
    """Ignition on, then it moves."""
    t = np.arange(0, 200.0)
    on = mh.scalar(mh.POWER, [100.0], 1)
    assert towed(mh.scalar(mh.POWER, [0.0], 0), on, mh.gnss(t, np.where(t > 110, 10, 0)), mh.ticks(0, 200)) == []


@pytest.mark.parametrize(("degrees", "rules"), [(1.5, []), (2.7, []), (4.0, [TILT_RULE]), (12.0, [TILT_RULE])])
def test_a_jack_tilts_the_car_and_luggage_does_not(degrees: float, rules: list[int]) -> None:
    """Lifted within ten seconds and left there: said a minute later, once; people and luggage are below 3 degrees."""
    angle = np.array([0.0] * 8 + [degrees] * 16)
    assert towed(off(0), lie(240, angle), mh.ticks(0, 240)) == rules


def test_a_short_tilt_is_none() -> None:
    """Half a minute on a kerb of the car beside, or somebody leaning on it: not a minute, nothing said."""
    angle = np.array([0.0] * 10 + [5.0] * 3 + [0.0] * 11)
    assert towed(off(0), lie(240, angle), mh.ticks(0, 240)) == []


def test_slammed_doors_are_none() -> None:
    """Jolts of 0.5 g for 50 ms, twenty of them in a parked car."""
    imu = lie(240, np.zeros(2))
    t = imu["t_us"] / 1e6
    for at in np.linspace(60, 200, 20):
        imu["x"][(t >= at) & (t < at + 0.05), 1] += 4.9
    assert towed(off(0), imu, mh.ticks(0, 240)) == []


def test_a_box_that_is_taken_out_is_no_tilted_car() -> None:
    """Gravity 60 degrees elsewhere is the box."""
    angle = np.array([0.0] * 8 + [60.0] * 16)
    assert towed(off(0), lie(240, angle), mh.ticks(0, 240)) == []


def test_without_an_ignition_line_two_minutes_of_standing_are_parked() -> None:
    """No line, GNSS stands, no engine: a jack is told; with the engine running it is not (a tail lift at work)."""
    t = np.arange(0, 400.0)
    parts = [mh.gnss(t, np.zeros(400)), lie(400, np.array([0.0] * 25 + [5.0] * 15)), mh.ticks(0, 400)]
    assert towed(*parts) == [TILT_RULE]
    assert towed(*parts, mh.scalar(mh.RPM, np.arange(0, 400, 0.5), 800)) == []
