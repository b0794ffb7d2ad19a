"""docs/reference/lost.md as text, and its curve as SVG. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from outrider.evaluate.lost.world import ASSUMPTIONS
from outrider.evaluate.page import bars_lines, table_lines
from outrider.evaluate.results import Evaluation, RowResult
from outrider.report.svg import figure_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEAD: Final = """# Lost at speed: found against false

Written by `outrider evaluate DIR --full --lost FILE`: do not edit. What an alarm means and what to do:
[lost at speed](../operate/lost-at-speed.md).

A car drives 123 km/h, then nothing. Was it a tunnel, or a tree? The receiver's dead-man has only what came before the
silence. This page says how it judges, and how well it does in a simulated world.

## How it judges

A terminal above 60 km/h sends a beacon every 5 s. When one is missing, the dead-man asks how ordinary a silence as long
as this one is:

    p(ordinary) = random(excess) × own + rate(place) × ratio(signal) × survival(excess)
    score       = -log10 p(ordinary) + evidence

"""

_TERMS: Final = (
    ("excess", "how much longer than the interval of the beacons nothing came", "the silence"),
    (
        "random",
        "share of beacons on clean ground that a silence of at least this excess follows",
        "the fleet's own gaps on ground passed 40 times and more with hardly a silence within 1 km",
    ),
    ("own", "how many more of them this terminal has than the others (0.5 to 50 times)", "its own record"),
    (
        "rate",
        "share of beacons at this place and heading that a silence follows: (silences + 5 × around) / (passes + 5), "
        "where around is that of the block of 1 km, leaning on the region of 4 km",
        "cells of 250 m by 8 headings: the one it was in and those up to where the next beacon was due",
    ),
    (
        "ratio",
        "how much more often silences follow at this signal strength, falling or not; 1 where no signal is sent",
        "the fleet's record by steps of 4 dB",
    ),
    (
        "survival",
        "share of place-bound silences that last so long; where silences began before: 1 up to 1.5 times the longest "
        "and 10 s, then falling with the 4th power",
        "all of them; those of the cells",
    ),
    (
        "evidence",
        "+6 a crash event that was not withdrawn; +2.5 braking of 4 m/s² and more in the last second; -3 the "
        "connection was closed by the terminal's system",
        "priors from rates: there are no labelled losses",
    ),
)
_RULES: Final = """The score counts decades: 4 says that one beacon in 10,000 like this one is followed by such a
silence and nothing has happened. An alarm is raised from the threshold on, at the earliest 11 s after the last sign of
life, or 6.5 s with evidence. It is held back while many cars fell silent together, while the receiver's own connection
is down, and after the receiver slept. Time of day is not used. Nothing else is known of what lies ahead: a tunnel the
fleet has never met is a silence on unknown ground, which does not reach the threshold by itself.
"""


def page(evaluation: Evaluation, row: RowResult, picture: str) -> str:
    """The whole page; ``picture``: path of the curve, from the page."""
    parts = [
        _HEAD,
        *table_lines(("term", "what it is", "learnt from"), _TERMS),
        "",
        _RULES,
        "## Result",
        "",
        f"outrider {evaluation.software}, seed {evaluation.seed}.",
        "",
    ]
    parts += [*bars_lines(row.bars), "", f"![Found against false over the threshold]({picture})", ""]
    for table in row.tables:
        parts += [f"**{table.title}**", "", *table_lines(table.columns, table.rows), ""]
        parts += [table.note, ""] if table.note else []
    parts += ["*Method.* " + row.method, "", "*Limits.* " + row.limits, "", "## The world", "", _WORLD, ""]
    parts += table_lines(("assumption", "value", "source"), [(a.what, a.value, a.source) for a in ASSUMPTIONS])
    return "\n".join(parts).rstrip() + "\n"


_CHOSEN: Final = (
    "The threshold in use was chosen on seed 1, for at most about one false alarm in 100,000 km; other seeds are other "
    "roads, networks and drives."
)
_WORLD: Final = (
    "Half of the kilometres on motorways, 40 % on rural roads, 10 % on town rings; roads bend, limits change every 1 "
    "to 5 km, drivers differ by 8 %. Received power is a Gaussian field along each road, the same for every drive but "
    "for the differences named; below -122 dBm nothing gets through, and 3 dB more are needed to come back. The field "
    "was revised once, before the detector's constants were set but after a first look at results: it had made a dead "
    "zone every 3 km of driving (6 % of rural roads, most of it small), more than any road we know."
)


def curve_svg(numbers: Mapping[str, Any]) -> str:
    """Found over false per 100,000 km, one dot a threshold, the one in use marked."""
    points: Sequence[Mapping[str, Any]] = numbers["curve"]
    used = numbers["threshold"]

    def fill(figure: Figure) -> None:
        axes: Any = figure.subplots()
        x = [max(p["false"] or 0.0, _FOOT) for p in points]
        for name, label, colour in _LINES:
            y = [p[name] for p in points]
            axes.plot(x, y, marker="o", markersize=3, linewidth=1.2, color=colour, label=label)
            at = next(i for i, p in enumerate(points) if p["threshold"] == used)
            axes.plot([x[at]], [y[at]], marker="s", markersize=7, color=colour)
        axes.axvline(1.0, color="#57606a", linewidth=0.8, linestyle=(0, (4, 3)))
        axes.axhline(0.99, color="#57606a", linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _place: f"{value:g}")
        axes.set_ylim(0, 1.02)
        axes.set_xlabel(f"false alarms per 100,000 km ({_FOOT:g}: none seen)")
        axes.set_ylabel("found in 15 s within 300 m")
        axes.legend(loc="center left", bbox_to_anchor=(0.13, 0.42), frameon=False, fontsize=8)

    label = "Share of losses found over false alarms per 100,000 km, by threshold; squares: the threshold in use"
    return figure_svg(fill, (7.2, 3.8), 9.0, label, "lost")


def standalone(svg: str) -> str:
    """The element as a file of its own, on white: a page of the documentation may be dark."""
    head, rest = svg.split(">", 1)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{head} style="background: #ffffff">{rest}\n'


_FOOT: Final = 0.1
_LINES: Final = (
    ("held", "1 s of stored energy", "#1a7f37"),
    ("found", "no stored energy", "#0969da"),
    ("by_silence", "only silence: neither event nor braking beacon got out", "#bf8700"),
)
