"""What one crash came to, as plain data: the one thing that the report, the standards' views and the package read.

Rule: frozen dataclasses of numbers, texts, tuples and None; units are in the names, None is unknown. Times are seconds
relative to T0 unless the name says otherwise. Axes are ISO 8855 (x forward, y left, z up) where ``axes`` is "vehicle",
the sensor's own where it is "sensor". JSON Schema: docs/reference/crash-document.schema.json. Making a document from
records belongs to ``collect`` and ``build``, its JSON to ``document_json``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

FORMAT: Final = "outrider-crash/1"

Axes = Literal["vehicle", "sensor"]
State = Literal["suspected", "confirmed", "cancelled", "closed"]


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """One term of the confidence. name: of ``CrashEvidence``, in lower case. weight: what it adds to the sum when it
    counts (negative: against). sum_share: what it did add, 0 when it did not count."""

    name: str
    words: str
    counted: bool
    weight: float
    sum_share: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """``sentence``: for a person without training, English. confidence = 1 / (1 + exp(-(bias + sum of shares))), for
    verdicts that are weighed; ``items`` is empty where the rule has a fixed confidence, or the record is too old."""

    sentence: str
    kind: str  # of EventKind, lower case
    level: int  # 1..3
    state: State
    confidence: float  # 0..1
    items: tuple[EvidenceItem, ...]
    bias: float | None
    rule: int  # docs/reference/events.md


@dataclass(frozen=True, slots=True)
class TimeInfo:
    """When T0 was. t0_us: since the terminal's start. UTC as known by the nearest clock record of the same start."""

    t0_us: int
    t0_utc_us: int | None
    uncertainty_us: int | None  # 1 sigma
    source: str | None  # of ClockSource, lower case


@dataclass(frozen=True, slots=True)
class Place:
    """The newest fix from before T0, WGS-84. stale: it was older than 5 s."""

    lat_deg: float
    lon_deg: float
    hacc_m: float | None  # 1 sigma
    heading_deg: float | None  # clockwise from north
    stale: bool


@dataclass(frozen=True, slots=True)
class Impact:
    """The numbers of the impact (docs/reference/events.md, Fields). lower_bound: the sensor saturated, the true
    delta-V is larger. dv_lo/hi: 90 % interval."""

    dv_kmh: float | None
    dv_lo_kmh: float | None
    dv_hi_kmh: float | None
    lower_bound: bool
    dv_long_kmh: float | None
    dv_lat_kmh: float | None
    dv_time_ms: float | None
    pdof_deg: float | None  # 0 frontal, +90 from the left
    clock: int | None  # 1..12, 12 frontal, 9 left
    peak_g: float | None
    peak_vert_g: float | None
    mean_g: float | None
    asi: float | None
    dur_ms: float | None
    v_pre_kmh: float | None
    v_impact_kmh: float | None
    v_post_kmh: float | None
    impacts: int
    airbag: bool
    rollover: bool


@dataclass(frozen=True, slots=True)
class DeltaV:
    """Cumulative delta-V from T0 on, at the times ``t_ms``; empty when there was no pulse. axes "sensor": ``long`` and
    ``lat`` are two axes of the horizontal plane of the sensor, of unknown direction in the car."""

    t_ms: tuple[float, ...]
    long_kmh: tuple[float, ...]
    lat_kmh: tuple[float, ...]
    resultant_kmh: tuple[float, ...]
    axes: Axes


@dataclass(frozen=True, slots=True)
class Series:
    """One signal of the car. rate_hz: as measured, median over the series. t_s, values: same length, in order."""

    name: str  # VSS path, or a plain name
    label: str
    unit: str
    rate_hz: float | None
    t_s: tuple[float, ...]
    values: tuple[float, ...]
    source: str  # "frames" (each frame), "evidence" (at most 10 Hz), "black_box" (10 Hz), "telemetry" (1 Hz)


@dataclass(frozen=True, slots=True)
class ImuTrace:
    """Specific force and turn rate, three lists each (x, y, z) as long as ``t_s``. Gravity is still in it."""

    t_s: tuple[float, ...]
    axes: Axes
    acc: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]  # m/s2
    gyro: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]] | None  # rad/s
    rate_hz: float | None
    range_g: float | None
    source: str  # "can", "iio"


@dataclass(frozen=True, slots=True)
class TrackPoint:
    t_s: float
    lat_deg: float
    lon_deg: float
    speed_kmh: float | None
    heading_deg: float | None
    hacc_m: float | None


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """One phase of the verdict as it was said at the time; t_s: when it was said."""

    phase: str
    t_s: float
    kind: str
    level: int
    confidence: float
    dv_kmh: float | None
    rule: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the sensor sat in the car when the verdict was made. mounting: "none", "gravity" (up is known), "aligned",
    "unknown" (records too old to tell). up, forward: unit vectors in the sensor's axes."""

    mounting: str
    up: tuple[float, float, float] | None
    forward: tuple[float, float, float] | None
    rho: float | None  # quality of the fit, 0..1
    age_s: float | None
    imu_source: str | None  # "can", "iio"
    imu_range_g: float | None
    imu_rate_hz: float | None
    vehicle_class: str  # "passenger", "light-truck", "heavy"
    holdup_ms: int


@dataclass(frozen=True, slots=True)
class Threshold:
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Versions:
    """None: the records do not tell."""

    software: str | None
    algorithm: str | None
    profile_id: str | None
    tables_hash: int | None


@dataclass(frozen=True, slots=True)
class QualityNote:
    """flag: of ``DataQuality``, lower case. words: what was seen. effect: what it means for the numbers."""

    flag: str
    words: str
    effect: str


@dataclass(frozen=True, slots=True)
class Missing:
    """what: the part or field that is not there. why: one sentence."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of the package. Empty in a document that was not read from one."""

    name: str
    sha256: str
    bytes: int
    what: str


@dataclass(frozen=True, slots=True)
class CrashDocument:
    """event_id: ``{epoch:016x}-{boot_id:08x}-{seq}``, unique for ever with ``device``."""

    format: str
    device: str
    event_id: str
    boot_id: int
    seq: int
    kind: str
    level: int
    phase: str
    verdict: Verdict
    time: TimeInfo
    place: Place | None
    impact: Impact
    delta_v: DeltaV
    series: tuple[Series, ...]
    imu: ImuTrace | None
    track: tuple[TrackPoint, ...]
    phases: tuple[PhaseRow, ...]
    calibration: Calibration
    thresholds: tuple[Threshold, ...]
    versions: Versions
    quality: tuple[QualityNote, ...]
    missing: tuple[Missing, ...]
    files: tuple[FileEntry, ...]
