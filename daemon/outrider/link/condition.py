"""What a bus is doing, in words: the conditions, and for each the reason and what a person should do.

docs/operate/can-bus.md explains each at length, in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from outrider.i18n import _


class BusCondition(StrEnum):
    """One at a time, the worst one that holds. ``unknown``: nobody can say, and nothing is heard."""

    UNKNOWN = "unknown"
    LISTENING = "listening"
    ASLEEP = "asleep"
    ERROR_PASSIVE = "error-passive"
    WRONG_BITRATE = "wrong-bitrate"
    WRONG_MODE = "wrong-mode"
    BUS_OFF = "bus-off"
    DOWN = "down"
    MISSING = "missing"

    @property
    def healthy(self) -> bool:
        """Nothing for anybody to do: traffic, or a bus that sleeps."""
        return self in {BusCondition.LISTENING, BusCondition.ASLEEP}


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition with its reason, and the next action for a person ("" = none)."""

    condition: BusCondition
    reason: str
    action: str = ""


def missing(name: str) -> Finding:
    return Finding(
        BusCondition.MISSING,
        _("there is no interface {name}").format(name=name),
        _("plug the adapter in; `ip -br link` lists what there is"),
    )


def down(name: str) -> Finding:
    return Finding(
        BusCondition.DOWN,
        _("the interface {name} is down").format(name=name),
        _("set it up: `outrider bus set {name} --bitrate N`, or systemd-networkd").format(name=name),
    )


def stopped(name: str, *, virtual: bool) -> Finding:
    """Set up, but nothing goes through."""
    if virtual:
        return Finding(BusCondition.DOWN, _("the other end of {name} is down").format(name=name), _("set it up"))
    return Finding(
        BusCondition.DOWN,
        _("the controller of {name} is stopped").format(name=name),
        _("take the link down and set it up again"),
    )


def unread(name: str, error: str) -> Finding:
    """The link is fine; the reader is not."""
    return Finding(
        BusCondition.DOWN,
        _("the interface {name} is up, but cannot be read: {error}").format(name=name, error=error),
        _("it is tried again; see the log of the source"),
    )


def bus_off(restart_ms: int, *, helper: bool) -> Finding:
    if restart_ms:
        reason = _("the controller left the bus after too many errors; the kernel restarts it after {ms} ms")
        return Finding(BusCondition.BUS_OFF, reason.format(ms=restart_ms), _("check the wiring: ") + _wiring())
    reason = _("the controller left the bus after too many errors")
    if helper:
        return Finding(BusCondition.BUS_OFF, reason, _("a restart is asked for; check the wiring: ") + _wiring())
    return Finding(BusCondition.BUS_OFF, reason, _("check the wiring, then restart the link: ") + _wiring())


def wrong_mode(name: str) -> Finding:
    return Finding(
        BusCondition.WRONG_MODE,
        _("listen_only is configured, but {name} acknowledges frames and may send").format(name=name),
        _("`ip link set {name} down`, then `ip link set {name} up type can listen-only on`").format(name=name),
    )


def other_bitrate(name: str, is_bitrate: int, wanted: int) -> Finding:
    return Finding(
        BusCondition.WRONG_BITRATE,
        _("{name} runs at {is_bitrate} bit/s, configured are {wanted}").format(
            name=name, is_bitrate=is_bitrate, wanted=wanted
        ),
        _("correct the configuration or the link"),
    )


def errors_only(bitrate: int | None, errors: int, *, heard_before: bool) -> Finding:
    rate = "?" if bitrate is None else bitrate
    if heard_before:
        reason = _("{errors} error frames and nothing else since the last good frame: the bus is disturbed")
        return Finding(BusCondition.WRONG_BITRATE, reason.format(errors=errors), _("check the wiring: ") + _wiring())
    return Finding(
        BusCondition.WRONG_BITRATE,
        _("{errors} error frames and not one good frame at {rate} bit/s").format(errors=errors, rate=rate),
        _("find the bit rate with `outrider bus detect`; if none fits, check the wiring: ") + _wiring(),
    )


def error_passive(tec: int | None, rec: int | None) -> Finding:
    return Finding(
        BusCondition.ERROR_PASSIVE,
        _("many errors: the controller is error-passive (counters: send {tec}, receive {rec})").format(
            tec="?" if tec is None else tec, rec="?" if rec is None else rec
        ),
        _("check the wiring: ") + _wiring(),
    )


def listening(*, warning: bool, note: str = "") -> Finding:
    if warning:
        reason = _("frames arrive, with many errors between them (error warning)")
        return Finding(BusCondition.LISTENING, reason, _("check the wiring: ") + _wiring())
    return Finding(BusCondition.LISTENING, _("frames arrive") + note)


def asleep(*, sees_errors: bool) -> Finding:
    if sees_errors:
        return Finding(BusCondition.ASLEEP, _("no frames and no errors: the bus is silent, the car sleeps"))
    return Finding(
        BusCondition.ASLEEP,
        _("no frames; this link may not report errors, so a wrong bit rate could look the same"),
        _("if the car is awake: set the link with berr-reporting on, or run `outrider bus detect`"),
    )


def starting() -> Finding:
    return unknown(_("no frames yet"))


def unknown(why: str) -> Finding:
    return Finding(BusCondition.UNKNOWN, why)


def _wiring() -> str:
    return _("CAN-H and CAN-L (OBD pins 6 and 14), 60 ohm between them, ground")
