"""What hands do: the terminal that falls, doors, jacks, tow trucks."""

from __future__ import annotations

import math
from random import Random

import pytest

from outrider.sim import Drive, generate, load_scenario, parse_scenario
from outrider.sim.handling import Handling
from outrider.sim.mounting import applied, axis_and_angle, mounting_matrix, turned
from outrider.sim.tables import Device, Mounting

G = 9.80665


@pytest.fixture(scope="module")
def dropped() -> Drive:
    return generate(load_scenario("device-drop"), 1)


def parked(extra: str) -> Drive:
    text = f'name = "p"\ntitle = "p"\n[timeline]\nend_after_s = 60.0\n{extra}'
    return generate(parse_scenario(text), 1)


def test_a_falling_terminal_feels_nothing_and_then_its_landing(dropped: Drive) -> None:
    """0.7 m take 0.378 s; the landing takes the speed of the fall and gives a third back."""
    device = dropped.scenario.device
    assert device is not None
    length = math.sqrt(2.0 * device.drop_m / G)
    samples = list(dropped.samples())
    falling = [s for s in samples if device.at_s + 0.02 < s.t < device.at_s + length - 0.02]
    assert len(falling) > 25
    assert max(math.hypot(*s.acc) for s in falling) < 0.06 * G  # its bias
    begin, end = device.at_s + length - 0.005, device.at_s + length + 0.03
    rate = 1.0 / (samples[1].t - samples[0].t)
    handling = Handling(device, dropped.scenario.imu.mounting, Random(1))
    steps = 4000
    push = [math.hypot(*handling.hold(begin + i * (end - begin) / steps).push) for i in range(steps)]
    speed = math.sqrt(2.0 * G * device.drop_m)
    assert sum(push) * (end - begin) / steps == pytest.approx(speed * 1.33, rel=0.01)
    assert max(math.hypot(*s.acc) for s in samples if begin < s.t < end) > 5.0 * G
    assert rate == pytest.approx(100.4, rel=0.001)


def test_it_lies_and_is_fixed_as_the_scenario_says(dropped: Drive) -> None:
    """Gravity in the sensor is that of the attitude before, between and after, within bias and road."""
    device = dropped.scenario.device
    assert device is not None
    for begin, end, mounting in (
        (2.0, 10.0, dropped.scenario.imu.mounting),
        (15.0, 23.0, device.lies),
        (33.0, 45.0, device.back),
    ):
        up = applied(mounting_matrix(mounting), (0.0, 0.0, G))
        seen = [s.acc for s in dropped.samples() if begin < s.t < end and s.valid]
        mean = [sum(acc[i] for acc in seen) / len(seen) for i in range(3)]
        assert math.dist(mean, up) < 0.09 * G


def test_the_car_does_not_notice(dropped: Drive) -> None:
    """Speed and path are those of the same drive without the fall."""
    text = load_scenario("device-drop")
    other = generate(type(text)(**{**{f: getattr(text, f) for f in text.__struct_fields__}, "device": None}), 1)
    assert list(other.track.columns["v"]) == list(dropped.track.columns["v"])


@pytest.mark.parametrize("seed", range(20))
def test_one_turn_takes_one_attitude_to_another(seed: int) -> None:
    """Axis and angle of any two mountings, half turns too, give the second from the first."""
    rng = Random(seed)
    angles = [rng.choice((0.0, 90.0, 180.0, rng.uniform(-180, 180))) for _ in range(6)]
    a = mounting_matrix(Mounting(yaw_deg=angles[0], pitch_deg=angles[1], roll_deg=angles[2]))
    b = mounting_matrix(Mounting(yaw_deg=angles[3], pitch_deg=angles[4], roll_deg=angles[5]))
    axis, angle = axis_and_angle(a, b)
    result = turned(a, axis, angle)
    assert 0.0 <= angle <= math.pi
    for row, wanted in zip(result, b, strict=True):
        assert row == pytest.approx(wanted, abs=1e-6)


def test_the_gyro_says_how_the_hand_turns_it() -> None:
    """The rate in the sensor's axes is the attitude's change."""
    device = Device(at_s=0.0, remount_s=10.0, hand_s=4.0, lies=Mounting(yaw_deg=30, roll_deg=80), back=Mounting())
    handling, dt = Handling(device, Mounting(), Random(1)), 1e-5
    a, b = handling.hold(12.0), handling.hold(12.0 + dt)
    axis, angle = axis_and_angle(a.matrix, b.matrix)
    assert [value * angle / dt for value in axis] == pytest.approx(a.turn, rel=1e-3)


def test_a_door_shakes_the_car_and_leaves_it_where_it_was() -> None:
    """Tenths of a g for tenths of a second; no change of velocity is left."""
    drive = parked("[[door]]\nat_s = 20.0\nspeed_mps = 3.0\n")
    c, h = drive.track.columns, drive.track.step_s
    near = drive.track.rows(20.0, 22.0)
    assert 0.1 * G < max(abs(c["fy"][row]) for row in near) < 1.0 * G
    assert abs(sum(c["fy"][row] for row in near) * h) < 0.02
    assert max(abs(c["fy"][row]) for row in drive.track.rows(22.5, 30.0)) < 0.01 * G


def test_a_jack_tilts_gravity_and_a_second_lift_lets_it_down() -> None:
    """6 degrees show as sin and cos of g; the gyro's integral is the angle; down again is upright again."""
    drive = parked("[[lift]]\nat_s = 10.0\nroll_deg = 6.0\nover_s = 12.0\n[[lift]]\nat_s = 35.0\nover_s = 10.0\n")
    c, h = drive.track.columns, drive.track.step_s
    up, down = drive.track.row_at(30.0), drive.track.row_at(50.0)
    assert c["fy"][up] == pytest.approx(G * math.sin(math.radians(6.0)), rel=1e-3)
    assert c["fz"][up] == pytest.approx(G * math.cos(math.radians(6.0)), rel=1e-3)
    assert math.degrees(sum(c["wx"][row] for row in range(up)) * h) == pytest.approx(6.0, rel=1e-3)
    assert abs(c["fy"][down]) < 1e-6


def test_a_towed_car_moves_with_its_ignition_off() -> None:
    """It covers its way, nose up; no engine, no bus."""
    drive = generate(load_scenario("tow"), 1)
    c = drive.track.columns
    assert c["s"][-1] == pytest.approx(500.0, abs=3.0)
    assert max(c["power"]) == 0.0
    assert max(c["rpm"]) == 0.0
    assert c["fx"][drive.track.row_at(50.0)] == pytest.approx(G * math.sin(math.radians(11.0)), rel=0.01)
    assert max(frame.t_us for frame in drive.frames() if frame.frame_id != 0x1A0) < drive.start_us + 8e6
