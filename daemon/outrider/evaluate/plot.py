"""Pictures of the rows as SVG text. Pure; colours and words tell the verdict, so that a grey print says it too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from outrider.evaluate.results import Curve, Mark, Panel, Picture
from outrider.report.svg import figure_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Final = {"hit": "#1a7f37", "miss": "#cf222e", "false": "#0550ae", "plain": "#57606a"}
WORDS: Final = {"hit": "", "miss": "missed: ", "false": "false: ", "plain": ""}
_ROLES: Final = {"main": "#1f2328", "second": "#0969da", "third": "#bf8700", "fourth": "#8250df", "faint": "#afb8c1"}
_WIDTH_IN, _PANEL_IN, _REST_IN = 8.2, 1.55, 0.55
_FONT_PT = 9.0
_POINTS = 1500
_LABEL_ROWS = 3


def draw(picture: Picture, prefix: str) -> str:
    """One ``<svg>`` element; ``prefix`` is its own on the page."""

    def fill(figure: Figure) -> None:
        axes: Any = figure.subplots(len(picture.panels), 1, sharex=True, squeeze=False)
        for panel, one in zip(picture.panels, axes[:, 0], strict=True):
            _panel(one, panel)
        axes[-1, 0].set_xlabel(picture.x_label)
        figure.align_ylabels()

    inches = (_WIDTH_IN, _REST_IN + _PANEL_IN * max(len(picture.panels), 1.4))
    return figure_svg(fill, inches, _FONT_PT, f"{picture.title}. {picture.sentence}", prefix)


def _panel(axes: Axes, panel: Panel) -> None:
    axes.set_ylabel(panel.y_label)
    labels: set[str] = set()
    for curve in panel.curves:
        _curve(axes, curve, "" if curve.label in labels else curve.label)
        labels.add(curve.label)
    for label, level in panel.levels:
        axes.axhline(level, color="#cf222e", linewidth=0.8, linestyle=(0, (4, 3)))
        axes.annotate(
            f"{label} {level:g}", (1, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7.5
        )
    axes.margins(x=0.01, y=0.12)
    _marks(axes, panel.marks)
    if panel.legend and len(labels - {""}) > 1:
        axes.legend(loc="best", frameon=False, fontsize=7.5, ncols=min(4, len(labels)))


def _curve(axes: Axes, curve: Curve, label: str) -> None:
    x, y = (values[:: 1 + len(values) // _POINTS] for values in (curve.x, curve.y))
    colour = _ROLES[curve.role]
    shown = label or "_nolegend_"
    if curve.dots:
        axes.plot(x, y, color=colour, linestyle="", marker="o", markersize=3, label=shown)
    else:
        thin = curve.role == "faint"
        axes.plot(x, y, color=colour, linewidth=0.5 if thin else 1.0, alpha=0.7 if thin else 1.0, label=shown)


def _marks(axes: Axes, marks: Sequence[Mark]) -> None:
    for i, mark in enumerate(sorted(marks, key=lambda m: m.begin)):
        colour = COLOURS[mark.verdict]
        if mark.end > mark.begin:
            axes.axvspan(mark.begin, mark.end, color=colour, alpha=0.25, linewidth=0)
        axes.axvline(mark.begin, color=colour, linewidth=0.9)
        axes.annotate(
            WORDS[mark.verdict] + mark.label,
            (mark.begin, 0.98 - 0.13 * (i % _LABEL_ROWS)),
            xycoords=("data", "axes fraction"),
            xytext=(2, 0),
            textcoords="offset points",
            va="top",
            color=colour,
            fontsize=7.5,
            clip_on=True,
        )


def finite(picture: Picture) -> bool:
    """There is something to be seen."""
    return any(len(curve.x) and bool(np.isfinite(curve.y).any()) for panel in picture.panels for curve in panel.curves)
