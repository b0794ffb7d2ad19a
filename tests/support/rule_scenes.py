"""Short scenes for the detector, each made so that one rule decides it. A scene takes what it is to be run with (fields
of otr_motion_config) and gives back the verdict in a form that can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.native import motion_harness as mh
from tests.native.test_motion_crash import aligned, drive, hit, speed
from tests.native.test_motion_drive import any_rotation, can_speed, course, town
from tests.native.test_motion_towed import lie, off

Scene = Callable[[dict[str, Any]], Any]
KINDS = {
    mh.CRASH: "crash", mh.INFERRED: "inferred", mh.ROLLOVER: "rollover", mh.PARKED: "parked", mh.MOVED: "moved",
    mh.AIRBAG_EVENT: "airbag", mh.BUS_LOST: "bus lost", mh.POWER_LOST: "power lost", mh.SENSOR_LOST: "sensor lost",
    mh.LOCKUP: "lockup", 11: "towed", mh.HARSH_BRAKE: "brake", mh.HARSH_ACCEL: "accel", mh.HARSH_CORNER: "corner",
    mh.LANE_CHANGE: "lane", mh.WHEEL_SPIN: "spin",
}  # fmt: skip  # a table


def incidents(events: mh.Events) -> list[str]:
    """What each incident was called last, by its number; a withdrawn one says so, a confirmed one too."""
    out: dict[int, str] = {}
    sure = set(events["seq"][events["phase"] == mh.CONFIRMED])
    for e in events[events["kind"] < mh.HARSH_BRAKE]:
        end = " withdrawn" if e["phase"] == mh.CANCELLED else ", sure" if e["seq"] in sure else ""
        out[int(e["seq"])] = KINDS[int(e["kind"])] + end
    return list(out.values())


def manoeuvres(events: mh.Events) -> list[str]:
    """The harsh manoeuvres that ended."""
    ends = events[(events["phase"] == mh.END) & (events["kind"] >= mh.HARSH_BRAKE)]
    return [KINDS[int(e["kind"])] for e in ends]


def run(config: dict[str, Any], *parts: mh.Samples, known: bool = True) -> mh.Events:
    """A new detector, its mounting known or not."""
    det = aligned(**config) if known else mh.Detector(**config)
    return det.push(mh.merge(*parts))


def push(along: float = 0, across: float = 0, yaw: float = 0, length: float = 2.0) -> mh.Samples:
    """40 s of an IMU, with that push [g] and turn rate [rad/s] from second 20 on."""
    t, acc, gyro = drive(40)
    on = (t >= 20) & (t < 20 + length)
    acc[on, 0] += along * mh.G
    acc[on, 1] += across * mh.G
    gyro[on, 2] += yaw
    return mh.imu(t, acc, gyro)


def still(seconds: float = 40) -> mh.Samples:
    return mh.imu(*drive(seconds))


# ---- a pulse, and what goes with it ------------------------------------------------------------------------------


def pulse(dv_kmh: float, *more: mh.Samples, width: float = 0.1, angle: float = np.pi, **imu: float) -> Scene:
    """A pulse at 20 s. imu: ``spin`` rad/s meanwhile, ``vertical`` km/h up, ``rolls`` onto its side after it."""

    def scene(config: dict[str, Any]) -> list[str]:
        t, acc, gyro = drive(40)
        hit(t, acc, 20, dv_kmh, width=width, angle=angle)
        during = (t >= 20) & (t < 20 + width)
        gyro[during, 2] += imu.get("spin", 0)
        acc[during, 2] += imu.get("vertical", 0) / 3.6 / width
        if imu.get("rolls"):
            roll((t, acc, gyro), 21, 1.5, 90)
        return incidents(run(config, mh.imu(t, acc, gyro), mh.ticks(0, 40, imu.get("bus_until", 40)), *more))

    return scene


def roll(imu: tuple[np.ndarray, np.ndarray, np.ndarray], at: float, seconds: float, degrees: float) -> None:
    """Turns about the long axis and stays there."""
    t, acc, gyro = imu
    angle = np.clip((t - at) / seconds, 0, 1) * np.radians(degrees)
    gyro[(t > at) & (t < at + seconds), 0] += np.radians(degrees) / seconds
    acc[:, 1] += mh.G * np.sin(angle)
    acc[:, 2] += mh.G * (np.cos(angle) - 1)


def late_stop() -> mh.Samples:
    """Drives on for four seconds, then stops at once: no collapse, but it stands."""
    return speed(24.3, 40, 17)


def pushed_on() -> mh.Samples:
    """Standing, then 16 km/h gained in a tenth of a second."""
    times = np.arange(0, 40, 0.05)
    return mh.scalar(mh.SPEED, times, np.clip((times - 20) * 44, 0, 4.4), mh.CAN, res=0.01)


def soft_pulse(config: dict[str, Any]) -> list[str]:
    """12 km/h in two humps within 0.3 s, the second at its end: never 6.5 in 150 ms."""
    t, acc, gyro = drive(40)
    acc[(t >= 20) & (t < 20.3), 0] -= 5 / 3.6 / 0.3
    hit(t, acc, 20.0, 3.5, width=0.06)
    hit(t, acc, 20.24, 3.5, width=0.06)
    return incidents(run(config, mh.imu(t, acc, gyro), mh.ticks(0, 40, 40)))


def emergency_stop(config: dict[str, Any]) -> list[str]:
    """1.05 g for two seconds, reached within a quarter of one: dry road, good tyres, the body pitching."""
    t, acc, gyro = drive(40)
    acc[:, 0] -= 1.05 * mh.G * np.interp(t, [20, 20.25, 22, 22.1], [0, 1, 1, 0])
    return incidents(run(config, mh.imu(t, acc, gyro), mh.ticks(0, 40, 40)))


def bump_while_braking(config: dict[str, Any]) -> list[str]:
    """1.0 g of braking, and after a second a bump of 1.8 km/h more within 60 ms."""
    t, acc, gyro = drive(40)
    acc[:, 0] -= 1.0 * mh.G * np.interp(t, [20, 20.25, 22, 22.1], [0, 1, 1, 0])
    hit(t, acc, 21, 1.8, width=0.06)
    return incidents(run(config, mh.imu(t, acc, gyro), mh.ticks(0, 40, 40)))


def broken_axis(config: dict[str, Any]) -> list[str]:
    """From one sample to the next an axis reads 2 g more, and stays there."""
    t, acc, gyro = drive(40)
    acc[t >= 20, 0] += 2 * mh.G
    return incidents(run(config, mh.imu(t, acc, gyro), mh.ticks(0, 40, 40)))


def frozen_axis(config: dict[str, Any]) -> list[str]:
    """The same on a road so bad that it is not seen at once: 3 g without a bit of change."""
    t, acc, gyro = drive(40)
    acc[:, 1:] += 6 * np.sin(2 * np.pi * 17 * t)[:, None] * ((t > 19) & (t < 22))[:, None]
    acc[t >= 20, 0] = 3 * mh.G
    return incidents(run(config, mh.imu(t, acc, gyro), mh.ticks(0, 40, 40)))


def two_impacts(config: dict[str, Any]) -> int:
    """15 km/h twice, two seconds apart: how many impacts the event has."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 15)
    hit(t, acc, 22, 15)
    events = run(config, mh.imu(t, acc, gyro), mh.ticks(0, 40, 40))
    return int(events["impact_no"].max())


def impact_after_the_end(config: dict[str, Any]) -> list[bool]:
    """15 km/h again 14 s later: does the new event say that it is the second?"""
    t, acc, gyro = drive(50)
    hit(t, acc, 20, 15)
    hit(t, acc, 34, 15)
    events = run(config, mh.imu(t, acc, gyro), mh.ticks(0, 50, 50))
    return [bool(e["flags"] & mh.MULTI) for e in events if e["phase"] == mh.SUSPECT]


def bit_then_pulse(config: dict[str, Any]) -> list[str]:
    """The crash bit a tenth of a second before the pulse."""
    return pulse(20, mh.scalar(mh.AIRBAG, [1, 19.9], [0, 1], mh.CAN))(config)


def bits(*values: tuple[float, float]) -> Scene:
    """A crash bit alone, in a car that stands."""
    samples = mh.scalar(mh.AIRBAG, [v[0] for v in values], [v[1] for v in values], mh.CAN)
    return lambda config: incidents(run(config, samples, mh.ticks(0, 25, 25), known=False))


def box_falls(turned: bool = True) -> Scene:
    """A jolt of 9 km/h, then gravity points elsewhere, in a car that drives on. turned: the gyro feels it as well."""

    def scene(config: dict[str, Any]) -> list[str]:
        t, acc, gyro = drive(40)
        hit(t, acc, 20, 9, width=0.05)
        if turned:
            roll((t, acc, gyro), 20.4, 1.2, 90)
        else:
            acc[t > 20.3] = acc[t > 20.3] @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
        events = run(config, mh.imu(t, acc, gyro), speed(50, 40, 15), mh.ticks(0, 40, 40))
        rolled = bool((events["flags"] & mh.F_ROLLOVER).any())
        return [*incidents(events), *(["rolled"] if rolled else [])]

    return scene


# ---- rolls and the box ----------------------------------------------------------------------------------------------


def rolls(degrees: float, seconds: float, *, back: float = 0, ignition: float | None = None) -> Scene:
    """A roll at 20 s; ``back``: upright again after so many seconds. ignition: of a car that stands, else it drives."""

    def scene(config: dict[str, Any]) -> list[str]:
        t, acc, gyro = drive(40)
        angle = np.clip((t - 20) / seconds, 0, 1) * np.radians(degrees)
        if back:
            angle *= np.clip((20 + back + seconds - t) / seconds, 0, 1)
        acc[:, 1] += mh.G * np.sin(angle)
        acc[:, 2] += mh.G * (np.cos(angle) - 1)
        gyro[:, 0] += np.gradient(angle, t)
        slides = can_speed(*course((0, 54), (20, 54), (24, 0), (40, 0)))
        moves = slides if ignition is None else mh.scalar(mh.POWER, [1.0], ignition)
        return incidents(run(config, mh.imu(t, acc, gyro), moves, mh.ticks(0, 40, 40)))

    return scene


def box_in_a_hand(config: dict[str, Any]) -> list[str]:
    """Taken up and held 50 degrees otherwise, in a car that drives on at 54 km/h."""
    t, acc, gyro = drive(40)
    roll((t, acc, gyro), 20, 2.0, 50)
    return incidents(run(config, mh.imu(t, acc, gyro), speed(50, 40, 15), mh.ticks(0, 40, 40)))


def wrong_gyro(config: dict[str, Any]) -> list[str]:
    """A gyro that reads 90 degrees a second for a second and a half, in a level car that slows down."""
    t, acc, gyro = drive(40)
    gyro[(t > 20) & (t < 21.5), 0] = np.pi / 2
    return incidents(
        run(config, mh.imu(t, acc, gyro), can_speed(*course((0, 54), (20, 54), (30, 0), (40, 0))), mh.ticks(0, 40, 40))
    )


def box_turned(config: dict[str, Any]) -> list[str]:
    """Twenty-eight degrees elsewhere, and there it stays."""
    return incidents(run(config, lie(120, np.array([0.0] * 4 + [28.0] * 8)), mh.ticks(0, 120)))


def box_turns_at_25_hz(config: dict[str, Any]) -> list[str]:
    """A sensor too slow for pulses, turned by 60 degrees in a car that drives on."""
    t, acc, gyro = drive(40, 25)
    roll((t, acc, gyro), 20, 0.3, 60)
    fixes = mh.gnss(np.arange(0, 40.0), np.full(40, 15.0))
    events = run(config, mh.imu(t, acc, gyro), fixes, mh.ticks(0, 40, 40), known=False)
    return [KINDS[int(e["kind"])] for e in events if e["phase"] == mh.BEGIN]


def towed(config: dict[str, Any]) -> list[str]:
    """Ignition off for 100 s, then GNSS goes at 20 km/h."""
    t = np.arange(0, 200.0)
    return incidents(run(config, off(0), mh.gnss(t, np.where(t > 100, 5.6, 0)), mh.ticks(0, 200), known=False))


def jacked(config: dict[str, Any]) -> list[str]:
    """Ignition off, lifted by 5 degrees."""
    lifted = lie(240, np.array([0.0] * 8 + [5.0] * 16))
    return incidents(run(config, off(0), lifted, mh.ticks(0, 240), known=False))


# ---- without an IMU -------------------------------------------------------------------------------------------------


def stop(*more: mh.Samples, src: int = mh.CAN, imu: bool = False, bus_until: float = 40) -> Scene:
    """60 km/h, and 0 within 0.3 s (broadcast) or one step (OBD)."""
    if src == mh.CAN:
        signal = can_speed(*course((0, 60), (20, 60), (20.3, 0), (40, 0)))
    else:
        times = np.arange(0, 40, 0.5)
        signal = mh.scalar(mh.SPEED, times, np.where(times < 20, 60 / 3.6, 0), src, res=1 / 3.6)
    parts = [signal[signal["t_us"] <= bus_until * 1e6], mh.ticks(0, 40, bus_until), *more, *([still()] if imu else [])]
    return lambda config: incidents(run(config, *parts, known=imu))


def silence(*more: mh.Samples, off_at: float | None = None, back_at: float | None = None) -> Scene:
    """90 km/h, and nothing from 20 s on. back_at: it comes back there and is lost again for good five seconds on."""
    signal = can_speed(*course((0, 90), (60, 90)))
    t = signal["t_us"] / 1e6
    keep = t < 20 if back_at is None else (t < 20) | ((t > back_at) & (t < back_at + 5))
    bus = mh.scalar(mh.BUS, np.arange(1, 400) / 10, 0)
    tb = bus["t_us"] / 1e6
    bus["x"][:, 0] = (tb <= 20) if back_at is None else (tb <= 20) | ((tb > back_at) & (tb <= back_at + 5))
    parts = [signal[keep], bus, mh.ticks(0, 40), *more]
    if off_at is not None:
        parts.append(mh.scalar(mh.POWER, [1, off_at], [1, 0]))
    return lambda config: incidents(run(config, *parts, known=False))


def default_code(config: dict[str, Any]) -> list[str]:
    """60 km/h, then the code for 'not available'."""
    signal = can_speed(*course((0, 60), (40, 60)))
    signal["q"][signal["t_us"] > 20_000_000] = mh.VALID | mh.SNA
    return incidents(run(config, signal, mh.ticks(0, 40, 40), known=False))


def turning_engine() -> mh.Samples:
    return mh.scalar(mh.RPM, np.arange(0, 40, 0.2), 2600, mh.CAN)


def turning_wheels() -> mh.Samples:
    t = np.arange(0, 40, 0.1)
    out = mh.scalar(mh.WHEELS, t, 60 / 3.6, mh.CAN)
    out["x"][:, :4] = 60 / 3.6
    return out


def braking_gnss() -> tuple[mh.Samples, mh.Samples]:
    """GNSS goes on at 60 km/h, the brake is on."""
    t = np.arange(0, 40, 0.1)
    return (
        mh.gnss(np.arange(0, 40, 1.0), np.full(40, 60 / 3.6)),
        mh.scalar(mh.BRAKE, t, (t > 19.8).astype(float), mh.CAN),
    )


def from_speed(*points: tuple[float, float], src: int = mh.CAN, rate: float = 20, res: float = 0.01) -> Scene:
    """Manoeuvres out of a speed alone, by corner points (s, km/h); OBD in whole steps."""
    t, v = course(*points)
    times = np.arange(0, t[-1], 1 / rate)
    values = np.interp(times, t, v)
    if src == mh.GNSS_SERIAL:
        samples = mh.gnss(times, values)
    else:
        samples = mh.scalar(mh.SPEED, times, np.round(values / res) * res, src, res=res)
    return lambda config: manoeuvres(run(config, samples, mh.ticks(0, t[-1], t[-1]), known=False))


def bend(kmh: float) -> Scene:
    """0.5 g across by GNSS alone."""
    t = np.arange(0, 40, 1.0)
    heading = (np.clip(t - 20, 0, 4) * 0.5 * mh.G / (kmh / 3.6)) % (2 * np.pi)
    fixes = mh.gnss(t, np.full(40, kmh / 3.6), heading)
    return lambda config: manoeuvres(run(config, fixes, mh.ticks(0, 40, 40), known=False))


def fixes(*speeds_kmh: float, first: int = 0) -> Scene:
    """GNSS speeds, one a second."""
    samples = mh.gnss(np.arange(len(speeds_kmh)) * 1.0, np.array(speeds_kmh) / 3.6, first=first)
    return lambda config: manoeuvres(run(config, samples, mh.ticks(0, len(speeds_kmh)), known=False))


# ---- manoeuvres on the IMU ------------------------------------------------------------------------------------------


def driven(*parts: mh.Samples, known: bool = True) -> Scene:
    return lambda config: manoeuvres(run(config, *parts, known=known))


def swerve() -> mh.Samples:
    """Left for a second, then right."""
    t, acc, gyro = drive(40)
    acc[(t >= 20) & (t < 21), 1] += 0.6 * mh.G
    acc[(t >= 21) & (t < 22), 1] -= 0.6 * mh.G
    return mh.imu(t, acc, gyro)


def brake_and_nod() -> mh.Samples:
    """0.5 g of brake, and half a second later 0.45 g the other way: off again, without any turn."""
    t, acc, gyro = drive(40)
    acc[(t >= 20) & (t < 21.2), 0] -= 0.5 * mh.G
    acc[(t >= 21.2) & (t < 22.4), 0] += 0.45 * mh.G
    return mh.imu(t, acc, gyro)


def two_pushes(pause: float, between: float = 0) -> mh.Samples:
    """0.45 g of brake twice for 1.5 s, ``between`` [g] in the pause."""
    t, acc, gyro = drive(40)
    for at in (20, 21.5 + pause):
        acc[(t >= at) & (t < at + 1.5), 0] -= 0.45 * mh.G
    acc[(t >= 21.5) & (t < 21.5 + pause), 0] -= between * mh.G
    return mh.imu(t, acc, gyro)


def crash_and_after(config: dict[str, Any]) -> list[str]:
    """A pulse of 40 km/h and the slide after it."""
    t, acc, gyro = drive(40)
    hit(t, acc, 20, 40)
    acc[(t > 20.4) & (t < 22), 1] += 0.5 * mh.G
    return manoeuvres(run(config, mh.imu(t, acc, gyro), mh.ticks(0, 40, 40)))


# ---- the mounting --------------------------------------------------------------------------------------------------


def bends_alone(config: dict[str, Any]) -> int:
    """Ten minutes of town without any speed: 2 is 'forward is known'."""
    samples = town(600, any_rotation(3))
    det = mh.Detector(**config)
    det.push(samples[samples["kind"] != mh.SPEED])
    return int(det.vehicle().mount)


def box_sits_elsewhere(config: dict[str, Any]) -> list[int]:
    """A kept mounting that is a quarter turn off the new trip's: the rules of what is said."""
    turn = any_rotation(4)
    det = mh.Detector(**config)
    det.set_mount(turn @ [0, 0, 1], turn @ [0, 1, 0], 0.9)
    events = det.push(town(400, turn))
    return [int(e["rule"]) for e in events if e["kind"] == mh.MOVED]
