"""One accident is one event, whoever speaks first: the vehicle's crash bit, a stop, a roll, or the pulse on the IMU."""

from __future__ import annotations

import numpy as np
import pytest

from tests.native import motion_harness as mh
from tests.native.test_motion_crash import aligned, drive, hit, speed


def story(events: mh.Events) -> list[tuple[int, int]]:
    """Kind and phase of what came in the emergency lane."""
    return [(int(e["kind"]), int(e["phase"])) for e in events if e["kind"] < mh.HARSH_BRAKE]


def bit(at: float) -> mh.Samples:
    return mh.scalar(mh.AIRBAG, [1, at], [0, 1], mh.CAN)


def crash(dv_kmh: float, *more: mh.Samples, rate: float = 100) -> mh.Events:
    t, acc, gyro = drive(40, rate)
    hit(t, acc, 20, dv_kmh)
    every = mh.merge(mh.imu(t, acc, gyro, src=mh.IMU_CAN), speed(20.05, 40, 17), mh.ticks(0, 40, 40), *more)
    events = aligned().push(every)
    return events[events["kind"] < mh.HARSH_BRAKE]


@pytest.mark.parametrize("at", [19.2, 19.99, 20.005])
def test_an_airbag_bit_before_the_pulse_opens_the_event_that_the_pulse_goes_on(at: float) -> None:
    """AIRBAG is confirmed at once; the pulse makes it a CRASH of the same number with its own phases and numbers."""
    events = crash(30, bit(at))
    assert story(events) == [
        (mh.AIRBAG_EVENT, mh.CONFIRMED), (mh.CRASH, mh.UPDATE), (mh.CRASH, mh.UPDATE),
        (mh.CRASH, mh.CONFIRMED), (mh.CRASH, mh.CLOSED),
    ]  # fmt: skip
    assert len(set(events["seq"])) == 1
    assert (events["flags"] & mh.F_AIRBAG).all()
    assert events[-1]["dv_kmh"] == pytest.approx(30, rel=0.03)
    assert events[-1]["rule"] == 1
    assert events[-1]["src_mask"] == 1 << mh.CAN | 1 << mh.IMU_CAN
    assert events[-1]["level"] == 3


@pytest.mark.parametrize("at", [20.15, 22.0, 28.0])
def test_an_airbag_bit_after_the_trigger_joins_the_running_crash(at: float) -> None:
    """During the capture it waits for the numbers; later it is an UPDATE at once. Never a second event."""
    events = crash(15, bit(at))
    assert len(set(events["seq"])) == 1
    assert set(events["kind"]) == {mh.CRASH}
    told = events[(events["flags"] & mh.F_AIRBAG) > 0][0]
    assert told["phase"] in (mh.UPDATE, mh.CONFIRMED)
    assert told["t_detect_us"] / 1e6 - at < 0.4
    assert told["level"] == 3
    assert events[-1]["phase"] == mh.CLOSED
    assert events[-1]["src_mask"] & 1 << mh.CAN


def test_an_airbag_without_a_pulse_stays_an_airbag() -> None:
    """A restraint bit, then a stop on the bus and silence: one event, and no second alarm for what follows."""
    times = np.arange(0, 20.3, 0.05)
    v = mh.scalar(mh.SPEED, times, np.where(times < 20, 17.0, 0.0), mh.CAN, res=0.01)
    events = mh.Detector().push(mh.merge(bit(19.9), v, mh.ticks(0, 40, 20.3)))
    assert story(events) == [(mh.AIRBAG_EVENT, mh.CONFIRMED)]
    assert events["v_pre_kmh"][0] == pytest.approx(61.2, abs=0.1)


def test_an_airbag_long_before_a_pulse_is_another_accident() -> None:
    """Ten seconds later a pulse is its own event."""
    events = crash(30, bit(9.5))
    assert len(set(events["seq"])) == 2
    assert story(events)[:2] == [(mh.AIRBAG_EVENT, mh.CONFIRMED), (mh.CRASH, mh.SUSPECT)]
    assert not events[-1]["flags"] & mh.F_AIRBAG


def test_a_stop_on_the_bus_that_comes_before_the_pulse() -> None:
    """The bus tells the stop 150 ms before the IMU's samples arrive: the same event becomes the measured crash."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20.2, 30)
    times = np.arange(0, 40, 0.05)
    v = mh.scalar(mh.SPEED, times, np.where(times < 20, 17.0, 0.0), mh.CAN, res=0.01)
    events = aligned().push(mh.merge(mh.imu(t, acc, gyro), v, mh.ticks(0, 40, 40)))
    told = story(events)
    assert told[0] == (mh.INFERRED, mh.SUSPECT)
    assert told[1:3] == [(mh.CRASH, mh.SUSPECT), (mh.CRASH, mh.UPDATE)]
    assert told[-1] == (mh.CRASH, mh.CLOSED)
    assert len(set(events["seq"][events["kind"] < mh.HARSH_BRAKE])) == 1


def test_a_stop_and_then_the_airbag_bit() -> None:
    """Without an IMU: the suspicion of the stop is confirmed by the bit, under its number."""
    times = np.arange(0, 40, 0.05)
    v = mh.scalar(mh.SPEED, times, np.where(times < 20, 17.0, 0.0), mh.CAN, res=0.01)
    events = mh.Detector().push(mh.merge(bit(20.5), v, mh.ticks(0, 40, 40)))
    assert story(events) == [(mh.INFERRED, mh.SUSPECT), (mh.AIRBAG_EVENT, mh.CONFIRMED)]
    assert len(set(events["seq"])) == 1
    assert events["v_pre_kmh"][1] == pytest.approx(61.2, abs=0.1)
    assert np.isnan(events["v_impact_kmh"][1]), "nobody felt when; the zero at the time of the bit is no answer"


def test_a_second_lighter_impact_does_not_make_the_accident_lighter() -> None:
    """Level, flags and sources of the first impact stay; the numbers are those of impact 2."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 40)
    hit(t, acc, 22, 11)
    events = aligned().push(mh.merge(mh.imu(t, acc, gyro), bit(19.99), mh.ticks(0, 40, 40)))
    last = events[events["kind"] == mh.CRASH][-1]
    assert last["impact_no"] == 2
    assert last["dv_kmh"] == pytest.approx(11, rel=0.1)
    assert last["level"] == 3
    assert last["flags"] & mh.F_AIRBAG
    assert last["src_mask"] & 1 << mh.CAN
    assert len(set(events["seq"])) == 1


def roll(t: np.ndarray, acc: np.ndarray, gyro: np.ndarray, at: float) -> None:
    """Onto the right side within one and a half seconds."""
    angle = np.clip((t - at) / 1.5, 0, 1) * np.pi / 2
    gyro[:, 0] += np.where((t > at) & (t < at + 1.5), np.pi / 2 / 1.5, 0)
    acc[:, 1] += mh.G * np.sin(angle)
    acc[:, 2] += mh.G * (np.cos(angle) - 1)


def test_a_roll_within_a_crash_is_the_same_event() -> None:
    """The car is hit and rolls over: an UPDATE with the flag and the highest level, no event of its own."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 14)
    roll(t, acc, gyro, 20.8)
    events = aligned().push(mh.merge(mh.imu(t, acc, gyro), speed(20.05, 40, 17), mh.ticks(0, 40, 40)))
    events = events[events["kind"] < mh.HARSH_BRAKE]
    assert set(events["kind"]) == {mh.CRASH}
    assert len(set(events["seq"])) == 1
    told = events[(events["flags"] & mh.F_ROLLOVER) > 0][0]
    assert told["t_detect_us"] < 23_000_000
    assert told["level"] == 3


def test_a_roll_and_then_the_roof_hits_the_ground() -> None:
    """The roll comes first, the pulse after it: ROLLOVER becomes a CRASH of the same number that keeps the flag."""
    t, acc, gyro = drive(40)
    roll(t, acc, gyro, 20)
    hit(t, acc, 23, 25)
    events = aligned().push(mh.merge(mh.imu(t, acc, gyro), speed(50, 40, 17), mh.ticks(0, 40, 40)))
    events = events[events["kind"] < mh.HARSH_BRAKE]
    assert story(events)[:3] == [(mh.ROLLOVER, mh.CONFIRMED), (mh.CRASH, mh.UPDATE), (mh.CRASH, mh.UPDATE)]
    assert len(set(events["seq"])) == 1
    assert (events["flags"] & mh.F_ROLLOVER).all()


def test_the_speed_before_is_not_the_one_that_the_push_made() -> None:
    """Hit from behind while standing: speed before 0, though the bus says 17 km/h a moment later; no collapse of it."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 19, angle=0)
    times = np.arange(0, 40, 0.02)
    v = np.where(times < 20, 0, np.clip(4.8 - (times - 20.1) * 5, 0, np.minimum(4.8, (times - 20) * 48)))
    can = mh.scalar(mh.SPEED, times, v, mh.CAN, res=0.01)
    events = aligned().push(mh.merge(mh.imu(t, acc, gyro), can, mh.ticks(0, 40, 40)))
    crash = events[events["kind"] == mh.CRASH]
    assert np.abs(crash["v_pre_kmh"]).max() < 0.1
    assert not crash["flags"][-1] & mh.STANDSTILL
    assert mh.CONFIRMED in crash["phase"]  # by the speed that the push gave
    assert crash["pdof_deg"][-1] == pytest.approx(180, abs=3) or crash["pdof_deg"][-1] == pytest.approx(-180, abs=3)
