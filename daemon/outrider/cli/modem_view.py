"""The technician's page: one screen of lines from a ``modem_page`` document, and what to do in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from outrider.i18n import _
from outrider.network.grades import ECIO, RSCP, RSRP, RSRQ, RSSI, SINR, Scale
from outrider.network.trouble import Condition

_COLOURS: Final = {"excellent": "green", "good": "green", "fair": "yellow", "poor": "red"}
_SCALES: Final[dict[str, Scale]] = {scale.name: scale for scale in (RSRP, RSRQ, SINR, RSSI, RSCP, ECIO)}
_WELL: Final = {Condition.CONNECTED: "green", Condition.REGISTERED: "yellow"}
_WIDTH: Final = 12


def page_lines(page: Mapping[str, Any]) -> Iterator[str]:
    """The page. Colours are for a terminal; ``click.echo`` takes them away elsewhere."""
    modem = page["modem"]
    colour = _WELL.get(Condition(page["condition"]), "red")
    yield _line(_("condition"), click.style(condition_word(page["condition"]), fg=colour) + f": {page['reason']}")
    if modem is not None:
        yield from _modem_lines(modem, page)
    yield _line(_("path"), _path(page["network"]))
    yield from _daemon_lines(page["daemon"])
    for advice in advices(page):
        yield "-> " + advice


def _line(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}} {text}"


def condition_word(condition: str) -> str:
    """For people."""
    return {
        Condition.CONNECTED: _("connected"),
        Condition.REGISTERED: _("registered, not connected"),
        Condition.SEARCHING: _("searching"),
        Condition.NO_COVERAGE: _("no coverage"),
        Condition.CHANGING: _("changing"),
        Condition.DISABLED: _("disabled"),
        Condition.LOCKED: _("SIM locked"),
        Condition.NO_SIM: _("no SIM"),
        Condition.DENIED: _("refused by the network"),
        Condition.FAILED: _("failed"),
        Condition.NO_MODEM: _("no modem"),
        Condition.VANISHED: _("modem vanished"),
        Condition.NO_MANAGER: _("no ModemManager"),
        Condition.NO_BUS: _("no D-Bus"),
        Condition.DEAD: _("dead session"),
        Condition.STARTING: _("starting"),
    }[Condition(condition)]


def _modem_lines(modem: Mapping[str, Any], page: Mapping[str, Any]) -> Iterator[str]:
    named = (modem["manufacturer"], modem["model"], modem["firmware"])
    yield _line(_("modem"), ", ".join(text for text in named if text) or "?")
    ports = " ".join(f"{port['name']}({port['type']})" for port in modem["ports"])
    yield _line("", _("IMEI {imei}, power {power}, ports {ports}").format(**{**modem, "ports": ports or "?"}))
    yield _line(_("operator"), _operator(modem))
    yield from _signal_lines(modem["signal"], modem["quality_percent"], page["manager"]["signal_error"])
    yield _line(_("SIM"), _sim(modem))
    for bearer in modem["bearers"]:
        yield from _bearer_lines(bearer)
    if modem["odd_properties"]:
        names = ", ".join(modem["odd_properties"])
        yield _line(_("odd"), _("ModemManager told nonsense for {names}").format(names=names))


def _operator(modem: Mapping[str, Any]) -> str:
    name = modem["operator_name"] or "?"
    code = f" ({modem['operator_code']})" if modem["operator_code"] else ""
    roaming = _("roaming") if modem["roaming"] else None
    parts = [f"{name}{code}", modem["technology"], modem["registration"], roaming]
    return ", ".join(dict.fromkeys(part for part in parts if part))


def _signal_lines(signal: Mapping[str, Any], quality: int | None, error: str | None) -> Iterator[str]:
    values = signal["values"]
    if not values:
        reason = f" ({error})" if error else ""
        percent = "?" if quality is None else f"{quality} %"
        yield _line(
            _("signal"), _("quality {percent}; not measured closer{reason}").format(percent=percent, reason=reason)
        )
        return
    for number, value in enumerate(values):
        yield _line(_("signal") if number == 0 else "", signal_text(value))


def signal_text(value: Mapping[str, Any]) -> str:
    """``RSRP -96 dBm fair (good from -90, poor below -100)``, in colour."""
    scale = _SCALES[value["name"]]
    limits = _("good from {good:g}, poor below {fair:g}").format(good=scale.good, fair=scale.fair)
    text = f"{value['name']} {value['value']:g} {value['unit']} {grade_word(value['grade'])}"
    return click.style(text, fg=_COLOURS[value["grade"]]) + f" ({limits})"


def grade_word(grade: str) -> str:
    """For people."""
    return {"excellent": _("excellent"), "good": _("good"), "fair": _("fair"), "poor": _("poor")}[grade]


def _sim(modem: Mapping[str, Any]) -> str:
    sim = modem["sim"]
    if sim is None:
        return _("none read")
    operator = sim["operator_name"] or sim["operator_code"] or "?"
    lock = _("unlocked") if modem["lock"] in {"none", "unknown"} else _("asks for {lock}").format(lock=modem["lock"])
    return f"{operator}, ICCID {sim['iccid'] or '?'}, IMSI {sim['imsi'] or '?'}, {lock}"


def _bearer_lines(bearer: Mapping[str, Any]) -> Iterator[str]:
    state = _("up") if bearer["connected"] else _("down")
    if bearer["suspended"]:
        state = _("suspended")
    parts = [state, bearer["interface"], f"APN {bearer['apn'] or '?'}", bearer["address"], bearer["address6"]]
    if bearer["dns"]:
        parts.append("DNS " + " ".join(bearer["dns"]))
    yield _line(_("connection"), ", ".join(part for part in parts if part))
    if bearer["rx_bytes"] is not None and bearer["tx_bytes"] is not None:
        counted = _("{rx} received, {tx} sent").format(rx=_bytes(bearer["rx_bytes"]), tx=_bytes(bearer["tx_bytes"]))
        minutes = bearer["duration_s"]
        since = "" if minutes is None else _(" in {minutes:.0f} min").format(minutes=minutes / 60)
        yield _line("", counted + since)
    if bearer["error"]:
        yield _line("", click.style(bearer["error"], fg="red"))


def _bytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


def _path(network: Mapping[str, Any]) -> str:
    metered = {True: _("metered"), False: _("not metered"), None: None}[network["metered"]]
    return ", ".join(part for part in (path_word(network["path"]), network["interface"], metered) if part)


def path_word(path: str) -> str:
    """For people."""
    return {
        "unknown": _("unknown"),
        "none": _("none: there is no default route"),
        "ethernet": _("Ethernet"),
        "wifi": _("Wi-Fi"),
        "cellular": _("mobile network"),
    }[path]


def _daemon_lines(daemon: Mapping[str, Any] | None) -> Iterator[str]:
    if daemon is None:
        yield _line(_("daemon"), _("not running: nobody looks after the modem"))
        return
    known = daemon["modem"]
    if known is None:
        yield _line(_("daemon"), _("runs, without [modem] in its configuration: it does not look after the modem"))
        return
    since = _("for {minutes:.0f} min").format(minutes=known["since_s"] / 60)
    yield _line(_("daemon"), f"{condition_word(known['condition'])} {since}: {known['reason']}")
    recovery = known["recovery"]
    taken = ", ".join(f"{name} {count}" for name, count in recovery["steps_last_day"].items()) or _("none")
    yield _line(_("recovery"), _("steps in the last day: {taken}").format(taken=taken))
    if recovery["last"] is not None:
        yield _line("", _("last: {step}, because {why}: {result}").format(**recovery["last"]))
    if recovery["waits_for"] is not None:
        yield _line("", _("waits: {reason}").format(reason=recovery["waits_for"]))


def advices(page: Mapping[str, Any]) -> Iterator[str]:
    """What to do, the most useful first; nothing when all is well."""
    condition, modem = Condition(page["condition"]), page["modem"]
    text = _condition_advice(condition, modem)
    if text is not None:
        yield text
    if page["apn_differs"]:
        yield _("the connection uses another APN than expected: check the profile (nmcli connection)")
    if modem is not None:
        yield from _signal_advice(modem["signal"])
    if page["manager"]["signal_error"]:
        yield _("the signal is not measured; let this user control the modem (polkit, docs/operate/cellular.md)")


def _condition_advice(condition: Condition, modem: Mapping[str, Any] | None) -> str | None:
    if condition is Condition.LOCKED and modem is not None:
        return _lock_advice(modem)
    return {
        Condition.NO_BUS: _("D-Bus must run, and its socket be reachable from here (/run/dbus/system_bus_socket)"),
        Condition.NO_MANAGER: _("apt install modemmanager; systemctl enable --now ModemManager"),
        Condition.NO_MODEM: _("is it plugged in and powered (lsusb)? What does `journalctl -u ModemManager` say?"),
        Condition.VANISHED: _("power it off and on; if it comes back only then, configure [modem] power_command"),
        Condition.FAILED: _("`outrider modem reset --yes`; if that does not help, power it off and on"),
        Condition.NO_SIM: _("put the SIM in, gold contacts as drawn; then `outrider modem reset --yes`"),
        Condition.DENIED: _("the operator refuses this SIM here: is it active, paid, allowed to roam and to use data?"),
        Condition.NO_COVERAGE: _("check the antenna's plug and place; drive out of the garage"),
        Condition.SEARCHING: _("wait two minutes; then `outrider modem reset --step toggle --yes`"),
        Condition.REGISTERED: _("connect it: `nmcli connection up NAME`; is the APN right?"),
        Condition.DISABLED: _(
            "a profile in NetworkManager enables it (docs/operate/cellular.md), or `mmcli -m any -e`"
        ),
        Condition.DEAD: _("`outrider modem reset --step reconnect --yes`"),
    }.get(condition)


def _lock_advice(modem: Mapping[str, Any]) -> str:
    left = "?" if modem["unlock_retries"] is None else modem["unlock_retries"]
    if "puk" in modem["lock"]:
        return _("PUK needed ({left} tries left): only with the operator's letter; wrong tries destroy the SIM").format(
            left=left
        )
    return _("unlock it once and take the PIN off: `mmcli -i 0 --pin=PIN --disable-pin` ({left} tries left)").format(
        left=left
    )


def _signal_advice(signal: Mapping[str, Any]) -> Iterator[str]:
    grades = {value["name"]: value["grade"] for value in signal["values"]}
    strength = grades.get("RSRP") or grades.get("RSCP") or grades.get("RSSI")
    if strength == "poor":
        yield _("weak signal: antenna plugged in tightly, on the roof, away from metal? Another operator?")
    elif "poor" in {grades.get("RSRQ"), grades.get("SINR"), grades.get("Ec/Io")}:
        yield _(
            "strong but noisy: keep the antenna away from power supplies, USB 3 and the other antenna; or a busy cell"
        )
