"""The track around the impact on a plain grid in metres, as SVG text: no map, no network. Pure.

East is right, north is up, the impact in the origin. A flat earth around it: within 20 km good to a metre in a
thousand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from outrider.crash.document import CrashDocument, Place, TrackPoint
from outrider.crash.report_numbers import known, number
from outrider.i18n import _
from outrider.report.svg import figure_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _DIM, _BAD, _FIRST, _FAINT = "#1f2328", "#57606a", "#cf222e", "#0969da", "#afb8c1"
_SIZE_IN: Final = (4.4, 4.3)
_FONT_PT: Final = 9.5
_EARTH_M: Final = 6_371_008.8
_SPAN_S: Final = (-20.0, 15.0)
_LEAST_M: Final = 15.0
_POINTS: Final = 400
_STEPS_M: Final = tuple(step * 10**power for power in range(6) for step in (1, 2, 5))


@dataclass(frozen=True, slots=True)
class Spot:
    """Metres east and north of the impact at a time from T0."""

    t_s: float
    east_m: float
    north_m: float


def spots(document: CrashDocument) -> list[Spot]:
    """The track within 20 s before and 15 s after T0, around ``document.place`` (or the position nearest to T0)."""
    points = [p for p in document.track if _sound(p) and _SPAN_S[0] - 1 <= p.t_s <= _SPAN_S[1] + 1]
    origin = origin_of(place_of(document), points)
    if origin is None:
        return []
    step = 1 + len(points) // _POINTS
    return [Spot(p.t_s, *_flat(p.lat_deg, p.lon_deg, origin)) for p in points[::step]]


def place_of(document: CrashDocument) -> Place | None:
    """The place of the impact, if it is one."""
    place = document.place
    return place if place is not None and known(place.lat_deg) and known(place.lon_deg) else None


def origin_of(place: Place | None, points: Sequence[TrackPoint]) -> tuple[float, float] | None:
    """Latitude and longitude of the grid's origin."""
    if place is not None:
        return place.lat_deg, place.lon_deg
    nearest = min(points, key=lambda p: abs(p.t_s), default=None)
    return None if nearest is None else (nearest.lat_deg, nearest.lon_deg)


def _sound(point: TrackPoint) -> bool:
    return known(point.lat_deg) and known(point.lon_deg) and known(point.t_s)


def _flat(lat_deg: float, lon_deg: float, origin: tuple[float, float]) -> tuple[float, float]:
    turn = (lon_deg - origin[1] + 180) % 360 - 180
    east = math.radians(turn) * math.cos(math.radians(origin[0])) * _EARTH_M
    return east, math.radians(lat_deg - origin[0]) * _EARTH_M


def draw_track(document: CrashDocument, *, label: str, prefix: str) -> str:
    """One ``<svg>`` element; of a place alone too."""
    track, place = spots(document), place_of(document)

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        _frame(axes, track, place)
        _path(axes, track)
        if place is not None:
            _place(axes, place)
        _scale(axes, track)
        _north(axes)

    return figure_svg(fill, _SIZE_IN, _FONT_PT, label, prefix)


def _frame(axes: Axes, track: Sequence[Spot], place: Place | None) -> None:
    """A square that holds the track, the impact and the circle of its accuracy."""
    circle = min(place.hacc_m, 500.0) if place is not None and place.hacc_m is not None and known(place.hacc_m) else 0.0
    east = [0.0, -circle, circle, *(spot.east_m for spot in track)]
    north = [0.0, -circle, circle, *(spot.north_m for spot in track)]
    half = 0.7 * max(max(east) - min(east), max(north) - min(north), 2 * _LEAST_M)
    middle = (max(east) + min(east)) / 2, (max(north) + min(north)) / 2
    axes.set_aspect("equal")
    axes.set_xlim(middle[0] - half, middle[0] + half)
    axes.set_ylim(middle[1] - half, middle[1] + half)
    axes.locator_params(nbins=6)
    axes.set_xlabel(_("east of the impact [m]"))
    axes.set_ylabel(_("north of the impact [m]"))


def _path(axes: Axes, track: Sequence[Spot]) -> None:
    before = [spot for spot in track if spot.t_s <= 0]
    after = [spot for spot in track if spot.t_s >= 0]
    for part, colour, line in ((before, _FIRST, "-"), ([*before[-1:], *after], _INK, (0, (3, 1.5)))):
        axes.plot(
            [spot.east_m for spot in part], [spot.north_m for spot in part], color=colour, linestyle=line,
            linewidth=1.6, marker="o", markersize=2.6, zorder=2,
        )  # fmt: skip
    beside = _beside(track)
    for spot in _said(track):
        axes.annotate(
            f"{number(spot.t_s, 0)} s", (spot.east_m, spot.north_m), xytext=beside, textcoords="offset points",
            color=_DIM, fontsize=_FONT_PT - 1.5, zorder=4, ha="left" if beside[0] > 4 else "center", va="center",
        )  # fmt: skip


def _beside(track: Sequence[Spot]) -> tuple[float, float]:
    """Off the line, to its right or below [points]."""
    east, north = (track[-1].east_m - track[0].east_m, track[-1].north_m - track[0].north_m) if track else (0.0, 0.0)
    length = math.hypot(east, north)
    if length == 0:
        return 8.0, -4.0
    side = 1 if north > 0 or (north == 0 and east > 0) else -1
    return 11 * side * north / length, -11 * side * east / length


def _said(track: Sequence[Spot]) -> list[Spot]:
    """Positions whose time is told: near each ten seconds, far enough from the impact and from each other."""
    chosen: list[Spot] = []
    size = max((math.hypot(spot.east_m, spot.north_m) for spot in track), default=0.0)
    for moment in (-20, -15, -10, -5, 15):
        nearest = min(track, key=lambda spot: abs(spot.t_s - moment), default=None)
        if nearest is None or abs(nearest.t_s - moment) > 1.1:
            continue
        places = [(0.0, 0.0), *((spot.east_m, spot.north_m) for spot in chosen)]
        if min(math.dist((nearest.east_m, nearest.north_m), place) for place in places) > 0.14 * size:
            chosen.append(nearest)
    return chosen


def _place(axes: Axes, place: Place) -> None:
    from matplotlib.patches import Circle

    if place.hacc_m is not None and known(place.hacc_m) and place.hacc_m > 0:
        axes.add_patch(Circle((0, 0), place.hacc_m, facecolor=_BAD, alpha=0.12, edgecolor="none", zorder=1))
        axes.add_patch(Circle((0, 0), place.hacc_m, fill=False, edgecolor=_BAD, linewidth=0.8, zorder=3))
    axes.plot([0], [0], marker="X", color=_BAD, markersize=9, zorder=5)
    if place.heading_deg is not None and known(place.heading_deg):
        _heading(axes, math.radians(place.heading_deg))


def _heading(axes: Axes, heading: float) -> None:
    half = (axes.get_xlim()[1] - axes.get_xlim()[0]) / 2
    tip = 0.24 * half * math.sin(heading), 0.24 * half * math.cos(heading)
    axes.annotate(
        "", tip, xytext=(0, 0), zorder=4,
        arrowprops={"arrowstyle": "-|>,head_width=0.25,head_length=0.45", "color": _BAD, "linewidth": 1.4},
    )  # fmt: skip


def _scale(axes: Axes, track: Sequence[Spot]) -> None:
    """A bar of a round length, in the lower corner that the track leaves free."""
    low, high = axes.get_xlim()
    bottom, top = axes.get_ylim()
    length = max((step for step in _STEPS_M if step <= 0.3 * (high - low)), default=_STEPS_M[0])
    left = [spot for spot in track if spot.north_m < bottom + 0.2 * (top - bottom) and spot.east_m < (low + high) / 2]
    x = high - 0.05 * (high - low) - length if left else low + 0.05 * (high - low)
    y = bottom + 0.05 * (top - bottom)
    axes.plot([x, x + length], [y, y], color=_INK, linewidth=2.4, solid_capstyle="butt", zorder=6)
    text = f"{length} m" if length < 1000 else f"{length // 1000} km"
    axes.annotate(
        text, (x + length / 2, y), xytext=(0, 3), textcoords="offset points", ha="center", va="bottom", zorder=6
    )


def _north(axes: Axes) -> None:
    axes.annotate(
        _("N"), (0.95, 0.99), xytext=(0.95, 0.99), xycoords="axes fraction", textcoords="axes fraction", ha="center",
        va="top", fontsize=_FONT_PT + 1,
    )  # fmt: skip
    axes.annotate(
        "", (0.95, 0.93), xytext=(0.95, 0.82), xycoords="axes fraction", textcoords="axes fraction",
        arrowprops={"arrowstyle": "-|>,head_width=0.25,head_length=0.5", "color": _INK, "linewidth": 1.4},
    )  # fmt: skip
