"""The principal direction of force on a car seen from above, with the clock's numbers, as SVG text. Pure.

Front is up. The arrow shows what hit the car: its direction is that of the force on the car, its sector the spread
that the evaluation found (docs/reference/detector-scores.md, row B: 95 % within 10° while the sensor held, wider when
it saturated).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from outrider.crash.document import Impact
from outrider.i18n import _
from outrider.report.svg import figure_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _DIM, _BAD, _EDGE, _RULE, _FIRST = "#1f2328", "#57606a", "#cf222e", "#8c959f", "#d8dee4", "#0969da"
_HALF_WIDTH, _HALF_LENGTH, _DIAL = 0.9, 2.1, 3.75
_SIZE_IN: Final = (3.7, 3.9)
_FONT_PT: Final = 10.5
SPREAD_DEG: Final = 10.0
SPREAD_SATURATED_DEG: Final = 20.0


def spread_deg(impact: Impact) -> float:
    """Half of the sector."""
    return SPREAD_SATURATED_DEG if impact.lower_bound else SPREAD_DEG


def edge(angle_deg: float) -> tuple[float, float]:
    """Where a line from the car's middle towards ``angle_deg`` (0 forward, +90 left) leaves its outline."""
    x, y = -math.sin(math.radians(angle_deg)), math.cos(math.radians(angle_deg))
    reach = min(
        _HALF_WIDTH / abs(x) if abs(x) > 1e-9 else math.inf, _HALF_LENGTH / abs(y) if abs(y) > 1e-9 else math.inf
    )
    return x * reach, y * reach


def draw_car(impact: Impact, *, label: str, prefix: str) -> str:
    """One ``<svg>`` element. Without a direction the car stands alone."""

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.set_axis_off()
        axes.set_aspect("equal")
        axes.set_xlim(-4.5, 4.5)
        axes.set_ylim(-4.1, 4.7)
        _dial(axes)
        if impact.pdof_deg is not None and math.isfinite(impact.pdof_deg):
            _sector(axes, impact.pdof_deg, spread_deg(impact))
            _outline(axes)
            _force(axes, impact.pdof_deg)
        else:
            _outline(axes)

    return figure_svg(fill, _SIZE_IN, _FONT_PT, label, prefix)


def _dial(axes: Axes) -> None:
    for hour in range(1, 13):
        angle = math.radians(hour * 30)
        axes.text(
            _DIAL * math.sin(angle), _DIAL * math.cos(angle), str(hour), ha="center", va="center", color=_DIM,
            fontsize=_FONT_PT - 1,
        )  # fmt: skip
    axes.text(0, 4.45, _("front"), ha="center", va="center", color=_DIM, fontsize=_FONT_PT - 1)
    for x, word in ((-4.35, _("left")), (4.35, _("right"))):
        upright = 0 if len(word) < 3 else 90
        axes.text(x, 0, word, ha="center", va="center", color=_DIM, fontsize=_FONT_PT - 1, rotation=upright)


def _outline(axes: Axes) -> None:
    from matplotlib.patches import FancyBboxPatch, Polygon, Rectangle

    for x in (-0.97, 0.77):
        for y in (1.05, -1.75):
            axes.add_patch(Rectangle((x, y), 0.2, 0.7, facecolor=_EDGE, edgecolor="none", zorder=2))
    body = FancyBboxPatch(
        (-_HALF_WIDTH + 0.4, -_HALF_LENGTH + 0.4), 2 * _HALF_WIDTH - 0.8, 2 * _HALF_LENGTH - 0.8,
        boxstyle="round,pad=0.4,rounding_size=0.55", facecolor=_RULE, edgecolor=_INK, linewidth=1.2, zorder=3,
    )  # fmt: skip
    axes.add_patch(body)
    for glass in (
        ((-0.72, 0.95), (0.72, 0.95), (0.58, 0.35), (-0.58, 0.35)),
        ((-0.6, -1.25), (0.6, -1.25), (0.7, -1.65), (-0.7, -1.65)),
    ):
        axes.add_patch(Polygon(glass, facecolor=_EDGE, edgecolor=_INK, linewidth=0.7, zorder=4))


def _sector(axes: Axes, pdof_deg: float, spread: float) -> None:
    from matplotlib.patches import Wedge

    middle = 90 + pdof_deg
    axes.add_patch(
        Wedge((0, 0), _DIAL - 0.35, middle - spread, middle + spread, facecolor=_BAD, alpha=0.18, edgecolor="none")
    )


def _force(axes: Axes, pdof_deg: float) -> None:
    angle = math.radians(pdof_deg)
    start = (-(_DIAL - 0.35) * math.sin(angle), (_DIAL - 0.35) * math.cos(angle))
    axes.annotate(
        "", edge(pdof_deg), xytext=start, zorder=6,
        arrowprops={"arrowstyle": "-|>,head_width=0.45,head_length=0.8", "color": _BAD, "linewidth": 3.2,
                    "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip
    axes.plot(*[[value] for value in edge(pdof_deg)], marker="o", color=_BAD, markersize=11, alpha=0.45, zorder=5)
