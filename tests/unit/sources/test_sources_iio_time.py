"""Times of inertial samples, and accelerations paired with rates."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.model.fix import ImuSample
from outrider.sources.iio_time import RatePairing, SampleClock

NOW = 50_000_000


def test_stamps_that_can_be_are_kept() -> None:
    """The device knows best when it measured."""
    clock = SampleClock(100)
    stamps = [NOW - 30_000, NOW - 20_050, NOW - 9_990]
    assert clock.times(stamps, 3, NOW) == stamps
    assert clock.respread == 0


def test_a_burst_with_one_stamp_is_spread_evenly() -> None:
    """A FIFO whose samples all bear the time of the interrupt: the last was then, the others a period apart."""
    clock = SampleClock(100)
    assert clock.times([NOW - 1000] * 4, 4, NOW) == [NOW - 31_000, NOW - 21_000, NOW - 11_000, NOW - 1000]
    assert clock.respread == 4


def test_without_stamps_arrival_counts_and_the_rate_is_learnt() -> None:
    """A sensor that runs 2 % slow is not followed by a growing lag."""
    clock = SampleClock(100)
    for n in range(200):
        times = clock.times(None, 5, NOW + n * 51_000)
    assert clock.period_us == pytest.approx(10_200, rel=0.002)
    assert times[-1] == NOW + 199 * 51_000
    assert all(b - a == pytest.approx(10_200, abs=30) for a, b in pairwise(times))


@pytest.mark.parametrize("stamp", [0, -5, 2**62, NOW + 10_000_000, NOW - 10_000_000])
def test_stamps_of_another_clock_are_not_believed(stamp: int) -> None:
    """1970, the future, long ago: arrival counts."""
    assert SampleClock(100).times([stamp], 1, NOW) == [NOW]


@given(st.lists(st.tuples(st.lists(st.integers(-(2**62), 2**62), max_size=6), st.integers(0, 10**6)), max_size=20))
def test_times_always_rise(batches: list[tuple[list[int], int]]) -> None:
    """Whatever a driver says."""
    clock, now, out = SampleClock(100), NOW, []
    for stamps, pause in batches:
        now += pause
        out += clock.times(stamps, len(stamps), now)
    assert all(a < b for a, b in pairwise(out))


def acc(*times: int) -> list[ImuSample]:
    return [ImuSample(t, (0.0, 0.0, 9.8)) for t in times]


def test_rates_are_interpolated() -> None:
    """Two devices never sample at the same instant."""
    pairing = RatePairing(wait_us=100_000)
    pairing.accelerations(acc(1000, 1500, 2000, 9000))
    pairing.rates([(1000, (0.0, 0.0, 0.0)), (2000, (1.0, 2.0, -4.0))])
    assert [s.gyro for s in pairing.ready(2500)] == [(0.0, 0.0, 0.0), (0.5, 1.0, -2.0), (1.0, 2.0, -4.0)]
    assert pairing.ready(2500) == []  # 9000 waits for its rate
    assert [s.t_us for s in pairing.ready(109_000)] == [9000]


def test_a_gyro_that_stops_does_not_hold_the_crash_detector_up() -> None:
    """The acceleration goes on without, and is counted."""
    pairing = RatePairing(wait_us=100_000)
    pairing.rates([(1000, (1.0, 1.0, 1.0))])
    pairing.accelerations(acc(500_000))
    assert pairing.ready(550_000) == []
    assert [s.gyro for s in pairing.ready(600_000)] == [None]
    assert pairing.unpaired == 1


@given(
    st.lists(st.integers(0, 10**6), max_size=30).map(sorted), st.lists(st.integers(0, 10**6), max_size=30).map(sorted)
)
def test_no_acceleration_is_lost(samples: list[int], rates: list[int]) -> None:
    """Each comes out once, in order, however the rates lie."""
    pairing = RatePairing(wait_us=5000)
    out: list[int] = []
    for now in range(0, 1_100_000, 50_000):
        pairing.rates([(t, (float(t), 0.0, 0.0)) for t in rates if now - 50_000 <= t < now])
        pairing.accelerations(acc(*[t for t in samples if now - 50_000 <= t < now]))
        ready = pairing.ready(now)
        out += [s.t_us for s in ready]
        for sample in ready:
            assert sample.gyro is None or abs(sample.gyro[0] - sample.t_us) <= 5000
    assert out == samples
