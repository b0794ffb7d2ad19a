"""Row E: manoeuvres driven on purpose, by class; thresholds as shipped, and fitted on the other trips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from outrider.evaluate import fit_harsh as fh
from outrider.evaluate import samples as sm
from outrider.evaluate.detect import Episode
from outrider.evaluate.fit_harsh import Match
from outrider.evaluate.layouts import TRIPS
from outrider.evaluate.recordings import Recordings, Trip
from outrider.evaluate.results import Curve, Mark, Panel, Picture, RowResult, Table, at_least, interval, share
from outrider.evaluate.rows.effort import Effort
from outrider.evaluate.samples import Array
from outrider.evaluate.statistics import f1, f1_interval, percentile, wilson

CLASSES: Final = ("brake", "accel", "corner", "lane")
_PICTURE_S = 150.0


@dataclass(frozen=True)
class Scored:
    """A trip with the thresholds as shipped, and, where there are other trips, with those fitted on them."""

    trip: Trip
    shipped: Match
    factor: float | None
    fitted: Match | None


def score(recordings: Recordings, _effort: Effort) -> RowResult:
    """Every trip by itself; the fit never sees the trip it is told on."""
    result = RowResult(row="E", title="Harsh driving", layouts=(TRIPS,), method=METHOD, limits=LIMITS, seen=SEEN)
    trips = recordings.trips()
    every = [score_trip(trip, [other for other in trips if other is not trip]) for trip in trips]
    result.numbers = {one.trip.name: numbers(one) for one in every}
    result.tables = [_scores(every), _confusion(every), _by_class(every)]
    result.bars = [
        at_least(
            f"F1, trip {one.trip.name}, thresholds as shipped", 0.85, result.numbers[one.trip.name]["shipped"]["f1"]
        )
        for one in every
    ]
    result.bars += [
        at_least(f"F1, trip {one.trip.name}, fitted on the others", 0.85, _match(one.fitted)["f1"])
        for one in every
        if one.fitted is not None
    ]
    result.pictures = [picture for one in every for picture in _pictures(one)]
    return result


def score_trip(trip: Trip, others: Sequence[Trip]) -> Scored:
    shipped = fh.run_trip(trip)
    if not others:
        return Scored(trip, shipped, None, None)
    factor, _inside = fh.fit(others)
    return Scored(trip, shipped, factor, fh.run_trip(trip, factor))


def numbers(one: Scored) -> dict[str, Any]:
    return {
        "seconds": round(one.trip.seconds, 1),
        "shipped": _match(one.shipped),
        "factor": one.factor,
        "fitted": None if one.fitted is None else _match(one.fitted),
        "classes": {kind: _class(one.shipped, kind) for kind in CLASSES},
    }


def _match(m: Match) -> dict[str, Any]:
    hits, false, missed = m.hits, len(m.false), m.missed
    delays = [found[0].told_s - real.begin_s for real, found in zip(m.real, m.found, strict=True) if found]
    return {
        "manoeuvres": len(m.real),
        "found": hits,
        "false": false,
        "precision": hits / max(hits + false, 1),
        "precision_95": wilson(hits, hits + false),
        "recall": hits / max(len(m.real), 1),
        "recall_95": wilson(hits, len(m.real)),
        "f1": f1(hits, false, missed),
        "f1_95": f1_interval(hits, false, missed),
        "latency_s": {f"p{q}": percentile(delays, q) for q in (50, 95)},
    }


def named(found: Sequence[Episode], kind: str) -> str:
    """What a manoeuvre was called: its own class when any episode says so, else the first episode's."""
    if not found:
        return "nothing"
    return kind if any(e.kind == kind for e in found) else found[0].kind


def _class(m: Match, kind: str) -> dict[str, Any]:
    """One class against all else: a wrong name is a miss here and a false one there."""
    names = [(real.kind, named(found, real.kind)) for real, found in zip(m.real, m.found, strict=True)]
    hits = sum(pair == (kind, kind) for pair in names)
    driven = sum(real == kind for real, _ in names)
    false = sum(real != kind and told == kind for real, told in names) + sum(e.kind == kind for e in m.false)
    return {
        "driven": driven,
        "found": sum(real == kind and told != "nothing" for real, told in names),
        "named": hits,
        "false": false,
        "f1": f1(hits, false, driven - hits) if driven else None,
        "f1_95": f1_interval(hits, false, driven - hits) if driven else None,
    }


# -- tables --------------------------------------------------------------------------------------------------------


def _scores(every: Sequence[Scored]) -> Table:
    rows = []
    for one in every:
        rows.append((one.trip.name, "as shipped", *_cells(one.shipped)))
        if one.fitted is not None:
            rows.append((one.trip.name, f"× {one.factor:.2f}, fitted on the others", *_cells(one.fitted)))
    columns = (
        "trip",
        "thresholds",
        "driven",
        "found",
        "false",
        "precision",
        "recall",
        "F1",
        "F1 95 %",
        "latency p50, s",
    )
    return Table(title="Event against none", columns=columns, rows=tuple(rows))


def _cells(match: Match) -> tuple[Any, ...]:
    n = _match(match)
    latency = share(n["latency_s"]["p50"])
    counts = (n["manoeuvres"], n["found"], n["false"])
    return (*counts, share(n["precision"]), share(n["recall"]), share(n["f1"]), interval(n["f1_95"]), latency)


def _confusion(every: Sequence[Scored]) -> Table:
    cells: Counter[tuple[str, str]] = Counter()
    for one in every:
        for real, found in zip(one.shipped.real, one.shipped.found, strict=True):
            cells[real.kind, named(found, real.kind)] += 1
        cells.update(("none", e.kind) for e in one.shipped.false)
    columns = (*CLASSES, "nothing")
    rows = tuple((kind, *(cells[kind, told] for told in columns)) for kind in (*CLASSES, "none"))
    note = "Rows: driven. Columns: told, thresholds as shipped. All trips together, for reading only."
    return Table(title="Confusion matrix", columns=("", *columns), rows=rows, note=note)


def _by_class(every: Sequence[Scored]) -> Table:
    rows = []
    for one in every:
        for kind, n in numbers(one)["classes"].items():
            if n["driven"]:
                ends = interval(n["f1_95"])
                rows.append(
                    (one.trip.name, kind, n["driven"], n["found"], n["named"], n["false"], share(n["f1"]), ends)
                )
    columns = ("trip", "class", "driven", "found", "rightly named", "falsely named", "F1", "F1 95 %")
    return Table(title="By class, thresholds as shipped", columns=columns, rows=tuple(rows))


# -- pictures ------------------------------------------------------------------------------------------------------


def _pictures(one: Scored) -> list[Picture]:
    """The trip in pieces; those without any manoeuvre, driven or told, are left out."""
    driven = [
        Mark(real.kind, real.begin_s, real.end_s, "hit" if found else "miss")
        for real, found in zip(one.shipped.real, one.shipped.found, strict=True)
    ]
    right = {id(e) for found in one.shipped.found for e in found}
    told = [e for found in one.shipped.found for e in found] + list(one.shipped.false)
    marks = [Mark(e.kind, e.begin_s, e.end_s, "hit" if id(e) in right else "false") for e in dict.fromkeys(told)]
    out = []
    for begin in np.arange(0, one.trip.seconds, _PICTURE_S):
        ends = (float(begin), float(min(begin + _PICTURE_S, one.trip.seconds)))
        mine = [[m for m in some if ends[0] <= (m.begin + m.end) / 2 < ends[1]] for some in (driven, marks)]
        if mine[0] or mine[1]:
            out.append(_piece(one, ends, mine[0], mine[1]))
    return out


def _piece(one: Scored, ends: tuple[float, float], driven: Sequence[Mark], told: Sequence[Mark]) -> Picture:
    near = (one.trip.t >= ends[0]) & (one.trip.t < ends[1])
    t = one.trip.t[near]
    flat = _smooth(np.hypot(one.trip.acc[near, 0], one.trip.acc[near, 1]) / sm.G, t)
    yaw = _smooth(one.trip.samples["x"][near, 5].astype(float), t)
    panels = [
        Panel("driven: |horizontal|, g", [Curve("", t, flat)], driven, legend=False),
        Panel("told: yaw rate, rad/s", [Curve("", t, yaw)], told, legend=False),
    ]
    missed, false = sum(m.verdict == "miss" for m in driven), sum(m.verdict == "false" for m in told)
    sentence = f"{len(driven)} driven, {missed} missed, {false} false."
    title = f"trip {one.trip.name}, {ends[0]:.0f} to {ends[1]:.0f} s"
    return Picture(title, sentence, panels, "miss" if missed else "false" if false else "hit")


def _smooth(values: Array, t: Array, seconds: float = 0.5) -> Array:
    width = max(1, round(seconds / max(float(np.median(np.diff(t))), 1e-3)))
    return np.asarray(np.convolve(values, np.full(width, 1 / width), mode="same"))


METHOD = (
    "Manoeuvres driven on purpose, with the times that the makers of the set noted. An event counts as found when an "
    f"episode overlaps it within ±{fh.SLACK_S:g} s; an episode that overlaps none is false. No speed, mounting "
    "unknown: the hardest case for the detector; axes of the earth, as the phone turned them. Fitted: one factor on "
    "all four thresholds, 0.60 to 1.40, the one nearest to 1 whose F1 on the other trips is within a standard error of "
    "the best, told on the one left out. F1's interval is Wilson's of hits / (hits + false + missed), carried over. A "
    "manoeuvre of several episodes bears its own name when any of them says it."
)
LIMITS = (
    "Known to us are two trips of one phone, car and driver: intervals within a trip say nothing about other drivers. "
    "17 holds brakes, accelerations and lane changes, 20 curves and calm driving: a fit on one never saw the classes "
    "of the other. What was driven and not noted counts as false; the notes are good to about half a second."
)
SEEN = (
    "The thresholds are those of the trade, chosen before. The rules between the classes, the rule for brisk "
    "accelerations and the choice of the fitted factor within one standard error were made with trips 17 and 20 in "
    "sight: on them this row is no test of those."
)
