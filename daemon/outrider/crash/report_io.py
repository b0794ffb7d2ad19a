"""The report of one crash for people: one HTML file that needs nothing else, for a browser, a phone and paper.

Everything that comes from the document is text to the template (autoescape) and made harmless before
(``report_clean``); only our own pictures are not. No script, no network: the page's own policy forbids both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from outrider.crash import report_tables as tables
from outrider.crash.document import CrashDocument
from outrider.crash.report_clean import clean, measured
from outrider.crash.report_numbers import utc
from outrider.crash.report_pictures import blow, car, track, whole
from outrider.crash.report_terms import notes
from outrider.crash.report_texts import texts
from outrider.crash.report_words import (
    confidence_of,
    grade,
    is_confirmed,
    kind_words,
    share_short,
    state_words,
    sure_sentence,
    verdict_sentence,
)
from outrider.i18n import _, in_language
from outrider.report.page_io import write_page


def write_report(document: CrashDocument, path: Path, *, language: str) -> None:
    """Write the file, whole or not at all. ``language``: of ``outrider.i18n.LANGUAGES``, else ValueError. OSError names
    the file."""
    with in_language(language):
        write_page("outrider.crash", "crash.html", content(clean(measured(document))), path, {})


def content(document: CrashDocument) -> dict[str, Any]:
    """What the template shows, in the present language."""
    return {
        "lang": _("en"),
        "title": _title(document),
        "device": document.device,
        "tone": _tone(document),
        "state": _badge(document),
        "sentence": verdict_sentence(document),
        "sure": sure_sentence(document),
        "facts": tables.key_facts(document),
        "evidence": tables.evidence_rows(document),
        "evidence_sum": tables.evidence_sum(document),
        "confidence": share_short(confidence_of(document)),
        "pictures": [Markup(one) for one in (car(document), track(document)) if one],  # our own drawings
        "blow": [Markup(one) for one in blow(document)],  # same; labels are escaped where they are put in
        "whole": [Markup(one) for one in whole(document)],  # same
        "imu_axes": None if document.imu is None else document.imu.axes,
        "impact": tables.impact_rows(document),
        "unknown": tables.unknown_numbers(document),
        "dv": tables.dv_blocks(document),
        "dv_axes": document.delta_v.axes,
        "phases": tables.phase_rows(document),
        "quality": tables.quality_rows(document),
        "missing": tables.missing_rows(document),
        "signals": tables.signal_rows(document),
        "calibration": tables.calibration_rows(document),
        "thresholds": tables.threshold_rows(document),
        "versions": tables.version_rows(document),
        "files": tables.file_rows(document),
        "notes": notes(),
        "t": texts(),
    }


def _title(document: CrashDocument) -> str:
    at = utc(document.time.t0_utc_us)
    parts = (kind_words(document.verdict.kind), document.device, at)
    return _(", ").join(part for part in parts if part)


def _badge(document: CrashDocument) -> str:
    """State and grade in a few words."""
    state = state_words(document.verdict.state)
    if document.verdict.state == "cancelled":
        return state
    if document.verdict.state == "closed":
        state = _("confirmed") if is_confirmed(document) else _("not confirmed")
    level = _("level {level}: {grade}").format(level=document.verdict.level, grade=grade(document.verdict.level))
    return f"{state} \N{MIDDLE DOT} {level}"


def _tone(document: CrashDocument) -> str:
    """The colour of the head: calm, doubtful or grave."""
    if document.verdict.state == "cancelled":
        return "good"
    return "bad" if is_confirmed(document) else "warn"
