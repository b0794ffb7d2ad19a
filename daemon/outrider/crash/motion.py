"""What the accelerometer felt: the trace in the car's axes where they are known, and the delta-V curve.

The curve is the detector's own where the record holds it and it agrees with the delta-V that was said. Else it is
integrated here from the raw samples: gravity is their mean of the two seconds before, the direction is that which the
event itself states.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Final

from outrider.crash.bundle import CrashBundle
from outrider.crash.document import Axes, DeltaV, ImuTrace
from outrider.crash.signals import rate_hz
from outrider.model.event import Event
from outrider.model.evidence import EvidencePart

_SAMPLE: Final = struct.Struct("<qBBHf8f")
_VALID: Final = 1
_IMU_KIND: Final = 1
_SOURCES: Final = {5: "can", 6: "iio"}
_STEP_MS: Final = 10.0
_CURVE_MS: Final = 300.0
_BACK_US: Final = 20_000
_KMH: Final = 3.6
_NEAR: Final = 0.1  # of the delta-V that was said; a curve further off may be of another impact

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """One valid sample; gyro None when the sensor has none."""

    t_us: int
    acc: Vector
    gyro: Vector | None
    src: int


@dataclass(frozen=True, slots=True)
class Frame:
    """The car's axes in those of the sensor: forward and up are unit vectors, left completes them."""

    forward: Vector
    left: Vector
    up: Vector


def samples_of(bundle: CrashBundle) -> list[Sample]:
    """Valid samples in order of time; what is not finite, or not valid, is left out."""
    found = []
    for t_us, kind, src, quality, _res, ax, ay, az, gx, gy, gz, _t, _r in _SAMPLE.iter_unpack(
        bundle.items(EvidencePart.IMU)
    ):
        if kind != _IMU_KIND or not quality & _VALID or not math.isfinite(ax + ay + az):
            continue
        gyro = (gx, gy, gz) if math.isfinite(gx + gy + gz) else None
        found.append(Sample(t_us, (ax, ay, az), gyro, src))
    return found


def vehicle_axes(bundle: CrashBundle, samples: Sequence[Sample]) -> Frame | None:
    """The state's mounting, else what the event's own direction implies; None while nobody knows."""
    for state in reversed(bundle.states):
        if state.mount is not None and _length(state.mount.forward) > 0.5 and _length(state.mount.up) > 0.5:
            return _frame(state.mount.forward, state.mount.up)
    return None if bundle.states else _implied_axes(bundle, samples)


def imu_trace(bundle: CrashBundle, samples: Sequence[Sample], axes: Frame | None) -> ImuTrace | None:
    """None without a sample."""
    if not samples:
        return None
    times = tuple(round((s.t_us - bundle.t0_us) / 1e6, 6) for s in samples)
    acc = _columns([_turned(s.acc, axes) for s in samples])
    with_gyro = all(s.gyro is not None for s in samples)
    gyro = _columns([_turned(s.gyro, axes) for s in samples if s.gyro is not None]) if with_gyro else None
    named: Axes = "sensor" if axes is None else "vehicle"
    range_g = bundle.state.imu_range_g if bundle.state is not None and bundle.state.imu_range_g > 0 else None
    return ImuTrace(times, named, acc, gyro, rate_hz(times), range_g, _SOURCES.get(samples[0].src, "can"))


def delta_v(bundle: CrashBundle, samples: Sequence[Sample], axes: Frame | None) -> DeltaV:
    """At 100 Hz from T0 on; empty without a pulse, and when no curve agrees with the delta-V that was said. Of the
    detector's own curves, of which there is one an impact, that which comes nearest to the strongest impact."""
    strongest = bundle.strongest
    aligned: Axes = "vehicle" if any(event.dv_long_kmh is not None for event in bundle.events) else "sensor"
    told = [
        _curve(state.pulse_long_kmh, state.pulse_lat_kmh, aligned)
        for state in reversed(bundle.states)
        if state.pulse_long_kmh and len(state.pulse_long_kmh) == len(state.pulse_lat_kmh)
    ]
    if strongest is None or strongest.dv_kmh is None:
        return told[0] if told else _curve((), (), "sensor")
    candidates = [curve for curve in told if _agrees(curve, strongest.dv_kmh)]
    if all(_distance_kmh(curve, strongest) > _NEAR * strongest.dv_kmh for curve in candidates):
        curve = _integrated(bundle, samples, axes)
        candidates += [curve] if _agrees(curve, strongest.dv_kmh) else []
    nearest = min(candidates, key=lambda curve: _distance_kmh(curve, strongest), default=None)
    return nearest or _curve((), (), "sensor")


def _distance_kmh(curve: DeltaV, event: Event) -> float:
    """From the delta-V that was said to the curve at that time, with the direction where it is known."""
    at = max(0, min(round((event.dv_time_ms or _CURVE_MS) / _STEP_MS), len(curve.t_ms) - 1))
    if curve.axes == "vehicle" and event.dv_long_kmh is not None and event.dv_lat_kmh is not None:
        return math.hypot(curve.long_kmh[at] - event.dv_long_kmh, curve.lat_kmh[at] - event.dv_lat_kmh)
    return abs(curve.resultant_kmh[at] - (event.dv_kmh or 0.0))


def _agrees(curve: DeltaV, told_kmh: float) -> bool:
    """A curve that is far off the delta-V that was said is none: of another impact, or gravity turned with the car."""
    return bool(curve.t_ms) and 0.7 * told_kmh <= max(curve.resultant_kmh) <= 1.4 * told_kmh


def _curve(along: Sequence[float], across: Sequence[float], axes: Axes) -> DeltaV:
    return DeltaV(
        tuple(_STEP_MS * i for i in range(len(along))),
        tuple(round(v, 3) for v in along),
        tuple(round(v, 3) for v in across),
        tuple(round(math.hypot(x, y), 3) for x, y in zip(along, across, strict=True)),
        axes,
    )


def _integrated(bundle: CrashBundle, samples: Sequence[Sample], axes: Frame | None) -> DeltaV:
    gravity = _gravity(samples, bundle.t0_us)
    if gravity is None:
        return _curve((), (), "sensor")
    frame = axes or _plane(_scaled(gravity, 1 / _length(gravity)))
    grid, curve = _velocity(samples, gravity, bundle.t0_us)
    along = [_dot(v, frame.forward) * _KMH for v in curve]
    across = [_dot(v, frame.left) * _KMH for v in curve]
    count = len(grid)
    return _curve(along[:count], across[:count], "sensor" if axes is None else "vehicle")


def _velocity(samples: Sequence[Sample], gravity: Vector, t0_us: int) -> tuple[list[float], list[Vector]]:
    """Change of velocity in m/s since 20 ms before T0, each 10 ms from T0 on as far as there are samples."""
    begin = t0_us - _BACK_US
    window = [s for s in samples if begin - 50_000 <= s.t_us <= t0_us + (_CURVE_MS + 50) * 1000]
    times: list[float] = []
    sums: list[Vector] = []
    total = (0.0, 0.0, 0.0)
    for before, after in pairwise(window):
        dt = (after.t_us - before.t_us) / 1e6
        mean = _scaled(_add(before.acc, after.acc), 0.5)
        total = _add(total, _scaled(_add(mean, _scaled(gravity, -1)), dt))
        times.append(float(after.t_us))
        sums.append(total)
    if not times or times[0] > t0_us:
        return [], []
    base = _at(times, sums, begin)
    grid = [t for t in (t0_us + 10_000.0 * i for i in range(int(_CURVE_MS / _STEP_MS) + 1)) if t <= times[-1]]
    return grid, [_add(_at(times, sums, t), _scaled(base, -1)) for t in grid]


def _at(times: Sequence[float], sums: Sequence[Vector], t: float) -> Vector:
    """Linear between the sums; the first one before them."""
    if t <= times[0]:
        return sums[0]
    for i in range(1, len(times)):
        if t <= times[i]:
            part = (t - times[i - 1]) / max(times[i] - times[i - 1], 1.0)
            return _add(_scaled(sums[i - 1], 1 - part), _scaled(sums[i], part))
    return sums[-1]


def _implied_axes(bundle: CrashBundle, samples: Sequence[Sample]) -> Frame | None:
    """The horizontal direction in which the measured change of velocity is the one that the event states."""
    stated = next((e for e in reversed(bundle.events) if e.dv_long_kmh is not None and e.dv_lat_kmh is not None), None)
    gravity = _gravity(samples, bundle.t0_us)
    if stated is None or gravity is None or stated.dv_long_kmh is None or stated.dv_lat_kmh is None:
        return None
    plane = _plane(_scaled(gravity, 1 / _length(gravity)))
    grid, curve = _velocity(samples, gravity, bundle.t0_us)
    top_us = bundle.t0_us + (stated.dv_time_ms or 0.0) * 1000
    index = min(range(len(grid)), key=lambda i: abs(grid[i] - top_us), default=None)
    if index is None:
        return None
    measured = math.atan2(_dot(curve[index], plane.left), _dot(curve[index], plane.forward))
    turn = measured - math.atan2(stated.dv_lat_kmh, stated.dv_long_kmh)
    forward = _add(_scaled(plane.forward, math.cos(turn)), _scaled(plane.left, math.sin(turn)))
    return _frame(forward, plane.up)


def _gravity(samples: Sequence[Sample], t0_us: int) -> Vector | None:
    calm = [s.acc for s in samples if -2_000_000 <= s.t_us - t0_us <= -100_000]
    if len(calm) < 20:
        return None
    mean = (fmean(a[0] for a in calm), fmean(a[1] for a in calm), fmean(a[2] for a in calm))
    return mean if 5.0 < _length(mean) < 15.0 else None


def _plane(up: Vector) -> Frame:
    """Any two horizontal axes."""
    axis = min(range(3), key=lambda i: abs(up[i]))
    hint = (float(axis == 0), float(axis == 1), float(axis == 2))
    return _frame(hint, up)


def _frame(forward: Vector, up: Vector) -> Frame:
    u = _scaled(up, 1 / _length(up))
    flat = _add(forward, _scaled(u, -_dot(forward, u)))
    f = _scaled(flat, 1 / (_length(flat) or 1.0))
    left = (u[1] * f[2] - u[2] * f[1], u[2] * f[0] - u[0] * f[2], u[0] * f[1] - u[1] * f[0])
    return Frame(f, left, u)


def _turned(v: Vector, axes: Frame | None) -> Vector:
    return v if axes is None else (_dot(v, axes.forward), _dot(v, axes.left), _dot(v, axes.up))


def _columns(rows: Sequence[Vector]) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    x, y, z = (tuple(round(row[i], 5) for row in rows) for i in range(3))
    return x, y, z


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _add(a: Vector, b: Vector) -> Vector:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def _scaled(a: Vector, factor: float) -> Vector:
    return (a[0] * factor, a[1] * factor, a[2] * factor)


def _length(a: Vector) -> float:
    return math.sqrt(_dot(a, a))
