"""A suite file rewritten to what was seen: text in, text out, comments and order kept (tomlkit).

Rule: what holds is left as it is written; what does not is set to what was found, what was not found goes, what is new
is added in order of time. A drive that could not be run is left alone. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import tomlkit
from tomlkit.items import AoT, Comment, Item, Table, Whitespace

from outrider.errors import BugError, SuiteError
from outrider.suite.load_io import parse_suite
from outrider.suite.model import MANOEUVRES, Drive, Expect, Suite, Tolerances
from outrider.suite.observed import Finding
from outrider.suite.verdict import DriveVerdict, Line, Verdict, judge

CONFIDENCE_STEP: Final = 0.1
CONFIDENCE_SLACK: Final = 0.05


def updated(text: str, path: Path, verdicts: Sequence[DriveVerdict], algorithm: str) -> str:
    """The suite's text with the expectations of these drives as seen, and the algorithm pinned.

    An algorithm that is pinned stays so until every drive has been run with the new one: the expectations of the
    others are still of the old. SuiteError when the file writes drives in a way that cannot be edited (an inline
    array), or is not the one that was run any more.
    """
    suite = parse_suite(text, path)
    _same_drives(suite, path, verdicts)
    document = tomlkit.parse(text)
    header, drives = _editable(document, path)
    whole = len(verdicts) == len(suite.drive) and all(verdict.observed.error is None for verdict in verdicts)
    if header.get("algorithm") != algorithm and (whole or "algorithm" not in header):
        with _tail_kept(header):
            header["algorithm"] = algorithm
    for verdict in verdicts:
        if verdict.observed.error is None:
            table = next(table for table in drives.body if table["name"] == verdict.drive.name)
            with _tail_kept(table):
                _update_drive(table, verdict, suite.suite.tolerances)
    after = tomlkit.dumps(document)
    after += "" if after.endswith("\n") else "\n"
    if text.count("\n") == text.count("\r\n") > 0:
        after = after.replace("\r\n", "\n").replace("\n", "\r\n")
    _check(after, path, verdicts)
    return after


def check_editable(text: str, path: Path) -> None:
    """SuiteError for a suite whose tables ``updated`` cannot edit; asked before its drives are run."""
    _editable(tomlkit.parse(text), path)


def _editable(document: tomlkit.TOMLDocument, path: Path) -> tuple[Table, AoT]:
    header, drives = document["suite"], document["drive"]
    if not isinstance(drives, AoT) or not isinstance(header, Table):
        raise SuiteError("written inline; --update needs [suite] and [[drive]] tables", path=path)
    for table in drives.body:
        if not isinstance(table.get("expect", tomlkit.aot()), AoT):
            raise SuiteError(
                f"[[drive]] {table['name']!r} writes expect inline; --update needs [[drive.expect]] tables", path=path
            )
    return header, drives


def _same_drives(suite: Suite, path: Path, verdicts: Sequence[DriveVerdict]) -> None:
    drives = {drive.name: drive for drive in suite.drive}
    if any(drives.get(verdict.drive.name) != verdict.drive for verdict in verdicts):
        raise SuiteError("was changed while its drives ran; nothing written, run --update again", path=path)


def _update_drive(table: Table, verdict: DriveVerdict, tolerances: Tolerances) -> None:
    expects = table.get("expect")
    _update_limits(table, verdict, tolerances)
    array = tomlkit.aot() if expects is None else expects
    left_over = _update_expects(array, verdict, tolerances)
    if expects is None and len(array):
        table.append("expect", array)
    elif expects is not None and not len(array):
        table.remove("expect")
    if left_over:
        _add_tail(table, [Whitespace(left_over)])


def _update_expects(array: AoT, verdict: DriveVerdict, tolerances: Tolerances) -> str:
    """Kept tables with their comments, changed ones in place, new ones between them by time. Returns comments that
    have lost their place."""
    times: list[float] = []
    left_over = ""
    for expect, line in _lines_of(verdict.drive, verdict.lines):
        at = len(times)
        mine = array.body[at]
        if line.found is None:
            left_over += _remove(array, at)
            continue
        if line.verdict is not Verdict.HIT:
            _correct(mine, expect, line.found, tolerances)
        times.append(line.found.t_s)
    for line in verdict.lines:
        if line.verdict is Verdict.EXTRA and line.counts and line.found is not None:
            t_s = line.found.t_s
            at = next((n for n, other in enumerate(times) if other > t_s), len(times))
            _insert(array, at, _new(line.found, tolerances))
            times.insert(at, t_s)
    return left_over


def _insert(array: AoT, at: int, table: Table) -> None:
    """Also keeps what stands between two tables (it is the end of the first) before the second."""
    tail = _cut_tail(array.body[at - 1]) if at else []
    array.insert(at, table)
    _add_tail(table, tail)


def _remove(array: AoT, at: int) -> str:
    """The comments before the next table stay; returned when there is nothing left to keep them."""
    table = array.body[at]
    kept = table.trivia.indent + "".join(item.as_string() for item in _cut_tail(table))
    del array[at]
    if at:
        _add_tail(array.body[at - 1], [Whitespace(kept)])
    elif len(array):
        array.body[0].trivia.indent = kept + array.body[0].trivia.indent
    else:
        return kept
    return ""


# -- comments: tomlkit keeps what stands before a table's header at the end of the table before it -------


@contextmanager
def _tail_kept(table: Table) -> Iterator[None]:
    """What follows a table stays behind it, whatever is added to the table meanwhile."""
    tail = _cut_tail(table)
    yield
    _add_tail(table, tail)


def _last_of(table: Table) -> Table:
    """The table, or the last one inside it: where the text of the table ends."""
    body = [item for key, item in table.value.body if key is not None]
    last = body[-1] if body else None
    if isinstance(last, AoT) and len(last.body):
        return _last_of(last.body[-1])
    return _last_of(last) if isinstance(last, Table) else table


def _cut_tail(table: Table) -> list[Item]:
    """Take off blank lines and comments at the end, from the first blank line on."""
    body = _last_of(table).value.body
    start = len(body)
    while start and body[start - 1][0] is None and isinstance(body[start - 1][1], Comment | Whitespace):
        start -= 1
    while start < len(body) and not isinstance(body[start][1], Whitespace):
        start += 1
    tail = [item for _key, item in body[start:]]
    del body[start:]
    return tail


def _add_tail(table: Table, tail: list[Item]) -> None:
    _last_of(table).value.body.extend((None, item) for item in tail)


# -- values --------------------------------------------------------------------------------------------


def _lines_of(drive: Drive, lines: Sequence[Line]) -> list[tuple[Expect, Line]]:
    """The line of each expectation, in the order of the file."""
    by_expect = {id(line.expected): line for line in lines if line.expected is not None}
    return [(expect, by_expect[id(expect)]) for expect in drive.expect]


def _correct(table: Table, expect: Expect, found: Finding, tolerances: Tolerances) -> None:
    """Set the fields that are given, and no others, to what was found."""
    seen: dict[str, Any] = _values(found, expect, tolerances)
    table["kind"], table["t_s"] = found.kind, seen["t_s"]
    for key in ("outcome", "level", "delta_v_kmh", "peak_g", "duration_s", "clock"):
        if getattr(expect, key) is None:
            continue
        if seen.get(key) is None:
            table.remove(key)
        else:
            table[key] = seen[key]
    if expect.confidence_min is not None and found.confidence < expect.confidence_min:
        table["confidence_min"] = seen["confidence_min"]
    took = None if found.reported_s is None else found.reported_s - found.t_s
    if expect.detect_within_s is not None:
        if took is None:
            table.remove("detect_within_s")
        elif took > expect.detect_within_s:
            table["detect_within_s"] = math.ceil(took * 10) / 10
    for tolerance, key in (
        ("delta_v_tolerance_kmh", "delta_v_kmh"),
        ("peak_tolerance_g", "peak_g"),
        ("duration_tolerance_s", "duration_s"),
    ):
        if tolerance in table and key not in table:
            table.remove(tolerance)


def _values(found: Finding, expect: Expect, tolerances: Tolerances) -> dict[str, Any]:
    """Every field that can be pinned, rounded to what a person reads."""
    t = tolerances
    steps = math.floor(max(0.0, found.confidence - CONFIDENCE_SLACK) / CONFIDENCE_STEP)
    return {
        "kind": found.kind,
        "t_s": _rounded(found.t_s, 2, expect.tolerance_s or t.time_s),
        "outcome": found.outcome,
        "level": found.level,
        "confidence_min": round(steps * CONFIDENCE_STEP, 1),
        "delta_v_kmh": _rounded(found.delta_v_kmh, 1, expect.delta_v_tolerance_kmh or t.delta_v_kmh),
        "peak_g": _rounded(found.peak_g, 2, expect.peak_tolerance_g or t.peak_g),
        "duration_s": _rounded(found.duration_s, 1, expect.duration_tolerance_s or t.duration_s),
        "clock": found.clock,
    }


def _rounded(value: float | None, digits: int, tolerance: float) -> float | None:
    """With more digits where the tolerance is finer than the last one."""
    if value is None:
        return None
    near = (round(value, more) for more in range(digits, 7))
    return next((short for short in near if abs(short - value) <= tolerance), value)


def _new(found: Finding, tolerances: Tolerances) -> Table:
    """A table for an event that was not expected: what a person would pin of its kind."""
    keys = ["kind", "t_s", "peak_g"] if found.kind in MANOEUVRES else ["kind", "t_s", "outcome", "confidence_min"]
    if found.kind not in MANOEUVRES:
        keys += ["delta_v_kmh", "clock"] if found.delta_v_kmh else []
    table = tomlkit.table()
    values = _values(found, Expect(kind=found.kind, t_s=found.t_s), tolerances)
    for key in keys:
        if values[key] is not None:
            table[key] = values[key]
    return table


def _update_limits(table: Table, verdict: DriveVerdict, tolerances: Tolerances) -> None:
    """Failing limits are set to what was seen; a drive without any gets distance and trips."""
    given = verdict.drive.limits
    tolerance = given.distance_tolerance_km or tolerances.distance_km
    distance_km = round(verdict.observed.distance_m / 1000, 3)
    seen = {"distance_km": _rounded(distance_km, 2, tolerance), "trips": verdict.observed.trips}
    if "limits" not in table:
        limits = tomlkit.table()
        limits.update(seen)
        table.append("limits", limits)
        return
    limits = table["limits"]
    if given.trips is not None and given.trips != seen["trips"]:
        limits["trips"] = seen["trips"]
    if given.distance_km is not None and abs(distance_km - given.distance_km) > tolerance + 1e-9:
        limits["distance_km"] = seen["distance_km"]


def _check(text: str, path: Path, verdicts: Sequence[DriveVerdict]) -> None:
    """What was written says what was seen: read it back and judge again."""
    check_editable(text, path)
    suite = parse_suite(text, path)
    for verdict in verdicts:
        if verdict.observed.error is not None:
            continue
        drive = next(drive for drive in suite.drive if drive.name == verdict.drive.name)
        again = judge(drive, verdict.observed, suite.suite.tolerances)
        lost = verdict.observed.lost_frames > drive.limits.max_lost_frames
        if not again.ok and not lost:
            raise BugError(f"{path}: --update would write {again.problems[0]!r} for {drive.name!r}; nothing written")
