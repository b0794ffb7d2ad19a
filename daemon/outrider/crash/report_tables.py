"""The report's tables as rows of texts: facts, evidence, numbers, calibration. Pure; no layout, no markup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from outrider.crash.document import CrashDocument, EvidenceItem, Series
from outrider.crash.report_clean import ROWS
from outrider.crash.report_numbers import compass, degrees, known, moment, number, plain, signed, size, utc, vector
from outrider.crash.report_panels import change_words, course_of, is_drawn
from outrider.crash.report_terms import (
    class_words,
    mounting_words,
    series_words,
    source_words,
    told,
    told_span,
    unit_sign,
)
from outrider.crash.report_track import place_of
from outrider.crash.report_words import kind_words, share_short, side, state_words
from outrider.i18n import _

Row = tuple[str, ...]
_GRID_MS: Final = 10.0
_GRID_ROWS: Final = 61


# -- what a reader wants first -------------------------------------------------------------------------------------


def key_facts(document: CrashDocument) -> list[Row]:
    """The few numbers of the head of the page: name, value, small print."""
    impact = document.impact
    facts = [when(document), where(document)]
    if known(impact.dv_kmh):
        small = [_("within {ms} ms").format(ms=number(impact.dv_time_ms, 0))] if known(impact.dv_time_ms) else []
        if impact.impacts > 1:
            small.append(_("strongest of {count} impacts").format(count=impact.impacts))
        facts.append((_("change of speed (ΔV)"), change_words(document), _(", ").join(small)))
    if impact.clock is not None:
        text = _("{clock} o'clock, {side}").format(clock=impact.clock, side=side(impact.clock) or "")
        facts.append((_("hit at"), text, _("{angle}° from ahead").format(angle=signed(impact.pdof_deg, 0))))
    if known(impact.v_impact_kmh):
        facts.append((_("speed at the impact"), number(impact.v_impact_kmh, 0, "km/h"), _before(document)))
    elif known(impact.v_pre_kmh):
        facts.append((_("highest speed within 3 s before"), number(impact.v_pre_kmh, 0, "km/h"), ""))
    return facts


def _before(document: CrashDocument) -> str:
    if not known(document.impact.v_pre_kmh):
        return ""
    return _("highest within 3 s before: {speed} km/h").format(speed=number(document.impact.v_pre_kmh, 0))


def when(document: CrashDocument) -> Row:
    """Time of the impact with its uncertainty."""
    time = document.time
    text = utc(time.t0_utc_us)
    if text is None:
        since = number(time.t0_us / 1e6, 2)
        return _("time"), _("not known"), _("{seconds} s after the terminal's start").format(seconds=since)
    if time.uncertainty_us is None:
        return _("time"), text, _("uncertainty not known")
    small = _("± {seconds} s (one sigma), from {source}").format(
        seconds=plain(float(f"{time.uncertainty_us / 1e6:.2g}")), source=source_words(time.source)
    )
    return _("time"), text, small


def where(document: CrashDocument) -> Row:
    """Place of the impact with its accuracy and the car's heading."""
    place = place_of(document)
    if place is None:
        return _("place"), _("not known"), ""
    text = f"{degrees(place.lat_deg, 'N', 'S')}, {degrees(place.lon_deg, 'E', 'W')}"
    small = [_("± {metres} m").format(metres=number(place.hacc_m, 0))] if known(place.hacc_m) else []
    if place.heading_deg is not None and known(place.heading_deg):
        heading = _("heading {degrees}° ({point})")
        small.append(heading.format(degrees=number(place.heading_deg, 0), point=compass(place.heading_deg)))
    if place.stale:
        small.append(_("more than 5 s old"))
    return _("place"), text, _(", ").join(small)


# -- why -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """finding: "for", "against", "not seen", "not known"; share: what it added, as text; bar: -1..1 of the largest."""

    words: str
    finding: str
    weight: str
    share: str
    bar: float


def evidence_rows(document: CrashDocument) -> list[EvidenceRow]:
    """What counted first, the strongest first; then what was looked for in vain or not known."""
    items = [item for item in document.verdict.items if not _excluded(item, document)]
    largest = max((abs(item.weight) for item in items if known(item.weight)), default=1.0) or 1.0
    rows = [
        EvidenceRow(
            told(item.words) or item.name,
            finding(item, document),
            signed(item.weight),
            signed(item.sum_share) if item.counted else "0",
            item.weight / largest if item.counted and known(item.weight) else 0.0,
        )
        for item in items
    ]
    order = {"for": 0, "against": 1, "not seen": 2, "not known": 3}
    return sorted(rows, key=lambda row: (order[row.finding], -abs(row.bar)))


def finding(item: EvidenceItem, document: CrashDocument) -> str:
    """For or against when it counted; else whether it could have been known at all."""
    if item.counted:
        return "against" if item.weight < 0 else "for"
    return "not known" if _unknowable(item.name.lower(), document) else "not seen"


def _excluded(item: EvidenceItem, document: CrashDocument) -> bool:
    """The two grades of a small change of speed exclude each other: the one that did not count says nothing."""
    counted = {other.name.lower() for other in document.verdict.items if other.counted}
    return item.name.lower() == "dv_low" and not item.counted and "dv8" in counted


def _unknowable(name: str, document: CrashDocument) -> bool:
    flags = {note.flag.lower() for note in document.quality}
    no_gyro = document.imu is not None and document.imu.gyro is None
    return {
        "airbag": not any("airbag" in series.name.lower() for series in document.series) and not document.impact.airbag,
        "collapse": "no_speed" in flags,
        "thrust": "no_speed" in flags,
        "standing": "no_speed" in flags,
        "turn": "no_imu" in flags or no_gyro,
        "rollover": "no_imu" in flags,
        "vertical": "no_imu" in flags,
        "turned": "no_imu" in flags,
    }.get(name, False)


def evidence_sum(document: CrashDocument) -> tuple[str, str] | None:
    """The start value and the sum of all; None where the verdict is not weighed."""
    verdict = document.verdict
    if verdict.bias is None or not verdict.items:
        return None
    return signed(verdict.bias), signed(verdict.bias + sum(item.sum_share for item in verdict.items))


# -- numbers -------------------------------------------------------------------------------------------------------


def impact_rows(document: CrashDocument) -> list[Row]:
    """All numbers of the impact: name, value, what it is."""
    i = document.impact
    rows = [
        (_("change of speed ΔV"), change_words(document), _("largest horizontal, up to T0 + 300 ms")),
        (_("ΔV longitudinal"), number(i.dv_long_kmh, 1, "km/h"), _("at the largest ΔV; negative: braked")),
        (_("ΔV lateral"), number(i.dv_lat_kmh, 1, "km/h"), _("at the largest ΔV; positive: pushed to the left")),
        (_("time of the largest ΔV"), number(i.dv_time_ms, 0, "ms"), _("from T0")),
        (_("principal direction of force"), _direction(document), _("0° from ahead, +90° from the left")),
        (_("peak acceleration"), number(i.peak_g, 1, "g"), _("horizontal, mean of 10 ms")),
        (_("peak vertical acceleration"), number(i.peak_vert_g, 1, "g"), _("mean of 10 ms")),
        (_("mean acceleration"), number(i.mean_g, 1, "g"), _("ΔV over its rise")),
        (_("ASI"), number(i.asi, 2), _("acceleration severity index, EN 1317, mean of 50 ms")),
        (_("duration"), number(i.dur_ms, 0, "ms"), _("T0 to the last 20 ms with 0.8 km/h")),
        (_("speed before"), number(i.v_pre_kmh, 1, "km/h"), _("highest of the 3 s before T0")),
        (_("speed at the impact"), number(i.v_impact_kmh, 1, "km/h"), _("newest value before T0")),
        (_("speed after"), number(i.v_post_kmh, 1, "km/h"), _("lowest of the 4 s after")),
        (_("impacts"), str(i.impacts) if i.impacts else _("unknown"), ""),
        (_("airbag"), _("fired") if i.airbag else _("no sign of it"), ""),
        (_("rollover"), _("yes") if i.rollover else _("no sign of it"), ""),
    ]
    return [row for row in rows if row[1] != _("unknown")]


def unknown_numbers(document: CrashDocument) -> str:
    """Names of what ``impact_rows`` had to leave out."""
    i = document.impact
    names = {
        _("change of speed ΔV"): i.dv_kmh,
        _("ΔV longitudinal"): i.dv_long_kmh,
        _("ΔV lateral"): i.dv_lat_kmh,
        _("principal direction of force"): i.pdof_deg,
        _("peak acceleration"): i.peak_g,
        _("peak vertical acceleration"): i.peak_vert_g,
        _("mean acceleration"): i.mean_g,
        _("ASI"): i.asi,
        _("duration"): i.dur_ms,
        _("speed before"): i.v_pre_kmh,
        _("speed at the impact"): i.v_impact_kmh,
        _("speed after"): i.v_post_kmh,
    }
    return _(", ").join(name for name, value in names.items() if not known(value))


def _direction(document: CrashDocument) -> str:
    i = document.impact
    if not known(i.pdof_deg):
        return _("unknown")
    if i.clock is None:
        return f"{signed(i.pdof_deg, 0)}°"
    return _("{angle}°, {clock} o'clock").format(angle=signed(i.pdof_deg, 0), clock=i.clock)


def phase_rows(document: CrashDocument) -> list[Row]:
    """The verdict as it was said at the time."""
    return [
        (
            moment(row.t_s),
            state_words(row.phase),
            kind_words(row.kind),
            str(row.level),
            share_short(row.confidence),
            number(row.dv_kmh, 1) if known(row.dv_kmh) else "\N{EN DASH}",
            str(row.rule),
        )
        for row in document.phases[:ROWS]
    ]


def dv_blocks(document: CrashDocument, columns: int = 4) -> list[list[Row]]:
    """The course of delta-V every 10 ms, cut into blocks that stand beside each other."""
    course = course_of(document)
    if course is None:
        return []
    rows: list[Row] = []
    last = -_GRID_MS
    for t, along, across, whole in zip(
        course.t_ms, course.long_kmh, course.lat_kmh, course.resultant_kmh, strict=False
    ):
        if t - last < _GRID_MS - 0.5:
            continue
        last = t
        rows.append((number(t, 0), number(along, 1), number(across, 1), number(whole, 1)))
    rows = rows[:_GRID_ROWS]
    height = max(1, -(-len(rows) // columns))
    return [rows[i : i + height] for i in range(0, len(rows), height)]


def signal_rows(document: CrashDocument) -> list[Row]:
    """Every signal that was kept: rate, how much of it, whether it is in a picture."""
    return [_signal(series) for series in document.series[:ROWS]]


def _signal(series: Series) -> Row:
    span = f"{signed(series.t_s[0])} … {signed(series.t_s[-1])} s" if series.t_s else _("nothing")
    rate = number(series.rate_hz, 1, "Hz") if known(series.rate_hz) else _("unknown")
    name, unit = series_words(series), unit_sign(series.unit)
    return name, series.name, unit, rate, span, source_words(series.source), _("yes") if is_drawn(series) else _("no")


# -- how it was measured -------------------------------------------------------------------------------------------


def quality_rows(document: CrashDocument) -> list[Row]:
    return [(told(note.words) or note.flag, told(note.effect)) for note in document.quality[:ROWS]]


def missing_rows(document: CrashDocument) -> list[Row]:
    """What and why, in the reader's language where the catalogue has it."""
    return [(told_span(one.what), told(one.why)) for one in document.missing[:ROWS]]


def calibration_rows(document: CrashDocument) -> list[Row]:
    c = document.calibration
    age = None if c.age_s is None else c.age_s / 60
    return [
        (_("place of the sensor in the car"), mounting_words(c.mounting)),
        (_("quality of that (0 to 1)"), number(c.rho, 2)),
        (_("age of that"), number(age, 0, "min")),
        (_("up, in the sensor's axes"), vector(c.up)),
        (_("forward, in the sensor's axes"), vector(c.forward)),
        (_("accelerometer"), source_words(c.imu_source)),
        (_("range of the accelerometer"), f"± {number(c.imu_range_g, 0)} g" if known(c.imu_range_g) else _("unknown")),
        (_("rate of the accelerometer"), number(c.imu_rate_hz, 0, "Hz")),
        (_("class of the vehicle"), class_words(c.vehicle_class)),
        (_("energy of its own after a loss of supply"), number(c.holdup_ms, 0, "ms")),
    ]


def version_rows(document: CrashDocument) -> list[Row]:
    v = document.versions
    tables = None if v.tables_hash is None else f"{v.tables_hash & ((1 << 64) - 1):016x}"
    return [
        (_("terminal"), document.device or _("unknown")),
        (_("event"), document.event_id),
        (_("start of the terminal"), f"{document.boot_id:08x}"),
        (_("software"), v.software or _("unknown")),
        (_("algorithm"), v.algorithm or _("unknown")),
        (_("vehicle profile"), v.profile_id or _("unknown")),
        (_("tables made from it"), tables or _("unknown")),
        (_("format of this document"), document.format),
        (_("rule that decided"), str(document.verdict.rule)),
    ]


def threshold_rows(document: CrashDocument) -> list[Row]:
    return [(threshold.name, plain(threshold.value)) for threshold in document.thresholds[:ROWS]]


def file_rows(document: CrashDocument) -> list[Row]:
    return [(entry.name, told(entry.what), size(entry.bytes), entry.sha256) for entry in document.files[:ROWS]]
