"""State of a crash: what detector, calibration and recorder were when evidence was taken, so that it can be judged."""

from __future__ import annotations

from dataclasses import dataclass

from outrider.model.evidence import EvidencePart
from outrider.model.record import OpenIntEnum


class CrashStage(OpenIntEnum):
    """When the state was taken; a later stage of the same event replaces what an earlier one said."""

    TRIGGER = 1  # the suspicion was raised, evidence begins to be written
    PULSE = 2  # the pulse was captured: its curve is known
    CLOSED = 3  # nothing more will be recorded for this event


@dataclass(frozen=True, slots=True)
class MountState:
    """How the sensor sat in the car. up, forward: unit vectors in the sensor's axes, zero when not known.

    rho: quality of the fit, 0..1; age_s: seconds of driving since it was last renewed.
    """

    up: tuple[float, float, float]
    forward: tuple[float, float, float]
    rho: float
    age_s: float


@dataclass(frozen=True, slots=True)
class SlotName:
    """What ``slot`` of ``EvidencePart.SIGNALS`` means: VSS path and unit."""

    slot: int
    path: str
    unit: str


@dataclass(frozen=True, slots=True)
class Cover:
    """What there is of one part: the time of its first and last item and its size in bytes, laid out plainly.

    TRIGGER and PULSE: what the recorder holds of the event's window. CLOSED: all that was handed to the journal.
    """

    part: EvidencePart
    first_us: int
    last_us: int
    bytes: int


@dataclass(frozen=True, slots=True)
class CrashState:
    """Body of a CRASH record; times are CLOCK_BOOTTIME, or of the recording in a replay.

    event_seq: the event it belongs to (with the record's boot id). t0_us: its T0; t_trigger_us: when evidence began.
    software, algorithm, profile_id, tables_hash: versions; thresholds: name and value of each of the detector's.
    imu_range_g: per axis, 0 unknown. imu_rate_hz: as measured over the recorded samples; imu_src: ``enum otr_src`` of
    types.h, 0 no IMU. mount: None before gravity was known. vehicle_class: 0 passenger, 1 light truck, 2 heavy.
    holdup_ms: stored energy. pulse_*: cumulative delta-V at 100 Hz from T0 on, in the axes of the event's flags;
    empty before the pulse is captured. slots: names for the signals. covers: what there was of each part.
    """

    event_seq: int
    stage: CrashStage
    t0_us: int
    t_trigger_us: int
    software: str
    algorithm: str
    profile_id: str
    tables_hash: int
    thresholds: tuple[tuple[str, float], ...]
    imu_range_g: float
    imu_rate_hz: float | None
    imu_src: int
    mount: MountState | None
    vehicle_class: int
    holdup_ms: int
    pulse_long_kmh: tuple[float, ...]
    pulse_lat_kmh: tuple[float, ...]
    slots: tuple[SlotName, ...]
    covers: tuple[Cover, ...]
