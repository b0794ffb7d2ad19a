"""Row J: cars lost at speed, in a simulated world: are they missed in time, and how often is one missed that is not?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from outrider.evaluate.lost import summary as sm
from outrider.evaluate.lost.run import Experience, Extent, Fleet
from outrider.evaluate.lost.summary import Point, Rate, Share
from outrider.evaluate.lost.watch import Lookout
from outrider.evaluate.lost.world import World
from outrider.evaluate.results import Bar, Curve, Panel, Picture, RowResult, Table, interval
from outrider.evaluate.rows.effort import Effort

TITLE: Final = "Lost at speed"
QUICK: Final = Extent(roads=2, passes=120, loss_km=30.0)
FULL: Final = Extent(roads=6, passes=160, loss_km=40.0)
VARIED: Final = Extent(roads=2, passes=70, loss_km=12.0)
KNOWN_PASSES: Final = {False: 50, True: 50}  # quick, full: what counts as ground that the fleet knows
VARIED_PASSES: Final = 30
_SEED_PLACE, _SENSITIVITY_PLACE = 10, 11
_LEAST_FALSE: Final = 0.05


def score(lookout: Lookout, effort: Effort) -> RowResult:
    """A quick run, or with ``effort.full`` a large one and what each assumption moves."""
    result = RowResult(row="J", title=TITLE, layouts=(), method=METHOD, limits=LIMITS)
    extent, passes = (FULL, KNOWN_PASSES[True]) if effort.full else (QUICK, KNOWN_PASSES[False])
    world = World()
    experience = Fleet(world, extent, lookout.make, (effort.seed, _SEED_PLACE)).run()
    points = [sm.point(threshold, *sm.known(experience, passes)) for threshold in thresholds(lookout)]
    chosen = next(point for point in points if point.threshold == lookout.threshold)
    result.numbers = _numbers(experience, points, chosen, passes)
    result.bars = _bars(chosen)
    result.tables = [
        _found(chosen),
        _times(experience, lookout.threshold, passes),
        _knowledge(experience, lookout.threshold),
        _curve(points, lookout.threshold),
        _causes(experience, lookout.threshold, passes),
    ]
    if effort.full:
        result.tables.append(_sensitivity(lookout, effort))
    result.pictures = [_picture(points, lookout.threshold)]
    return result


def thresholds(lookout: Lookout) -> list[float]:
    """Those of the curve, the one in use among them."""
    return sorted({*sm.THRESHOLDS, lookout.threshold})


VARIATIONS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("as assumed", {}),
    ("signal strength in the beacons", {"signal_known": True}),
    ("no beacon at once when braking hard", {"braking_beacon": False}),
    ("exponential TCP timeouts", {"linear_timeouts": 0}),
    ("twice as many dead zones", {"unserved_times": 2.0}),
    ("half as many dead zones", {"unserved_times": 0.5}),
    ("ten times as many gaps anywhere", {"glitch_per_h": 0.5}),
    ("cells found again in a third of the time", {"search_s": (0.5, 1.0), "long_search_s": 5.0}),
    ("drives differ twice as much", {"drive_db": 4.0, "drift_db": 5.0}),
    ("power lasts 0.1 s at most", {"cut_s": 0.1}),
)


def _sensitivity(lookout: Lookout, effort: Effort) -> Table:
    points = []
    for name, change in VARIATIONS:
        fleet = Fleet(replace(World(), **change), VARIED, lookout.make, (effort.seed, _SENSITIVITY_PLACE))
        points.append((name, sm.point(lookout.threshold, *sm.known(fleet.run(), VARIED_PASSES))))
    rows = tuple(
        (name, _share(p.found), _share(p.silent), _share(p.minute), _share(p.held), _rate(p.false))
        for name, p in points
    )
    columns = ("assumption changed", "found", "only silence", "only silence, in 60 s", "1 s of energy", _FALSE)
    return Table(title="What each assumption moves", columns=columns, rows=rows, note=f"{_VARIED} {movers(points)}")


def movers(points: Sequence[tuple[str, Point]]) -> str:
    """Which change moves what is found most, against the first of them."""
    base = points[0][1]

    def most(of: Callable[[Point], Share]) -> str:
        name, p = max(points[1:], key=lambda pair: abs((of(pair[1]).value or 0.0) - (of(base).value or 0.0)))
        return f"'{name}' ({_share(of(base))} to {_share(of(p))})"

    return (
        f"What is found in 15 s without stored energy is moved most by {most(lambda p: p.found)}, what silence alone "
        f"tells in 60 s by {most(lambda p: p.minute)}."
    )


_VARIED: Final = (
    f"A smaller run each ({VARIED.passes} passes of {3 * VARIED.roads} roads), the same roads and drives where the "
    f"change allows; ground passed {VARIED_PASSES} times and more. The threshold stays. The false alarms of so few "
    "kilometres say little: see the curve."
)


def _numbers(experience: Experience, points: list[Point], chosen: Point, passes: int) -> dict[str, Any]:
    return {
        "km": experience.driven_km(),
        "known_km": experience.driven_km(passes),
        "known_passes": passes,
        "losses": len(experience.losses),
        "threshold": chosen.threshold,
        "found": _of(chosen.found),
        "found_with_event": _of(chosen.event),
        "found_by_silence": _of(chosen.silent),
        "found_by_silence_60_s": _of(chosen.minute),
        "found_with_1_s_of_energy": _of(chosen.held),
        "found_anywhere": _of(chosen.anywhere),
        "false_per_100000_km": chosen.false.value,
        "false_95": chosen.false.interval,
        "curve": [
            {
                "threshold": p.threshold,
                "held": p.held.value,
                "found": p.found.value,
                "by_silence": p.silent.value,
                "false": p.false.value,
            }
            for p in points
        ],
    }


def _of(share: Share) -> dict[str, Any]:
    return {"hits": share.hits, "of": share.n, "share": share.value, "share_95": share.interval}


def _bars(chosen: Point) -> list[Bar]:
    def found(what: str, share: Share) -> Bar:
        told = "–" if share.value is None else f"{share.value:.3f}"
        met = None if share.value is None else share.value >= 0.99
        return Bar(what=what, limit="≥ 0.99", measured=told, met=met, note=interval(share.interval, 3))

    rate = chosen.false
    told = "–" if rate.value is None else f"{rate.value:.1f}"
    met = None if rate.value is None else rate.value <= 1.0
    return [
        found("lost in coverage, found in 15 s within 300 m: 1 s of stored energy", chosen.held),
        found("the same, no stored energy", chosen.found),
        Bar(
            what="false alarms per 100,000 km on known ground",
            limit="≤ 1",
            measured=told,
            met=met,
            note=f"{rate.count} in {rate.km:,.0f} km, {interval(rate.interval, 1)}",
        ),
    ]


def _found(p: Point) -> Table:
    rows = [
        ("1 s of stored energy", _n(p.held), _share(p.held), _range(p.held)),
        ("no stored energy", _n(p.found), _share(p.found), _range(p.found)),
        ("– of these, the crash event got out", _n(p.event), _share(p.event), _range(p.event)),
        ("– of these, only silence", _n(p.silent), _share(p.silent), _range(p.silent)),
        ("– only silence, within 60 s", _n(p.minute), _share(p.minute), _range(p.minute)),
        ("no stored energy, dead zones too", _n(p.anywhere), _share(p.anywhere), _range(p.anywhere)),
    ]
    columns = ("losses in coverage", "n", "found in 15 s, within 300 m", "Wilson 95 %")
    note = "In coverage: the link was open at the impact, and had it driven on it would have been heard within 15 s."
    return Table(title=f"Found, threshold {p.threshold:g}", columns=columns, rows=tuple(rows), note=note)


def _times(experience: Experience, threshold: float, passes: int) -> Table:
    _silences, losses, _km = sm.known(experience, passes)
    covered = [loss for loss in losses if loss.covered]
    rows: list[tuple[str | int, ...]] = []
    for name, which in (
        ("the crash event got out", lambda loss: loss.event_out),
        ("a braking beacon got out", lambda loss: loss.braking_out and not loss.event_out),
        ("only silence", lambda loss: not loss.event_out and not loss.braking_out),
    ):
        n, q = sm.spread(covered, threshold, which)
        rows.append(
            (
                name,
                n,
                *(_told(q[f"time p{p}"], 1) for p in (50, 95, 99)),
                *(_told(q[f"error p{p}"], 0) for p in (50, 95, 99)),
            )
        )
    columns = ("", "alarms", "s to alarm, p50", "p95", "p99", "m of error, p50", "p95", "p99")
    note = "From the impact, of alarms within two minutes; error: from the place told to where the car came to rest."
    return Table(title="How soon, how near", columns=columns, rows=tuple(rows), note=note)


def _knowledge(experience: Experience, threshold: float) -> Table:
    rows = []
    for low, high in zip(sm.KNOWLEDGE, (*sm.KNOWLEDGE[1:], math.inf), strict=True):
        silences, losses, km = sm.between(experience, low, high)
        if km:
            p = sm.point(threshold, silences, losses, km)
            name = (
                f"{low} and more" if math.isinf(high) else f"{low}" if high == low + 1 else f"{low} to {high - 1:.0f}"
            )
            rows.append((name, f"{km:,.0f}", _share(p.found), _share(p.silent), _share(p.held), _rate(p.false)))
    columns = ("times the fleet passed before", "km", "found", "only silence", "1 s of energy", _FALSE)
    return Table(title="What knowing the ground is worth", columns=columns, rows=tuple(rows))


def _curve(points: list[Point], threshold: float) -> Table:
    rows = [
        (f"{p.threshold:g}" + (" (in use)" if p.threshold == threshold else ""),
         _share(p.found), _share(p.silent), _share(p.minute), _share(p.held), p.false.count, _rate(p.false))
        for p in points
        if p.threshold == threshold or (p.threshold * 2).is_integer()
    ]  # fmt: skip
    columns = ("threshold", "found", "only silence", "only silence, in 60 s", "1 s of energy", "false", _FALSE)
    return Table(title="Found against false", columns=columns, rows=tuple(rows))


def _causes(experience: Experience, threshold: float, passes: int) -> Table:
    silences, _losses, _km = sm.known(experience, passes)
    false, all_ = sm.causes(silences, threshold), sm.causes(silences, -math.inf)
    rows = tuple((name, count, false.get(name, 0)) for name, count in all_.most_common())
    return Table(
        title="Silences of ordinary driving", columns=("what it was", "silences judged", "false alarms"), rows=rows
    )


def _picture(points: list[Point], threshold: float) -> Picture:
    x = np.array([p.threshold for p in points])

    def shares(of: list[Share]) -> Any:
        return np.array([math.nan if s.value is None else s.value for s in of])

    found = Panel(
        "found",
        [
            Curve("1 s of energy", x, shares([p.held for p in points])),
            Curve("no stored energy", x, shares([p.found for p in points]), "second"),
            Curve("only silence", x, shares([p.silent for p in points]), "third"),
        ],
    )
    false = Panel("log10 of false\nper 100,000 km", [Curve("false", x, np.log10(false_rates(points)))], legend=False)
    return Picture(
        TITLE, f"Threshold in use: {threshold:g}.", [found, false], "plain", "threshold, decades of surprise"
    )


def false_rates(points: list[Point]) -> Any:
    """For a logarithmic axis: none is drawn at the foot."""
    return np.array([max(p.false.value or 0.0, _LEAST_FALSE) for p in points])


def _n(share: Share) -> str:
    return f"{share.n:,}"


def _share(share: Share) -> str:
    return "–" if share.value is None else f"{share.value:.3f}"


def _range(share: Share) -> str:
    return interval(share.interval, 3) if share.n else "–"


def _rate(rate: Rate) -> str:
    return "–" if rate.value is None else f"{rate.value:.1f} ({interval(rate.interval, 1)})"


def _told(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


_FALSE: Final = "false per 100,000 km (95 %)"
METHOD: Final = (
    "A simulated fleet drives simulated roads with a simulated mobile network; the receiver's own dead-man hears what "
    "arrives and learns as it would. Cars are cut off 0 to 500 ms after an impact at a random moment above 60 km/h, on "
    "branches of the same drives. False: a silence of ordinary driving that reaches the threshold. Ground counts as "
    "known from 50 passes of the fleet on. The page docs/reference/lost.md lists what the world assumes and what each "
    "assumption moves."
)
LIMITS: Final = (
    "It is a simulation: found and false depend on the assumed network far more than on the detector. The same "
    "threshold on a real fleet gives other numbers; the dead-man learns that network's own silences, and the receiver "
    "counts its alarms. Cars that burn, sink or are cut off slowly are not in it, nor are outages of many cars at once "
    "(alarms are held back then, which tests show)."
)
