"""Between ``model`` objects and the C structs of types.h; NaN in C is None here."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any, Final

from outrider.engine.native import lib
from outrider.model.event import CrashEvidence, DataQuality, Event, EventFlag, EventKind, Phase, Snapshot
from outrider.model.fix import Fix, ImuSample, PowerSample

NAN: Final = math.nan
_SINGLE_MAX: Final = 3.4e38  # of a C float, nearly
FIX: Final = struct.Struct("=qqddfffffBBBB")
SAMPLE: Final = struct.Struct("=qBBHf8f")
EVENT: Final = struct.Struct("=qqqddffIHBBHHBBH17fIII")
VEHICLE: Final = struct.Struct("=qddddqq10fBBBBBBBB")


def maybe(value: float) -> float | None:
    return None if value != value else value  # noqa: PLR0124  # NaN is the only number unequal to itself


def _number(value: float | None) -> float:
    return NAN if value is None else value


def _pack(layout: struct.Struct, t_us: int, *rest: float) -> bytes:
    """What does not fit goes to the end of its range: the engine refuses and counts such times and numbers."""
    try:
        return layout.pack(t_us, *rest)
    except (OverflowError, struct.error):
        fitting = (_single(each) if isinstance(each, float) else max(-(2**63), min(each, 2**63 - 1)) for each in rest)
        return layout.pack(max(-(2**63), min(t_us, 2**63 - 1)), *fitting)


def _single(value: float) -> float:
    return math.copysign(math.inf, value) if abs(value) > _SINGLE_MAX else value


def pack_fix(fix: Fix) -> bytes:
    position = fix.lat_deg is not None and fix.lon_deg is not None
    flags = (
        (lib.OTR_FIX_POS if position else 0)
        | (lib.OTR_FIX_SPEED if fix.speed_mps is not None else 0)
        | (lib.OTR_FIX_HEADING if fix.heading_deg is not None else 0)
        | (lib.OTR_FIX_ALT if fix.alt_m is not None else 0)
        | (lib.OTR_FIX_TIME if fix.utc_us is not None else 0)
        | (lib.OTR_FIX_FIRST if fix.first else 0)
    )
    return _pack(
        FIX,
        fix.t_us,
        fix.utc_us or 0,
        *(_number(fix.lat_deg), _number(fix.lon_deg), _number(fix.alt_m), _number(fix.speed_mps)),
        *(_number(fix.heading_deg), _number(fix.hacc_m), _number(fix.hdop)),
        *(flags, fix.fix_type, max(0, min(fix.sats, 255)), lib.OTR_SRC_GNSS_SERIAL),
    )


def pack_imu(samples: Sequence[ImuSample]) -> bytes:
    return b"".join(_pack_imu(sample) for sample in samples)


def _pack_imu(sample: ImuSample) -> bytes:
    quality = (lib.OTR_Q_VALID if sample.valid else 0) | (lib.OTR_Q_SATURATED if sample.saturated else 0)
    gyro = sample.gyro or (NAN, NAN, NAN)
    head = (lib.OTR_IN_IMU, lib.OTR_SRC_IMU_IIO, quality)
    return _pack(SAMPLE, sample.t_us, *head, 0.0, *sample.acc, *gyro, 0.0, 0.0)


def pack_power(sample: PowerSample) -> bytes:
    ignition = NAN if sample.ignition is None else float(sample.ignition)
    values = (ignition, _number(sample.supply_v), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return _pack(SAMPLE, sample.t_us, lib.OTR_IN_POWER, lib.OTR_SRC_NONE, lib.OTR_Q_VALID, 0.0, *values)


def unpack_event(raw: Any, offset: int) -> Event:
    (t0, t_detect, t_end, lat, lon, hacc, heading, seq, kind, phase, level, flags, src_mask, clock, impact, rule,
     conf, dv, dv_long, dv_lat, dv_time, peak, peak_vert, mean, asi, pdof, dur, v_pre, v_post, limit,
     v_impact, dv_lo, dv_hi, quality, evidence, _rsv,
    ) = EVENT.unpack_from(raw, offset)  # fmt: skip
    return Event(
        seq=seq,
        kind=EventKind(kind),
        phase=Phase(phase),
        level=level,
        flags=EventFlag(flags),
        src_mask=src_mask,
        rule=rule,
        t0_us=t0,
        t_detect_us=t_detect,
        t_end_us=t_end,
        lat_deg=maybe(lat),
        lon_deg=maybe(lon),
        hacc_m=maybe(hacc),
        heading_deg=maybe(heading),
        clock=clock,
        impact_no=impact,
        conf=conf,
        dv_kmh=maybe(dv),
        dv_long_kmh=maybe(dv_long),
        dv_lat_kmh=maybe(dv_lat),
        dv_time_ms=maybe(dv_time),
        peak_g=maybe(peak),
        peak_vert_g=maybe(peak_vert),
        mean_g=maybe(mean),
        asi=maybe(asi),
        pdof_deg=maybe(pdof),
        dur_ms=maybe(dur),
        v_pre_kmh=maybe(v_pre),
        v_post_kmh=maybe(v_post),
        limit=maybe(limit),
        v_impact_kmh=maybe(v_impact),
        dv_lo_kmh=maybe(dv_lo),
        dv_hi_kmh=maybe(dv_hi),
        quality=DataQuality(quality),
        evidence=CrashEvidence(evidence),
    )


def unpack_snapshot(raw: Any, offset: int, values: tuple[float | None, ...]) -> Snapshot:
    (t_us, lat, lon, distance, odometer, fix_t, fix_utc, speed, heading, alt, hacc, hdop, rpm, supply, acc_long,
     acc_lat, rho, speed_src, ignition, motion, mount, alive, fix_type, sats, _rsv,
    ) = VEHICLE.unpack_from(raw, offset)  # fmt: skip
    return Snapshot(
        t_us=t_us,
        values=values,
        lat_deg=maybe(lat),
        lon_deg=maybe(lon),
        hacc_m=maybe(hacc),
        hdop=maybe(hdop),
        heading_deg=maybe(heading),
        alt_m=maybe(alt),
        fix_t_us=fix_t,
        fix_utc_us=fix_utc,
        fix_type=fix_type,
        sats=sats,
        speed_mps=maybe(speed),
        speed_src=speed_src,
        distance_m=distance,
        odometer_m=maybe(odometer),
        rpm=maybe(rpm),
        ignition=None if ignition == 255 else bool(ignition),
        motion=motion,
        mount=mount,
        align_rho=rho,
        supply_v=maybe(supply),
        acc_long=maybe(acc_long),
        acc_lat=maybe(acc_lat),
        bus_alive=bool(alive),
    )
