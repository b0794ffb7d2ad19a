"""Data elements as the event recorder standards ask for them, made from a document.

Signs: the document is ISO 8855 (y to the left, z up). 49 CFR 563.5 and, as far as we know, GB 39732 and UN R160 count y
from left to right and z downward: ``Recorder.y`` and ``z`` turn the sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from outrider.crash.document import CrashDocument, Series
from outrider.crash.tables_csv import grid_s, on_grid

Element = dict[str, Any]

SPEED: Final = ("Vehicle.Speed", "Vehicle.OBD.Speed", "Vehicle.Outrider.Speed")
PEDAL: Final = ("Vehicle.Chassis.Accelerator.PedalPosition", "Vehicle.OBD.RelativeAcceleratorPosition")
THROTTLE: Final = ("Vehicle.Powertrain.CombustionEngine.TPS", "Vehicle.OBD.ThrottlePosition")
RPM: Final = ("Vehicle.Powertrain.CombustionEngine.Speed", "Vehicle.OBD.EngineSpeed")
BRAKE: Final = ("Vehicle.Outrider.BrakePedalPressed", "Vehicle.Chassis.Brake.PedalPosition")
STEERING: Final = ("Vehicle.Chassis.SteeringWheel.Angle",)
YAW: Final = ("Vehicle.Outrider.YawRate", "Vehicle.AngularVelocity.Yaw")
ABS: Final = ("Vehicle.ADAS.ABS.IsEngaged",)
ESC: Final = ("Vehicle.ADAS.ESC.IsEngaged",)
DRIVER_BELT: Final = ("Vehicle.Cabin.Seat.Row1.DriverSide.IsBelted",)
PASSENGER_BELT: Final = ("Vehicle.Cabin.Seat.Row1.PassengerSide.IsBelted",)
AIRBAG: Final = ("Vehicle.Outrider.AirbagDeployed",)

NOT_BROADCAST: Final = "the car does not broadcast it, or the vehicle profile does not know it"
NOT_MEASURED: Final = "there was no pulse on an accelerometer"
NO_AXES: Final = "how the terminal sits in the car was not known: the delta-V has no direction"
RESTRAINT: Final = "only the airbag control unit knows it; the terminal hears at most that something deployed"
OF_RECORDER: Final = "belongs to a built-in event data recorder, which the terminal is not"
STATEMENT: Final = (
    "Made by an aftermarket terminal from its own accelerometer and what the car broadcasts. It is not an event data "
    "recorder in the sense of this standard, has not been tested or approved as one, and claims no accuracy class."
)


def known(name: str, value: Any, unit: str = "", **more: Any) -> Element:
    """An element that is there."""
    return {"name": name, "available": True, "value": value, "unit": unit, **more}


def absent(name: str, why: str) -> Element:
    """An element that is not."""
    return {"name": name, "available": False, "why": why}


class Recorder:
    """Access to a document in the terms of a recorder. right_down: y from left to right, z downward."""

    def __init__(self, document: CrashDocument, *, right_down: bool = True) -> None:
        self.document = document
        self.y = -1.0 if right_down else 1.0
        self._series = {one.name: one for one in document.series}

    # -- before T0 -----------------------------------------------------------------------------------

    def find(self, paths: Sequence[str]) -> Series | None:
        """The first of the signals that has values."""
        return next((self._series[path] for path in paths if path in self._series and self._series[path].t_s), None)

    def history(self, name: str, paths: Sequence[str], *, factor: float = 1.0) -> Element:
        """20 s before T0 on a grid of 10 Hz, the rate of the source beside it."""
        series = self.find(paths)
        grid = grid_s()
        values = [] if series is None else on_grid(series, grid)
        if series is None or all(value is None for value in values):
            return absent(name, NOT_BROADCAST)
        told = [None if value is None else round(value * factor, 4) for value in values]
        sampling = {"from_s": grid[0], "to_s": grid[-1], "grid_hz": 10, "source_hz": series.rate_hz}
        return known(name, told, series.unit, sampling=sampling, signal=series.name)

    def at(self, name: str, paths: Sequence[str], t_s: float) -> Element:
        """The newest value at one moment."""
        series = self.find(paths)
        value = None if series is None else on_grid(series, [t_s])[0]
        if series is None or value is None:
            return absent(name, NOT_BROADCAST)
        return known(name, value, series.unit, at_s=t_s, signal=series.name)

    # -- the pulse -----------------------------------------------------------------------------------

    @property
    def directed(self) -> bool:
        """There is a curve in the car's axes."""
        return bool(self.document.delta_v.t_ms) and self.document.delta_v.axes == "vehicle"

    def _why(self) -> str:
        return NO_AXES if self.document.delta_v.t_ms else NOT_MEASURED

    def curve(self, name: str, axis: str, to_ms: float) -> Element:
        """``axis``: long or lat; 100 Hz from T0."""
        if not self.directed:
            return absent(name, self._why())
        count = sum(t <= to_ms for t in self.document.delta_v.t_ms)
        sampling = {"from_ms": 0, "to_ms": self.document.delta_v.t_ms[count - 1], "rate_hz": 100}
        return known(name, self.values(axis)[:count], "km/h", sampling=sampling, **self._bound())

    def values(self, axis: str) -> list[float]:
        curve = self.document.delta_v
        return list(curve.long_kmh) if axis == "long" else [round(self.y * v, 3) + 0.0 for v in curve.lat_kmh]

    def maximum(self, name: str, axis: str) -> Element:
        """Largest by size in 0..300 ms, with its sign. axis: long, lat or resultant."""
        found = self._top(axis)
        return absent(name, self._why()) if found is None else known(name, found[1], "km/h", **self._bound())

    def time_of_maximum(self, name: str, axis: str) -> Element:
        found = self._top(axis)
        return absent(name, self._why()) if found is None else known(name, found[0], "ms")

    def _top(self, axis: str) -> tuple[float, float] | None:
        curve = self.document.delta_v
        if not curve.t_ms or (axis != "resultant" and not self.directed):
            return None
        values = list(curve.resultant_kmh) if axis == "resultant" else self.values(axis)
        i = max(range(len(values)), key=lambda k: abs(values[k]))
        return curve.t_ms[i], values[i]

    def _bound(self) -> dict[str, Any]:
        return (
            {"lower_bound": True, "note": "at least: the sensor saturated"} if self.document.impact.lower_bound else {}
        )

    def trigger(self, limit_kmh: float, *, lateral: bool) -> bool | None:
        """Whether the velocity changed by ``limit_kmh`` within 150 ms along x (or along y too); None: not known."""
        if not self.directed:
            return None
        axes = [self.values("long"), self.values("lat")] if lateral else [self.values("long")]
        return any(_reaches(values, limit_kmh) for values in axes)

    def airbag_ms(self, name: str) -> Element:
        """When the car first said so, after T0."""
        series = self.find(AIRBAG)
        if series is None:
            return absent(name, NOT_BROADCAST)
        first = next((t for t, v in zip(series.t_s, series.values, strict=True) if v >= 1 and t >= 0), None)
        if first is None:
            return absent(name, "none was reported")
        note = "heard on the bus: late by up to the period of the message; which airbag or belt tensioner is not told"
        return known(name, round(first * 1000, 1), "ms", signal=series.name, source_hz=series.rate_hz, note=note)

    def acceleration(self, name: str, axis: int) -> Element:
        """Where it is and in which sign; the samples themselves are in a file of the package."""
        trace = self.document.imu
        if trace is None or trace.axes != "vehicle":
            return absent(name, NO_AXES if trace is not None else NOT_MEASURED)
        signs = ("as the standard", "opposite to the standard", "opposite to the standard, with gravity in it")
        note = f"samples in imu_vehicle.csv, ISO 8855: {signs[axis] if self.y < 0 else 'as ISO 8855'}"
        return known(name, None, "m/s2", sampling={"rate_hz": trace.rate_hz}, note=note)


def _reaches(values: Sequence[float], limit: float) -> bool:
    steps = 15  # of 10 ms
    return any(
        abs(values[j] - values[i]) >= limit
        for i in range(len(values))
        for j in range(i, min(i + steps + 1, len(values)))
    )


def head(document: CrashDocument, standard: str, sources: str, signs: dict[str, str]) -> dict[str, Any]:
    """What every view begins with."""
    return {
        "standard": standard,
        "statement": STATEMENT,
        "names_from": sources,
        "device": document.device,
        "event_id": document.event_id,
        "t0_utc_us": document.time.t0_utc_us,
        "signs": signs,
        "time_zero": {
            "rule": "first time 20 ms hold a horizontal delta-V of 0.8 km/h",
            "difference": "horizontal, not longitudinal alone; the restraint's own firing is not known to the terminal",
        },
    }


RIGHT_DOWN: Final = {
    "x": "positive in the direction of forward travel",
    "y": "positive from left to right, as seen by the driver (stored ISO 8855: to the left)",
    "z": "positive downward (stored ISO 8855: upward)",
    "steering": "positive counterclockwise",
    "yaw": "yaw rate as stored, ISO 8855: positive counterclockwise seen from above",
    "consequence": "frontal impact: longitudinal delta-V negative; hit from the left: lateral delta-V positive",
}
