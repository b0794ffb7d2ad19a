"""Documents of crashes made by hand for the report: a whole one, and those that lack one thing after another."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from outrider.crash.document import (
    FORMAT,
    Calibration,
    CrashDocument,
    DeltaV,
    EvidenceItem,
    FileEntry,
    Impact,
    ImuTrace,
    Missing,
    PhaseRow,
    Place,
    QualityNote,
    Series,
    Threshold,
    TimeInfo,
    TrackPoint,
    Verdict,
    Versions,
)
from outrider.crash.words import QUALITY, STARTS_LATE, TERMS
from outrider.model.event import CrashEvidence, DataQuality
from tests.support.crash_courses import delta_v, imu, signals, track

HOSTILE = "<script>document.title='x'</script>&<img src=x onerror=alert(1)>\u202e\x00$\\frac{1}$\ud800" + "name" * 2500
WEIGHTS = {
    "dv_low": 1.5,
    "dv8": 2.5,
    "dv25": 2.0,
    "airbag": 5.0,
    "collapse": 1.5,
    "thrust": 1.5,
    "standing": 1.0,
    "silence": 1.5,
    "turn": 0.5,
    "rollover": 3.0,
    "vertical": -2.0,
    "parked": -1.5,
    "turned": -3.0,
}
EMPTY = DeltaV((), (), (), (), "vehicle")
NO_IMPACT = Impact(
    dv_kmh=None,
    dv_lo_kmh=None,
    dv_hi_kmh=None,
    lower_bound=False,
    dv_long_kmh=None,
    dv_lat_kmh=None,
    dv_time_ms=None,
    pdof_deg=None,
    clock=None,
    peak_g=None,
    peak_vert_g=None,
    mean_g=None,
    asi=None,
    dur_ms=None,
    v_pre_kmh=None,
    v_impact_kmh=None,
    v_post_kmh=None,
    impacts=0,
    airbag=False,
    rollover=False,
)
NO_CALIBRATION = Calibration("unknown", None, None, None, None, None, None, None, "", 0)


def evidence(*counted: str) -> tuple[EvidenceItem, ...]:
    return tuple(
        EvidenceItem(
            flag.name.lower(),
            TERMS[flag],
            flag.name.lower() in counted,
            WEIGHTS[flag.name.lower()],
            WEIGHTS[flag.name.lower()] * (flag.name.lower() in counted),
        )
        for flag in CrashEvidence
        if flag.name
    )


def note(flag: str) -> QualityNote:
    return QualityNote(flag, *QUALITY[DataQuality[flag.upper()]])


def verdict(kind: str, state: Any, items: tuple[EvidenceItem, ...], level: int = 3, rule: int = 1) -> Verdict:
    total = -2.0 + sum(item.sum_share for item in items)
    return Verdict("English.", kind, level, state, 1 / (1 + math.exp(-total)), items, -2.0 if items else None, rule)


def frontal() -> CrashDocument:
    """Everything there is: a frontal crash with 57 km/h, confirmed."""
    impact = Impact(
        dv_kmh=57.9,
        dv_lo_kmh=54.4,
        dv_hi_kmh=61.3,
        lower_bound=False,
        dv_long_kmh=-57.3,
        dv_lat_kmh=-8.6,
        dv_time_ms=100,
        pdof_deg=8.5,
        clock=12,
        peak_g=25.4,
        peak_vert_g=1.3,
        mean_g=16.4,
        asi=1.9,
        dur_ms=100,
        v_pre_kmh=62.0,
        v_impact_kmh=57.0,
        v_post_kmh=0.0,
        impacts=1,
        airbag=True,
        rollover=False,
    )
    items = evidence("dv8", "dv25", "airbag", "collapse", "standing")
    return CrashDocument(
        format=FORMAT,
        device="van-0042",
        event_id="0123456789abcdef-0000002a-17",
        boot_id=42,
        seq=17,
        kind="crash",
        level=3,
        phase="closed",
        verdict=verdict("crash", "confirmed", items),
        time=TimeInfo(1_234_567_890, 1_795_334_602_410_000, 18_000, "gnss"),
        place=Place(48.137, 11.575, 2.5, 31.0, stale=False),
        impact=impact,
        delta_v=delta_v(),
        series=signals(),
        imu=imu(),
        track=track(),
        phases=(
            PhaseRow("suspect", 0.05, "crash", 2, 0.62, 8.4, 1),
            PhaseRow("update", 0.33, "crash", 3, 0.97, 57.9, 1),
            PhaseRow("confirmed", 0.33, "crash", 3, 0.99, 57.9, 1),
            PhaseRow("closed", 10.33, "crash", 3, 0.99, 57.9, 1),
        ),
        calibration=Calibration(
            "aligned", (0.0, 0.1, 0.995), (1.0, 0.0, 0.0), 0.91, 5400, "can", 200, 100, "passenger", 1000
        ),
        thresholds=(Threshold("dv150_kmh", 6.5), Threshold("dv300_kmh", 10.0), Threshold("confirm_s", 10.0)),
        versions=Versions("0.3.0", "motion-2", "simcar", 0xDEADBEEFCAFE0123),
        quality=(note("speed_late"),),
        missing=(Missing("raw CAN frames: -30 s to -28.1 s", STARTS_LATE),),
        files=(
            FileEntry("delta_v.csv", "ab" * 32, 812, "ΔV at 100 Hz"),
            FileEntry("can.log", "cd" * 32, 5_240_112, "every frame of the buses"),
        ),
    )


def saturated() -> CrashDocument:
    """From the left, beyond the sensor's range; 50 ms later the supply was gone."""
    whole = frontal()
    impact = replace(
        whole.impact,
        dv_kmh=24.1,
        dv_lo_kmh=24.1,
        dv_hi_kmh=None,
        lower_bound=True,
        dv_long_kmh=-4.0,
        dv_lat_kmh=-23.8,
        pdof_deg=80.5,
        clock=9,
        airbag=False,
        dv_time_ms=50,
    )
    items = evidence("dv8", "collapse", "silence")
    return replace(
        whole,
        verdict=verdict("crash", "closed", items, 3),
        impact=impact,
        imu=imu(57.3, 0.15, 8.0),
        quality=(note("saturated"), note("imu_stopped")),
        series=tuple(
            replace(s, t_s=s.t_s[: len(s.t_s) * 4 // 7], values=s.values[: len(s.t_s) * 4 // 7]) for s in whole.series
        ),
    )


def unaligned() -> CrashDocument:
    """The mounting is not known: axes of the sensor, no direction."""
    whole = frontal()
    assert whole.imu is not None
    return replace(
        whole,
        impact=replace(whole.impact, dv_long_kmh=None, dv_lat_kmh=None, pdof_deg=None, clock=None, asi=None),
        imu=replace(whole.imu, axes="sensor", gyro=None),
        delta_v=replace(whole.delta_v, axes="sensor"),
        calibration=replace(whole.calibration, mounting="gravity", forward=None, rho=None, age_s=None),
        quality=(note("not_aligned"),),
        verdict=verdict("crash", "suspected", evidence("dv8"), 2),
    )


def inferred() -> CrashDocument:
    """No accelerometer: a speed that ended too quickly."""
    whole = frontal()
    return replace(
        whole,
        kind="crash_inferred",
        level=1,
        verdict=verdict("crash_inferred", "closed", (), 1, 13),
        imu=None,
        impact=replace(NO_IMPACT, v_pre_kmh=62.0, v_post_kmh=0.0),
        delta_v=EMPTY,
        quality=(note("no_imu"),),
    )


def nothing() -> CrashDocument:
    """An event record and nothing besides."""
    return replace(
        inferred(),
        kind="airbag",
        verdict=replace(verdict("airbag", "confirmed", (), 3, 11), confidence=0.95),
        place=None,
        time=TimeInfo(5_000_000, None, None, None),
        impact=replace(NO_IMPACT, airbag=True),
        series=(),
        track=(),
        phases=(),
        calibration=NO_CALIBRATION,
        thresholds=(),
        versions=Versions(None, None, None, None),
        quality=(),
        missing=(),
        files=(),
    )


def rollover() -> CrashDocument:
    whole = frontal()
    return replace(
        whole,
        kind="rollover",
        verdict=verdict("rollover", "confirmed", evidence("rollover", "turn", "dv8"), 3, 21),
        impact=replace(whole.impact, rollover=True, airbag=False, pdof_deg=-95.0, clock=3, impacts=3),
    )


def parked() -> CrashDocument:
    """A push from behind while parked."""
    whole = frontal()
    impact = replace(
        whole.impact,
        dv_kmh=7.2,
        dv_lo_kmh=6.7,
        dv_hi_kmh=7.8,
        dv_long_kmh=7.1,
        dv_lat_kmh=0.9,
        pdof_deg=-172.0,
        clock=6,
        v_pre_kmh=0.0,
        v_impact_kmh=0.0,
        airbag=False,
    )
    return replace(
        whole,
        kind="parked_impact",
        level=1,
        verdict=verdict("parked_impact", "closed", evidence("dv_low", "parked"), 1),
        impact=impact,
        delta_v=delta_v(-7.2),
        imu=imu(-7.2),
        series=(),
        track=tuple(replace(p, lat_deg=48.137, lon_deg=11.575, speed_kmh=0.0) for p in whole.track),
    )


def withdrawn() -> CrashDocument:
    whole = frontal()
    items = evidence("dv_low", "vertical")
    return replace(whole, verdict=verdict("crash", "cancelled", items, 1))


def not_numbers() -> CrashDocument:
    """NaN and infinity wherever a float may be."""
    whole = frontal()
    nan, bad = math.nan, (math.nan, math.inf, -math.inf)
    return replace(
        whole,
        impact=replace(
            whole.impact,
            **dict.fromkeys(("dv_kmh", "dv_lo_kmh", "dv_hi_kmh", "dv_time_ms", "peak_g", "asi", "v_impact_kmh"), nan),
        ),
        place=Place(nan, math.inf, nan, nan, stale=True),
        delta_v=DeltaV((0.0, 10.0, 20.0), bad, bad, bad, "vehicle"),
        imu=ImuTrace((-1.0, 0.0, 0.1), "vehicle", (bad, bad, bad), (bad, bad, bad), nan, nan, "can"),
        series=(Series("Vehicle.Speed", "Speed", "km/h", nan, (-1.0, 0.0, 1.0), bad, "evidence"),),
        track=(TrackPoint(0.0, nan, nan, nan, nan, nan), TrackPoint(nan, 1.0, 2.0, nan, nan, nan)),
        phases=(PhaseRow("suspect", nan, "crash", 2, nan, nan, 1),),
        thresholds=(Threshold("x", nan),),
        verdict=replace(whole.verdict, confidence=nan),
    )


def hostile() -> CrashDocument:
    """Every text is an attack, and 10 kB long."""
    whole = frontal()
    return replace(
        whole,
        device=HOSTILE,
        event_id=HOSTILE,
        kind=HOSTILE,
        phase=HOSTILE,
        verdict=replace(
            whole.verdict,
            sentence=HOSTILE,
            kind=HOSTILE,
            state=HOSTILE,
            items=(EvidenceItem(HOSTILE, HOSTILE, True, 9e9, -math.inf), *whole.verdict.items),
        ),
        series=(
            Series(HOSTILE, HOSTILE, HOSTILE, 10.0, (-1.0, 0.0), (0.0, 1.0), HOSTILE),
            Series("Speed" + HOSTILE, HOSTILE, "km/h", 10.0, (-1.0, 0.0), (0.0, 1.0), HOSTILE),
            Series(HOSTILE, HOSTILE, "", 10.0, (-1.0, 0.0), (0.0, 1.0), HOSTILE),
        ),
        phases=(PhaseRow(HOSTILE, 1e12, HOSTILE, 99, 2.0, 1e300, -1), *whole.phases),
        calibration=replace(whole.calibration, mounting=HOSTILE, imu_source=HOSTILE, vehicle_class=HOSTILE),
        thresholds=(Threshold(HOSTILE, 1e300),),
        versions=Versions(HOSTILE, HOSTILE, HOSTILE, -1),
        quality=(QualityNote(HOSTILE, HOSTILE, HOSTILE),),
        missing=(Missing(HOSTILE, HOSTILE), Missing("", "")),
        files=(FileEntry(HOSTILE, HOSTILE, -5, HOSTILE),),
        time=TimeInfo(-1, 2**62, -1, HOSTILE),
    )


EVERY = {
    "frontal": frontal,
    "saturated": saturated,
    "unaligned": unaligned,
    "inferred": inferred,
    "nothing": nothing,
    "rollover": rollover,
    "parked": parked,
    "withdrawn": withdrawn,
    "not_numbers": not_numbers,
    "hostile": hostile,
}
