"""Records as they came from outside, without numbers that are none: a document holds finite numbers or None."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

from outrider.model.crash import CrashState
from outrider.model.event import Event


def clean_event(event: Event) -> Event:
    """NaN and infinity become unknown, a confidence that is none 0."""
    bad: dict[str, Any] = {
        field.name: None
        for field in fields(event)
        if isinstance(value := getattr(event, field.name), float) and not math.isfinite(value)
    }
    if "conf" in bad:
        bad["conf"] = 0.0
    return replace(event, **bad) if bad else event


def clean_state(state: CrashState) -> CrashState:
    """Without thresholds, curves and mountings that are no numbers."""
    curve = _finite(state.pulse_long_kmh) and _finite(state.pulse_lat_kmh)
    mount = state.mount
    whole = mount is not None and _finite((*mount.up, *mount.forward, mount.rho, mount.age_s))
    rate = state.imu_rate_hz
    return replace(
        state,
        thresholds=tuple(pair for pair in state.thresholds if math.isfinite(pair[1])),
        imu_range_g=state.imu_range_g if math.isfinite(state.imu_range_g) else 0.0,
        imu_rate_hz=rate if rate is not None and math.isfinite(rate) else None,
        mount=mount if whole else None,
        pulse_long_kmh=state.pulse_long_kmh if curve else (),
        pulse_lat_kmh=state.pulse_lat_kmh if curve else (),
    )


def _finite(values: tuple[float, ...]) -> bool:
    return all(math.isfinite(value) for value in values)
