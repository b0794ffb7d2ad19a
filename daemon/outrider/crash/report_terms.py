"""Words of the report's tables: evidence, data quality, signals, notes.

Rule: a name that is not known here is shown with the words the document brought.
"""

from __future__ import annotations

from outrider.crash.document import EvidenceItem, QualityNote, Series
from outrider.i18n import _


def evidence_words(item: EvidenceItem) -> str:
    """What a term of the confidence stands for."""
    words = {
        "dv_low": _("a blow with a change of speed below 8 km/h"),
        "dv8": _("a change of speed of 8 km/h or more"),
        "dv25": _("a change of speed of 25 km/h or more"),
        "airbag": _("the car fired an airbag or a belt tensioner"),
        "collapse": _("the car's own speed collapsed within 4 s"),
        "thrust": _("the car was pushed forward: it gained speed in the blow"),
        "standing": _("the car stood still afterwards"),
        "silence": _("the car's buses or the supply went dead"),
        "turn": _("the car turned faster than 100 °/s"),
        "rollover": _("the car rolled over"),
        "vertical": _("the blow was mainly vertical, as from a pothole or kerb"),
        "parked": _("the car was parked"),
        "turned": _("the terminal has turned in its mount, the speed did not change"),
    }
    return words.get(item.name.lower(), item.words or item.name)


def quality_words(note: QualityNote) -> tuple[str, str]:
    """What was seen, and what it means for the result."""
    return (
        _sensor_faults().get(note.flag.lower()) or _speed_faults().get(note.flag.lower()) or (note.words, note.effect)
    )


def _sensor_faults() -> dict[str, tuple[str, str]]:
    return {
        "nan": (
            _("The accelerometer sent values that are not numbers."),
            _("They were left out; the change of speed misses what they would have said."),
        ),
        "saturated": (
            _("The accelerometer reached the end of its range."),
            _("The true change of speed and peak are larger than stated; the direction is less certain."),
        ),
        "stuck": (
            _("An axis of the accelerometer did not move, or stayed at the end of its range."),
            _("A blow along that axis was not felt: size and direction may be wrong."),
        ),
        "axes_turned": (
            _("Gravity jumped to another direction: the mounting turned, or axes were swapped."),
            _("Longitudinal and lateral values, and the direction of the blow, may be wrong."),
        ),
        "rate_changed": (
            _("The rate of the accelerometer changed."),
            _("Times within the blow are less certain."),
        ),
        "time_back": (
            _("Samples came twice, or with a time that went back."),
            _("They were left out; the change of speed may miss a part."),
        ),
        "invalid": (
            _("Samples were marked invalid by the sensor."),
            _("They were left out; the change of speed may miss a part."),
        ),
        "gap": (
            _("Samples of the accelerometer are missing."),
            _("What the car felt in the gap is not in the change of speed."),
        ),
        "imu_stopped": (
            _("The accelerometer stopped."),
            _("Nothing is known of accelerations after that moment."),
        ),
        "no_imu": (
            _("There was no accelerometer."),
            _("The verdict rests on speed and silence alone; direction and severity are not known."),
        ),
        "low_rate": (
            _("The accelerometer was slower than 40 Hz."),
            _("Blows were not evaluated from it."),
        ),
        "not_aligned": (
            _("It was not known yet how the terminal sits in the car."),
            _("Size of the blow is known, its direction in the car is not."),
        ),
        "unknown_range": (
            _("The accelerometer's range is not known."),
            _("Whether it was exceeded could not be checked: the change of speed may be larger than stated."),
        ),
    }


def _speed_faults() -> dict[str, tuple[str, str]]:
    return {
        "no_speed": (
            _("The car's speed was not known."),
            _("Speeds before and after are missing, and could neither support nor contradict the alarm."),
        ),
        "gnss_jump": (
            _("The satellite position or speed jumped, as after a first fix."),
            _("Speeds from satellites near that moment were not used."),
        ),
        "no_gnss": (
            _("There was no satellite position."),
            _("Place and track are missing."),
        ),
        "speed_late": (
            _("The speed is known only from slow sources (diagnosis or satellites)."),
            _("The speed at the impact may be up to a second old: under hard braking up to 25 km/h too high."),
        ),
    }


def series_words(series: Series) -> str:
    """A signal's name for people; the document's label where it is none of the common ones."""
    words = {
        "Vehicle.Speed": _("speed"),
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
        "Vehicle.AngularVelocity.Yaw": _("yaw rate"),
        "Vehicle.Outrider.GNSS.Speed": _("speed (satellites)"),
        "Vehicle.ADAS.ABS.IsEngaged": _("ABS at work"),
        "Vehicle.Body.Lights.Hazard.IsSignaling": _("hazard lights"),
        "Vehicle.Cabin.Seat.Row1.DriverSide.IsBelted": _("driver's belt"),
        "Vehicle.Cabin.Seat.Row1.PassengerSide.IsBelted": _("passenger's belt"),
        "Vehicle.Powertrain.Transmission.CurrentGear": _("gear"),
    }
    return words.get(series.name) or series.label or series.name


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
        "evidence": _("evidence, at most 10 Hz"),
        "frames": _("every frame"),
        "telemetry": _("telemetry, 1 Hz"),
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
