"""49 CFR Part 563 (Event Data Recorders), Tables I and II of 563.7, with the pre-crash window of the revision of 2024
(89 FR 102832: 20 s at 10 samples a second)."""

from __future__ import annotations

from typing import Any

from outrider.crash.document import CrashDocument
from outrider.crash.standards import elements as e


def view(document: CrashDocument) -> dict[str, Any]:
    """Names, units and signs of 563.5 and 563.7."""
    recorder = e.Recorder(document)
    top = e.head(
        document, "49 CFR Part 563 (as amended 89 FR 102832)", "563.5, 563.7 and 563.8 as published", e.RIGHT_DOWN
    )
    return {
        **top,
        "trigger": {
            "rule": "563.5: 8 km/h within 150 ms, longitudinal or lateral",
            "met": recorder.trigger(8.0, lateral=True),
        },
        "table_1": _required(recorder),
        "table_2": _conditional(recorder),
    }


def _required(r: e.Recorder) -> list[e.Element]:
    impact = r.document.impact
    pedal = r.history("Engine throttle, % full (or accelerator pedal, % full)", (*e.PEDAL, *e.THROTTLE))
    return [
        r.curve("Delta-V, longitudinal", "long", 250),
        r.maximum("Maximum delta-V, longitudinal", "long"),
        r.time_of_maximum("Time, maximum delta-V", "long"),
        r.history("Speed, vehicle indicated", e.SPEED),
        pedal,
        r.history("Service brake, on/off", e.BRAKE),
        e.absent("Ignition cycle, crash", e.OF_RECORDER),
        e.absent("Ignition cycle, download", e.OF_RECORDER),
        r.at("Safety belt status, driver", e.DRIVER_BELT, -1.0),
        e.absent("Frontal air bag warning lamp, on/off", e.NOT_BROADCAST),
        r.airbag_ms("Frontal air bag deployment, time to deploy/first stage, driver"),
        e.absent("Frontal air bag deployment, time to deploy/first stage, right front passenger", e.RESTRAINT),
        e.known("Multi-event, number of events", impact.impacts) if impact.impacts else _no_event(),
        e.absent("Time from event 1 to 2", "impacts of one crash are counted, their distance is in phases.csv"),
        e.known(
            "Complete file recorded", not r.document.missing, note="yes when the document names nothing as missing"
        ),
    ]


def _no_event() -> e.Element:
    return e.absent("Multi-event, number of events", e.NOT_MEASURED)


def _conditional(r: e.Recorder) -> list[e.Element]:
    roll = "the package holds turn rates, not an angle: imu_vehicle.csv"
    found = [
        r.acceleration("Lateral acceleration", 1),
        r.acceleration("Longitudinal acceleration", 0),
        r.acceleration("Normal acceleration", 2),
        r.curve("Delta-V, lateral", "lat", 250),
        r.maximum("Maximum delta-V, lateral", "lat"),
        r.time_of_maximum("Time, maximum delta-V, lateral", "lat"),
        r.time_of_maximum("Time, maximum delta-V, resultant", "resultant"),
        r.history("Engine rpm", e.RPM),
        e.absent("Vehicle roll angle", roll),
        r.history("ABS activity (engaged, non-engaged)", e.ABS),
        r.history("Stability control (on, off, or engaged)", e.ESC),
        r.history("Steering input", e.STEERING),
        r.at("Safety belt status, right front passenger", e.PASSENGER_BELT, -1.0),
    ]
    restraints = (
        "Frontal air bag suppression switch status, right front passenger",
        "Frontal air bag deployment, time to nth stage, driver",
        "Frontal air bag deployment, time to nth stage, right front passenger",
        "Frontal air bag deployment, nth stage disposal, driver",
        "Frontal air bag deployment, nth stage disposal, right front passenger",
        "Side air bag deployment, time to deploy, driver",
        "Side air bag deployment, time to deploy, right front passenger",
        "Side curtain/tube air bag deployment, time to deploy, driver side",
        "Side curtain/tube air bag deployment, time to deploy, right side",
        "Pretensioner deployment, time to fire, driver",
        "Pretensioner deployment, time to fire, right front passenger",
        "Seat track position switch, foremost, status, driver",
        "Seat track position switch, foremost, status, right front passenger",
        "Occupant size classification, driver",
        "Occupant size classification, right front passenger",
        "Occupant position classification, driver",
        "Occupant position classification, right front passenger",
    )
    return found + [e.absent(name, e.RESTRAINT) for name in restraints]
