"""What an engine is built with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from outrider.engine.native import ffi, lib
from outrider.errors import EngineError

# Thresholds of the detector that may be overridden; units in native/include/outrider/motion.h.
MOTION_FIELDS: Final = (
    "dv150_kmh",
    "dv300_kmh",
    "brake_g",
    "accel_g",
    "corner_g",
    "lane_g",
    "hysteresis",
    "min_hold_s",
    "merge_gap_s",
    "confirm_s",
    "refractory_s",
    "silence_s",
)


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Sizes in items unless the name says bytes. All memory is taken when the engine is made.

    imu_range_g: measuring range of the IMU per axis, 0 unknown. recorder_bytes: cap of the flight recorder (all of
    its rings together), 0 for none. merge_back_us: how far a source may lag before its clock counts as set back.
    frame_inboxes: one for each thread that offers frames (for each bus), of frame_inbox frames.
    motion: overrides of the detector's thresholds, by the names of MOTION_FIELDS. vehicle_class: ``enum
    otr_vehicle_class`` of motion.h, scales the thresholds of harsh driving that are not overridden.
    """

    output_capacity: int = 512
    frame_inbox: int = 16384
    imu_inbox: int = 4096
    fix_inbox: int = 256
    power_inbox: int = 256
    frame_inboxes: int = 1
    tape_bytes: int = 65536
    recorder_bytes: int = 8 * 1024 * 1024
    merge_back_us: int = 10_000_000
    imu_range_g: float = 0.0
    motion: Mapping[str, float] = field(default_factory=dict)
    vehicle_class: int = 0


@dataclass(frozen=True, slots=True)
class Mount:
    """How the sensor sits in the car, to be kept over a restart (``otr_mount`` in motion.h).

    up, forward: unit vectors in the sensor's axes; zero when not known. rho: quality of the fit. age_s: of the fit.
    """

    up: tuple[float, float, float]
    forward: tuple[float, float, float]
    rho: float
    age_s: float


def native_config(options: EngineOptions) -> Any:
    """The C configuration; EngineError for an unknown threshold or a size that is no count."""
    config = ffi.new("otr_engine_config *")
    lib.otr_engine_config_default(config)
    for option in fields(EngineOptions):
        if option.name in {"imu_range_g", "motion", "vehicle_class"}:
            continue
        try:
            setattr(config, option.name, getattr(options, option.name))
        except (OverflowError, TypeError) as err:
            raise EngineError(f"{option.name}: {err}", lib.OTR_ERR_INVAL) from err
    config.motion.imu_range_g = options.imu_range_g
    config.motion.vehicle_class = options.vehicle_class
    for name, value in options.motion.items():
        if name not in MOTION_FIELDS:
            raise EngineError(f"motion threshold {name!r} is unknown: {', '.join(MOTION_FIELDS)}", lib.OTR_ERR_INVAL)
        setattr(config.motion, name, value)
    return config
