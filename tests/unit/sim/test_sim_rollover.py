"""A car that turns over: momentum and energy behave, and the sensor turns with it."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from outrider.sim import Drive, generate, load_scenario
from outrider.sim.rollover import Tumble
from outrider.sim.tables import Rollover

G = 9.80665


@pytest.fixture(scope="module")
def rolled() -> Drive:
    return generate(load_scenario("rollover"), 1)


def ridden(spec: Rollover, across: float) -> tuple[Tumble, list[float]]:
    """The tumble from a slide to the right, and its speeds over ground."""
    tumble, speeds, y = Tumble(spec), [], -across
    for _ in range(1200):
        moved = tumble.step(0.0, y, 0.01)
        y += moved.across * 0.01
        speeds.append(abs(y))
        if tumble.settled:
            break
    return tumble, speeds


def test_a_car_that_stands_stays_on_its_wheels() -> None:
    """Springs carry the weight: nothing moves."""
    tumble, _ = ridden(Rollover(at_s=0.0), 0.0)
    assert abs(tumble.roll) < 1e-3
    assert tumble.settled


@pytest.mark.parametrize(("grip", "rolls"), [(0.7, False), (2.2, True)])
def test_it_takes_more_grip_than_the_stability_factor_to_turn_over(grip: float, rolls: bool) -> None:
    """Half the track over the height of the centre is 1.40 g: tyres (0.7) slide, wheels that dig in (2.2) trip."""
    tumble, speeds = ridden(Rollover(at_s=0.0, trip_g=grip, scrape_g=0.45), 14.0)
    assert (abs(tumble.roll) > math.pi / 2) == rolls
    assert speeds[-1] < 0.1


def test_it_rolls_the_way_it_slides_and_ends_on_a_side() -> None:
    """Sliding to the right turns the right side down (roll > 0), by whole quarters within the slope of its sides."""
    tumble, _ = ridden(Rollover(at_s=0.0), 13.0)
    turned = math.degrees(tumble.roll)
    assert turned > 80.0
    assert min(abs(turned - 90.0 * n) for n in range(12)) < 25.0
    assert 150.0 < math.degrees(tumble.peak_rate) < 600.0


def test_faster_cars_turn_further() -> None:
    """The energy of the slide goes into turns."""
    turns = [abs(ridden(Rollover(at_s=0.0), speed)[0].roll) for speed in (9.0, 13.0, 18.0)]
    assert turns == sorted(turns)


def test_friction_is_all_that_stops_it() -> None:
    """Over the ground it loses speed with no more than trip and scrape friction times the load; never gains any."""
    _, speeds = ridden(Rollover(at_s=0.0, scrape_g=0.45), 14.0)
    assert all(after <= before + 0.35 for before, after in pairwise(speeds))  # a corner's spin gives some back
    assert speeds[-1] < 0.1


def test_gravity_turns_in_the_sensor(rolled: Drive) -> None:
    """At rest the specific force is 1 g along where the attitude says up is: 1.5 turns later it points down."""
    c = rolled.track.columns
    (event,) = [e for e in rolled.truth()["events"] if e["kind"] == "rollover"]
    last = len(rolled.track) - 50
    roll = math.radians(event["roll_deg"])
    assert c["fy"][last] == pytest.approx(G * math.sin(roll), abs=0.35)
    assert c["fz"][last] == pytest.approx(G * math.cos(roll), abs=0.35)
    assert event["quarter_turns"] == 6


def test_the_gyro_adds_up_to_the_attitude(rolled: Drive) -> None:
    """The integral of the roll rate is the angle turned, within what pitch and yaw take part in."""
    c, h = rolled.track.columns, rolled.track.step_s
    (event,) = [e for e in rolled.truth()["events"] if e["kind"] == "rollover"]
    rows = rolled.track.rows(event["tripped_s"], event["rest_s"])
    turned = math.degrees(sum(c["wx"][row] for row in rows) * h)
    assert turned == pytest.approx(event["roll_deg"], abs=8.0)


def test_speed_over_ground_has_no_steps(rolled: Drive) -> None:
    """No step of the motion loses more than wheels in the ground can take."""
    c, h = rolled.track.columns, rolled.track.step_s
    limit = rolled.scenario.rollover
    assert limit is not None
    falls = [b - a for a, b in pairwise(c["ground_v"])]
    assert min(falls) > -12.0 * G * h
    assert c["ground_v"][-1] == 0.0
