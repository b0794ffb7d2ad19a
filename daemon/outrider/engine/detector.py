"""The motion detector by itself: samples in, events out, without buses, merging or recorder. For scoring.

The driving side uses ``Engine``, which feeds the same detector; nothing here is a second implementation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from outrider.engine.convert import EVENT, SAMPLE, unpack_event
from outrider.engine.native import aligned, check, ffi, lib
from outrider.engine.options import MOTION_FIELDS, Mount
from outrider.engine.stats import MotionStats, motion_stats
from outrider.errors import EngineError
from outrider.model.event import CrashEvidence, Event

Bytes: TypeAlias = bytes | bytearray | memoryview

SAMPLE_SIZE: Final = SAMPLE.size
_EVENTS: Final = 256
_PULSE_POINTS: Final = 31


@dataclass(frozen=True, slots=True)
class Pulse:
    """The last captured pulse: cumulative delta-V [km/h] each 10 ms from T0; forward and left with the mounting known,
    else two axes of the sensor's plane."""

    along_kmh: tuple[float, ...]
    across_kmh: tuple[float, ...]


class MotionDetector:
    """One detector. ``imu_range_g``: measuring range per axis, 0 unknown; ``motion``: thresholds by MOTION_FIELDS.

    vehicle_class: ``enum otr_vehicle_class``; rules_off: bits 1 << ``enum otr_rule_bit``, and evidence_off: bits of
    CrashEvidence that do not count, to see what each is worth (motion.h). EngineError for what is unknown or out of
    range.
    """

    def __init__(
        self,
        imu_range_g: float = 0.0,
        motion: Mapping[str, float] | None = None,
        *,
        vehicle_class: int = 0,
        rules_off: int = 0,
        evidence_off: int = 0,
    ) -> None:
        config = ffi.new("otr_motion_config *")
        lib.otr_motion_config_default(config)
        config.imu_range_g = imu_range_g
        config.vehicle_class, config.rules_off, config.evidence_off = vehicle_class, rules_off, evidence_off
        for name, value in (motion or {}).items():
            if name not in MOTION_FIELDS:
                known = ", ".join(MOTION_FIELDS)
                raise EngineError(f"motion threshold {name!r} is unknown: {known}", lib.OTR_ERR_INVAL)
            setattr(config, name, value)
        size = lib.otr_motion_size()
        self._memory, memory = aligned(size)
        out = ffi.new("otr_motion **")
        check(lib.otr_motion_init(memory, size, config, out), "detector's thresholds")
        self._ptr: Any = out[0]
        self._events = ffi.new("otr_event[]", _EVENTS)

    def push(self, samples: Bytes) -> list[Event]:
        """What whole ``otr_sample`` structs (types.h, 48 bytes each, in order of time) cause. ValueError for a part."""
        data = ffi.from_buffer(samples)
        if len(data) % SAMPLE_SIZE:
            raise ValueError(f"{len(data)} bytes are no whole number of {SAMPLE_SIZE}-byte samples")
        left, first = len(data) // SAMPLE_SIZE, ffi.cast("otr_sample *", data)
        done = ffi.new("uint32_t *")
        found: list[Event] = []
        while left:
            count = check(lib.otr_motion_push_n(self._ptr, first, left, self._events, _EVENTS, done), "detector")
            raw = ffi.buffer(self._events, count * EVENT.size)
            found += [unpack_event(raw, i * EVENT.size) for i in range(count)]
            left, first = left - done[0], first + done[0]
        return found

    def mount(self) -> Mount:
        """How the sensor sits in the car, as far as known."""
        ret = ffi.new("otr_mount *")
        lib.otr_motion_get_mount(self._ptr, ret)
        return Mount(tuple(ret.up), tuple(ret.fwd), ret.rho, ret.age_s)

    def set_mount(self, up: Sequence[float], forward: Sequence[float], rho: float, age_s: float = 0.0) -> None:
        """Begin with a known mounting; before the first sample. EngineError when it is none."""
        mount = ffi.new("otr_mount *", {"up": list(up), "fwd": list(forward), "rho": rho, "age_s": age_s})
        check(lib.otr_motion_set_mount(self._ptr, mount), "mounting")

    @property
    def aligned(self) -> bool:
        """The direction of travel is claimed to be known."""
        return int(self._vehicle().mount) == 2

    @property
    def distance_m(self) -> float:
        """Integral of the most trusted speed."""
        return float(self._vehicle().distance_m)

    def pulse(self) -> Pulse | None:
        """The last captured pulse; None without one."""
        along, across = ffi.new("float[]", _PULSE_POINTS), ffi.new("float[]", _PULSE_POINTS)
        count = lib.otr_motion_pulse(self._ptr, along, across, _PULSE_POINTS)
        return Pulse(tuple(along[0:count]), tuple(across[0:count])) if count else None

    def stats(self) -> MotionStats:
        """Counters of what was pushed and dropped."""
        ret = ffi.new("otr_motion_stats *")
        lib.otr_motion_get_stats(self._ptr, ret)
        return motion_stats(ret)

    def _vehicle(self) -> Any:
        ret = ffi.new("otr_vehicle *")
        lib.otr_motion_vehicle(self._ptr, ret)
        return ret


def default_thresholds() -> dict[str, float]:
    """The detector's own thresholds by the names of MOTION_FIELDS; units in motion.h."""
    config = ffi.new("otr_motion_config *")
    lib.otr_motion_config_default(config)
    return {name: float(getattr(config, name)) for name in MOTION_FIELDS}


def crash_weights() -> dict[CrashEvidence, float]:
    """What each term of ``Event.evidence`` adds to the log-odds of a crash: conf = 1 / (1 + exp(-(bias + sum)))."""
    raw = ffi.new("float[]", lib.OTR_EW_TERMS)
    lib.otr_motion_weights(raw)
    return {CrashEvidence(1 << i): float(raw[i]) for i in range(lib.OTR_EW_TERMS)}


def crash_bias() -> float:
    """The log-odds of a crash without any evidence."""
    return float(lib.otr_motion_weights(ffi.new("float[]", lib.OTR_EW_TERMS)))


def detector_bytes() -> int:
    """State of one detector, bytes."""
    return int(lib.otr_motion_size())


def reference_loop(samples: Bytes) -> float:
    """The yardstick of the detector's cost (``otr_motion_reference`` in motion.h); returns a sum to be ignored."""
    data = ffi.from_buffer(samples)
    return float(lib.otr_motion_reference(ffi.cast("otr_sample *", data), len(data) // SAMPLE_SIZE))
