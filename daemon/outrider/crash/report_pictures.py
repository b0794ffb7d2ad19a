"""The report's figures with their captions and their words for those who cannot see them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from outrider.crash.document import CrashDocument, PhaseRow
from outrider.crash.report_car import draw_car, spread_deg
from outrider.crash.report_numbers import known, number, signed
from outrider.crash.report_panels import BLOW_S, WHOLE_S, Panel, blow_panels, change_words, whole_panels
from outrider.crash.report_plot import NARROW, WIDE, draw
from outrider.crash.report_track import draw_track, place_of, spots
from outrider.crash.report_words import side, state_words
from outrider.i18n import _

_SAID: Final = ("suspect", "confirmed", "cancelled", "closed")
_FIGURE = Markup('<figure class="{name}">{picture}<figcaption>{caption}</figcaption></figure>')
_BOTH = Markup('<div class="wide">{wide}</div><div class="narrow">{narrow}</div>')


def car(document: CrashDocument) -> Markup | None:
    """Where it was hit; None without a direction."""
    impact = document.impact
    if not known(impact.pdof_deg):
        return None
    where = side(impact.clock) or _("not known")
    label = _("The car from above, hit at the {side}: principal direction of force {angle}°.").format(
        side=where, angle=signed(impact.pdof_deg, 0)
    )
    text = _("Principal direction of force: {angle}°. Likely damage: {side}. The sector is ± {spread}°.")
    if impact.lower_bound:
        text = _(
            "Principal direction of force: {angle}°. Likely damage: {side}. The sector is ± {spread}°, wide because "
            "the sensor reached its range."
        )
    caption = text.format(angle=signed(impact.pdof_deg, 0), side=where, spread=number(spread_deg(impact), 0))
    return _figure("car", Markup(draw_car(impact, label=label, prefix="car")), caption)  # our own drawing


def track(document: CrashDocument) -> Markup | None:
    """Where it was; None when nothing of the place is known."""
    found = spots(document)
    if place_of(document) is None and not found:
        return None
    label = _("Track on a grid in metres around the impact, {count} positions.").format(count=len(found))
    caption = _(
        "Track from satellites: solid up to the impact, dashed after it; × is the impact, the arrow its heading, the "
        "circle its accuracy (one sigma)."
    )
    return _figure("track", Markup(draw_track(document, label=label, prefix="map")), caption)  # our own drawing


def blow(document: CrashDocument) -> list[Markup]:
    """The impact itself; empty without an accelerometer."""
    panels = blow_panels(document)
    caption = _("From 0.2 s before to 0.5 s after T0. Acceleration as measured, with gravity.")
    if document.delta_v.axes == "sensor" or (document.imu is not None and document.imu.axes == "sensor"):
        caption += " " + _("It is not known how the sensor sits in the car: the axes are its own.")
    return _over_time(document, panels, BLOW_S, caption, "blow")


def whole(document: CrashDocument) -> list[Markup]:
    """The seconds before and after; empty when none were kept."""
    caption = _(
        "From 20 s before to 15 s after T0, each source at its own rate; a line ends where its record ends. Marks show "
        "single values of slow sources."
    )
    return _over_time(document, whole_panels(document), WHOLE_S, caption, "whole")


def _over_time(
    document: CrashDocument, panels: Sequence[Panel], span: tuple[float, float], caption: str, name: str
) -> list[Markup]:
    if not panels:
        return []
    about = _("Over time, from {first} to {last} s around T0.").format(first=number(span[0]), last=number(span[1]))
    label = " ".join([about, change_words(document) + ".", *(panel.words() + "." for panel in panels)])
    marks = _moments(document.phases)
    wide, narrow = (
        Markup(draw(panels, span, size, label=label, prefix=name, marks=marks))  # our own drawing
        for size in (WIDE, NARROW)
    )
    return [_figure(name, _BOTH.format(wide=wide, narrow=narrow), caption)]


def _moments(phases: Sequence[PhaseRow]) -> list[tuple[float, str]]:
    """The first time each turn of the verdict was said."""
    found: dict[str, float] = {}
    for row in phases:
        if row.phase in _SAID and known(row.t_s):
            found.setdefault(row.phase, row.t_s)
    return [(t, state_words(phase)) for phase, t in found.items()]


def _figure(name: str, picture: Markup, caption: str) -> Markup:
    return _FIGURE.format(name=name, picture=picture, caption=caption)
