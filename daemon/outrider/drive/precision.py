"""How finely telemetry is told: steps of the owner's choice in place of those of the profile. Pure.

The step is what a value is rounded to when its row is made, and stands in the signal table, so that a receiver shows
the right numbers without knowing of it. A path names one signal and gets just that step; a class names many and makes
them coarser only, since more digits than the source has are no information.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from outrider.errors import ConfigError
from outrider.model.record import SignalSpec

_PLACE: Final = "Vehicle.CurrentLocation."
_Test = Callable[[SignalSpec], bool]


def _of_unit(*units: str) -> _Test:
    return lambda spec: spec.unit in units and not spec.labels


def _at(*names: str) -> _Test:
    paths = frozenset(_PLACE + name for name in names)
    return lambda spec: spec.path in paths


CLASSES: Final[dict[str, tuple[str, _Test]]] = {  # name -> (unit of its step, which signals)
    "position": ("deg", _at("Latitude", "Longitude")),
    "altitude": ("m", _at("Altitude")),
    "accuracy": ("m", _at("HorizontalAccuracy")),
    "heading": ("deg", _at("Heading")),
    "speed": ("km/h", _of_unit("km/h")),
    "engine_speed": ("rpm", _of_unit("rpm")),
    "acceleration": ("m/s^2", _of_unit("m/s^2")),
    "temperature": ("celsius", _of_unit("celsius")),
    "voltage": ("V", _of_unit("V")),
    "percent": ("percent", _of_unit("percent")),
    "pressure": ("kPa", _of_unit("kPa")),
    "fuel_rate": ("l/h", _of_unit("l/h")),
    "angle": ("degrees", _of_unit("degrees")),
}


def check_precision(precision: Mapping[str, float]) -> None:
    """ConfigError for a name that is neither a path nor a class, without knowing the vehicle."""
    for name in precision:
        if "." not in name and name not in CLASSES:
            near = difflib.get_close_matches(name, CLASSES, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}?" if near else f"use a VSS path or one of {', '.join(CLASSES)}"
            raise ConfigError(f"[telemetry.precision] {name!r} is no class of signals; {hint}")


def with_precision(spec: SignalSpec, precision: Mapping[str, float]) -> SignalSpec:
    """The signal with its step. ConfigError where there is nothing to round: texts, switches, counts."""
    step = precision.get(spec.path)
    if step is not None:
        if spec.labels or (not spec.unit and spec.step == 1.0):
            raise ConfigError(f"[telemetry.precision] {spec.path!r} is a state or a count and cannot be rounded")
        return replace(spec, step=step)
    coarsest = max(
        (precision[name] for name, (_unit, test) in CLASSES.items() if name in precision and test(spec)), default=0.0
    )
    return replace(spec, step=max(spec.step, coarsest))


def unknown_paths(precision: Mapping[str, float], known: set[str]) -> list[tuple[str, str | None]]:
    """Paths that this vehicle does not have, each with the nearest one that it has.

    One file may serve a whole fleet, so that is for the log and no error.
    """
    out: list[tuple[str, str | None]] = []
    for name in precision:
        if "." in name and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            out.append((name, near[0] if near else None))
    return out
