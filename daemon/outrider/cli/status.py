"""``outrider status``: what the running daemon says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from outrider.cli.common import emit_json, json_option
from outrider.cli.data_line import data_line
from outrider.cli.uplink_view import uplink_lines
from outrider.config import Terminal
from outrider.i18n import _


@click.command()
@click.option(
    "--socket",
    "path",
    type=click.Path(path_type=Path),
    default=Path(Terminal().control_socket),
    show_default=True,
    help=_("Control socket of the daemon."),
)
@json_option
def cli(path: Path, as_json: bool) -> None:
    """Show the state of the running daemon. Exit code 69 when none answers."""
    from outrider.app.control import ask

    document = ask(path, "status")
    if as_json:
        emit_json(document)
        return
    for name, text in _lines(document):
        click.echo(f"{name:<12} {text}")


def _lines(document: dict[str, Any]) -> list[tuple[str, str]]:
    vehicle = document["vehicle"] or {}
    engine = document["engine"]
    lines = [
        (_("terminal"), f"{document['device']}, outrider {document['software']}"),
        (_("up"), _("{minutes:.1f} min").format(minutes=document["uptime_s"] / 60)),
        (_("vehicle"), _vehicle_line(vehicle)),
        (_("position"), _position_line(vehicle)),
        (_("trip"), _trip_line(document["trip"])),
    ]
    lines += [(_("bus"), bus_line(bus)) for bus in document["buses"]]
    lines += [(_("source"), ", ".join(f"{k} {v}" for k, v in source.items())) for source in document["sources"]]
    lines.append((_("engine"), ", ".join(f"{k} {v}" for k, v in engine.items() if isinstance(v, int) and v)))
    for lane, state in document["journal"].get("lanes", {}).items():
        text = _("{durable} durable, {acknowledged} acknowledged").format(**state)
        lines.append((_("lane"), f"{lane}: {text}"))
    lines += uplink_lines(document["uplink"])
    if document.get("network"):
        lines.append((_("network"), _network_line(document["network"])))
    if document.get("modem"):
        lines.append((_("modem"), _modem_line(document["modem"])))
    if document.get("identity"):
        lines.append((_("identity"), _identity_line(document["identity"])))
    if document.get("data"):
        lines.append((_("data"), data_line(document["data"])))
    if document["uplink"] is not None:
        beacons = document["beacons"]
        state = _("every few seconds") if beacons["on"] else _("none: slow or standing")
        lines.append((_("beacons"), ", ".join([state, *(f"{k} {v}" for k, v in beacons.items() if k != "on" and v)])))
    return lines


def _network_line(network: dict[str, Any]) -> str:
    dbm = None if network["signal_dbm"] is None else f"{network['signal_dbm']} dBm"
    metered = _("metered") if network["metered"] else None
    roaming = _("roaming") if network["roaming"] else None
    parts = [network["path"], network["interface"], network["operator"], network["technology"], dbm, metered, roaming]
    return ", ".join(part for part in parts if part)


def _modem_line(modem: dict[str, Any]) -> str:
    taken = sum(modem["recovery"]["steps_last_day"].values())
    steps = _(", steps in the last day: {taken}").format(taken=taken) if taken else ""
    return f"{modem['condition']}: {modem['reason']}{steps}"


def _identity_line(identity: dict[str, Any]) -> str:
    parts = [identity.get("state", _("not enrolled"))]
    if identity.get("fingerprint"):
        parts.append(identity["fingerprint"][:16])
    return ", ".join([*parts, identity["last_error"]] if identity["last_error"] else parts)


def bus_line(bus: dict[str, Any]) -> str:
    """One bus of the status document: what it is doing, why, and what was lost where."""
    link = bus["link"] or {}
    parts = [f"{bus['name']} {bus['condition']}: {bus['reason']}"]
    if bus["action"]:
        parts[0] += f" ({bus['action']})"
    if link.get("bitrate"):
        parts.append(f"{link['bitrate']} bit/s {link['mode']}")
    if bus["load_percent"] is not None:
        parts.append(_("load {load} %").format(load=bus["load_percent"]))
    parts.append(_("lost: controller {controller}, socket {socket}, queue {queue}").format(**bus["lost"]))
    if bus["held"]:
        parts.append(_("held {held}").format(held=bus["held"]))
    return ", ".join(parts)


def _vehicle_line(vehicle: dict[str, Any]) -> str:
    speed = vehicle.get("speed_mps")
    motion = {0: _("motion unknown"), 1: _("standing"), 2: _("moving")}[vehicle.get("motion", 0)]
    return motion if speed is None else f"{motion}, {speed * 3.6:.1f} km/h"


def _position_line(vehicle: dict[str, Any]) -> str:
    if vehicle.get("lat_deg") is None:
        return _("unknown")
    accuracy = "?" if vehicle["hacc_m"] is None else f"{vehicle['hacc_m']:.1f} m"
    return f"{vehicle['lat_deg']:.6f}, {vehicle['lon_deg']:.6f} (WGS-84, ± {accuracy})"


def _trip_line(trip: dict[str, Any] | None) -> str:
    return _("none") if trip is None else f"{trip['trip_no']}: {trip['distance_m'] / 1000:.2f} km"
