"""How vanished cars look: JSON objects for programs (docs/reference/cli.md), one line for people."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from outrider.i18n import _

if TYPE_CHECKING:
    from outrider.ingest.sinks.alarms_io import Alarm
    from outrider.ingest.watch.deadman import Cleared, Vanished
    from outrider.model.beacon import Beacon

_POINTS: Final = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


def vanished_document(alarm: Vanished, now_utc_s: float) -> dict[str, Any]:
    """``radius_m``: of the circle around the last fix at ``now_utc_s``; it grows by ``speed_mps``. ``cone_half_deg``:
    half the angle of the sector of it, along the heading, to be searched first. ``place_*``: where the car most likely
    is."""
    place = alarm.place() or (None, None)
    return {
        "type": "vanished",
        "device": alarm.device,
        "since_utc_us": round(alarm.since_utc_s * 1e6),
        "raised_utc_us": round(alarm.raised_utc_s * 1e6),
        "lat_deg": alarm.lat_deg,
        "lon_deg": alarm.lon_deg,
        "hacc_m": alarm.hacc_m,
        "heading_deg": alarm.heading_deg,
        "fix_utc_us": round(alarm.fix_utc_s * 1e6),
        "speed_mps": alarm.speed_mps,
        "place_lat_deg": place[0],
        "place_lon_deg": place[1],
        "place_radius_m": round(alarm.place_radius_m(), 1),
        "radius_m": round(alarm.radius_m(now_utc_s), 1),
        "cone_half_deg": round(alarm.cone(now_utc_s)[1], 1),
        "score": round(alarm.score, 2),
        "reasons": list(alarm.reasons),
    }


def cleared_document(cleared: Cleared) -> dict[str, Any]:
    return {
        "type": "cleared",
        "device": cleared.device,
        "at_utc_us": round(cleared.at_utc_s * 1e6),
        "reason": cleared.reason,
    }


def alarm_document(alarm: Alarm, now_utc_s: float) -> dict[str, Any]:
    """A row of the table, with the beacons before the silence."""
    until = now_utc_s if alarm.cleared_utc_us is None else alarm.cleared_utc_us / 1e6
    return {
        **vanished_document(alarm.vanished, until),
        "cleared_utc_us": alarm.cleared_utc_us,
        "cleared_reason": alarm.cleared_reason,
        "beacons": list(alarm.beacons),
    }


def vanished_line(alarm: Vanished, now_utc_s: float) -> str:
    """When, where, how fast, how sure and why, for a person who has to do something now."""
    text = _(
        "{time} VANISHED {device}: last heard {age} before, {speed} km/h{heading}{place}; score {score}: {reasons}"
    )
    return text.format(
        time=clock(alarm.raised_utc_s),
        device=alarm.device,
        age=_span(alarm.raised_utc_s - alarm.since_utc_s),
        speed=round(alarm.speed_mps * 3.6),
        heading=_heading(alarm.heading_deg),
        place=_place(alarm, now_utc_s),
        score=f"{alarm.score:.1f}",
        reasons="; ".join(alarm.reasons),
    )


def cleared_line(cleared: Cleared) -> str:
    text = _("{time} CLEARED {device}: {reason}")
    return text.format(time=clock(cleared.at_utc_s), device=cleared.device, reason=cleared.reason)


def beacon_words(beacon: Beacon) -> str:
    """A beacon on one line."""
    parts = [_("beacon: {speed} km/h").format(speed=round(beacon.speed_mps * 3.6)) + _heading(beacon.heading_deg)]
    if beacon.lat_deg is not None and beacon.lon_deg is not None:
        parts.append(f"{beacon.lat_deg:.5f}, {beacon.lon_deg:.5f}")
    if beacon.decel_mps2 is not None and beacon.decel_mps2 >= 2:
        parts.append(_("braking {decel} m/s²").format(decel=f"{beacon.decel_mps2:.1f}"))
    if beacon.signal_dbm is not None:
        parts.append(f"{beacon.signal_dbm} dBm")
    parts.append(_("the last, silence is meant") if beacon.is_last else _("next in {s} s").format(s=beacon.interval_s))
    return ", ".join(parts)


def clock(utc_s: float) -> str:
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _place(alarm: Vanished, now_utc_s: float) -> str:
    if alarm.lat_deg is None or alarm.lon_deg is None:
        return _(", place unknown")
    text = _(", last fix {lat}, {lon}")
    said = text.format(lat=f"{alarm.lat_deg:.5f}", lon=f"{alarm.lon_deg:.5f}")
    likely = alarm.place()
    if likely is not None:
        said += _(", most likely within {radius} of {lat}, {lon}").format(
            radius=_distance(alarm.place_radius_m()), lat=f"{likely[0]:.5f}", lon=f"{likely[1]:.5f}"
        )
    return said + _(", at most {radius} from the fix").format(radius=_distance(alarm.radius_m(now_utc_s)))


def _distance(metres: float) -> str:
    """Rounded up: nobody is to search too small a circle."""
    return f"{math.ceil(metres / 10) * 10} m" if metres < 1000 else f"{math.ceil(metres / 100) / 10:.1f} km"


def _heading(degrees: float | None) -> str:
    if degrees is None:
        return ""
    return _(" heading {point} ({degrees}°)").format(
        point=_POINTS[round(degrees / 45) % 8], degrees=round(degrees) % 360
    )


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
