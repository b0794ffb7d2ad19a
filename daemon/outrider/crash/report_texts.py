"""Headings and fixed words of the report's template."""

from __future__ import annotations

from outrider.i18n import _


def texts() -> dict[str, str]:
    """By the names the template uses."""
    return _headings() | _columns() | _sentences()


def _headings() -> dict[str, str]:
    return {
        "report": _("Crash report"),
        "why": _("How sure, and why"),
        "place": _("Where and from which side"),
        "blow": _("The impact"),
        "whole": _("Before and after"),
        "numbers": _("Numbers of the impact"),
        "quality": _("How good the data are"),
        "missing": _("What is missing"),
        "phases": _("The verdict as it was said"),
        "dv_table": _("ΔV every 10 ms"),
        "signals": _("Signals of the car"),
        "measured": _("How it was measured"),
        "calibration": _("Sensor and calibration"),
        "thresholds": _("Thresholds"),
        "versions": _("Versions"),
        "files": _("Files of the evidence package"),
        "notes": _("What this report is, and is not"),
    }


def _columns() -> dict[str, str]:
    return {
        "evidence": _("evidence"),
        "finding": _("found"),
        "weight": _("weight"),
        "adds": _("adds"),
        "for": _("for it"),
        "against": _("against it"),
        "not seen": _("not seen"),
        "not known": _("not known"),
        "name": _("name"),
        "value": _("value"),
        "about": _("meaning"),
        "seen": _("what was seen"),
        "effect": _("what it means for the result"),
        "what": _("what"),
        "why_missing": _("why"),
        "time": _("time from T0"),
        "phase": _("said"),
        "kind": _("kind"),
        "level": _("level"),
        "confidence": _("confidence"),
        "rule": _("rule"),
        "t_ms": _("ms"),
        "long": _("long."),
        "lat": _("lat."),
        "first": _("first"),
        "second": _("second"),
        "resultant": _("result."),
        "path": _("path"),
        "unit": _("unit"),
        "rate": _("rate"),
        "span": _("from … to"),
        "source": _("source"),
        "drawn": _("in a picture"),
        "file": _("file"),
        "size": _("size"),
        "hash": _("SHA-256"),
    }


def _sentences() -> dict[str, str]:
    return {
        "start": _("start, before any evidence"),
        "sum": _("sum"),
        "formula": _(
            "Confidence = 1 / (1 + e to the power of minus the sum). A weight of 1 multiplies the odds of a crash by "
            "2.7. What was not seen or is not known adds nothing."
        ),
        "not_weighed": _(
            "This verdict comes from a rule with a fixed confidence, or from records that do not tell its terms: there "
            "is nothing to add up."
        ),
        "no_blow": _("There is no course of the acceleration: no accelerometer was there, or its record was lost."),
        "no_whole": _("No signals and no accelerations around the impact were kept."),
        "no_place": _("Neither the place nor the side of the impact is known."),
        "unknown": _("Not known:"),
        "quality_good": _("No fault of the data was noticed between 30 s before the impact and the verdict."),
        "missing_none": _("Nothing: all that is recorded for a crash is there."),
        "no_thresholds": _("The records do not tell the thresholds."),
        "no_files": _("This report was not made from an evidence package: there are no files to list."),
        "no_signals": _("No signals of the car were kept."),
        "scroll": _("table, scrolls sideways"),
    }
