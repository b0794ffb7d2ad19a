"""The report of a run: one HTML file that needs nothing else, for a browser, a phone and paper.

Everything that comes from a suite or a recording is text to the template (autoescape); only our own pictures are not.
Streamed drive by drive: a hundred drives do not lie in memory as pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from outrider.i18n import _
from outrider.report.page_io import write_page
from outrider.suite.compare import Comparison, DriveComparison, comparison_sentence, lines_of, release_of
from outrider.suite.observed import Observed
from outrider.suite.plot import NARROW, WIDE, Size, draw
from outrider.suite.results import Results, algorithm_sentence
from outrider.suite.verdict import DriveVerdict, Line, Verdict


class _Pictures:
    """The pictures of a drive, drawn when the template comes to them and kept by nobody."""

    def __init__(
        self, seen: Observed | None, lines: Sequence[Line], label: str, number: int, lanes: tuple[str, str]
    ) -> None:
        self._trace = () if seen is None else seen.trace
        self._lines = lines
        self._label = label
        self._number = number
        self._lanes = lanes

    def __call__(self, size: Size) -> Markup:
        if not self._trace and not self._lines:
            return Markup("")
        prefix = f"d{self._number}{size.name[0]}"
        # Our own drawing: numbers, units and fixed words; the label is escaped where it is put in.
        return Markup(draw(self._trace, self._lines, size, label=self._label, prefix=prefix, lanes=self._lanes))


def write_report(results: Results, verdicts: Sequence[DriveVerdict], path: Path, made: str) -> None:
    """Write the file, whole or not at all. ``made``: when, for people. OSError names the file."""
    drives = [_drive(number, verdict) for number, verdict in enumerate(verdicts, 1)]
    content = {
        "results": results,
        "drives": drives,
        "whole": whole_sentence(results),
        "algorithm": algorithm_sentence(results),
        "facts": _facts(results, made),
        "t": texts(),
        "lang": _("en"),
    }
    render("report.html", content, path)


def render(template: str, content: Mapping[str, Any], path: Path) -> None:
    """A template of this package into a file."""
    write_page("outrider.suite", template, {"WIDE": WIDE, "NARROW": NARROW, **content}, path, {"clock": clock})


def clock(t_s: float) -> str:
    """A moment of a drive, as in ``outrider replay``."""
    return f"{int(t_s // 60)}:{t_s % 60:05.2f}"


def whole_sentence(results: Results) -> str:
    """The run in one sentence."""
    passed = sum(drive.ok for drive in results.drives)
    if passed == len(results.drives):
        text = _("All {drives} drive(s) gave what was expected.")
        return text.format(drives=len(results.drives))
    return _("{failed} of {drives} drive(s) did not give what was expected.").format(
        failed=len(results.drives) - passed, drives=len(results.drives)
    )


def texts() -> dict[str, str]:
    """Words of the templates."""
    return {
        "drive": _("drive"),
        "drives": _("drives"),
        "verdict": _("verdict"),
        "trips": _("trips"),
        "expected": _("expected"),
        "found": _("found"),
        "events": _("events"),
        "hit": _("as expected"),
        "off": _("differs"),
        "renamed": _("other kind"),
        "missing": _("missing"),
        "extra": _("not expected"),
        "caption": _(
            "Speed; acceleration along and across the car; events by the numbers of the table: found above, expected "
            "below. Where the mounting of the sensor is not known yet, the acceleration along is that of the speed."
        ),
    }


def _drive(number: int, verdict: DriveVerdict) -> dict[str, Any]:
    mark = _("as expected") if verdict.ok else _("differs")
    picture = _Pictures(verdict.observed, verdict.lines, verdict.sentence, number, ("found", "expected"))
    return {
        "name": verdict.drive.name,
        "ok": verdict.ok,
        "mark": mark if verdict.observed.error is None else _("error"),
        "sentence": verdict.sentence,
        "expected": len(verdict.drive.expect),
        "seen": verdict.observed,
        "lines": verdict.lines,
        "limits": verdict.limits,
        "picture": picture,
    }


def _facts(results: Results, made: str) -> list[tuple[str, str]]:
    pinned = " (" + _("pinned") + ")" if results.pinned is not None and results.algorithm_ok else ""
    speed = (
        _("as fast as possible")
        if results.bus == "replay"
        else _("{speed} times real time").format(speed=results.speed)
    )
    return [
        (_("software"), f"outrider {results.software}"),
        (_("algorithm"), f"{results.algorithm or '?'}{pinned}"),
        (_("bus"), f"{results.bus}, {speed}"),
        (_("made"), made),
    ]


# -- two runs ------------------------------------------------------------------------------------------


def write_comparison(comparison: Comparison, path: Path, made: str) -> None:
    """The differences of two runs as a report. OSError names the file."""
    content = {
        "title": _("{suite}: two releases").format(suite=comparison.new.suite),
        "same": comparison.same,
        "whole": comparison_sentence(comparison),
        "facts": [
            (_("old"), release_of(comparison.old)),
            (_("new"), release_of(comparison.new)),
            (_("made"), made),
        ],
        "drives": [_compared(number, drive) for number, drive in enumerate(comparison.drives, 1)],
        "t": texts() | _comparison_texts(),
        "lang": _("en"),
    }
    render("compare.html", content, path)


def _comparison_texts() -> dict[str, str]:
    return {
        "differences": _("differences"),
        "old_events": _("events old"),
        "new_events": _("new"),
        "old_km": _("km old"),
        "new_km": _("new"),
        "what": _("difference"),
        "appeared": _("new event"),
        "vanished": _("event gone"),
        "moved": _("moved"),
        "changed": _("changed"),
        "renamed": _("other kind"),
        "distance": _("distance"),
        "trips": _("trips"),
        "error": _("error"),
        "drive": _("drive"),
        "caption": _(
            "Speed; acceleration along and across the car; events that differ: the new run above, the old below."
        ),
    }


def _compared(number: int, drive: DriveComparison) -> dict[str, Any]:
    lines = lines_of(drive)
    numbers = {line.sentence: n for n, line in enumerate(lines, 1)}
    colours = {line.sentence: line.verdict.value for line in lines}
    rows = [
        {
            "what": difference.what,
            "sentence": difference.sentence,
            "number": numbers.get(difference.sentence),
            "colour": colours.get(difference.sentence, Verdict.MISSING.value),
        }
        for difference in drive.differences
    ]
    label = "; ".join(difference.sentence for difference in drive.differences)
    seen = drive.new if drive.new is not None and drive.new.trace else drive.old
    return {
        "name": drive.name,
        "old": drive.old,
        "new": drive.new,
        "differences": rows,
        "picture": _Pictures(seen, lines, label, number, ("new", "old")),
    }
