"""Panels over one time axis (T0 = 0) as SVG text. Pure; lines differ in shape too, so that a grey print tells them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from unicodedata import east_asian_width

import numpy as np

from outrider.crash.report_panels import G_MPS2, Array, Curve, Interval, Panel
from outrider.i18n import _
from outrider.report.svg import figure_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _DIM, _BAD, _EDGE, _FAINT = "#1f2328", "#57606a", "#cf222e", "#8c959f", "#afb8c1"
_STYLES: Final = (
    (_INK, "-", 1.5),
    ("#0969da", (0, (6, 1.5)), 1.3),
    ("#b35900", "-.", 1.2),
    ("#8250df", ":", 1.3),
    ("#1a7f37", (0, (3, 1)), 1.1),
    ("#0550ae", (0, (1, 1)), 1.1),
    ("#cf222e", "-", 0.9),
)
_MIDDLE_S: Final = 0.15  # of the picture of the impact
_MARKS: Final = ("o", "s", "D", "^", "v", "P", "X")


@dataclass(frozen=True, slots=True)
class Size:
    """A picture for one width of the page: ``panel_in`` is the height of a panel of height 1, ``columns`` how many
    columns of samples a curve has at most, ``ticks`` how many marks the time axis has, ``beside`` whether there is room
    for the stated value beside its point."""

    name: str
    width_in: float
    panel_in: float
    font_pt: float
    columns: int
    ticks: int
    legend: int
    beside: bool


WIDE: Final = Size("wide", 10.4, 1.45, 9.5, 600, 15, 6, beside=True)
NARROW: Final = Size("narrow", 4.4, 1.3, 9.5, 250, 6, 2, beside=False)


def draw(
    panels: Sequence[Panel],
    span: tuple[float, float],
    size: Size,
    *,
    label: str,
    prefix: str,
    marks: Sequence[tuple[float, str]] = (),
) -> str:
    """One ``<svg>`` element. ``marks``: moments [s] with a word, above the first panel."""
    inside = [mark for mark in marks if span[0] < mark[0] < span[1]]
    strip_in = (1 + len(inside)) * 1.25 * (size.font_pt - 1) / 72

    def fill(figure: Figure) -> None:
        heights = [strip_in / size.panel_in, *(panel.height for panel in panels)]
        axes: Any = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)
        for panel, one in zip(panels, axes[1:, 0], strict=True):
            _panel(one, panel, size)
        _marks(axes[0, 0], axes[1:, 0], inside, size)
        _time_axis(axes[-1, 0], span, size)
        figure.align_ylabels()

    inches = (size.width_in, 0.5 + strip_in + sum(_height_in(panel, size) for panel in panels))
    return figure_svg(fill, inches, size.font_pt, label, f"{prefix}{size.name[0]}")


def _height_in(panel: Panel, size: Size) -> float:
    rows = 0 if panel.switches else -(-len(panel.curves) // _columns(panel, size))
    return size.panel_in * panel.height + 0.12 + rows * 1.45 * (size.font_pt - 1) / 72


def _columns(panel: Panel, size: Size) -> int:
    """Of the legend: as many as fit beside each other, at most ``size.legend``."""
    font_pt = size.font_pt - 1
    longest = max(sum(2 if east_asian_width(sign) in "WF" else 1 for sign in curve.label) for curve in panel.curves)
    each_pt = 0.56 * font_pt * longest + 4.6 * font_pt
    return max(1, min(size.legend, int(0.86 * 72 * size.width_in / each_pt)))


def _time_axis(axes: Axes, span: tuple[float, float], size: Size) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(*span)
    axes.xaxis.set_major_locator(MaxNLocator(size.ticks, steps=[1, 2, 5, 10]))
    axes.set_xlabel(_("time from T0 [s]"))


def _panel(axes: Axes, panel: Panel, size: Size) -> None:
    axes.set_ylabel(panel.y_label)
    axes.axvline(0, color=_BAD, linewidth=1.0, zorder=1)
    if panel.switches:
        _lanes(axes, panel, size)
        return
    for curve in panel.curves:
        _curve(axes, curve, size)
    axes.margins(y=0.12)
    for limit in panel.limits:
        axes.axhline(limit, color=_BAD, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    if panel.limits:
        _beside(axes, panel.limits[-1], _("end of the sensor's range"), size)
    if panel.interval is not None:
        _interval(axes, panel.interval, size)
    if panel.floor:
        axes.set_ylim(bottom=0, top=max(1.0, axes.get_ylim()[1]))
    if panel.in_g:
        scale = axes.secondary_yaxis("right", functions=(_to_g, _from_g))
        scale.set_ylabel("g")
        scale.spines["right"].set_visible(True)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=_columns(panel, size), frameon=False, borderaxespad=0.1,
        fontsize=size.font_pt - 1, handlelength=2.6, columnspacing=1.2,
    )  # fmt: skip


def _to_g(mps2: Any) -> Any:
    return np.asarray(mps2) / G_MPS2


def _from_g(g: Any) -> Any:
    return np.asarray(g) * G_MPS2


def _curve(axes: Axes, curve: Curve, size: Size) -> None:
    colour, line, width = _STYLES[curve.style % len(_STYLES)]
    t, values = envelope(curve.t_s, curve.values, size.columns)
    mark = _MARKS[curve.style % len(_MARKS)] if curve.dots else ""
    axes.plot(
        t, values, color=colour, linestyle=line, linewidth=width, label=curve.label, marker=mark, markersize=3, zorder=2
    )


def envelope(t: Array, values: Array, columns: int) -> tuple[Array, Array]:
    """The samples, or the least and the largest of each column of time where they are more than twice the columns."""
    if len(t) <= 2 * columns:
        return t, values
    cells = np.linspace(0, len(t), columns + 1).astype(int)[:-1]
    low, high = np.fmin.reduceat(values, cells), np.fmax.reduceat(values, cells)
    return np.repeat(t[cells], 2), np.stack([low, high], axis=1).ravel()


def _interval(axes: Axes, interval: Interval, size: Size) -> None:
    """The stated value, its interval between two strokes, an arrow where the true value is larger."""
    at = interval.t_s
    spread = [[interval.value - interval.low], [max(interval.high - interval.value, 0.0)]]
    axes.errorbar(
        [at], [interval.value], yerr=np.abs(spread), fmt="o", color=_INK, markersize=4.5, elinewidth=1.4, capsize=4,
        capthick=1.4, zorder=3,
    )  # fmt: skip
    if interval.open:
        axes.annotate(
            "", (at, interval.value), xytext=(0, 20), textcoords="offset points", va="bottom",
            arrowprops={"arrowstyle": "<-", "color": _INK, "linewidth": 1.3}, annotation_clip=False,
        )  # fmt: skip
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.18 * (high - low))
    if size.beside:
        left = at < _MIDDLE_S
        place: dict[str, Any] = {"xy": (at, interval.value), "xytext": (10 if left else -10, 5), "va": "bottom"}
        place |= {"ha": "left" if left else "right"}
    else:
        place = {"xy": (0.5, 1), "xycoords": "axes fraction", "xytext": (0, -2), "va": "top", "ha": "center"}
    axes.annotate(
        interval.text, textcoords="offset points", color=_INK, fontsize=size.font_pt, fontweight="bold",
        annotation_clip=False, **place,
    )  # fmt: skip


def _lanes(axes: Axes, panel: Panel, size: Size) -> None:
    """A lane for each switch: filled while it is on."""
    count = len(panel.curves)
    for lane, curve in enumerate(reversed(panel.curves)):
        axes.fill_between(curve.t_s, lane + 0.12, lane + 0.12 + 0.7 * curve.values, step="post", color="#0969da",
                          alpha=0.55, linewidth=0)  # fmt: skip
        axes.plot(curve.t_s, lane + 0.12 + 0.7 * curve.values, color="#0969da", linewidth=0.9, drawstyle="steps-post")
        axes.annotate(
            curve.label, (0, lane + 0.45), xycoords=("axes fraction", "data"), xytext=(4, 0), va="center",
            textcoords="offset points", fontsize=size.font_pt - 1,
        )  # fmt: skip
    axes.set_ylim(0, max(count, 1))
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")


def _marks(strip: Axes, every: Sequence[Axes], marks: Sequence[tuple[float, str]], size: Size) -> None:
    """T0 and the moments of the verdict: lines through all panels, their words on a strip above, each on its row."""
    strip.set_axis_off()
    strip.set_ylim(0, 1 + len(marks))
    for axes in every:
        for t, _word in marks:
            axes.axvline(t, color=_EDGE, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    for row, (t, word) in enumerate([(0.0, "T0"), *marks]):
        colour = _BAD if row == 0 else _DIM
        strip.plot([t, t], [0, row + 0.8], color=colour, linewidth=0.8, linestyle="-" if row == 0 else (0, (2, 2)))
        strip.annotate(
            word, (t, row + 0.45), xytext=(3, 0), va="center", textcoords="offset points", color=colour,
            fontsize=size.font_pt - 1,
        )  # fmt: skip


def _beside(axes: Axes, level: float, text: str, size: Size) -> None:
    axes.annotate(
        text, (1, level), xycoords=("axes fraction", "data"), xytext=(-3, -2), textcoords="offset points", ha="right",
        va="top", color=_BAD, fontsize=size.font_pt - 1.5,
    )  # fmt: skip
