"""Manoeuvres, stops and mountings on the edge between one answer and another."""

from __future__ import annotations

import numpy as np
import pytest

from tests.native import motion_harness as mh
from tests.native.test_motion_crash import drive
from tests.native.test_motion_drive import any_rotation, can_speed, course, town
from tests.support import rule_scenes as sc


def ramp(g: float, rise_s: float) -> mh.Samples:
    """Forward push that grows within ``rise_s``, holds two seconds and goes as slowly."""
    t, acc, gyro = drive(40)
    acc[:, 0] += g * mh.G * np.interp(t, [20, 20 + rise_s, 22 + rise_s, 22 + 2 * rise_s], [0, 1, 1, 0])
    return mh.imu(t, acc, gyro)


@pytest.mark.parametrize(
    ("g", "rise_s", "told"),
    [(0.23, 0.2, ["accel"]), (0.23, 2.0, []), (0.17, 0.2, []), (0.3, 2.0, ["accel"]), (0.3, 0.2, ["accel"])],
)
def test_the_foot_decides_below_the_threshold(g: float, rise_s: float, told: list[str]) -> None:
    """0.23 g is harsh when it is stamped out and ordinary when it is built up; 0.17 g never is, 0.3 g always."""
    assert sc.driven(ramp(g, rise_s))({}) == told


def test_a_brisk_acceleration_says_the_threshold_that_it_crossed() -> None:
    """limit is 0.8 of the configured one, the level 1; a strong one keeps the whole threshold."""
    soft, hard = (sc.run({}, ramp(g, 0.2))[-1] for g in (0.23, 0.4))
    assert (soft["limit"], soft["level"]) == (pytest.approx(0.2), 1)
    assert (hard["limit"], hard["level"]) == (pytest.approx(0.25), 2)


@pytest.mark.parametrize(("held_s", "told"), [(0.5, ["brake"]), (1.5, ["brake"])])
def test_a_real_brake_is_told_though_answers_repeat(held_s: float, told: list[str]) -> None:
    """0.5 g from 90 km/h, an answer each half second that is new each ``held_s`` only."""
    t, v = course((0, 90), (20, 90), (24, 20), (40, 20))
    times = np.arange(0, 40, 0.5)
    values = np.round(np.interp(np.floor(times / held_s) * held_s, t, v) * 3.6) / 3.6
    samples = mh.scalar(mh.SPEED, times, values, mh.OBD, res=1 / 3.6)
    assert sc.manoeuvres(sc.run({}, samples, mh.ticks(0, 40, 40), known=False)) == told


def test_gentle_driving_whose_answers_repeat_is_none() -> None:
    """0.15 g up and down between 20 and 60 km/h, answers new each 1.5 s: ten minutes, nothing."""
    times = np.arange(0, 600, 0.5)
    seen = np.floor(times / 1.5) * 1.5
    v = 40 + 20 * np.clip(np.sin(seen / 7.5 * 1.9), -0.9, 0.9)
    samples = mh.scalar(mh.SPEED, times, np.round(v) / 3.6, mh.OBD, res=1 / 3.6)
    assert sc.manoeuvres(sc.run({}, samples, mh.ticks(0, 600, 600), known=False)) == []


@pytest.mark.parametrize(("before_kmh", "conf"), [(60, 0.5), (33, 0.25)])
def test_a_step_that_tyres_can_make_stays_a_weak_suspicion(before_kmh: float, conf: float) -> None:
    """GNSS once a second: 60 to 0 km/h in one step is no brake, 33 to 0 may be one."""
    t = np.arange(0, 60.0)
    fixes = mh.gnss(t, np.where(t < 30, before_kmh, 0) / 3.6)
    last = sc.run({}, fixes, mh.ticks(0, 60), known=False)
    last = last[last["kind"] == mh.INFERRED][-1]
    assert last["phase"] == mh.CLOSED
    assert last["conf"] == pytest.approx(conf)


def test_a_car_that_rolls_on_slowly_after_a_stop_is_still_suspected() -> None:
    """GNSS: 60, then 20, then 15 km/h: it has not got its speed back, so nothing is withdrawn; at 50 km/h it is."""
    t = np.arange(0, 60.0)
    slow, back = (mh.gnss(t, np.select([t < 30, t < 32], [60, 20], after) / 3.6) for after in (15, 50))
    assert sc.incidents(sc.run({}, slow, mh.ticks(0, 60), known=False)) == ["inferred"]
    assert sc.incidents(sc.run({}, back, mh.ticks(0, 60), known=False)) == ["sensor lost withdrawn"]


def test_wheels_spin_before_the_mounting_is_known() -> None:
    """On ice from the start: the wheels gain 0.8 g, the box feels nothing in any direction."""
    t, v = course((0, 5), (20, 5), (21.5, 47), (23, 10), (40, 10))
    events = sc.run({}, mh.imu(*drive(40)), can_speed(t, v), mh.ticks(0, 40, 40), known=False)
    assert sc.manoeuvres(events) == ["spin"]


def test_a_kept_mounting_that_agrees_stays() -> None:
    """The same box in the same place: aligned from the first sample to the last, and nothing said."""
    turn = any_rotation(6)
    det = mh.Detector()
    det.set_mount(turn @ [0, 0, 1], turn @ [1, 0, 0], 0.9)
    samples = town(400, turn)
    assert not (det.push(samples)["kind"] == mh.MOVED).any()
    fresh = mh.Detector()
    fresh.set_mount(turn @ [0, 0, 1], turn @ [1, 0, 0], 0.9)
    assert {row["mount"] for row in fresh.trace(samples, 1000)} == {2}


@pytest.mark.parametrize("degrees", [30, 90, 180])
def test_a_kept_mounting_that_disagrees_is_given_up_within_minutes(degrees: float) -> None:
    """Told once, not aligned for a while, and then by what the new trip says."""
    turn, angle = any_rotation(7), np.radians(degrees)
    det = mh.Detector()
    det.set_mount(turn @ [0, 0, 1], turn @ [np.cos(angle), np.sin(angle), 0], 0.9)
    events = det.push(town(600, turn))
    moved = events[events["kind"] == mh.MOVED]
    assert [int(e["rule"]) for e in moved] == [26]
    assert moved["t_detect_us"][0] < 300_000_000
    assert det.vehicle().mount == 2
    assert np.dot(list(det.mount().fwd), turn @ [1, 0, 0]) > np.cos(np.radians(5))


@pytest.mark.parametrize("seed", [1, 2])
def test_forward_is_found_from_bends_alone(seed: int) -> None:
    """Ten minutes of town without any speed, in any rotation: within ten degrees; with a speed later it gets better."""
    turn = any_rotation(seed)
    det = mh.Detector()
    samples = town(900, turn)
    early = samples["t_us"] < 600_000_000
    det.push(samples[early & (samples["kind"] != mh.SPEED)])
    assert det.vehicle().mount == 2
    assert np.dot(list(det.mount().fwd), turn @ [1, 0, 0]) > np.cos(np.radians(10))
    det.push(samples[~early])
    assert det.vehicle().mount == 2
    assert np.dot(list(det.mount().fwd), turn @ [1, 0, 0]) > np.cos(np.radians(3))
