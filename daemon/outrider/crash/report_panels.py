"""What is drawn over time: panels of curves, chosen from a document. Pure; how they are drawn is ``report_plot``'s.

Rule: every curve bears the times and values of the record, none is filtered or filled in; a picture with many samples
shows the least and the largest of each of its columns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from outrider.crash.document import CrashDocument, DeltaV, Series
from outrider.crash.report_clean import shown
from outrider.crash.report_numbers import known, number
from outrider.crash.report_terms import series_words
from outrider.i18n import _

Array = npt.NDArray[np.float64]

G_MPS2: Final = 9.80665
BLOW_S: Final = (-0.2, 0.5)
WHOLE_S: Final = (-20.0, 15.0)
_CURVES, _SWITCHES = 6, 8  # of a panel, at most
_LABEL = 34  # signs of a label in a picture
_SLOW_HZ = 4.0  # slower series show their samples


@dataclass(frozen=True)
class Curve:
    """style: number of a line style; dots: each sample has a mark."""

    label: str
    t_s: Array
    values: Array
    style: int = 0
    dots: bool = False


@dataclass(frozen=True)
class Interval:
    """The stated value with its interval, at the moment of the largest value; ``open``: there is no upper end."""

    t_s: float
    value: float
    low: float
    high: float
    open: bool
    text: str


@dataclass(frozen=True)
class Panel:
    """limits: levels of the sensor's range. in_g: a second scale in g. floor: the axis begins at zero. switches: each
    curve is on (1) or off (0) and gets a lane of its own."""

    y_label: str
    curves: list[Curve]
    interval: Interval | None = None
    limits: tuple[float, ...] = ()
    in_g: bool = False
    floor: bool = False
    switches: bool = False
    height: float = 1.0
    marks: list[tuple[float, str]] = field(default_factory=list)

    def words(self) -> str:
        """For those who cannot see it."""
        return f"{self.y_label}: " + ", ".join(curve.label for curve in self.curves)


def blow_panels(document: CrashDocument) -> list[Panel]:
    """The impact itself, from 0.2 s before to 0.5 s after T0."""
    panels = [_delta_v(document), _acceleration(document, BLOW_S), _turn_rate(document, BLOW_S)]
    return [panel for panel in panels if panel is not None and panel.curves]


def whole_panels(document: CrashDocument) -> list[Panel]:
    """From 20 s before to 15 s after T0: acceleration, speeds, pedals, engine, steering, switches."""
    every = [series for series in document.series if len(series.t_s) and len(series.t_s) == len(series.values)]
    panels = [
        _acceleration(document, WHOLE_S),
        Panel(
            _("acceleration [m/s²]"), [] if document.imu else _of(every, _is_slow_acceleration), in_g=True, height=1.4
        ),
        Panel(_("speed [km/h]"), [*_of(every, _is_speed), *_track_speed(document, every)], floor=True, height=1.3),
        Panel(_("pedals [%]"), _of(every, _is_pedal), floor=True),
        Panel(_("engine [rpm]"), _of(every, _is_engine), floor=True),
        Panel(_("steering [°]"), _of(every, _is_steering)),
        Panel(_("yaw rate [°/s]"), _of(every, _is_yaw)),
        _switches(every),
    ]
    return [panel for panel in panels if panel is not None and panel.curves]


# -- the impact ----------------------------------------------------------------------------------------------------


def course_of(document: CrashDocument) -> DeltaV | None:
    """The course of delta-V; None when there is none, or one that stays at zero beside a delta-V that does not (older
    terminals kept none without a known mounting)."""
    course, stated = document.delta_v, document.impact.dv_kmh
    if not course.t_ms or (stated is not None and stated > 0 and not any(course.resultant_kmh)):
        return None
    return course


def _delta_v(document: CrashDocument) -> Panel | None:
    course = course_of(document)
    if course is None:
        return None
    t = _numbers(course.t_ms) / 1000
    names = (
        (_("longitudinal"), _("lateral")) if course.axes == "vehicle" else (_("first direction"), _("second direction"))
    )
    curves = [
        Curve(_("resultant"), t, _numbers(course.resultant_kmh), 0),
        Curve(names[0], t, _numbers(course.long_kmh), 1),
        Curve(names[1], t, _numbers(course.lat_kmh), 2),
    ]
    sound = [curve for curve in curves if len(curve.values) == len(t)]
    return Panel(_("ΔV [km/h]"), sound, interval=_interval(document), height=1.6)


def _interval(document: CrashDocument) -> Interval | None:
    impact = document.impact
    dv, time_ms = impact.dv_kmh, impact.dv_time_ms
    if dv is None or time_ms is None or not known(dv) or not known(time_ms):
        return None
    low = impact.dv_lo_kmh if impact.dv_lo_kmh is not None and known(impact.dv_lo_kmh) else dv
    high = impact.dv_hi_kmh if impact.dv_hi_kmh is not None and known(impact.dv_hi_kmh) else dv
    unbounded = impact.lower_bound or (known(impact.dv_lo_kmh) and not known(impact.dv_hi_kmh))
    return Interval(time_ms / 1000, dv, low, high, unbounded, change_words(document))


def change_words(document: CrashDocument) -> str:
    """The change of speed with its 90 % interval, or as the lower bound it is."""
    impact = document.impact
    if not known(impact.dv_kmh):
        return _("unknown")
    value, low, high = number(impact.dv_kmh), number(impact.dv_lo_kmh), number(impact.dv_hi_kmh)
    if impact.lower_bound:
        text = _("at least {value} km/h")
        if known(impact.dv_lo_kmh) and low != value:
            text = _("at least {value} km/h (90 %: above {low})")
    elif known(impact.dv_lo_kmh):
        text = _("{value} km/h (90 %: above {low})")
        if known(impact.dv_hi_kmh):
            text = _("{value} km/h (90 %: {low} to {high})")
    else:
        text = _("{value} km/h")
    return text.format(value=value, low=low, high=high)


def _acceleration(document: CrashDocument, span: tuple[float, float]) -> Panel | None:
    trace = document.imu
    if trace is None:
        return None
    axes = (
        (_("longitudinal"), _("lateral"), _("vertical"))
        if trace.axes == "vehicle"
        else (_("sensor x"), _("sensor y"), _("sensor z"))
    )
    curves = _three(trace.t_s, trace.acc, axes, span, 1.0)
    limits: tuple[float, ...] = ()
    if known(trace.range_g) and trace.range_g is not None and curves:
        limit = trace.range_g * G_MPS2
        largest = max(float(np.nanmax(np.abs(c.values), initial=0.0)) for c in curves)
        limits = (-limit, limit) if largest > 0.8 * limit else ()
    return Panel(_("acceleration [m/s²]"), curves, limits=limits, in_g=True, height=1.4)


def _turn_rate(document: CrashDocument, span: tuple[float, float]) -> Panel | None:
    trace = document.imu
    if trace is None or trace.gyro is None:
        return None
    axes = (_("roll"), _("pitch"), _("yaw")) if trace.axes == "vehicle" else (_("about x"), _("about y"), _("about z"))
    return Panel(_("turn rate [°/s]"), _three(trace.t_s, trace.gyro, axes, span, np.degrees(1.0)))


def _three(
    t_s: Sequence[float], lists: Sequence[Sequence[float]], names: Sequence[str], span: tuple[float, float], unit: float
) -> list[Curve]:
    t = _numbers(t_s)
    near = (t >= span[0]) & (t <= span[1])
    if not near.any():
        return []
    found = [_numbers(values) * unit for values in lists]
    return [
        Curve(name, t[near], values[near], style)
        for style, (name, values) in enumerate(zip(names, found, strict=False), 1)
        if len(values) == len(t) and bool(np.isfinite(values[near]).any())
    ]


# -- the car's signals ---------------------------------------------------------------------------------------------


def _is_speed(series: Series) -> bool:
    return series.unit == "km/h" and "Speed" in series.name


def _is_pedal(series: Series) -> bool:
    return series.unit in ("percent", "%") and bool(re.search(r"Pedal|Throttle|TPS|Brake|Accelerator", series.name))


def _is_engine(series: Series) -> bool:
    return series.unit == "rpm"


def _is_steering(series: Series) -> bool:
    return "SteeringWheel" in series.name and series.unit != ""


def _is_yaw(series: Series) -> bool:
    return bool(re.search(r"Yaw(Rate)?$", series.name)) and series.unit in ("degrees/s", "°/s")


def _is_slow_acceleration(series: Series) -> bool:
    """What the black-box page keeps of the sensor; drawn where its own record is lost."""
    return series.name.startswith("Vehicle.Outrider.SensorAcceleration.")


def is_switch(series: Series) -> bool:
    """On or off, nothing else, and named so: a number that happens to be 0 or 1 is none."""
    named = re.search(r"\.(Is\w+|\w*(On|Pressed|Deployed|Fired|Engaged|Active|Belted|Open|Warning))$", series.name)
    return series.unit == "" and bool(named) and bool(series.values) and set(series.values) <= {0.0, 1.0}


def is_drawn(series: Series) -> bool:
    """It has its place in a picture."""
    return any(test(series) for test in (_is_speed, _is_pedal, _is_engine, _is_steering, _is_yaw, is_switch))


def _of(every: Sequence[Series], test: Any) -> list[Curve]:
    """Curves of the series that ``test`` chooses, the best sources first, within the span."""
    chosen = sorted((series for series in every if test(series)), key=lambda series: len(series.name))
    curves = [_curve(series, style) for style, series in enumerate(chosen)]
    return [curve for curve in curves if len(curve.t_s)][:_CURVES]


def _curve(series: Series, style: int) -> Curve:
    t, values = _numbers(series.t_s), _numbers(series.values)
    near = (t >= WHOLE_S[0]) & (t <= WHOLE_S[1]) & np.isfinite(values)
    slow = series.rate_hz is None or series.rate_hz < _SLOW_HZ
    return Curve(shown(series_words(series), _LABEL), t[near], values[near], style, slow)


def _track_speed(document: CrashDocument, every: Sequence[Series]) -> list[Curve]:
    """Speeds of the positions, where no series has them."""
    points = [p for p in document.track if known(p.speed_kmh) and WHOLE_S[0] <= p.t_s <= WHOLE_S[1]]
    if not points or any("GNSS" in series.name and _is_speed(series) for series in every):
        return []
    t = _numbers([p.t_s for p in points])
    values = _numbers([0.0 if p.speed_kmh is None else p.speed_kmh for p in points])
    return [Curve(_("speed (of the positions)"), t, values, _CURVES, dots=True)]


def _switches(every: Sequence[Series]) -> Panel:
    chosen = [series for series in every if is_switch(series)]
    moved = sorted(chosen, key=lambda series: len(set(series.values)) < 2)  # those that changed first
    curves = [curve for curve in (_curve(series, 0) for series in moved) if len(curve.t_s)][:_SWITCHES]
    return Panel(_("on or off"), curves, switches=True, height=0.25 + 0.17 * len(curves))


def _numbers(values: Sequence[float]) -> Array:
    return np.asarray(values, dtype=np.float64)
