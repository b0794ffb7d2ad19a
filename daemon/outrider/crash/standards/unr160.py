"""UN Regulation No. 160 (event data recorder), data elements of its Annex 4."""

from __future__ import annotations

from typing import Any, Final

from outrider.crash.document import CrashDocument
from outrider.crash.standards import elements as e

_SOURCES: Final = "Annex 4 as summarised in working documents of GRSG; to be checked against the regulation in force"


def view(document: CrashDocument) -> dict[str, Any]:
    """The regulation asks for 5 s before T0; the package holds 20 s."""
    recorder = e.Recorder(document)
    signs = {
        **e.RIGHT_DOWN,
        "note": "its own text of the axes was not at hand; that of 49 CFR 563, from which its table stems, is used",
    }
    return {
        **e.head(document, "UN Regulation No. 160", _SOURCES, signs),
        "trigger": {
            "rule": "8 km/h within 150 ms, longitudinal or lateral",
            "met": recorder.trigger(8.0, lateral=True),
        },
        "elements": _elements(recorder),
    }


def _elements(r: e.Recorder) -> list[e.Element]:
    events = "Multi-event crash, number of events"
    impacts = r.document.impact.impacts
    found = [
        r.curve("Delta-V, longitudinal", "long", 250),
        r.maximum("Maximum delta-V, longitudinal", "long"),
        r.time_of_maximum("Time, maximum delta-V, longitudinal", "long"),
        r.curve("Delta-V, lateral", "lat", 250),
        r.maximum("Maximum delta-V, lateral", "lat"),
        r.time_of_maximum("Time, maximum delta-V, lateral", "lat"),
        r.time_of_maximum("Time, maximum delta-V, resultant", "resultant"),
        r.acceleration("Longitudinal acceleration (post-crash)", 0),
        r.acceleration("Lateral acceleration (post-crash)", 1),
        r.acceleration("Normal acceleration (post-crash)", 2),
        r.history("Speed, vehicle indicated", e.SPEED),
        r.history("Engine throttle, percent full (or accelerator pedal, percent full)", (*e.PEDAL, *e.THROTTLE)),
        r.history("Service brake, on or off", e.BRAKE),
        r.history("Engine rpm", e.RPM),
        r.history("ABS activity", e.ABS),
        r.history("Stability control", e.ESC),
        r.history("Steering input", e.STEERING),
        r.at("Safety belt status, driver", e.DRIVER_BELT, -1.0),
        r.at("Safety belt status, front passenger", e.PASSENGER_BELT, -1.0),
        e.known(events, impacts) if impacts else e.absent(events, e.NOT_MEASURED),
        e.known("Complete file recorded", not r.document.missing),
        r.airbag_ms("Air bag deployment, time to deploy, driver"),
    ]
    names = (
        "Air bag warning lamp",
        "Air bag deployment, time to deploy, front passenger",
        "Side air bag and side curtain deployment, time to deploy",
        "Safety belt pretensioner deployment, time to fire",
        "Occupant size classification",
    )
    assistance = (
        "Tyre pressure warning",
        "Cruise control status",
        "Adaptive cruise control status",
        "AEBS status",
        "AECS status",
    )
    found += [e.absent(name, e.RESTRAINT) for name in names]
    found += [e.absent(name, e.NOT_BROADCAST) for name in assistance]
    return [*found, e.absent("Ignition cycle, crash and download", e.OF_RECORDER)]
