"""Events and snapshots as the engine hands them out, and trips as the drive stage makes them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final


class EventKind(IntEnum):
    """``enum otr_event_kind`` of types.h."""

    CRASH = 1
    CRASH_INFERRED = 2
    ROLLOVER = 3
    PARKED_IMPACT = 4
    DEVICE_MOVED = 5
    AIRBAG = 6
    BUS_LOST_MOVING = 7
    POWER_LOST_MOVING = 8
    SPEED_SENSOR_LOST = 9
    WHEEL_LOCKUP = 10
    TOWED = 11
    HARSH_BRAKE = 20
    HARSH_ACCEL = 21
    HARSH_CORNER = 22
    LANE_CHANGE = 23
    WHEEL_SPIN = 24

    @property
    def is_crash(self) -> bool:
        """Belongs to the emergency lane."""
        return self in _CRASH_KINDS


_CRASH_KINDS = frozenset({1, 2, 3, 4, 6, 8})


class Phase(IntEnum):
    """``enum otr_phase`` of types.h."""

    BEGIN = 1
    END = 2
    SUSPECT = 3
    UPDATE = 4
    CONFIRMED = 5
    CANCELLED = 6
    CLOSED = 7


class EventFlag(IntFlag):
    DV_LOWER_BOUND = 0x01
    ALIGNED = 0x02
    CFC60 = 0x04
    ROLLOVER = 0x08
    MULTI = 0x10
    POSITION = 0x20
    POSITION_STALE = 0x40
    STANDSTILL = 0x80
    AIRBAG = 0x100


class DataQuality(IntFlag):
    """``OTR_DQ_*`` of types.h: what was wrong with the data from 30 s before T0 to the phase said."""

    NAN = 0x1
    SATURATED = 0x2
    STUCK = 0x4
    AXES_TURNED = 0x8
    RATE_CHANGED = 0x10
    TIME_BACK = 0x20
    INVALID = 0x40
    GAP = 0x80
    IMU_STOPPED = 0x100
    NO_IMU = 0x200
    LOW_RATE = 0x400
    NOT_ALIGNED = 0x800
    NO_SPEED = 0x1000
    GNSS_JUMP = 0x2000
    NO_GNSS = 0x4000
    SPEED_LATE = 0x8000
    UNKNOWN_RANGE = 0x10000


class CrashEvidence(IntFlag):
    """``OTR_EW_*`` of types.h: the terms of a crash's confidence that counted (weights: ``engine.crash_weights``)."""

    DV_LOW = 0x1
    DV8 = 0x2
    DV25 = 0x4
    AIRBAG = 0x8
    COLLAPSE = 0x10
    THRUST = 0x20
    STANDING = 0x40
    SILENCE = 0x80
    TURN = 0x100
    ROLLOVER = 0x200
    VERTICAL = 0x400
    PARKED = 0x800
    TURNED = 0x1000


_NOTHING_WRONG: Final = DataQuality(0)
_NO_EVIDENCE: Final = CrashEvidence(0)


@dataclass(frozen=True, slots=True)
class Event:
    """One phase of a detected event. Fields, units and meaning: ``otr_event`` in types.h; None = unknown (NaN in C)."""

    seq: int
    kind: EventKind
    phase: Phase
    level: int
    flags: EventFlag
    src_mask: int
    rule: int
    t0_us: int
    t_detect_us: int
    t_end_us: int
    lat_deg: float | None = None
    lon_deg: float | None = None
    hacc_m: float | None = None
    heading_deg: float | None = None
    clock: int = 0
    impact_no: int = 0
    conf: float = 0.0
    dv_kmh: float | None = None
    dv_long_kmh: float | None = None
    dv_lat_kmh: float | None = None
    dv_time_ms: float | None = None
    peak_g: float | None = None
    peak_vert_g: float | None = None
    mean_g: float | None = None
    asi: float | None = None
    pdof_deg: float | None = None
    dur_ms: float | None = None
    v_pre_kmh: float | None = None
    v_post_kmh: float | None = None
    limit: float | None = None
    v_impact_kmh: float | None = None
    dv_lo_kmh: float | None = None
    dv_hi_kmh: float | None = None
    quality: DataQuality = _NOTHING_WRONG
    evidence: CrashEvidence = _NO_EVIDENCE


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State once a second of engine time (``otr_vehicle`` in types.h; None = unknown) and the telemetry slots.

    values: one per slot of ``VehicleTables.slots`` (same order); None = stale, never seen, or not a telemetry slot.
    """

    t_us: int
    values: tuple[float | None, ...]
    lat_deg: float | None
    lon_deg: float | None
    hacc_m: float | None
    hdop: float | None
    heading_deg: float | None
    alt_m: float | None
    fix_t_us: int
    fix_utc_us: int
    fix_type: int
    sats: int
    speed_mps: float | None
    speed_src: int
    distance_m: float
    odometer_m: float | None
    rpm: float | None
    ignition: bool | None
    motion: int  # 0 unknown, 1 standing, 2 moving
    mount: int  # 0 none, 1 gravity known, 2 aligned
    align_rho: float
    supply_v: float | None
    acc_long: float | None
    acc_lat: float | None
    bus_alive: bool


class TripEndReason(IntEnum):
    IGNITION_OFF = 1
    STANDSTILL = 2
    SILENCE = 3
    SHUTDOWN = 4


@dataclass(frozen=True, slots=True)
class Trip:
    """A trip; ``t_end_us`` 0 while it lasts. Distances in m, from the most trusted source named in ``speed_src``."""

    trip_no: int
    t_start_us: int
    t_end_us: int
    start_lat_deg: float | None
    start_lon_deg: float | None
    end_lat_deg: float | None
    end_lon_deg: float | None
    distance_m: float
    odometer_start_m: float | None
    odometer_end_m: float | None
    moving_s: float
    idle_s: float
    max_speed_mps: float
    speed_src: int
    harsh_brakes: int
    harsh_accels: int
    harsh_corners: int
    lane_changes: int
    end_reason: TripEndReason | None
