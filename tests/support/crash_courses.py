"""Courses of a crash made by hand: accelerations, delta-V, signals of the car, positions."""

from __future__ import annotations

import math
from typing import Any

from outrider.crash.document import DeltaV, ImuTrace, Series, TrackPoint


def pulse(t: float, dv_mps: float, length_s: float = 0.1) -> float:
    """A half sine that loses ``dv_mps`` in ``length_s``."""
    return -dv_mps * math.pi / 2 / length_s * math.sin(math.pi * t / length_s) if 0 <= t <= length_s else 0.0


def imu(dv_kmh: float = 57.3, lateral: float = 0.15, range_g: float = 200.0) -> ImuTrace:
    times = [i / 100 for i in range(-1500, 1500)]
    limit = range_g * 9.80665
    along = [max(-limit, pulse(t, dv_kmh / 3.6) + 0.4 * math.sin(9 * t)) for t in times]
    across = [lateral * pulse(t, dv_kmh / 3.6) + 0.3 * math.sin(7 * t) for t in times]
    up = [9.81 + 0.5 * math.sin(11 * t) for t in times]
    turns = tuple(tuple(0.3 * math.sin(k * t) for t in times) for k in (3, 5, 7))
    return ImuTrace(tuple(times), "vehicle", (tuple(along), tuple(across), tuple(up)), turns, 100.0, range_g, "can")  # type: ignore[arg-type]  # three lists


def delta_v(dv_kmh: float = 57.3, lateral: float = 0.15) -> DeltaV:
    times = tuple(10.0 * i for i in range(31))
    along = tuple(-dv_kmh / 2 * (1 - math.cos(math.pi * min(t, 100.0) / 100)) for t in times)
    across = tuple(lateral * value for value in along)
    whole = tuple(math.hypot(a, b) for a, b in zip(along, across, strict=True))
    return DeltaV(times, along, across, whole, "vehicle")


def series(name: str, unit: str, rate_hz: float, values: Any, source: str = "evidence") -> Series:
    times = tuple(-20 + i / rate_hz for i in range(int(35 * rate_hz)))
    return Series(name, name.rpartition(".")[2], unit, rate_hz, times, tuple(float(values(t)) for t in times), source)


def speed(t: float) -> float:
    return 62.0 if t < -1 else 62.0 + 5 * (-1 - t) if t < 0 else max(0.0, 57.0 - 570 * t)


def signals() -> tuple[Series, ...]:
    return (
        series("Vehicle.Speed", "km/h", 10, speed),
        series("Vehicle.OBD.Speed", "km/h", 1, lambda t: round(speed(t - 0.4)), "telemetry"),
        series("Vehicle.Chassis.Accelerator.PedalPosition", "percent", 10, lambda t: 22 if t < -1.2 else 0),
        series("Vehicle.Powertrain.CombustionEngine.TPS", "percent", 10, lambda t: 18 if t < -1.1 else 2),
        series("Vehicle.Powertrain.CombustionEngine.Speed", "rpm", 10, lambda t: 1900 if t < 0 else 0),
        series("Vehicle.Chassis.SteeringWheel.Angle", "degrees", 10, lambda t: 3 * math.sin(t)),
        series("Vehicle.Outrider.YawRate", "degrees/s", 10, lambda t: 30 * math.exp(-t) if t > 0 else 0),
        series("Vehicle.Outrider.BrakePedalPressed", "", 10, lambda t: t > -1),
        series("Vehicle.Cabin.Seat.Row1.DriverSide.IsBelted", "", 10, lambda t: 1),
        series("Vehicle.Outrider.AirbagDeployed", "", 10, lambda t: t > 0.03),
        series("Vehicle.Exterior.AirTemperature", "celsius", 1, lambda t: 7.5, "telemetry"),
    )


def track() -> tuple[TrackPoint, ...]:
    points = []
    for t in range(-20, 16):
        metres = t * 17.2 if t < 0 else 0.0
        points.append(
            TrackPoint(t, 48.137 + metres / 111_195 * 0.8, 11.575 + metres / 74_200 * 0.6, speed(t), 31.0, 2.5)
        )
    return tuple(points)
