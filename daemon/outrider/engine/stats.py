"""Counters of the engine, with the names of the C structs (docs/reference/native.md says what each means)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class DecodeStats:
    frames: int
    matched: int
    unknown: int
    not_data: int
    malformed: int
    values: int
    short_signals: int
    absent: int
    not_available: int
    out_of_range: int
    not_finite: int
    unmapped: int


@dataclass(frozen=True, slots=True)
class MotionStats:
    pushed: int
    nan: int
    time_back: int
    gap: int
    invalid: int
    jump: int
    events_lost: int
    other_imu: int = 0  # samples of a second IMU, put aside while the first lives


@dataclass(frozen=True, slots=True)
class EngineStats:
    frames: int
    fixes: int
    imu: int
    power: int
    ticks: int
    late: int
    jumps_back: int
    gaps: int
    forced: int
    refused: int
    samples: int
    can_imu_incomplete: int
    can_fix_invalid: int
    events: int
    snapshots: int
    evidence: int
    evidence_lost: int
    supply_failures: int
    decode: DecodeStats
    motion: MotionStats


def decode_stats(raw: Any) -> DecodeStats:
    return DecodeStats(**_counters(DecodeStats, raw))


def motion_stats(raw: Any) -> MotionStats:
    return MotionStats(**_counters(MotionStats, raw))


def engine_stats(raw: Any) -> EngineStats:
    counters = _counters(EngineStats, raw)
    return EngineStats(**counters, decode=decode_stats(raw.decode), motion=motion_stats(raw.motion))


def _counters(kind: type[Any], raw: Any) -> dict[str, Any]:
    return {f.name: int(getattr(raw, f.name)) for f in fields(kind) if f.name not in {"decode", "motion"}}
