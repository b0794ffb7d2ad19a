"""How a month's data looks on a terminal: a bar against the limit, a bar a class, a bar a month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from outrider.i18n import _

WIDTH: Final = 32
_COLOURS: Final = {
    "emergency": "red",
    "ledger": "yellow",
    "event": "magenta",
    "telemetry": "green",
    "bulk": "blue",
    "beacon": "bright_red",
    "status": "cyan",
    "ack": "bright_cyan",
    "puback": "bright_blue",
    "ping": "bright_yellow",
    "rest": "bright_black",
    "ip": "grey39",
}
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"


def data_page(document: Mapping[str, Any], *, month: str | None = None) -> RenderableType:
    """The page of ``outrider data``. month: another one than this."""
    months: Sequence[Mapping[str, Any]] = document["months"]
    shown = next((m for m in months if m["month"] == (month or document["month"])), None)
    parts: list[RenderableType] = [_heading(document)]
    if month is None:
        parts += [_gauge(document), *_rules(document)]
    if shown is not None:
        parts += [Text(), _title(_("By class, {month}").format(month=shown["month"])), _classes(shown)]
        parts += [Text(), _title(_("By path, {month}").format(month=shown["month"])), _paths(shown)]
    if months and month is None:
        parts += [Text(), _title(_("By month, all paths")), _months(months)]
    if document.get("held") is not None:
        total = document["held"]["total_bytes"]
        parts += [Text(), Text(_("{size} wait for a clock to say which month they are of").format(size=size(total)))]
    if document.get("error"):
        parts += [Text(), Text(_("not kept on flash: {error}").format(error=document["error"]), style="red")]
    return Group(*parts)


def _heading(document: Mapping[str, Any]) -> Text:
    return Text(
        _("{month} (UTC): {total} sent and received").format(
            month=document["month"] or _("month not known yet"), total=size(document["total_bytes"])
        ),
        style="bold",
    )


def _gauge(document: Mapping[str, Any]) -> RenderableType:
    """What costs money against the limit; the light part is what the month comes to at this pace."""
    used, limit, projected = document["used_bytes"], document["limit_bytes"], document["projected_used_bytes"]
    if limit is None:
        text = _("{used} of it on metered paths; no limit is set").format(used=size(used))
        if projected is not None:
            text += ", " + _("{projected} at the month's end at this pace").format(projected=size(projected))
        return Padding(Text(text), (0, 0, 0, 2))
    full = max(limit, used, projected or 0)
    cells, ahead, mark = (round(WIDTH * value / full) for value in (used, projected or 0, limit))
    colour = {0: "green", 80: "yellow", 95: "red", 100: "bright_red"}[document["limit_step_percent"]]
    bar = Text("█" * cells, style=colour)
    bar.append("▒" * max(0, ahead - cells), style=colour)
    bar.append("░" * (WIDTH - max(cells, ahead)), style="bright_black")
    bar = bar[: mark - 1] + Text("┃", style="bold") + bar[mark:] if 0 < mark <= WIDTH else bar
    text = _("{used} of {limit} on metered paths ({percent} %)").format(
        used=size(used), limit=size(limit), percent=round(100 * used / limit)
    )
    lines = [bar, Text(text)]
    if projected is not None:
        line = _("{projected} at the month's end at this pace").format(projected=size(projected))
        lines.append(Text(line, style="yellow" if projected > limit else ""))
    return Padding(Group(*lines), (0, 0, 0, 2))


def _rules(document: Mapping[str, Any]) -> list[RenderableType]:
    """Plan in force and why, what waits and why; nothing is known of it without a running daemon."""
    rules = document.get("rules")
    if rules is None:
        return [Padding(Text(_("No daemon runs: what is on flash is shown.")), (0, 0, 0, 2))]
    lines = [
        _("plan {plan}: a batch every {age:g} s ({why})").format(
            plan=rules["plan"], age=rules["batch_age_s"], why=_why(rules["why"], document)
        ),
        _("now over {path}, {metered}").format(
            path=document["path"], metered=_("metered") if rules["metered"] else _("not metered")
        ),
    ]
    if rules["held"] is not None:
        lanes = {"emergency", "ledger", "event", "telemetry", "bulk"} - set(rules["lanes"])
        lines.append(
            _("held back: {lanes} ({reason})").format(lanes=", ".join(sorted(lanes)), reason=_hold(rules["held"]))
        )
    styles = ["", "", "yellow"]
    return [Padding(Text(line, style=style), (0, 0, 0, 2)) for line, style in zip(lines, styles, strict=False)]


def _why(why: str, document: Mapping[str, Any]) -> str:
    return {
        "configured": _("as configured"),
        "watched": _("somebody looks, for {seconds} s more").format(seconds=document["watched_for_s"]),
        "parked": _("parked"),
        "limit_80": _("80 % of the month's limit are used"),
    }.get(why, why)


def _hold(reason: str) -> str:
    return {
        "limit_95": _("95 % of the month's limit are used"),
        "limit_100": _("the month's limit is reached"),
        "roaming": _("roaming"),
        "bulk_wifi": _("waits for Wi-Fi"),
    }.get(reason, reason)


def _classes(month: Mapping[str, Any]) -> RenderableType:
    sums: dict[str, list[int]] = {}
    for row in month["paths"].values():
        for name, pair in row.items():
            old = sums.setdefault(name, [0, 0])
            old[0] += pair["sent_bytes"]
            old[1] += pair["received_bytes"]
    return _bars(
        [(class_name(name), sent, received, _COLOURS.get(name, "white")) for name, (sent, received) in sums.items()]
    )


def _paths(month: Mapping[str, Any]) -> RenderableType:
    rows = [
        (path, *(sum(pair[way] for pair in row.values()) for way in ("sent_bytes", "received_bytes")), "green")
        for path, row in month["paths"].items()
    ]
    return _bars(rows)


def _bars(rows: Sequence[tuple[str, int, int, str]]) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bright_black", padding=(0, 2, 0, 0))
    table.add_column("")
    for name in (_("sent"), _("received"), "%"):
        table.add_column(name, justify="right")
    table.add_column("")
    whole = sum(max(0, sent + received) for _name, sent, received, _colour in rows) or 1
    most = max((sent + received for _name, sent, received, _colour in rows), default=1) or 1
    for name, sent, received, colour in sorted(rows, key=lambda row: -row[1] - row[2]):
        share = max(0, sent + received)
        table.add_row(
            name, size(sent), size(received), f"{100 * share / whole:.0f}", Text(bar(share / most), style=colour)
        )
    return Padding(table, (0, 0, 0, 2))


def _months(months: Sequence[Mapping[str, Any]]) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bright_black", padding=(0, 2, 0, 0))
    table.add_column("")
    for name in (_("metered"), _("all")):
        table.add_column(name, justify="right")
    table.add_column("")
    most = max((month["total_bytes"] for month in months), default=1) or 1
    for month in months:
        metered = max(0, min(month["metered_bytes"], month["total_bytes"]))
        cells = round(WIDTH * metered / most)
        whole = bar(month["total_bytes"] / most)
        picture = Text(whole[:cells], style="green") + Text(whole[cells:], style="bright_black")
        table.add_row(month["month"], size(month["metered_bytes"]), size(month["total_bytes"]), picture)
    return Padding(table, (0, 0, 0, 2))


def class_name(name: str) -> str:
    """For people."""
    return {
        "emergency": _("emergencies"),
        "ledger": _("trips"),
        "event": _("events"),
        "telemetry": _("telemetry"),
        "bulk": _("evidence"),
        "beacon": _("beacons"),
        "status": _("status"),
        "ack": _("acknowledgements"),
        "puback": _("broker's receipts"),
        "ping": _("pings"),
        "rest": _("TLS, connecting"),
        "ip": _("IP, TCP (estimated)"),
    }.get(name, name)


def bar(share: float, width: int = WIDTH) -> str:
    """``share`` (0..1) of ``width`` cells, in eighths; what is not zero is seen."""
    eighths = max(round(min(max(share, 0.0), 1.0) * width * 8), 1 if share > 0 else 0)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def size(count: int) -> str:
    """Bytes for people, in powers of 1000, as mobile operators count."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if abs(value) < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"


def _title(text: str) -> Text:
    return Text(text, style="bold")
