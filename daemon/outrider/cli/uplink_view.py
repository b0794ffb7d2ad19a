"""The uplink of the status document in words: does it get on, what waits, since when, and why not."""

from __future__ import annotations

from typing import Any, Final

from outrider.i18n import _

_HEALTHY: Final = frozenset({"connects", "disconnects", "published", "pubacks", "acks", "beacons", "beacons_dropped"})


def uplink_lines(uplink: dict[str, Any] | None) -> list[tuple[str, str]]:
    """(name, text) for the terminal."""
    if uplink is None:
        return [(_("uplink"), _("not configured"))]
    lines = [(_("uplink"), _connection(uplink)), (_("backlog"), _backlog(uplink))]
    if uplink.get("stalled"):
        lines.append((_("STALLED"), why_text(uplink["stalled"])))
    if uplink.get("paused"):
        lines.append((_("paused"), _("the data budget holds something back: {why}").format(why=uplink["paused"])))
    if not uplink["connected"] and uplink["last_error"]:
        lines.append((_("last error"), uplink["last_error"]))
    faults = {k: v for k, v in uplink["counters"].items() if v and k not in _HEALTHY}
    if faults:
        lines.append((_("counted"), ", ".join(f"{name} {count}" for name, count in sorted(faults.items()))))
    return lines


def why_text(why: str) -> str:
    """Why an upload stalls, and where to look."""
    known = {
        "no_connection": _("the broker cannot be reached: address, network, proxy, certificates"),
        "refused": _("the broker refuses this terminal: credentials, rights, version"),
        "no_puback": _("the broker takes messages and confirms none"),
        "no_acks": _("the broker confirms, no receiver acknowledges: is it running, do the keys agree?"),
        "too_slow": _("more is recorded than goes through"),
    }
    return known.get(why, why)


def age_text(seconds: float | None) -> str:
    """A length of time as a person says it."""
    if seconds is None:
        return _("never")
    if seconds < 120:
        return _("{n:.0f} s").format(n=seconds)
    if seconds < 7200:
        return _("{n:.0f} min").format(n=seconds / 60)
    return (
        _("{n:.0f} h").format(n=seconds / 3600) if seconds < 172_800 else _("{n:.0f} days").format(n=seconds / 86_400)
    )


def _connection(uplink: dict[str, Any]) -> str:
    if uplink["connected"]:
        text = _("connected to {broker} (MQTT {version})").format(broker=uplink["broker"], version=uplink["protocol"])
    else:
        text = _("not connected, next: {broker}").format(broker=uplink["broker"])
    return text + ", " + _("last acknowledgement: {age}").format(age=age_text(uplink["last_ack_age_s"]))


def _backlog(uplink: dict[str, Any]) -> str:
    waiting = {lane: count for lane, count in uplink["backlog"].items() if count}
    if not waiting:
        return _("nothing waits")
    oldest = uplink["oldest_age_s"]
    return ", ".join(
        _("{lane} {count} (oldest {age})").format(lane=lane, count=count, age=age_text(oldest.get(lane)))
        for lane, count in waiting.items()
    )
