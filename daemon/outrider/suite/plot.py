"""A drive as a picture: speed, acceleration, events found (above) and expected (below), as SVG text. Pure.

matplotlib draws without a display. Texts stay texts. Events bear the numbers of the report's table; colours and shapes
tell the verdict, so that a grey print says the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from outrider.report.svg import figure_svg
from outrider.suite.observed import G_MPS2, Point, thinned
from outrider.suite.verdict import Line, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Final = {
    Verdict.HIT: "#1a7f37",
    Verdict.OFF: "#b35900",
    Verdict.RENAMED: "#8250df",
    Verdict.MISSING: "#cf222e",
    Verdict.EXTRA: "#0550ae",
}
_SHAPES: Final = {
    Verdict.HIT: "o",
    Verdict.OFF: "D",
    Verdict.RENAMED: "s",
    Verdict.MISSING: "X",
    Verdict.EXTRA: "^",
}
_SPEED, _ALONG, _ACROSS = "#1f2328", "#0969da", "#bf8700"


@dataclass(frozen=True, slots=True)
class Size:
    """A picture for one width of the page. ``points``: of the trace, at most; ``apart``: least distance of two numbers
    as a share of the width; ``ticks``: of the time axis, at most."""

    name: str
    inches: tuple[float, float]
    font_pt: float
    points: int
    apart: float
    ticks: int


WIDE: Final = Size("wide", (10.4, 4.4), 9.0, 800, 0.018, 14)
NARROW: Final = Size("narrow", (4.6, 4.8), 10.0, 300, 0.045, 6)
_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400, 604_800)


def draw(
    trace: Sequence[Point],
    lines: Sequence[Line],
    size: Size,
    *,
    label: str,
    prefix: str,
    lanes: tuple[str, str] = ("found", "expected"),
) -> str:
    """One ``<svg>`` element. ``prefix`` makes its ids differ from those of the other pictures of a page.

    ``label``: what it shows, for those who cannot see it. ``lanes``: names of the upper and lower lane of events.
    """

    def fill(figure: Figure) -> None:
        events = _fill(figure, thinned(tuple(trace), size.points), lines, size)
        events.set_yticks([1.0, 0.0], lanes)

    return figure_svg(fill, size.inches, size.font_pt, label, prefix)


def _fill(figure: Figure, trace: Sequence[Point], lines: Sequence[Line], size: Size) -> Axes:
    rows: Any = figure.subplots(3, 1, sharex=True, height_ratios=(2.2, 1.5, 1.3))
    speed, accel, events = rows
    times = [point.t_s for point in trace]
    speed.plot(times, _values(p.speed_kmh for p in trace), color=_SPEED, linewidth=1.2)
    speed.set_ylabel("km/h")
    speed.set_ylim(bottom=0)
    accel.plot(times, _along(trace), color=_ALONG, linewidth=0.9, label="along")
    if any(p.across_g is not None for p in trace):
        accel.plot(times, _values(p.across_g for p in trace), color=_ACROSS, linewidth=0.9, label="across")
    accel.set_ylabel("g")
    accel.margins(y=0.15)
    accel.legend(loc="upper left", frameon=False, ncols=2, borderaxespad=0.0, fontsize=size.font_pt - 1)
    _events(events, lines, size, _span(times, lines))
    for line in lines:
        for axes in (speed, accel):
            axes.axvline(_moment(line), color=COLOURS[line.verdict], linewidth=0.8, alpha=0.6, zorder=0.5)
    _time_axis(events, size)
    figure.align_ylabels()
    lane: Axes = events
    return lane


def _time_axis(axes: Axes, size: Size) -> None:
    """Minutes and seconds, at round ones, never more than ``size.ticks`` and one."""
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    low, high = axes.get_xlim()
    weeks = _STEPS_S[-1] * max(1, math.ceil((high - low) / _STEPS_S[-1] / size.ticks))
    step = next((step for step in _STEPS_S if (high - low) / step <= size.ticks), weeks)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _at: f"{int(x // 60)}:{x % 60:02.0f}" if x >= 0 else ""))


def _events(axes: Axes, lines: Sequence[Line], size: Size, span: tuple[float, float]) -> None:
    axes.set_xlim(*span)
    axes.set_ylim(-1.35, 2.35)
    axes.grid(visible=False, axis="y")
    numbers = _Numbers(axes, size, size.apart * (span[1] - span[0]))
    for number, line in enumerate(lines, 1):
        colour, shape = COLOURS[line.verdict], _SHAPES[line.verdict]
        places = []
        if line.found is not None:
            places.append((line.found.t_s, 1.0, colour))
        if line.expected is not None:
            places.append((line.expected.t_s, 0.0, "none" if line.found is None else colour))
        axes.plot([x for x, _y, _c in places], [y for _x, y, _c in places], color=colour, linewidth=0.9)
        for x, y, inside in places:
            axes.plot(
                [x], [y], marker=shape, markersize=6, markerfacecolor=inside, markeredgecolor=colour, clip_on=False
            )
            numbers.put(number, x, y, colour)


class _Numbers:
    """The numbers of the lines at their marks: a row further out where one would touch another, left out where both
    rows are taken."""

    def __init__(self, axes: Axes, size: Size, apart_s: float) -> None:
        self._axes = axes
        self._font_pt = size.font_pt - 1
        self._apart_s = apart_s
        self._taken: dict[tuple[float, int], float] = {}

    def put(self, number: int, x: float, y: float, colour: str) -> None:
        row = next((row for row in (0, 1) if x - self._taken.get((y, row), -math.inf) >= self._apart_s), None)
        if row is None:
            return
        self._taken[y, row] = x
        out = 6 + row * (self._font_pt + 2)
        self._axes.annotate(
            str(number),
            (x, y),
            xytext=(0, out if y > 0.5 else -out),
            textcoords="offset points",
            ha="center",
            va="bottom" if y > 0.5 else "top",
            color=colour,
            fontsize=self._font_pt,
        )


def _moment(line: Line) -> float:
    return line.found.t_s if line.found is not None else line.t_s


def _span(times: Sequence[float], lines: Sequence[Line]) -> tuple[float, float]:
    moments = [*times[:1], *times[-1:], *(_moment(line) for line in lines), *(line.t_s for line in lines)]
    low, high = min(moments, default=0.0), max(moments, default=1.0)
    margin = max(1.0, (high - low) * 0.015)
    return low - margin, high + margin


def _values(values: Any) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _along(trace: Sequence[Point]) -> list[float]:
    """Longitudinal acceleration; from the speed's change where the sensor's mounting was not known yet."""
    derived: list[float | None] = [None]
    for before, after in pairwise(trace):
        step = after.t_s - before.t_s
        if before.speed_kmh is None or after.speed_kmh is None or not 1e-3 <= step <= 30:
            derived.append(None)
        else:
            derived.append((after.speed_kmh - before.speed_kmh) / 3.6 / step / G_MPS2)
    return _values(p.along_g if p.along_g is not None else d for p, d in zip(trace, derived, strict=False))
