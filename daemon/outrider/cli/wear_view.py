"""Wear of the flash for people: what was counted, what the device says, what follows under which assumptions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from outrider.app.wear_life import GOOD, POOR, Assumption, cycles_used
from outrider.cli.data_view import size
from outrider.i18n import _


def wear_lines(
    document: Mapping[str, Any], cycles: float | None = None, amplification: float | None = None
) -> list[tuple[str, str]]:
    """(name, text) a line."""
    device, total = document["device"], document["total"]
    lines = [(_("device"), _device(device)), (_("life used"), _life(document["life"]))]
    written = _("{device} at the device, {own} by this program").format(
        device=size(total["device"]), own=size(total["own"])
    )
    lines.append((_("written so far"), written))
    lines.append((_("running, driving"), f"{total['on_s'] / 3600:.1f} h, {total['driving_s'] / 3600:.1f} h"))
    hour = document["device_bytes_per_driving_hour"]
    if hour is not None:
        own = size(document["own_bytes_per_driving_hour"])
        lines.append((_("an hour of driving"), _("{device}, {own} of it ours").format(device=size(hour), own=own)))
    lines += _pace(document, cycles, amplification)
    lines += [(day, _day(counts)) for day, counts in list(document["days"].items())[:7]]
    if document.get("error"):
        lines.append((_("not kept"), document["error"]))
    return lines


def _device(device: Mapping[str, Any] | None) -> str:
    if device is None:
        return _("none that the kernel shows: the data directory lies in memory or on a network")
    words = [device["name"], device["kind"], device["model"] or "", size(device["capacity_bytes"])]
    return ", ".join(word for word in words if word)


def _life(life: Mapping[str, Any] | None) -> str:
    if life is None:
        return _("the device does not tell")
    words = []
    if life["used_percent"] is not None:
        low, high = life["used_percent"]
        words.append(_("more than 100 %") if high is None else _("{low} to {high} %").format(low=low, high=high))
    if life["spare"] is not None:
        words.append(_("spare blocks: {spare}").format(spare=life["spare"]))
    return ", ".join(words)


def _pace(document: Mapping[str, Any], cycles: float | None, amplification: float | None) -> list[tuple[str, str]]:
    rate, years = document["device_bytes_per_day"], document["years"]
    if rate is None:
        return [(_("a day"), _("not known before a day has passed"))]
    first, last = (date.fromisoformat(choose(document["days"])) for choose in (min, max))
    lines = [(_("a day"), _("{size} (mean of {days} days)").format(size=size(rate), days=(last - first).days))]
    if years["poor"] is not None:
        text = _("{poor} to {good} at this pace, new to worn: {assumed_poor}; {assumed_good}").format(
            poor=_years(years["poor"]),
            good=_years(years["good"]),
            assumed_poor=_assumption(POOR),
            assumed_good=_assumption(GOOD),
        )
        lines.append((_("life"), text))
    if cycles is not None and amplification is not None and years.get("assumed") is not None:
        used = cycles_used(document["device"]["capacity_bytes"], document["total"]["device"], amplification)
        text = _("{years} ({assumed}), {used:.2f} cycles used so far").format(
            years=_years(years["assumed"]), assumed=_assumption(Assumption(cycles, amplification)), used=used
        )
        lines.append((_("life as assumed"), text))
    return lines


def _assumption(assumed: Assumption) -> str:
    return _("{cycles:g} cycles, each byte programmed {amplification:g} times").format(
        cycles=assumed.cycles, amplification=assumed.amplification
    )


def _years(years: float) -> str:
    if years >= 100:
        return _("over 100 years")
    return (
        _("{years:.1f} years").format(years=years) if years >= 1 else _("{days:.0f} days").format(days=years * 365.25)
    )


def _day(counts: Mapping[str, Any]) -> str:
    return _("{device} ({own} ours), {hours:.1f} h driving").format(
        device=size(counts["device"]), own=size(counts["own"]), hours=counts["driving_s"] / 3600
    )
