"""How far the car went: hand-over between sources, tunnels, and standing still with a receiver that does not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.native import motion_harness as mh

DEGREE_M = 111_195.0


def fixes(t: np.ndarray, v: np.ndarray, east_m: np.ndarray, lat: float = 48.0) -> mh.Samples:
    """GNSS samples on a road to the east, with their places."""
    out = mh.gnss(t, v)
    out["x"][:, 3] = lat
    out["x"][:, 4] = 11.5 + east_m / (DEGREE_M * np.cos(np.radians(lat)))
    return out


def distance(*parts: mh.Samples) -> float:
    det = mh.Detector()
    det.push(mh.merge(*parts))
    return float(det.vehicle().distance_m)


@pytest.mark.parametrize("dark_s", [4, 45, 300])
def test_a_tunnel_is_bridged_by_the_straight_line(dark_s: int) -> None:
    """20 m/s by GNSS alone with an outage: nothing of the way is lost, and a curve would only make it longer."""
    t = np.arange(0, 400.0)
    seen = (t < 60) | (t >= 60 + dark_s)
    road = fixes(t, np.full(len(t), 20.0), t * 20)[seen]
    assert distance(road, mh.ticks(0, 400)) == pytest.approx((399 - 3) * 20, rel=0.01)  # 3 s after the first fix


def test_a_tunnel_with_a_speed_of_the_car_is_not_counted_twice() -> None:
    """While the bus gives a speed, fixes that come back add nothing."""
    t = np.arange(0, 200.0)
    road = fixes(t, np.full(len(t), 20.0), t * 20)[(t < 60) | (t > 120)]
    can = mh.scalar(mh.SPEED, np.arange(0, 199.01, 0.1), 20, mh.CAN, res=0.01)
    assert distance(road, can, mh.ticks(0, 200, 200)) == pytest.approx(199 * 20, rel=0.002)


def test_when_the_bus_ends_the_fixes_go_on() -> None:
    """CAN until 100 s, GNSS all the time: no step and no hole at the hand-over."""
    t = np.arange(0, 200.0)
    can = mh.scalar(mh.SPEED, np.arange(0, 100, 0.1), 20.2, mh.CAN, res=0.01)
    road = fixes(t, np.full(len(t), 20.0), t * 20)
    assert distance(road, can, mh.ticks(0, 200, 100)) == pytest.approx(100 * 20.2 + 99 * 20, rel=0.01)


def test_a_parked_receiver_goes_nowhere() -> None:
    """An hour of standing with noisy Doppler speed, wandering places and outages: no phantom distance."""
    rng = np.random.default_rng(4)
    t = np.arange(0, 3600.0)
    v = np.abs(rng.normal(0, 0.12, len(t)))
    wander = np.clip(np.cumsum(rng.normal(0, 0.5, len(t))), -20, 20)
    seen = (t % 600) < 560
    assert distance(fixes(t, v, wander)[seen], mh.ticks(0, 3600)) < 5


def test_a_receiver_that_jumps_across_a_town_adds_nothing() -> None:
    """After an outage of 30 s the place is 30 km away: no car does that."""
    t = np.arange(0, 120.0)
    road = fixes(t, np.full(len(t), 20.0), t * 20 + np.where(t > 60, 30_000, 0))[(t < 30) | (t >= 60)]
    assert distance(road, mh.ticks(0, 120)) < 120 * 20


def test_the_date_line_is_no_trip_round_the_world() -> None:
    """A tunnel across 180 degrees of longitude."""
    t = np.arange(0, 100.0)
    road = fixes(t, np.full(len(t), 20.0), t * 20, lat=0.0)
    road["x"][:, 4] = (road["x"][:, 4] - 11.5 + 179.993 + 180) % 360 - 180
    assert distance(road[(t < 20) | (t >= 60)], mh.ticks(0, 100)) == pytest.approx((99 - 3) * 20, rel=0.02)
