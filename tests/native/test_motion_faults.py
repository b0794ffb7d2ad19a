"""A sensor that breaks is not a car that crashes; what was wrong with the data is said by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from outrider.model.event import DataQuality
from tests.native import motion_harness as mh
from tests.native.test_motion_crash import aligned, drive, hit, phases, speed

Axes = tuple[np.ndarray, np.ndarray, np.ndarray]
EMERGENCY = (mh.CRASH, mh.INFERRED, mh.ROLLOVER, mh.PARKED, mh.AIRBAG_EVENT, mh.POWER_LOST)


def alarms(events: mh.Events) -> list[int]:
    return [int(e["kind"]) for e in events if int(e["kind"]) in EMERGENCY]


def faulty(change: Callable[[np.ndarray, np.ndarray], None], rate: float = 100, **config: float) -> mh.Events:
    """40 s of driving at 60 km/h, changed from second 20 on."""
    t, acc, gyro = drive(40, rate)
    change(t, acc)
    return aligned(**config).push(mh.merge(mh.imu(t, acc, gyro), speed(50, 40, 17), mh.ticks(0, 40, 40)))


def jumps(axis: int, g: float) -> Callable[[np.ndarray, np.ndarray], None]:
    def change(t: np.ndarray, acc: np.ndarray) -> None:
        acc[t >= 20, axis] = g * mh.G

    return change


@pytest.mark.parametrize("rate", [50, 100, 400, 1600])
@pytest.mark.parametrize("g", [-8.0, -2.0, 2.0, 8.0])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_axis_at_the_end_of_its_range_raises_nothing(axis: int, g: float, rate: float) -> None:
    """Whatever the rate, and whether the range is known or not."""
    assert alarms(faulty(jumps(axis, g), rate)) == []
    assert alarms(faulty(jumps(axis, g), rate, imu_range_g=8)) == []


def offset(t: np.ndarray, acc: np.ndarray) -> None:
    acc[t >= 20, 1] += 2.5 * mh.G


def swapped(t: np.ndarray, acc: np.ndarray) -> None:
    acc[t >= 20] = acc[t >= 20][:, [2, 0, 1]]


def flipped(t: np.ndarray, acc: np.ndarray) -> None:
    acc[t >= 20, 2] *= -1


def ones(t: np.ndarray, acc: np.ndarray) -> None:
    acc[(t >= 20) & (t < 20.1)] = 16 * mh.G


def zeros(t: np.ndarray, acc: np.ndarray) -> None:
    acc[(t >= 20) & (t < 20.5)] = 0


def spike(t: np.ndarray, acc: np.ndarray) -> None:
    acc[(t >= 20) & (t < 20.015), 0] = -200 * mh.G


def frozen(t: np.ndarray, acc: np.ndarray) -> None:
    acc[t >= 20] = acc[np.searchsorted(t, 20)]


@pytest.mark.parametrize("change", [offset, swapped, flipped, ones, zeros, spike, frozen])
def test_other_faults_raise_nothing(change: Callable[[np.ndarray, np.ndarray], None]) -> None:
    """A new zero, axes swapped, a sign, a bus of ones, of zeros, single numbers at full scale, a frozen sensor."""
    assert alarms(faulty(change)) == []


def test_a_real_pulse_after_the_fault_is_found() -> None:
    """The broken axis goes on without its step: 30 km/h on another axis ten seconds later, as ever."""

    def change(t: np.ndarray, acc: np.ndarray) -> None:
        acc[t >= 20, 1] += 3 * mh.G
        hit(t, acc, 30, 30)

    events = faulty(change)
    crash = events[events["kind"] == mh.CRASH]
    assert abs(int(crash["t0_us"][0]) - 30_000_000) < 20_000
    assert crash["dv_kmh"][-1] == pytest.approx(30, rel=0.05)
    assert DataQuality(int(crash["quality"][-1])) & (DataQuality.AXES_TURNED | DataQuality.STUCK)


@pytest.mark.parametrize("range_g", [4, 8])
def test_a_clipped_pulse_is_not_held_back(range_g: float) -> None:
    """A 40 km/h pulse that shakes all axes, cut off at a small range: suspected within 60 ms."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 40)
    shaken = (t >= 20) & (t < 20.1)
    acc[shaken, 1:] += np.random.default_rng(1).normal(0, 12, (int(shaken.sum()), 2))
    events = aligned(imu_range_g=range_g).push(mh.imu(t, np.clip(acc, -range_g * mh.G, range_g * mh.G), gyro))
    first = events[events["kind"] == mh.CRASH][0]
    assert int(first["t_detect_us"]) - 20_000_000 <= 60_000
    assert int(first["flags"]) & mh.LOWER_BOUND


def test_a_clipped_pulse_on_one_axis_alone_is_late_and_not_lost() -> None:
    """Steep on both sides, alone, at the end of the range: told when it ends, not taken for garbage."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 40)
    events = aligned(imu_range_g=4).push(mh.imu(t, np.clip(acc, -4 * mh.G, 4 * mh.G), gyro))
    first = events[events["kind"] == mh.CRASH][0]
    assert int(first["t_detect_us"]) - 20_000_000 <= 120_000


def test_a_turned_device_is_said_to_have_moved() -> None:
    """Axes swapped within a sample: DEVICE_MOVED by rule 29, and the mounting has to be learnt anew."""
    events = faulty(swapped)
    moved = events[events["kind"] == mh.MOVED]
    assert [int(e["rule"]) for e in moved] == [29]
    assert int(moved["quality"][0]) & DataQuality.AXES_TURNED
    assert int(moved["quality"][0]) & DataQuality.NOT_ALIGNED


def test_the_second_of_two_sensors_is_put_aside_until_the_first_dies() -> None:
    """Interleaved with one that hangs upside down: the same events as alone; a second after the first it takes over."""
    t, acc, gyro = drive(60)
    hit(t, acc, 20, 30)
    own = mh.imu(t, acc, gyro)
    other = mh.imu(t + 0.003, -acc, gyro, mh.IMU_CAN)
    det = aligned()
    both = det.push(mh.merge(own[t < 40], other))
    alone = aligned().push(own[t < 40])
    early = both[both["t_detect_us"] < 40_000_000]
    for name in ("kind", "phase", "t0_us", "dv_kmh", "pdof_deg", "dv_lo_kmh"):
        np.testing.assert_array_equal(early[name], alone[name])
    assert det.stats()["other_imu"] == pytest.approx(4100, abs=5)
    assert alarms(both[both["t_detect_us"] > 40_000_000]) == []


def test_a_sensor_that_breaks_after_the_crash_undoes_nothing() -> None:
    """It freezes in what looks like a second impact: that one is dropped, and the crash stands with its numbers."""
    t, acc, gyro = drive(45, 200)
    hit(t, acc, 20, 40)
    frozen_from = (t >= 23) & (t < 23.05)
    acc[frozen_from, 0] -= np.linspace(0, 4 * mh.G, int(frozen_from.sum()))
    acc[t >= 23.05, 0] = -4 * mh.G
    acc[t >= 23, 1:] += np.random.default_rng(2).normal(0, 6, (int((t >= 23).sum()), 2))
    det = aligned(imu_range_g=16)
    events = det.push(mh.merge(mh.imu(t, acc, gyro), mh.ticks(0, 45, 45)))
    crash = events[events["kind"] == mh.CRASH]
    assert phases(events) == [mh.SUSPECT, mh.UPDATE, mh.CONFIRMED, mh.SUSPECT, mh.UPDATE, mh.CLOSED]
    assert len(set(crash["seq"])) == 1
    assert list(crash["impact_no"]) == [1, 1, 1, 2, 1, 1]
    for name in ("t0_us", "dv_kmh", "conf", "level", "evidence"):
        assert crash[name][4] == crash[name][5] == crash[name][2], name
    assert crash["t_detect_us"][5] - crash["t0_us"][5] == pytest.approx(10_000_000, abs=20_000)
    assert int(crash["quality"][5]) & DataQuality.STUCK


def test_samples_missing_in_mid_pulse_take_nothing_back() -> None:
    """0.15 s without a sample: the delta-V that was told at the trigger stands, without an upper end."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 40)
    events = aligned(imu_range_g=50).push(mh.merge(mh.imu(t, acc, gyro)[(t < 20.05) | (t >= 20.2)], NO_SPEED))
    crash = events[events["kind"] == mh.CRASH]
    assert len(crash) == 3
    assert len(set(crash["dv_kmh"])) == len(set(crash["dv_lo_kmh"])) == 1
    assert crash["dv_kmh"][0] > 6.5
    assert np.isnan(crash["dv_hi_kmh"]).all()
    assert int(crash["quality"][-1]) & DataQuality.GAP


# ---- each flag of the quality --------------------------------------------------------------------------------------

NO_SPEED = mh.ticks(0, 40, 40)
CALM = DataQuality.NO_GNSS  # of the stream below as it is


def crash_stream() -> tuple[mh.Samples, mh.Samples]:
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 30)
    return mh.imu(t, acc, gyro), mh.merge(speed(50, 40, 17), mh.ticks(0, 40, 40))


def quality(imu: mh.Samples, rest: mh.Samples, **config: float) -> DataQuality:
    events = aligned(**{"imu_range_g": 50, **config}).push(mh.merge(imu, rest))
    return DataQuality(int(events[events["kind"] == mh.CRASH]["quality"][-1]))


def with_nan(imu: mh.Samples) -> None:
    imu["x"][1000, 1] = np.nan


def saturated(imu: mh.Samples) -> None:
    imu["q"][2005] |= mh.SATURATED


def stuck(imu: mh.Samples) -> None:
    imu["x"][500:1300, :3] += np.random.default_rng(2).normal(0, 1, (800, 3)).astype(np.float32)
    imu["x"][500:1300, 1] = 0.25


def invalid(imu: mh.Samples) -> None:
    imu["q"][1000] = 0


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        (with_nan, DataQuality.NAN),
        (saturated, DataQuality.SATURATED),
        (stuck, DataQuality.STUCK),
        (invalid, DataQuality.INVALID),
    ],
)
def test_a_fault_of_samples_is_named(change: Callable[[mh.Samples], None], flag: DataQuality) -> None:
    """This flag and no other comes on top of what the sound stream says."""
    imu, rest = crash_stream()
    assert quality(imu, rest) == CALM
    change(imu)
    assert quality(imu, rest) == CALM | flag


def test_faults_of_the_stream_are_named() -> None:
    """A hole, a sensor that stops, time that goes back, a rate that halves, an unknown range, an unknown mounting."""
    imu, rest = crash_stream()
    t = imu["t_us"] / 1e6
    assert quality(imu[(t < 10) | (t > 10.5)], rest) == CALM | DataQuality.GAP
    assert quality(imu[t < 20.15], rest) == CALM | DataQuality.IMU_STOPPED
    stream = mh.merge(imu, rest)
    at = int(np.flatnonzero(stream["kind"] == mh.IMU)[1000])
    stream["t_us"][at] -= 50_000
    late = aligned(imu_range_g=50).push(stream)
    assert DataQuality(int(late[-1]["quality"])) == CALM | DataQuality.TIME_BACK
    slow = np.ones(len(imu), dtype=bool)
    slow[500:1500:2] = False
    assert quality(imu[slow], rest) == CALM | DataQuality.RATE_CHANGED
    assert quality(imu, rest, imu_range_g=0) == CALM | DataQuality.UNKNOWN_RANGE
    loose = mh.Detector(imu_range_g=50).push(mh.merge(imu, rest))
    assert DataQuality(int(loose[-1]["quality"])) == CALM | DataQuality.NOT_ALIGNED


def test_a_fault_is_forgotten_after_half_a_minute() -> None:
    """30 s before the crash and no longer."""
    for at, flag in ((5, DataQuality(0)), (15, DataQuality.INVALID)):
        t, acc, gyro = drive(60)
        hit(t, acc, 40, 30)
        imu = mh.imu(t, acc, gyro)
        imu["q"][at * 100] = 0
        assert quality(imu, mh.merge(speed(70, 60, 17), mh.ticks(0, 60, 60))) == CALM | flag


def test_what_is_missing_is_named() -> None:
    """No speed, a late one, a fix, a first fix; no IMU, and one below 40 Hz."""
    imu, _ = crash_stream()
    ticks = mh.ticks(0, 40, 40)
    assert quality(imu, ticks) == CALM | DataQuality.NO_SPEED
    obd = mh.scalar(mh.SPEED, np.arange(0, 40, 1.0), 17, mh.OBD, res=0.28)
    assert quality(imu, mh.merge(ticks, obd)) == CALM | DataQuality.SPEED_LATE
    fixes = mh.gnss(np.arange(0, 40, 1.0), np.full(40, 17.0))
    assert quality(imu, mh.merge(ticks, fixes)) == DataQuality.SPEED_LATE
    jump = mh.gnss(np.arange(0, 40, 1.0), np.where(np.arange(40) < 10, 1.0, 17.0))
    assert quality(imu, mh.merge(ticks, jump)) == DataQuality.SPEED_LATE | DataQuality.GNSS_JUMP
    bit = mh.merge(speed(50, 40, 17), ticks, mh.scalar(mh.AIRBAG, [1, 20], [0, 1], mh.CAN))
    blind = aligned().push(bit)
    assert DataQuality(int(blind[-1]["quality"])) == CALM | DataQuality.NO_IMU
    few = aligned(imu_range_g=50).push(mh.merge(imu[::4], bit))
    assert int(few[-1]["quality"]) & DataQuality.LOW_RATE


# ---- the interval of delta-V ----------------------------------------------------------------------------------------


def test_delta_v_comes_with_its_interval() -> None:
    """Two ends around the number once the pulse is over; narrow for a car that was hit while it rolled on evenly."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 30)
    events = aligned(imu_range_g=50).push(mh.merge(mh.imu(t, acc, gyro), mh.ticks(0, 40, 40)))
    crash = events[events["kind"] == mh.CRASH]
    assert np.isnan(crash["dv_hi_kmh"][0]), "while the pulse goes on there is no upper end"
    assert crash["dv_lo_kmh"][0] < crash["dv_kmh"][0]
    final = crash[-1]
    assert final["dv_lo_kmh"] < final["dv_kmh"] < final["dv_hi_kmh"]
    assert 0.1 < final["dv_hi_kmh"] - final["dv_lo_kmh"] < 2
    assert final["dv_lo_kmh"] < 30 < final["dv_hi_kmh"]


def test_no_upper_end_where_the_sensor_saw_too_little() -> None:
    """Saturated, or stopped in mid-pulse: at least, and no more is said."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 40)
    clipped = aligned(imu_range_g=4).push(mh.imu(t, np.clip(acc, -4 * mh.G, 4 * mh.G), gyro))
    stopped = aligned(imu_range_g=50).push(mh.merge(mh.imu(t, acc, gyro)[t < 20.06], mh.ticks(0, 40, 40)))
    for events in (clipped, stopped):
        update = events[events["phase"] == mh.UPDATE][0]
        assert np.isnan(update["dv_hi_kmh"])
        assert update["dv_lo_kmh"] <= update["dv_kmh"] < 40


def test_braking_before_is_no_part_of_the_pulse() -> None:
    """A second of 0.7 g, then 20 km/h: T0 is the impact's, delta-V the impact's, and its interval is wider."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 20)
    calm = aligned(imu_range_g=50).push(mh.imu(t, acc, gyro))
    acc[:, 0] -= 0.7 * mh.G * np.interp(t, [18.7, 18.9, 20.1, 20.2], [0, 1, 1, 0])
    braked = aligned(imu_range_g=50).push(mh.imu(t, acc, gyro))
    widths = []
    for events in (calm, braked):
        crash = events[events["kind"] == mh.CRASH]
        assert phases(events)[:2] == [mh.SUSPECT, mh.UPDATE]
        assert abs(int(crash["t0_us"][-1]) - 20_000_000) < 30_000
        assert crash["dv_kmh"][-1] == pytest.approx(20, abs=1.2)
        assert crash["dv_lo_kmh"][-1] <= 20 <= crash["dv_hi_kmh"][-1]
        widths.append(crash["dv_hi_kmh"][-1] - crash["dv_lo_kmh"][-1])
    assert widths[1] > widths[0]


def test_the_curve_is_there_without_a_mounting() -> None:
    """Two directions of the sensor's plane: their resultant is delta-V."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 30)
    det = mh.Detector()
    det.push(mh.imu(t, acc, gyro))
    assert np.hypot(*det.pulse()).max() == pytest.approx(30, rel=0.03)
