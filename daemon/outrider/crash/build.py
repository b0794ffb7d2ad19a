"""A bundle as a document: every number that the records hold, none that they do not.

``tables``: those of the recording's vehicle profile, when at hand; they allow to decode every raw frame. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from outrider.crash.bundle import CrashBundle
from outrider.crash.document import (
    FORMAT,
    Calibration,
    CrashDocument,
    Impact,
    PhaseRow,
    Place,
    QualityNote,
    Threshold,
    TimeInfo,
    TrackPoint,
    Verdict,
    Versions,
)
from outrider.crash.missing import missing_of
from outrider.crash.motion import delta_v, imu_trace, samples_of, vehicle_axes
from outrider.crash.signals import FROM_S, TO_S, black_box_of, series_of
from outrider.crash.verdict import verdict_of
from outrider.crash.words import QUALITY
from outrider.engine.convert import maybe
from outrider.model.event import DataQuality, Event, EventFlag, EventKind
from outrider.model.evidence import EvidencePart
from outrider.model.vehicle import VehicleClass, VehicleTables

_FIX: Final = struct.Struct("<qqddfffffBBBB")
_POS, _SPEED, _HEADING = 1, 2, 4  # OTR_FIX_*
_US_PER_US_OF_DRIFT: Final = 20_000  # 50 ppm, as the receiver resolves times
_IMU_SOURCES: Final = {5: "can", 6: "iio"}
_NO_VERDICT: Final = Verdict(
    "Evidence of a suspected crash; its verdict is not here.", "crash", 1, "suspected", 0.0, (), None, 0
)
_NO_IMPACT: Final = Impact(*(None,) * 3, False, *(None,) * 13, 0, False, False)


def document(bundle: CrashBundle, tables: VehicleTables | None = None) -> CrashDocument:
    """See the module."""
    event = bundle.event
    samples = samples_of(bundle)
    axes = vehicle_axes(bundle, samples)
    curve = delta_v(bundle, samples, axes)
    verdict = verdict_of(bundle.events, bundle.strongest) if bundle.events else _NO_VERDICT
    named = tables is not None or any(state.slots for state in bundle.states)
    pulse = event is not None and event.dv_kmh is not None
    return CrashDocument(
        format=FORMAT,
        device=bundle.device,
        event_id=bundle.event_id,
        boot_id=bundle.boot_id,
        seq=bundle.seq,
        kind=verdict.kind,
        level=verdict.level,
        phase=event.phase.name.lower() if event else "suspect",
        verdict=verdict,
        time=_time(bundle),
        place=_place(bundle),
        impact=impact_of(bundle),
        delta_v=curve,
        series=series_of(bundle, tables),
        imu=imu_trace(bundle, samples, axes),
        track=_track(bundle),
        phases=tuple(_phase(one, bundle.t0_us) for one in bundle.events),
        calibration=_calibration(bundle),
        thresholds=tuple(Threshold(*pair) for pair in (bundle.state.thresholds if bundle.state else ())),
        versions=_versions(bundle),
        quality=quality_of(bundle.events),
        missing=missing_of(bundle, named=named, pulse=pulse, curve=bool(curve.t_ms), weighed=bool(verdict.items)),
        files=(),
    )


def _time(bundle: CrashBundle) -> TimeInfo:
    t0_us = bundle.t0_us

    def doubt(pair: tuple[int, int]) -> int:
        at_us, uncertainty_us = pair
        return uncertainty_us + abs(t0_us - at_us) // _US_PER_US_OF_DRIFT

    best = min(bundle.clocks, key=lambda pair: doubt((pair[0], pair[1].uncertainty_us)), default=None)
    if best is None:
        return TimeInfo(t0_us, None, None, None)
    at_us, fix = best
    return TimeInfo(t0_us, fix.utc_us + t0_us - at_us, doubt((at_us, fix.uncertainty_us)), fix.source.name.lower())


def _place(bundle: CrashBundle) -> Place | None:
    """That of the impact to which T0 belongs, else of any phase."""
    first = () if bundle.strongest is None else (bundle.strongest,)
    for event in (*first, *reversed(bundle.events)):
        if event.lat_deg is not None and event.lon_deg is not None and _on_earth(event.lat_deg, event.lon_deg):
            stale = bool(event.flags & EventFlag.POSITION_STALE)
            return Place(event.lat_deg, event.lon_deg, event.hacc_m, event.heading_deg, stale)
    return None


def _on_earth(lat_deg: float, lon_deg: float) -> bool:
    return -90 <= lat_deg <= 90 and -180 <= lon_deg <= 180


def impact_of(bundle: CrashBundle) -> Impact:
    """Numbers of the strongest impact, taken together; speeds that it does not know are those of another phase."""
    if not bundle.events:
        return _NO_IMPACT
    pulse = bundle.strongest or bundle.events[-1]
    flags = EventFlag(0)
    for event in bundle.events:
        flags |= event.flags & (EventFlag.AIRBAG | EventFlag.ROLLOVER)
    kinds = {event.kind for event in bundle.events}
    return Impact(
        dv_kmh=pulse.dv_kmh,
        dv_lo_kmh=pulse.dv_lo_kmh,
        dv_hi_kmh=pulse.dv_hi_kmh,
        lower_bound=bool(pulse.flags & EventFlag.DV_LOWER_BOUND),
        dv_long_kmh=pulse.dv_long_kmh,
        dv_lat_kmh=pulse.dv_lat_kmh,
        dv_time_ms=pulse.dv_time_ms,
        pdof_deg=pulse.pdof_deg,
        clock=pulse.clock if 1 <= pulse.clock <= 12 else None,
        peak_g=pulse.peak_g,
        peak_vert_g=pulse.peak_vert_g,
        mean_g=pulse.mean_g,
        asi=pulse.asi,
        dur_ms=pulse.dur_ms,
        v_pre_kmh=_known(bundle, "v_pre_kmh"),
        v_impact_kmh=_known(bundle, "v_impact_kmh"),
        v_post_kmh=_known(bundle, "v_post_kmh"),
        impacts=max(event.impact_no for event in bundle.events) or (1 if pulse.dv_kmh is not None else 0),
        airbag=bool(flags & EventFlag.AIRBAG) or EventKind.AIRBAG in kinds,
        rollover=bool(flags & EventFlag.ROLLOVER) or EventKind.ROLLOVER in kinds,
    )


def _known(bundle: CrashBundle, name: str) -> float | None:
    first = () if bundle.strongest is None or name == "v_post_kmh" else (bundle.strongest,)
    values = (getattr(event, name) for event in (*first, *reversed(bundle.events)))
    return next((float(value) for value in values if value is not None), None)


def _phase(event: Event, t0_us: int) -> PhaseRow:
    t_s = round((event.t_detect_us - t0_us) / 1e6, 6)
    kind = event.kind.name.lower()
    return PhaseRow(event.phase.name.lower(), t_s, kind, event.level, event.conf, event.dv_kmh, event.rule)


def _track(bundle: CrashBundle) -> tuple[TrackPoint, ...]:
    """From the recorded fixes, with those of telemetry before and after them."""
    points = [point for point in map(_fix_point, _FIX.iter_unpack(bundle.items(EvidencePart.FIXES))) if point]
    fixes = [_shifted(t_us, point, bundle.t0_us) for t_us, point in points]
    covered = (fixes[0].t_s, fixes[-1].t_s) if fixes else (0.0, 0.0)
    rows = [p for p in _row_points(bundle) if not fixes or not covered[0] <= p.t_s <= covered[1]]
    return tuple(
        sorted((p for p in (*fixes, *rows, *_page_point(bundle)) if FROM_S <= p.t_s <= TO_S), key=lambda p: p.t_s)
    )


def _page_point(bundle: CrashBundle) -> list[TrackPoint]:
    """The last place that the black-box page knows."""
    box = black_box_of(bundle)
    if box is None or box.lat_deg is None or box.lon_deg is None or not _on_earth(box.lat_deg, box.lon_deg):
        return []
    kmh = None if box.speed_mps is None else round(box.speed_mps * 3.6, 3)
    point = TrackPoint(0.0, box.lat_deg, box.lon_deg, kmh, box.heading_deg, box.hacc_m)
    return [_shifted(box.fix_t_us, point, bundle.t0_us)]


def _fix_point(fields: tuple[float, ...]) -> tuple[int, TrackPoint] | None:
    t_us, _utc, lat, lon, _alt, speed, heading, hacc, _hdop, flags, *_rest = fields
    bits = int(flags)
    if not bits & _POS or not _on_earth(lat, lon):
        return None
    known_speed = maybe(speed) if bits & _SPEED else None
    known_heading = maybe(heading) if bits & _HEADING else None
    kmh = None if known_speed is None else round(known_speed * 3.6, 3)
    return int(t_us), TrackPoint(0.0, lat, lon, kmh, known_heading, maybe(hacc))


def _shifted(t_us: int, p: TrackPoint, t0_us: int) -> TrackPoint:
    t_s = round((t_us - t0_us) / 1e6, 6)
    return TrackPoint(t_s, p.lat_deg, p.lon_deg, p.speed_kmh, p.heading_deg, p.hacc_m)


def _row_points(bundle: CrashBundle) -> list[TrackPoint]:
    tables = dict(bundle.tables)
    found = []
    for t_us, row in bundle.rows:
        table = tables.get(row.table_id)
        if table is None:
            continue
        specs = {spec.id: spec for spec in table.signals}
        values = {
            specs[number].path.rsplit(".", 1)[-1]: integer * specs[number].step + specs[number].offset
            for number, integer in row.values
            if number in specs and specs[number].path.startswith(("Vehicle.CurrentLocation.", "Vehicle.Outrider.Speed"))
        }
        if _on_earth(values.get("Latitude", 999.0), values.get("Longitude", 999.0)):
            place = (values["Latitude"], values["Longitude"], values.get("Speed"))
            t_s = round((t_us - bundle.t0_us) / 1e6, 6)
            found.append(TrackPoint(t_s, *place, values.get("Heading"), values.get("HorizontalAccuracy")))
    return found


def _calibration(bundle: CrashBundle) -> Calibration:
    state = bundle.state
    if state is None:
        return Calibration("unknown", None, None, None, None, None, None, None, "passenger", 0)
    mount = state.mount
    known = mount is not None and any(mount.up)
    aligned = mount is not None and any(mount.forward)
    classes = {int(item): item.name.lower().replace("_", "-") for item in VehicleClass}
    return Calibration(
        mounting="aligned" if aligned else "gravity" if known else "none",
        up=mount.up if mount is not None and known else None,
        forward=mount.forward if mount is not None and aligned else None,
        rho=mount.rho if mount is not None and aligned else None,
        age_s=mount.age_s if mount is not None and aligned else None,
        imu_source=_IMU_SOURCES.get(state.imu_src),
        imu_range_g=state.imu_range_g or None,
        imu_rate_hz=state.imu_rate_hz,
        vehicle_class=classes.get(state.vehicle_class, str(state.vehicle_class)),
        holdup_ms=state.holdup_ms,
    )


def _versions(bundle: CrashBundle) -> Versions:
    state, boot = bundle.state, bundle.boot
    if state is not None:
        return Versions(state.software, state.algorithm, state.profile_id, state.tables_hash)
    if boot is not None:
        return Versions(boot.software, boot.algorithm, boot.profile_id, None)
    return Versions(None, None, None, None)


def quality_of(events: Sequence[Event]) -> tuple[QualityNote, ...]:
    """What was wrong with the data in any phase."""
    flags = DataQuality(0)
    for event in events:
        flags |= event.quality
    if any(event.flags & EventFlag.DV_LOWER_BOUND for event in events):
        flags |= DataQuality.SATURATED  # older records say it this way only
    return tuple(QualityNote((flag.name or "").lower(), *QUALITY[flag]) for flag in DataQuality if flag in flags)
