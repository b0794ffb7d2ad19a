"""How events and trips look: JSON objects for programs (docs/reference/cli.md), one line for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from enum import IntEnum, IntFlag
from typing import Any

import click

from outrider.i18n import _
from outrider.model.event import Event, EventFlag, EventKind, Phase, Snapshot, Trip

_SOURCES = {0: "none", 1: "can", 2: "obd", 3: "gnss", 4: "gnss-can", 5: "imu-can", 6: "imu"}


def kind_name(kind: EventKind) -> str:
    """The kind in the user's language."""
    names = {
        EventKind.CRASH: _("crash"),
        EventKind.CRASH_INFERRED: _("crash inferred from speed"),
        EventKind.ROLLOVER: _("rollover"),
        EventKind.PARKED_IMPACT: _("impact while parked"),
        EventKind.DEVICE_MOVED: _("terminal moved"),
        EventKind.AIRBAG: _("airbag deployed"),
        EventKind.BUS_LOST_MOVING: _("bus lost while moving"),
        EventKind.POWER_LOST_MOVING: _("everything lost while moving"),
        EventKind.SPEED_SENSOR_LOST: _("speed signal lost"),
        EventKind.WHEEL_LOCKUP: _("wheels locked"),
        EventKind.TOWED: _("moved or tilted while parked"),
        EventKind.HARSH_BRAKE: _("harsh braking"),
        EventKind.HARSH_ACCEL: _("harsh acceleration"),
        EventKind.HARSH_CORNER: _("harsh cornering"),
        EventKind.LANE_CHANGE: _("abrupt lane change"),
        EventKind.WHEEL_SPIN: _("wheel spin"),
    }
    return names[kind]


def output_document(output: Event | Trip | Snapshot) -> dict[str, Any] | None:
    """JSON-ready object of an event or a finished trip; None for what is not printed."""
    if isinstance(output, Event):
        return {"type": "event", **plain(output)}
    if isinstance(output, Trip) and output.t_end_us:
        return {"type": "trip", **plain(output)}
    return None


def plain(item: Any) -> dict[str, Any]:
    """A frozen dataclass as JSON: enums by lower-case name, flags as a list, floats to what they can be trusted."""
    return {field.name: _value(field.name, getattr(item, field.name)) for field in fields(item)}


def _value(name: str, value: Any) -> Any:
    if isinstance(value, IntFlag):
        return [flag.name.lower() for flag in type(value) if flag in value and flag.name]
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, float):
        return (
            round(value, 7)
            if name.endswith("_deg") and name.startswith(("lat", "lon", "start", "end"))
            else short(value)
        )
    if name == "src_mask" and isinstance(value, int):
        return [text for bit, text in _SOURCES.items() if value >> bit & 1]
    if name == "speed_src":
        return _SOURCES.get(value, str(value))
    return value


def short(value: float) -> float:
    """Six significant digits: what a float32 holds."""
    return float(f"{value:.6g}")


def at(t_us: int) -> str:
    """A moment on the drive's own time line."""
    seconds = t_us / 1e6
    return f"{int(seconds // 60):3d}:{seconds % 60:05.2f}"


def print_output(output: Event | Trip | Snapshot, echo: Callable[[str], None] = click.echo) -> None:
    """One line for a person, or nothing (the beginning of a harsh event is told when it is over)."""
    if isinstance(output, Event):
        if output.phase is not Phase.BEGIN:
            echo(event_line(output))
    elif isinstance(output, Trip) and output.t_end_us:
        echo(trip_line(output))


def event_line(event: Event) -> str:
    colour = "red" if event.kind.is_crash else "yellow"
    parts = [at(event.t0_us), click.style(kind_name(event.kind), fg=colour, bold=event.kind.is_crash)]
    if event.kind.is_crash or event.phase is not Phase.END:
        parts.append(f"[{event.phase.name.lower()}]")
    if event.peak_g is not None:
        parts.append(f"{event.peak_g:.2f} g" if event.peak_g < 10 else f"{event.peak_g:.0f} g")
    if event.dv_kmh is not None and event.dv_kmh > 0 and event.kind.is_crash:
        bound = "≥" if EventFlag.DV_LOWER_BOUND in event.flags else ""
        parts.append(f"Δv {bound}{event.dv_kmh:.0f} km/h")
    if event.clock:
        parts.append(_("{clock} o'clock").format(clock=event.clock))
    if event.v_pre_kmh is not None:
        parts.append(speeds(event.v_pre_kmh, event.v_impact_kmh, event.v_post_kmh))
    if event.dur_ms is not None and not event.kind.is_crash:
        parts.append(f"{event.dur_ms / 1000:.1f} s")
    if event.kind.is_crash:
        parts.append(_("{conf:.0%} sure").format(conf=event.conf))
    if event.lat_deg is not None and event.lon_deg is not None:
        parts.append(f"{event.lat_deg:.5f}, {event.lon_deg:.5f}")
    return "  ".join(parts)


def speeds(before: float, impact: float | None, after: float | None) -> str:
    """Speed before, at the impact where there was one, and after."""
    known = [f"{before:.0f}", *([] if impact is None else [f"{impact:.0f}"]), "?" if after is None else f"{after:.0f}"]
    return " → ".join(known) + " km/h"


def trip_line(trip: Trip) -> str:
    return _(
        "{start}  trip {no}: {km:.2f} km in {minutes:.1f} min, {idle:.1f} min standing, top {top:.0f} km/h"
    ).format(
        start=at(trip.t_start_us),
        no=trip.trip_no,
        km=trip.distance_m / 1000,
        minutes=(trip.t_end_us - trip.t_start_us) / 60e6,
        idle=trip.idle_s / 60,
        top=trip.max_speed_mps * 3.6,
    )
