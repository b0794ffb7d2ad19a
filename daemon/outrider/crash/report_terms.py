"""Words of the report's tables: signals, mounting, sources, notes; the document's own texts in the reader's language.

Rule: a name that is not known here is shown as it is.
"""

from __future__ import annotations

import re

from outrider.crash.document import Series
from outrider.crash.report_numbers import number
from outrider.i18n import _


def told(text: str) -> str:
    """A fixed text of the document (``words``) in the reader's language; as it is where the catalogue has none."""
    return _(text) if text else ""


def told_span(text: str) -> str:
    """Same, of a text that may end in a span or a count: ``raw CAN frames: -30 s to -28.1 s``."""
    name, colon, rest = text.partition(": ")
    span = re.fullmatch(r"(-?[\d.]+) s to (-?[\d.]+) s", rest)
    if span:
        first, last = (number(float(one), 1) for one in span.groups())
        rest = _("{first} s to {last} s").format(first=first, last=last)
    count = re.fullmatch(r"(\d+) pieces", rest)
    if count:
        rest = _("{count} pieces").format(count=count[1])
    return told(name) + (_(": ") + rest if colon else "")


def series_words(series: Series) -> str:
    """A signal's name for people; the document's label where it is none of the common ones."""
    words = {
        "Vehicle.Speed": _("speed"),
        "Vehicle.Outrider.Speed": _("speed (most trusted)"),
        "Vehicle.Outrider.SensorAcceleration.X": _("sensor x"),
        "Vehicle.Outrider.SensorAcceleration.Y": _("sensor y"),
        "Vehicle.Outrider.SensorAcceleration.Z": _("sensor z"),
        "Vehicle.OBD.Speed": _("speed (diagnosis)"),
        "Vehicle.OBD.VehicleSpeed": _("speed (diagnosis)"),
        "Vehicle.Powertrain.CombustionEngine.Speed": _("engine speed"),
        "Vehicle.OBD.EngineSpeed": _("engine speed (diagnosis)"),
        "Vehicle.Chassis.Accelerator.PedalPosition": _("accelerator pedal"),
        "Vehicle.OBD.ThrottlePosition": _("throttle (diagnosis)"),
        "Vehicle.Powertrain.CombustionEngine.TPS": _("throttle"),
        "Vehicle.Chassis.Brake.PedalPosition": _("brake pedal"),
        "Vehicle.Chassis.Brake.IsDriverBraking": _("brake"),
        "Vehicle.Chassis.SteeringWheel.Angle": _("steering wheel"),
        "Vehicle.Chassis.Axle.Row1.Wheel.Left.Speed": _("wheel front left"),
        "Vehicle.Chassis.Axle.Row1.Wheel.Right.Speed": _("wheel front right"),
        "Vehicle.Chassis.Axle.Row2.Wheel.Left.Speed": _("wheel rear left"),
        "Vehicle.Chassis.Axle.Row2.Wheel.Right.Speed": _("wheel rear right"),
        "Vehicle.Outrider.BrakePedalPressed": _("brake"),
        "Vehicle.Outrider.AirbagDeployed": _("airbag"),
        "Vehicle.Outrider.IgnitionOn": _("ignition"),
        "Vehicle.Outrider.YawRate": _("yaw rate"),
        "Vehicle.AngularVelocity.Yaw": _("yaw rate (sensor)"),
        "Vehicle.Outrider.GNSS.Speed": _("speed (satellites)"),
        "Vehicle.ADAS.ABS.IsEngaged": _("ABS at work"),
        "Vehicle.Body.Lights.Hazard.IsSignaling": _("hazard lights"),
        "Vehicle.Cabin.Seat.Row1.DriverSide.IsBelted": _("driver's belt"),
        "Vehicle.Cabin.Seat.Row1.PassengerSide.IsBelted": _("passenger's belt"),
        "Vehicle.Powertrain.Transmission.CurrentGear": _("gear"),
    }
    name = words.get(series.name) or series.label or series.name
    return _("{name} (black box)").format(name=name) if series.source == "black_box" else name


def unit_sign(unit: str) -> str:
    """A unit of VSS as it is written."""
    signs = {"percent": "%", "degrees": "°", "degrees/s": "°/s", "celsius": "°C", "m/s^2": "m/s²"}
    return signs.get(unit, unit)


def mounting_words(name: str) -> str:
    """How well the sensor's place in the car was known."""
    words = {
        "none": _("not known"),
        "gravity": _("up is known, forward is not"),
        "aligned": _("known: values are along the axes of the car"),
        "unknown": _("not recorded"),
    }
    return words.get(name, name)


def class_words(name: str) -> str:
    """The vehicle's class."""
    words = {
        "passenger": _("passenger car"),
        "light-truck": _("light truck or van"),
        "heavy": _("heavy truck or bus"),
    }
    return words.get(name, name)


def source_words(name: str | None) -> str:
    """Where a value came from."""
    words = {
        "can": _("CAN"),
        "iio": _("the terminal's own sensor"),
        "gnss": _("satellites"),
        "ntp": _("network time"),
        "rtc": _("the terminal's clock"),
        "recording": _("the recording"),
        "none": _("unknown"),
        "evidence": _("flight recorder"),
        "frames": _("every frame"),
        "telemetry": _("telemetry"),
        "black_box": _("black-box page"),
    }
    return _("unknown") if name is None else words.get(name, name)


def notes() -> tuple[str, ...]:
    """What a reader must know of the whole."""
    return (
        _(
            "This terminal is not an approved event data recorder (GB 39732, 49 CFR 563, UN R160), nor an approved "
            "emergency call system (EN 15722, GB 45672). Definitions of those standards are used where named."
        ),
        _(
            "ΔV is the integral of horizontal acceleration from T0 on. T0 is the first moment at which 20 ms hold "
            "0.8 km/h (GB 39732-2020, 4.1.3). Axes are those of ISO 8855: x forward, y left, z up; braking and a blow "
            "from the front are negative along x."
        ),
        _(
            "The principal direction of force is the direction the blow came from: 0° (12 o'clock) is the front, +90° "
            "(9 o'clock) the left side."
        ),
        _(
            "The confidence is that of the algorithm, not a proven probability. Its weights are published with the "
            "algorithm; missing evidence adds nothing and never takes an alarm back."
        ),
    )
