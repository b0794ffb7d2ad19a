"""Speed, distance and state; rules without an IMU; harsh driving from speed alone; the mounting over a restart."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.native import motion_harness as mh
from tests.native.test_motion_crash import aligned, drive, hit, phases


def final_kind(events: mh.Events) -> tuple[int, int]:
    """Kind and phase of the last word of the only incident."""
    rows = events[events["kind"] < mh.HARSH_BRAKE]
    assert len(set(rows["seq"])) == 1, rows
    return int(rows["kind"][-1]), int(rows["phase"][-1])


def can_speed(t: np.ndarray, v: np.ndarray, rate: float = 20) -> mh.Samples:
    times = np.arange(t[0], t[-1], 1 / rate)
    return mh.scalar(mh.SPEED, times, np.interp(times, t, v), mh.CAN, res=0.01)


def course(*points: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Speed over time by corner points (s, km/h)."""
    return np.array([p[0] for p in points], dtype=float), np.array([p[1] for p in points], dtype=float) / 3.6


# ---- speed and state --------------------------------------------------------------------------------------------


def test_distance_is_the_integral_of_the_speed() -> None:
    """A ramp to 72 km/h and back: 10 s up, 20 s held, 10 s down make 600 m."""
    t, v = course((0, 0), (10, 72), (30, 72), (40, 0), (45, 0))
    det = mh.Detector()
    det.push(mh.merge(can_speed(t, v), mh.ticks(0, 45, 45)))
    state = det.vehicle()
    assert state.distance_m == pytest.approx(600, rel=0.002)
    assert state.motion == 1
    assert state.speed_mps == pytest.approx(0, abs=0.01)
    assert state.speed_src == mh.CAN


def test_trust_goes_can_obd_gnss_and_staleness_hands_over() -> None:
    """While CAN is fresh nobody else counts; a second after its end OBD does, then GNSS, then nobody."""
    t = np.arange(0, 30, 0.5)
    det = mh.Detector()
    seen = {}
    parts = [
        mh.scalar(mh.SPEED, t[t < 10], 10, mh.CAN),
        mh.scalar(mh.SPEED, t[t < 15], 11, mh.OBD),
        mh.gnss(t[t < 20], np.full((t < 20).sum(), 12.0)),
        mh.ticks(0, 30, 30),
    ]
    every = mh.merge(*parts)
    for at in (9, 13, 19, 29):
        det.push(every[(every["t_us"] <= at * 1e6) & (every["t_us"] > max(seen, default=0) * 1e6)])
        seen[at] = (det.vehicle().speed_src, det.vehicle().speed_mps)
    assert [s for s, _ in seen.values()] == [mh.CAN, mh.OBD, mh.GNSS_SERIAL, 0]
    assert [v for _, v in seen.values()][:3] == [10, 11, 12]
    assert math.isnan(seen[29][1])
    assert det.vehicle().motion == 0


def test_obd_answers_that_come_twice_are_one() -> None:
    """The same answer again 10 ms later and 1 km/h apart: no harsh event, no crash, no extra distance."""
    t = np.arange(0, 60, 0.5)
    once = mh.scalar(mh.SPEED, t, 50 / 3.6, mh.OBD, res=1 / 3.6)
    twin = mh.scalar(mh.SPEED, t + 0.01, 49 / 3.6, mh.OBD, res=1 / 3.6)
    det = mh.Detector()
    assert not len(det.push(mh.merge(once, twin, mh.ticks(0, 60, 60))))
    assert det.vehicle().distance_m == pytest.approx(59.5 * 49.5 / 3.6, rel=0.02)


def test_the_jump_of_a_first_fix_is_no_acceleration() -> None:
    """0, then 90 km/h a second later after a first fix, ten times: no event; the fixes after the third second count."""
    parts = []
    for k in range(10):
        t = np.arange(0, 20, 1.0) + 40 * k
        parts.append(mh.gnss(t, np.where(np.arange(20) == 0, 0.0, 25.0), first=1))
    det = mh.Detector()
    assert not len(det.push(mh.merge(*parts, mh.ticks(0, 400))))
    assert det.stats()["jump"] == 9
    assert det.vehicle().distance_m > 10 * 14 * 25


def test_ignition_and_rpm() -> None:
    """Ignition is what the line says; without a line a turning engine says on; neither says unknown."""
    det = mh.Detector()
    det.push(mh.ticks(0, 1, 1))
    assert det.vehicle().ignition == 255
    det.push(mh.scalar(mh.RPM, 1.5, 800, mh.CAN))
    assert det.vehicle().ignition == 1
    det.push(mh.scalar(mh.POWER, 1.6, 0))
    assert det.vehicle().ignition == 0
    assert det.vehicle().rpm == 800


# ---- crashes without an IMU --------------------------------------------------------------------------------------


def test_broadcast_speed_that_stops_within_a_fraction_of_a_second() -> None:
    """C2: 60 km/h to 0 in 0.3 s and it stays there: SUSPECT at once, CRASH_INFERRED .5 after three seconds."""
    t, v = course((0, 60), (20, 60), (20.3, 0), (40, 0))
    events = mh.Detector().push(mh.merge(can_speed(t, v), mh.ticks(0, 40, 40)))
    assert phases(events, mh.INFERRED) == [mh.SUSPECT, mh.CLOSED]
    assert events["rule"][0] == 12
    assert events["conf"][-1] == pytest.approx(0.5)
    assert events["t_detect_us"][0] < 20_500_000


def test_an_emergency_stop_is_none() -> None:
    """C2: 1.0 g from 60 km/h to standstill is braking, a harsh one, and no crash."""
    t, v = course((0, 60), (20, 60), (21.75, 0), (40, 0))
    events = mh.Detector().push(mh.merge(can_speed(t, v), mh.ticks(0, 40, 40)))
    assert not (events["kind"] < mh.HARSH_BRAKE).any()
    assert mh.HARSH_BRAKE in events["kind"]


def test_locked_wheels_are_told_from_a_crash() -> None:
    """C2: wheels stop, brake is on, GNSS drives on: WHEEL_LOCKUP, withdrawn as an alarm."""
    t, v = course((0, 60), (20, 60), (20.3, 0), (40, 0))
    tg = np.arange(0, 40, 1.0)
    parts = [can_speed(t, v), mh.gnss(tg, np.full(40, 60 / 3.6)), mh.ticks(0, 40, 40)]
    brake = mh.scalar(mh.BRAKE, np.arange(0, 40, 0.1), (np.arange(0, 40, 0.1) > 19.8).astype(float), mh.CAN)
    assert final_kind(mh.Detector().push(mh.merge(*parts, brake))) == (mh.LOCKUP, mh.CANCELLED)


def test_an_imu_that_felt_nothing_vetoes_a_stop_of_the_speed() -> None:
    """C2: the speed signal drops to zero, the IMU lies still: the sensor is lost, nothing crashed."""
    t, v = course((0, 60), (20, 60), (20.2, 0), (40, 0))
    ti, acc, gyro = drive(40)
    events = aligned().push(mh.merge(mh.imu(ti, acc, gyro), can_speed(t, v), mh.ticks(0, 40, 40)))
    assert final_kind(events) == (mh.SENSOR_LOST, mh.CANCELLED)


def test_silence_after_ignition_off_is_silence() -> None:
    """C4: rolling at 40 km/h the driver switches off: no alarm."""
    t, v = course((0, 40), (20, 40))
    off = mh.scalar(mh.POWER, [1, 19.8], [1, 0])
    assert not len(mh.Detector().push(mh.merge(can_speed(t, v), off, mh.ticks(0, 40, 20))))


def test_silence_at_standstill_is_silence() -> None:
    """C4: the buses go to sleep in a parked car."""
    t, v = course((0, 40), (10, 0), (20, 0))
    assert not (mh.Detector().push(mh.merge(can_speed(t, v), mh.ticks(0, 40, 20)))["kind"] < mh.HARSH_BRAKE).any()


def test_silence_at_speed_is_said_within_a_second() -> None:
    """C4: 123 km/h, then nothing: POWER_LOST_MOVING within 0.7 s, for the power may be about to go."""
    t, v = course((0, 123), (20, 123))
    events = mh.Detector().push(mh.merge(can_speed(t, v), mh.ticks(0, 40, 20)))
    assert events["kind"][0] == mh.POWER_LOST
    assert events["phase"][0] == mh.SUSPECT
    assert events["t_detect_us"][0] <= 20_700_000
    assert events["v_pre_kmh"][0] == pytest.approx(123, abs=0.5)
    assert final_kind(events) == (mh.POWER_LOST, mh.CLOSED)
    assert set(events["rule"]) == {14}


# ---- harsh driving ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axis", "value", "kind"),
    [(0, -0.45, mh.HARSH_BRAKE), (0, 0.38, mh.HARSH_ACCEL), (1, 0.5, mh.HARSH_CORNER), (1, -0.5, mh.HARSH_CORNER)],
)
def test_harsh_events_with_axes(axis: int, value: float, kind: int) -> None:
    """Two seconds of it: one BEGIN within 0.8 s, one END with peak, duration and level."""
    t, acc, gyro = drive(40)
    acc[(t >= 20) & (t < 22), axis] += value * mh.G
    events = aligned().push(mh.imu(t, acc, gyro))
    assert [(int(e["kind"]), int(e["phase"])) for e in events] == [(kind, mh.BEGIN), (kind, mh.END)]
    begin, end = events
    assert begin["t_detect_us"] < 20_800_000
    assert end["peak_g"] == pytest.approx(abs(value), rel=0.08)
    assert 1800 < end["dur_ms"] < 2400
    assert end["level"] == (2 if abs(value) / end["limit"] >= 1.35 else 1)
    assert end["flags"] & mh.ALIGNED


def test_short_and_soft_pushes_do_not_count() -> None:
    """0.25 s of 0.5 g, and ten seconds just under the threshold."""
    t, acc, gyro = drive(60)
    acc[(t >= 20) & (t < 20.25), 0] -= 0.5 * mh.G
    acc[(t >= 30) & (t < 34), 0] -= 0.27 * mh.G
    assert not len(aligned().push(mh.imu(t, acc, gyro)))


def test_a_crash_is_not_harsh_driving() -> None:
    """Braking before the impact is an event with its own peak; the pulse is in none."""
    t, acc, gyro = drive(40)
    acc[(t >= 19) & (t < 20), 0] -= 0.5 * mh.G
    hit(t, acc, 20, 40)
    events = aligned().push(mh.merge(mh.imu(t, acc, gyro), mh.ticks(0, 40, 40)))
    harsh = events[events["kind"] >= mh.HARSH_BRAKE]
    assert [(int(e["kind"]), int(e["phase"])) for e in harsh] == [(mh.HARSH_BRAKE, p) for p in (mh.BEGIN, mh.END)]
    assert harsh["peak_g"][-1] < 1.5
    assert phases(events)[0] == mh.SUSPECT


def test_a_fast_bend_is_named_before_the_mounting_is_known() -> None:
    """0.45 g at 110 km/h needs 0.14 rad/s only: a corner, not an acceleration; at 0.3 g it is below its threshold."""
    for g, kinds in ((0.45, [mh.HARSH_CORNER]), (0.30, [])):
        t, acc, gyro = drive(40)
        bend = (t >= 20) & (t < 23)
        acc[bend, 1] += g * mh.G
        gyro[bend, 2] = g * mh.G / 30.5
        events = mh.Detector().push(
            mh.merge(mh.imu(t, acc, gyro), can_speed(np.array([0.0, 40]), np.array([30.5, 30.5])))
        )
        assert [int(k) for k in events["kind"][events["phase"] == mh.END]] == kinds


def test_a_lane_change_is_named() -> None:
    """Left, then right within three seconds: LANE_CHANGE at its end, one event."""
    t, acc, gyro = drive(40)
    acc[(t >= 20) & (t < 21), 1] += 0.6 * mh.G
    acc[(t >= 21) & (t < 22), 1] -= 0.6 * mh.G
    events = aligned().push(mh.imu(t, acc, gyro))
    ends = events[events["phase"] == mh.END]
    assert [int(k) for k in ends["kind"]] == [mh.LANE_CHANGE]
    assert ends["rule"][0] == 34


def test_pauses_are_merged() -> None:
    """Two pushes half a second apart are one event, three seconds apart two."""
    for pause, count in ((0.5, 1), (3.0, 2)):
        t, acc, gyro = drive(40)
        for at in (20, 21.5 + pause):
            acc[(t >= at) & (t < at + 1.5), 0] -= 0.45 * mh.G
        events = aligned().push(mh.imu(t, acc, gyro))
        assert (events["phase"] == mh.END).sum() == count


@pytest.mark.parametrize("src", [mh.CAN, mh.OBD, mh.GNSS_SERIAL])
def test_harsh_braking_from_speed_alone(src: int) -> None:
    """0.5 g for 3 s seen by a broadcast at 20 Hz, whole km/h at 2 Hz, or GNSS at 1 Hz: one brake, no crash."""
    t, v = course((0, 80), (20, 80), (23, 27), (40, 27))
    rate = {mh.CAN: 20, mh.OBD: 2, mh.GNSS_SERIAL: 1}[src]
    times = np.arange(0, 40, 1 / rate)
    values = np.interp(times, t, v)
    if src == mh.GNSS_SERIAL:
        samples = mh.gnss(times, values)
    else:
        values = np.round(values * 3.6) / 3.6 if src == mh.OBD else values
        samples = mh.scalar(mh.SPEED, times, values, src, res=1 / 3.6 if src == mh.OBD else 0.01)
    events = mh.Detector().push(mh.merge(samples, mh.ticks(0, 40, 40)))
    assert [(int(e["kind"]), int(e["phase"])) for e in events] == [(mh.HARSH_BRAKE, p) for p in (mh.BEGIN, mh.END)]
    assert events["src_mask"][-1] & (1 << src)
    assert events["rule"][-1] == 51


def test_a_bend_from_gnss_alone() -> None:
    """0.5 g across at 60 km/h out of speed and course; none of it at 20 km/h."""
    for kmh, count in ((60, 1), (20, 0)):
        t = np.arange(0, 40, 1.0)
        rate = 0.5 * mh.G / (kmh / 3.6)
        heading = (np.clip(t - 20, 0, 4) * rate) % (2 * np.pi)
        events = mh.Detector().push(mh.merge(mh.gnss(t, np.full(40, kmh / 3.6), heading), mh.ticks(0, 40, 40)))
        assert (events[events["phase"] == mh.END]["kind"] == mh.HARSH_CORNER).sum() == count


def test_spinning_wheels() -> None:
    """Wheels gain 0.8 g while the car barely moves: WHEEL_SPIN, not a harsh acceleration."""
    t, v = course((0, 5), (20, 5), (21.5, 47), (23, 10), (40, 10))
    ti, acc, gyro = drive(40)
    events = aligned().push(mh.merge(mh.imu(ti, acc, gyro), can_speed(t, v), mh.ticks(0, 40, 40)))
    kinds = set(events["kind"][events["phase"] == mh.END])
    assert mh.WHEEL_SPIN in kinds
    assert mh.HARSH_ACCEL not in kinds


# ---- the mounting --------------------------------------------------------------------------------------------------


def town(seconds: float, turn: np.ndarray, rate: float = 50) -> mh.Samples:
    """A drive with accelerations and bends in a box mounted by ``turn``."""
    rng = np.random.default_rng(11)
    t = np.arange(0, seconds, 1 / rate)
    along = 1.2 * np.sin(t / 5) + 0.8 * np.sin(t / 1.7)
    v = 12 + np.cumsum(along) / rate
    yaw = 0.2 * np.sin(t / 9) * (np.sin(t / 31) > 0)
    acc = np.stack([along, v * yaw, np.full_like(t, mh.G)], 1) + rng.normal(0, 0.4, (len(t), 3))
    gyro = np.stack([0 * t, 0 * t, yaw], 1) + rng.normal(0, 0.01, (len(t), 3)) + [0.01, -0.02, 0.015]
    return mh.merge(mh.imu(t, acc @ turn.T, gyro @ turn.T), can_speed(t, v, 10), mh.ticks(0, seconds, seconds))


def any_rotation(seed: int) -> np.ndarray:
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.linalg.det(q)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_forward_is_found_in_any_mounting(seed: int) -> None:
    """Five minutes of driving: within 3 degrees, with the right sign, in an arbitrary rotation."""
    turn = any_rotation(seed)
    det = mh.Detector()
    det.push(town(300, turn))
    mount = det.mount()
    assert det.vehicle().mount == 2
    assert mount.rho > 0.9
    assert np.dot(list(mount.fwd), turn @ [1, 0, 0]) > math.cos(math.radians(3))
    assert np.dot(list(mount.up), turn @ [0, 0, 1]) > math.cos(math.radians(3))


def test_the_mounting_survives_a_restart() -> None:
    """What get_mount returned makes a new detector aligned at once; a wrong one is outvoted by new driving."""
    turn = any_rotation(4)
    det = mh.Detector()
    det.push(town(300, turn))
    kept = det.mount()
    fresh = mh.Detector()
    assert fresh.set_mount(kept.up, kept.fwd, kept.rho, kept.age_s) == 0
    fresh.push(town(300, turn)[:10])
    assert fresh.vehicle().mount == 2
    wrong = mh.Detector()
    wrong.set_mount(turn @ [0, 0, 1], turn @ [0, 1, 0], 0.8)
    wrong.push(town(900, turn))
    assert np.dot(list(wrong.mount().fwd), turn @ [1, 0, 0]) > math.cos(math.radians(10))


def test_a_mounting_that_makes_no_sense_is_refused() -> None:
    """Not a unit vector, forward along up, quality out of range, or too late: an error, and nothing is taken."""
    det = mh.Detector()
    for up, fwd, rho in (([0, 0, 2], [1, 0, 0], 0.9), ([0, 0, 1], [0, 0, 1], 0.9), ([0, 0, 1], [1, 0, 0], 1.5)):
        assert det.set_mount(up, fwd, rho) == -1
    assert det.set_mount([math.nan, 0, 1], [1, 0, 0], 0.9) == -1
    det.push(mh.ticks(0, 1))
    assert det.set_mount([0, 0, 1], [1, 0, 0], 0.9) == -8
    assert det.vehicle().mount == 0


def test_a_configuration_out_of_range_is_refused() -> None:
    """Each threshold has a range; NaN is in none of them."""
    for name in ("dv150_kmh", "brake_g", "hysteresis", "silence_s", "confirm_s"):
        for value in (-1.0, 1e9, math.nan):
            with pytest.raises(ValueError, match="-1"):
                mh.Detector(**{name: value})
