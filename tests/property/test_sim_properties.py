"""What holds for every road, pulse, mounting, frame and scenario text."""

from __future__ import annotations

import math
from importlib import resources
from random import Random

import cantools.database
import pynmea2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.errors import ScenarioError
from outrider.sim import generate, parse_scenario
from outrider.sim.crash import Pulse
from outrider.sim.dbc import layout
from outrider.sim.mounting import mounting_matrix
from outrider.sim.nmea import _angle
from outrider.sim.route import STEP_M, build_route
from outrider.sim.scenario import Scenario
from outrider.sim.tables import Crash, Imu, Leg, Mounting, Timeline

CITY = (resources.files("outrider.sim") / "scenarios" / "city-crash.toml").read_text(encoding="utf-8")
DATABASE = cantools.database.load_string(
    (resources.files("outrider.sim") / "data" / "simcar.dbc").read_text(encoding="utf-8"), database_format="dbc"
)


CRASHES = st.builds(
    Crash,
    delta_v_kmh=st.floats(0.5, 150),
    at_s=st.just(1.0),
    duration_ms=st.floats(30, 300),
    pdof_deg=st.floats(-180, 180),
    rebound=st.floats(0, 0.3),
    shape=st.sampled_from(["haversine", "bimodal", "stiff"]),
)
LEGS = st.builds(
    Leg,
    length_m=st.floats(20, 400),
    speed_kmh=st.floats(10, 130),
    brake_g=st.floats(0.08, 0.8),
    grade_percent=st.floats(-12, 12),
)


@given(CRASHES, st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_pulse_changes_velocity_by_delta_v_in_its_direction(crash: Crash, seed: int) -> None:
    """After the pulse: delta-V less the rebound, away from where the force comes from, nothing upwards."""
    delta_v, rebound, pdof = crash.delta_v_kmh, crash.rebound, crash.pdof_deg
    pulse = Pulse(crash, Random(seed))
    x, y, z = pulse.velocity(pulse.total_s + 0.001)
    assert math.hypot(x, y) * 3.6 == pytest.approx(delta_v * (1 - rebound), rel=1e-9)
    assert x == pytest.approx(-math.cos(math.radians(pdof)) * delta_v / 3.6 * (1 - rebound), abs=1e-9)
    assert y == pytest.approx(-math.sin(math.radians(pdof)) * delta_v / 3.6 * (1 - rebound), abs=1e-9)
    assert z == 0.0


@given(st.floats(-360, 360), st.floats(-360, 360), st.floats(-360, 360))
@settings(max_examples=100, deadline=None)
def test_mounting_is_a_rotation(yaw: float, pitch: float, roll: float) -> None:
    """Rows are orthonormal and right-handed."""
    m = mounting_matrix(Mounting(yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll))
    for i in range(3):
        for j in range(3):
            assert sum(a * b for a, b in zip(m[i], m[j], strict=True)) == pytest.approx(float(i == j), abs=1e-12)
    cross = (m[0][1] * m[1][2] - m[0][2] * m[1][1], m[0][2] * m[1][0] - m[0][0] * m[1][2])
    assert cross == pytest.approx(m[2][:2], abs=1e-12)


@given(
    st.lists(st.tuples(st.floats(-180, 180).filter(lambda a: abs(a) > 2), st.floats(5, 400)), min_size=1, max_size=6)
)
@settings(max_examples=60, deadline=None)
def test_curves_close_to_their_angle(curves: list[tuple[float, float]]) -> None:
    """The integral of curvature over the route is the sum of the turns, within what its grid resolves."""
    legs = tuple(Leg(speed_kmh=30, turn_deg=turn, radius_m=radius) for turn, radius in curves)
    route = build_route(Scenario(name="r", title="r", leg=legs, timeline=Timeline(ignition_on_s=0)))
    turned = sum(route.curvature(i * STEP_M) * STEP_M for i in range(int(route.length_m / STEP_M) + 2))
    allowed = sum(STEP_M / radius for _turn, radius in curves)
    assert turned == pytest.approx(math.radians(sum(turn for turn, _ in curves)), abs=allowed)


@given(st.sampled_from(sorted(layout())), st.data())
@settings(max_examples=100, deadline=None)
def test_packed_values_decode_elsewhere(name: str, data: st.DataObject) -> None:
    """Raw values of any message, packed by us, are what cantools reads."""
    own, theirs = layout()[name], DATABASE.get_message_by_name(name)
    if theirs.is_multiplexed():
        return
    raws = [data.draw(st.integers(signal.low, signal.high), label=signal.name) for signal in own.signals]
    values = [raw * s.factor + s.offset for raw, s in zip(raws, own.signals, strict=True)]
    decoded = theirs.decode(own.pack(values), decode_choices=False, scaling=False)
    assert decoded == {signal.name: raw for signal, raw in zip(own.signals, raws, strict=True)}


@given(st.sampled_from(sorted(layout())), st.data())
@settings(max_examples=60, deadline=None)
def test_values_outside_the_field_are_held_at_its_end(name: str, data: st.DataObject) -> None:
    """Nothing wraps around into a wrong value."""
    own = layout()[name]
    index = data.draw(st.integers(0, len(own.signals) - 1))
    signal, sign = own.signals[index], data.draw(st.sampled_from([-1.0, 1.0]))
    values = [s.offset for s in own.signals]
    values[index] = sign * 1e18
    word = int.from_bytes(own.pack(values), "big" if own.big_endian else "little")
    wanted = signal.high if sign > 0 else signal.low
    assert (word >> signal.shift) & signal.mask == wanted & signal.mask


@given(st.floats(-89.9, 89.9), st.floats(-179.99, 179.99))
@settings(max_examples=100, deadline=None)
def test_angles_come_back(lat: float, lon: float) -> None:
    """Degrees to NMEA text and back through pynmea2: within 1e-7 degrees."""
    body = f"GNGLL,{_angle(lat, 2, 'NS')},{_angle(lon, 3, 'EW')},120000.00,A,A"
    back = pynmea2.parse("$" + body)
    assert back.latitude == pytest.approx(lat, abs=1e-7)
    assert back.longitude == pytest.approx(lon, abs=1e-7)


@given(st.integers(0, len(CITY)), st.text(max_size=12), st.integers(0, 40))
@settings(max_examples=100, deadline=None)
def test_damaged_scenarios_are_errors_or_scenarios(at: int, text: str, cut: int) -> None:
    """Any damage to a document gives a scenario or one ScenarioError, nothing else."""
    damaged = CITY[:at] + text + CITY[at + cut :]
    try:
        parse_scenario(damaged, "x.toml")
    except ScenarioError as err:
        message = str(err)
    else:
        return
    assert message.startswith("x.toml:")
    assert "\n" not in message


@given(LEGS, st.sampled_from([50.0, 100.0]), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_any_leg_is_driven_to_its_end(leg: Leg, rate: float, seed: int) -> None:
    """The car gets to the end of any leg, stops near the line, and keeps within its grip."""
    timeline = Timeline(ignition_on_s=0.0, depart_s=2.5, end_after_s=1.0)
    scenario = Scenario(name="any", title="any", timeline=timeline, imu=Imu(rate_hz=rate), leg=(leg,))
    drive = generate(scenario, seed)
    c = drive.track.columns
    assert c["s"][-1] == pytest.approx(leg.length_m, abs=3.5)
    assert c["v"][-1] == 0.0
    assert max(abs(a) for a in c["along"]) <= 0.95 * 9.80665 * 1.001
