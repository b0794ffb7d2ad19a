"""The life of a crash event: phases, evidence, and what looks like a crash and is none."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tests.native import motion_harness as mh

UP = np.array([0.0, 0.0, mh.G])


def drive(seconds: float, rate: float = 100) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Even times, specific force at rest with a little noise, angular rate zero."""
    rng = np.random.default_rng(3)
    t = np.arange(int(seconds * rate)) / rate
    return t, UP + rng.normal(0, 0.05, (len(t), 3)), np.zeros((len(t), 3))


def hit(
    t: np.ndarray, acc: np.ndarray, at: float, dv_kmh: float, *, width: float = 0.1, angle: float = math.pi
) -> None:
    """A half-sine pulse of that delta-V; angle of the acceleration, pi is frontal."""
    shape = np.where((t >= at) & (t < at + width), np.sin((t - at) / width * math.pi), 0) * math.pi / 2
    acc[:, 0] += shape * dv_kmh / 3.6 / width * math.cos(angle)
    acc[:, 1] += shape * dv_kmh / 3.6 / width * math.sin(angle)


def aligned(**config: float) -> mh.Detector:
    det = mh.Detector(**config)
    assert det.set_mount([0, 0, 1], [1, 0, 0], 0.9, 100) == 0
    return det


def phases(events: mh.Events, kind: int = mh.CRASH) -> list[int]:
    return [int(p) for p in events["phase"][events["kind"] == kind]]


def speed(t: float, until: float, v: float, after: float = 0.0) -> mh.Samples:
    """CAN speed at 10 Hz [m/s], another one from ``t`` on."""
    times = np.arange(0, until, 0.1)
    return mh.scalar(mh.SPEED, times, np.where(times < t, v, after), mh.CAN, res=0.01)


def test_a_crash_goes_through_its_phases() -> None:
    """SUSPECT at once, UPDATE with the pulse, CONFIRMED by the speed that collapsed, CLOSED after ten seconds."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 30)
    events = aligned().push(mh.merge(mh.imu(t, acc, gyro), speed(20.05, 40, 17), mh.ticks(0, 40, 40)))
    assert phases(events) == [mh.SUSPECT, mh.UPDATE, mh.CONFIRMED, mh.CLOSED]
    suspect, update, confirmed, closed = events[events["kind"] == mh.CRASH]
    assert len(set(events["seq"][events["kind"] == mh.CRASH])) == 1
    assert 0 <= suspect["t_detect_us"] - 20_000_000 < 60_000
    assert abs(update["t0_us"] - 20_000_000) < 20_000
    assert update["dv_kmh"] == pytest.approx(30, rel=0.03)
    assert update["dv_long_kmh"] == pytest.approx(-30, rel=0.03)
    assert update["pdof_deg"] == pytest.approx(0, abs=2)
    assert update["clock"] == 12
    assert update["level"] == 3
    assert confirmed["conf"] >= 0.7
    assert closed["t_detect_us"] - closed["t0_us"] >= 10_000_000
    assert closed["v_pre_kmh"] == pytest.approx(61.2, abs=0.1)
    assert closed["v_post_kmh"] == pytest.approx(0, abs=0.1)
    assert closed["flags"] & mh.STANDSTILL
    assert math.isnan(suspect["lat_deg"])


@pytest.mark.parametrize(
    ("rate", "src", "tolerance"),
    [(50, mh.CAN, 1.1), (10, mh.CAN, 2.6), (1, mh.OBD, 25.3)],
)
def test_the_speed_at_the_impact_is_not_the_one_before_the_brake(rate: float, src: int, tolerance: float) -> None:
    """Two seconds of 0.7 g from 90 km/h, then the pulse: v_pre is 90, v_impact what was left of it, as old as its
    source is slow; both hold from the first word to the last."""
    t, acc, gyro = drive(40)
    acc[(t >= 18) & (t < 20), 0] -= 0.7 * mh.G
    hit(t, acc, 20, 30)
    times = np.arange(0, 40, 1 / rate)
    left = 25 - 0.7 * mh.G * 2
    v = np.where(times < 18, 25, np.where(times < 20, 25 - 0.7 * mh.G * (times - 18), 0.0))
    events = aligned().push(mh.merge(mh.imu(t, acc, gyro), mh.scalar(mh.SPEED, times, v, src), mh.ticks(0, 40, 40)))
    crash = events[events["kind"] == mh.CRASH]
    assert len(crash) >= 3
    assert crash["v_pre_kmh"] == pytest.approx(90, abs=0.1)
    assert len(set(crash["v_impact_kmh"])) == 1
    assert left * 3.6 - 1.5 <= crash["v_impact_kmh"][0] <= left * 3.6 + tolerance


def test_the_second_impact_has_its_own_speed() -> None:
    """After the first the car still rolls: each impact says how fast it was."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 30)
    hit(t, acc, 23, 12)
    times = np.arange(0, 40, 0.1)
    v = np.select([times < 20.05, times < 23.05], [17.0, 8.0], 0.0)
    can = mh.scalar(mh.SPEED, times, v, mh.CAN, res=0.01)
    events = aligned().push(mh.merge(mh.imu(t, acc, gyro), can, mh.ticks(0, 40, 40)))
    crash = events[events["kind"] == mh.CRASH]
    speeds = {int(e["impact_no"]): float(e["v_impact_kmh"]) for e in crash}
    assert speeds == {1: pytest.approx(61.2, abs=0.1), 2: pytest.approx(28.8, abs=0.1)}


def test_no_speed_at_the_impact_is_made_up() -> None:
    """None without a speed, and none from a source that fell silent three seconds before."""
    for until in (0.0, 16.9):
        t, acc, gyro = drive(22)
        hit(t, acc, 20, 30)
        times = np.arange(0, until, 0.1)
        can = mh.scalar(mh.SPEED, times, np.full(len(times), 17.0), mh.CAN)
        events = aligned().push(mh.merge(mh.imu(t, acc, gyro), can, mh.ticks(0, 22, 22)))
        crash = events[events["kind"] == mh.CRASH]
        assert len(crash) >= 2
        assert np.isnan(crash["v_impact_kmh"]).all()


@pytest.mark.parametrize(
    ("angle", "pdof", "clock"),
    [(180, 0, 12), (-90, 90, 9), (90, -90, 3), (0, 180, 6), (180 + 30, 30, 11), (180 - 30, -30, 1)],
)
def test_direction_of_force(angle: float, pdof: float, clock: int) -> None:
    """0 is frontal, +90 from the left (nine o'clock); an acceleration to the right is a blow from the left."""
    t, acc, gyro = drive(22)
    hit(t, acc, 20, 20, angle=math.radians(angle))
    events = aligned().push(mh.imu(t, acc, gyro))
    update = events[events["phase"] == mh.UPDATE][0]
    assert abs((float(update["pdof_deg"]) - pdof + 180) % 360 - 180) < 2
    assert update["clock"] == clock


def test_no_direction_is_claimed_without_the_mounting() -> None:
    """Before the axes are known there is delta-V, but neither its parts nor a clock direction."""
    t, acc, gyro = drive(22)
    hit(t, acc, 20, 20)
    events = mh.Detector().push(mh.imu(t, acc, gyro))
    update = events[events["phase"] == mh.UPDATE][0]
    assert update["dv_kmh"] == pytest.approx(20, rel=0.03)
    assert math.isnan(update["pdof_deg"])
    assert math.isnan(update["dv_long_kmh"])
    assert update["clock"] == 0
    assert not update["flags"] & mh.ALIGNED


def test_saturation_makes_delta_v_a_lower_bound() -> None:
    """One sample at the end of the range within the pulse sets the flag; none leaves it clear."""
    for peak_range, flagged in ((4.0, True), (50.0, False)):
        t, acc, gyro = drive(22)
        hit(t, acc, 20, 40)
        clipped = np.clip(acc, -peak_range * mh.G, peak_range * mh.G)
        events = aligned(imu_range_g=peak_range).push(mh.imu(t, clipped, gyro))
        update = events[events["phase"] == mh.UPDATE][0]
        assert bool(update["flags"] & mh.LOWER_BOUND) is flagged
        assert bool(update["dv_kmh"] < 39) is flagged


def test_the_curve_of_the_pulse() -> None:
    """31 points at 100 Hz from T0 on, ending at the full delta-V."""
    t, acc, gyro = drive(22)
    hit(t, acc, 20, 25)
    det = aligned()
    assert det.pulse() == ([], [])
    det.push(mh.imu(t, acc, gyro))
    along, across = det.pulse()
    assert len(along) == 31
    assert along[-1] == pytest.approx(-25, rel=0.03)
    assert max(map(abs, across)) < 0.5
    assert all(b <= a + 0.3 for a, b in itertools.pairwise(along))


def test_a_second_impact_belongs_to_the_first() -> None:
    """Two seconds later: same number, impact 2, flag MULTI; after the confirmation: a number of its own."""
    t, acc, gyro = drive(50)
    for at in (20, 22, 34):
        hit(t, acc, at, 15)
    events = aligned().push(mh.merge(mh.imu(t, acc, gyro), mh.ticks(0, 50, 50)))
    suspects = events[(events["kind"] == mh.CRASH) & (events["phase"] == mh.SUSPECT)]
    assert [int(s) for s in suspects["seq"]] == [1, 1, 2]
    assert [int(n) for n in suspects["impact_no"]] == [1, 2, 3]
    assert [bool(f & mh.MULTI) for f in suspects["flags"]] == [False, True, True]


def test_the_verdict_comes_though_the_sensor_died() -> None:
    """The IMU falls silent 50 ms into the crash: ticks alone carry the event to UPDATE and its end."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 60)
    keep = t < 20.06
    events = aligned().push(mh.merge(mh.imu(t[keep], acc[keep], gyro[keep]), mh.ticks(0, 40, 20)))
    assert phases(events)[:2] == [mh.SUSPECT, mh.UPDATE]
    assert phases(events)[-1] == mh.CLOSED


def test_nan_and_invalid_samples_are_counted_not_felt() -> None:
    """Invalid frames of 11 g, NaN, infinity and times that go back are dropped by reason and raise nothing."""
    t, acc, gyro = drive(30)
    samples = mh.imu(t, acc, gyro)
    samples["x"][1500:1520, 0] = 110
    samples["q"][1500:1520] = 0
    samples["x"][2000, 1], samples["x"][2001, 2] = np.nan, np.inf
    samples["t_us"][2500] -= 3_000_000
    det = aligned()
    assert not len(det.push(samples))
    stats = det.stats()
    assert (stats["invalid"], stats["nan"], stats["time_back"]) == (20, 2, 1)
    assert stats["gap"] == 1  # the 20 dropped frames


def test_a_gap_does_not_make_a_pulse() -> None:
    """Half a second without samples, another lean of the car after it: the windows start anew."""
    t, acc, gyro = drive(30)
    acc[t > 20, 0] += 8
    keep = (t < 20) | (t > 20.5)
    det = aligned()
    events = det.push(mh.imu(t[keep], acc[keep], gyro[keep])[: int(20.7 * 100)])
    assert det.stats()["gap"] == 1
    assert not (events["kind"] == mh.CRASH).any()


def test_hard_braking_is_no_crash() -> None:
    """1 g for two seconds, more than tyres do, stays below both windows' thresholds, with and without axes."""
    for det in (aligned(), mh.Detector()):
        t, acc, gyro = drive(30)
        acc[(t > 20) & (t < 22), 0] -= 0.9 * mh.G
        events = det.push(mh.imu(t, acc, gyro))
        assert not (events["kind"] < mh.HARSH_BRAKE).any()


def test_a_parked_car_that_is_hit() -> None:
    """Ignition off: the same pulse is PARKED_IMPACT, and less sure."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 12)
    events = aligned().push(mh.merge(mh.scalar(mh.POWER, 0.1, 0), mh.imu(t, acc, gyro), mh.ticks(0, 40)))
    assert not (events["kind"] == mh.CRASH).any()
    assert phases(events, mh.PARKED)[0] == mh.SUSPECT


def test_a_box_that_fell_off_is_device_moved() -> None:
    """A jolt, then gravity points elsewhere for good while the car drives on: the alarm is withdrawn by name."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 9, width=0.05)
    acc[t > 20.3] = acc[t > 20.3] @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    events = aligned().push(mh.merge(mh.imu(t, acc, gyro), speed(50, 40, 15), mh.ticks(0, 40, 40)))
    last = events[events["seq"] == events["seq"][0]][-1]
    assert last["kind"] == mh.MOVED
    assert last["phase"] == mh.CANCELLED


def test_rollover_is_felt_and_turned() -> None:
    """Half a turn about the long axis in two seconds, then upside down: ROLLOVER, confirmed, level 3."""
    t, acc, gyro = drive(40)
    angle = np.clip((t - 20) / 2, 0, 1) * math.pi
    acc[:, 1], acc[:, 2] = mh.G * np.sin(angle), mh.G * np.cos(angle)
    gyro[(t >= 20) & (t < 22), 0] = math.pi / 2
    events = aligned().push(mh.merge(mh.imu(t, acc, gyro), speed(21, 40, 15), mh.ticks(0, 40, 40)))
    rolled = events[events["kind"] == mh.ROLLOVER]
    assert len(rolled) == 1
    assert 20_000_000 < rolled["t_detect_us"][0] < 22_500_000
    assert rolled["flags"][0] & mh.F_ROLLOVER
    assert rolled["level"][0] == 3


def test_a_fast_bend_is_no_rollover() -> None:
    """0.6 g to the side for six seconds, without any roll rate."""
    t, acc, gyro = drive(40)
    acc[(t > 20) & (t < 26), 1] += 0.6 * mh.G
    gyro[(t > 20) & (t < 26), 2] = 0.3
    events = aligned().push(mh.merge(mh.imu(t, acc, gyro), speed(50, 40, 20)))
    assert not (events["kind"] < mh.HARSH_BRAKE).any()


def test_airbag_alone_and_with_a_pulse() -> None:
    """Alone it is an event of its own; during a crash it makes that one certain and severe."""
    bits = mh.scalar(mh.AIRBAG, [1, 20.15], [0, 1], mh.CAN)
    alone = mh.Detector().push(mh.merge(bits, mh.ticks(0, 25, 25)))
    assert phases(alone, mh.AIRBAG_EVENT) == [mh.CONFIRMED]
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 12)
    both = aligned().push(mh.merge(mh.imu(t, acc, gyro), bits, mh.ticks(0, 40, 40)))
    assert not phases(both, mh.AIRBAG_EVENT)
    assert both[both["kind"] == mh.CRASH][-1]["level"] == 3
    assert both[both["kind"] == mh.CRASH][-1]["conf"] > 0.95


def test_an_airbag_bit_that_was_always_set_is_no_event() -> None:
    """A wrong bit of the profile, or an old crash: first seen set while standing."""
    assert not len(mh.Detector().push(mh.merge(mh.scalar(mh.AIRBAG, [1, 2, 3], 1, mh.CAN), mh.ticks(0, 9, 9))))


def test_output_that_is_too_small_is_counted() -> None:
    """Events that do not fit are lost for the caller, never written past the end, and counted."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 30)
    det = aligned()
    assert len(det.push(mh.merge(mh.imu(t, acc, gyro), mh.ticks(0, 40, 40)), capacity=1)) == 1
    assert det.stats()["events_lost"] >= 2
