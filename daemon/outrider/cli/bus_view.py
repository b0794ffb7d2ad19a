"""How links look: JSON objects for programs (docs/reference/cli-schema.json), lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from outrider.app.supervision import link_document
from outrider.i18n import _
from outrider.link.detect import Detection, Outcome, Trial, Verdict
from outrider.link.report import BERR_REPORTING, LinkReport


def report_document(report: LinkReport, daemon: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A ``bus`` object: the link, its counters, and under ``daemon`` what a running daemon knows of it (else null)."""
    return {
        "name": report.name,
        **link_document(report),
        "operstate": report.operstate,
        "error_reporting": BERR_REPORTING in report.modes,
        "modes": sorted(report.modes),
        "rx_packets": report.rx_packets,
        "tx_packets": report.tx_packets,
        "rx_over_errors": report.rx_over_errors,
        "rx_errors": report.rx_errors,
        "rx_dropped": report.rx_dropped,
        "restarts": report.restarts,
        "bus_errors": report.bus_errors,
        "arbitration_lost": report.arbitration_lost,
        "error_warnings": report.error_warnings,
        "error_passives": report.error_passives,
        "bus_offs": report.bus_offs,
        "daemon": None if daemon is None else _known(report.name, daemon),
    }


def _known(name: str, daemon: Mapping[str, Any]) -> dict[str, Any] | None:
    """The daemon's word on this bus, with the error classes that its reader counted."""
    for bus, source in zip(daemon.get("buses", []), daemon["sources"], strict=False):
        if bus["name"] == name:
            errors = {k: v for k, v in source.items() if k.startswith("error_") or k == "bus_off"}
            return {**bus, "errors": errors}
    return None


def list_lines(reports: Sequence[LinkReport]) -> list[str]:
    """One line an interface."""
    return [_list_line(report).rstrip() for report in reports]


def _list_line(report: LinkReport) -> str:
    up = _("up") if report.up else _("down")
    return f"{report.name:<12} {report.kind:<6} {up:<5} {report.state or '':<14} {_rate(report):<18} {report.mode}"


def _rate(report: LinkReport) -> str:
    if report.bitrate is None:
        return "-"
    return f"{report.bitrate}" if report.data_bitrate is None else f"{report.bitrate}/{report.data_bitrate}"


def status_lines(document: Mapping[str, Any]) -> list[str]:
    """One bus for a person."""
    known = document["daemon"]
    lines = [(document["name"], _summary(document))]
    if known is not None:
        action = f" ({known['action']})" if known["action"] else ""
        lines.append((_("condition"), f"{known['condition']}: {known['reason']}{action}"))
        load = "?" if known["load_percent"] is None else f"{known['load_percent']} %"
        per_second = "?" if known["frames_per_s"] is None else known["frames_per_s"]
        lines.append((_("traffic"), _("{rate} frames/s, load {load}").format(rate=per_second, load=load)))
    lines.append((_("link"), _link(document)))
    lines.append((_("counted"), _("{rx_packets} received, {tx_packets} sent").format(**document)))
    lines.append((_("lost"), _lost(document)))
    errors = {
        name: document[name]
        for name in ("bus_errors", "arbitration_lost", "error_warnings", "error_passives", "bus_offs", "restarts")
    }
    lines.append((_("errors"), ", ".join(f"{name} {count}" for name, count in errors.items())))
    if known is not None and known["errors"]:
        lines.append((_("error frames"), ", ".join(f"{name} {count}" for name, count in known["errors"].items())))
    return [f"{name:<12} {text}" for name, text in lines]


def _summary(document: Mapping[str, Any]) -> str:
    parts = [document["kind"], _("up") if document["up"] else _("down"), document["mode"]]
    if document["state"] is not None:
        parts.append(document["state"])
    return ", ".join(parts)


def _link(document: Mapping[str, Any]) -> str:
    if document["bitrate"] is None:
        return _("no bit rate")
    parts = [f"{document['bitrate']} bit/s"]
    if document["sample_point"] is not None:
        parts.append(_("sample point {point:.1%}").format(point=document["sample_point"]))
    if document["data_bitrate"] is not None:
        parts.append(_("data {rate} bit/s").format(rate=document["data_bitrate"]))
    parts.append(_("errors are reported") if document["error_reporting"] else _("errors are not reported"))
    parts.append(f"restart-ms {document['restart_ms']}")
    if document["tec"] is not None:
        parts.append(_("error counters: send {tec}, receive {rec}").format(tec=document["tec"], rec=document["rec"]))
    return ", ".join(parts)


def _lost(document: Mapping[str, Any]) -> str:
    """The three places apart; without a daemon only the controller's is known."""
    known = document["daemon"]
    if known is None:
        return _("controller {count} (since the interface was made)").format(count=document["rx_over_errors"])
    return _("controller {controller}, socket {socket}, queue {queue}").format(**known["lost"])


# ---- detection ------------------------------------------------------------------------------------------------


def trial_line(trial: Trial) -> str:
    """One row of the table: rate, frames, errors, verdict."""
    words = {
        Verdict.MATCH: _("fits"),
        Verdict.MIXED: _("frames and errors"),
        Verdict.TOO_FEW: _("too few frames to be sure"),
        Verdict.ERRORS: _("wrong: errors only"),
        Verdict.SILENT: _("silent"),
        Verdict.REFUSED: _("refused: {reason}").format(reason=trial.refused),
    }
    tally = trial.tally
    frames = _("{frames} frames, {errors} errors").format(frames=tally.frames, errors=tally.errors)
    return f"{trial.candidate!s:>17} bit/s  {frames:<28} {words[trial.verdict]}"


def verdict_lines(device: str, detection: Detection) -> list[str]:
    """What the search comes to, and what to do next."""
    best = detection.best
    if best is not None:
        return [_("{device}: {rate} bit/s; the link listens at it now").format(device=device, rate=best)]
    sayings = {
        Outcome.ASLEEP: _("{device}: nothing was heard: the bus sleeps, or is not connected. Switch the ignition on."),
        Outcome.UNSURE: _(
            "{device}: frames were heard, but too few or disturbed ones. Try again with a longer --window."
        ),
        Outcome.FAILED: _(
            "{device}: there is traffic, but no rate fits. Check the wiring, or name more with --bitrate."
        ),
    }
    return [sayings[detection.outcome].format(device=device), _("the link is left down")]


def detection_document(device: str, detection: Detection) -> dict[str, Any]:
    """A ``bus-detection`` object."""
    best = detection.best
    return {
        "name": device,
        "outcome": detection.outcome.value,
        "bitrate": None if best is None else best.bitrate,
        "data_bitrate": None if best is None else best.data_bitrate,
        "trials": [
            {
                "bitrate": trial.candidate.bitrate,
                "data_bitrate": trial.candidate.data_bitrate,
                "frames": trial.tally.frames,
                "fd_frames": trial.tally.fd_frames,
                "errors": trial.tally.errors,
                "verdict": trial.verdict.value,
                "refused": trial.refused,
            }
            for trial in detection.trials
        ],
    }
