"""One crash, and a crash judged again, for a person at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outrider.cli.common import stdout_console
from outrider.cli.crash import share_text, utc_text
from outrider.crash.report_clean import clean
from outrider.crash.report_terms import told, told_span
from outrider.crash.report_words import kind_words, state_words, verdict_sentence
from outrider.i18n import _, in_english

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from outrider.crash.document import CrashDocument, Impact
    from outrider.crash.reanalyse import Reanalysis

_WIDE = 120


def print_crash(document: CrashDocument) -> None:
    """One screen: verdict, when, where, numbers, reasons, what is missing. Texts may come from strangers."""
    document = clean(document)
    console = _console()
    sentence = document.verdict.sentence if in_english() else verdict_sentence(document)
    console.print(_text(sentence, "bold"))
    table = _plain_table()
    for name, value in _facts(document):
        table.add_row(_text(name), _text(value))
    console.print(table)
    for item in document.verdict.items:
        if item.counted:
            console.print(_text(f"  {item.sum_share:+.1f}  {told(item.words)}"))
    for quality in document.quality:
        words, effect = told(quality.words), told(quality.effect)
        console.print(_text(_("data: {words}; {effect}").format(words=words, effect=effect), "yellow"))
    for one in document.missing:
        what, why = told_span(one.what), told(one.why)
        console.print(_text(_("missing: {what}: {why}").format(what=what, why=why), "yellow"))


def print_reanalysis(result: Reanalysis) -> None:
    """The differences, what is the same in one line, and the limits."""
    result = clean(result)
    console = _console()
    then = result.algorithm_then or _("unknown version")
    console.print(_text(_("judged by {then}, again by {now}").format(then=then, now=result.algorithm_now)))
    if not result.found:
        console.print(_text(_("this time no crash is found there"), "red"))
    differ = [row for row in result.rows if not row.same]
    if differ:
        table = _plain_table(_("field"), _("then"), _("now"))
        for row in differ:
            table.add_row(_text(row.name), _text(_value(row.then, row.unit)), _text(_value(row.now, row.unit)))
        console.print(table)
    same = len(result.rows) - len(differ)
    if result.found:
        told = _("the verdict is the same") if result.same_verdict else _("the verdict differs")
        console.print(_text(told, "green" if result.same_verdict else "red"))
        console.print(_text(_("{same} of {all} fields are the same").format(same=same, all=len(result.rows))))
    for limit in result.limits:
        console.print(_text(_("limit: {text}").format(text=limit), "dim"))


def _facts(document: CrashDocument) -> list[tuple[str, str]]:
    place, time, versions, verdict = document.place, document.time, document.versions, document.verdict
    decided = (kind_words(verdict.kind), state_words(verdict.state), share_text(document))
    where = _("unknown")
    if place is not None:
        accuracy = "" if place.hacc_m is None else f" ± {place.hacc_m:.0f} m"
        where = f"{place.lat_deg:.5f}, {place.lon_deg:.5f}{accuracy}" + (_(" (old)") if place.stale else "")
    when = utc_text(time.t0_utc_us)
    doubt = "" if time.uncertainty_us is None else f" ± {time.uncertainty_us / 1e6:.1f} s"
    return [
        (_("id"), document.event_id),
        (_("terminal"), document.device or _("unknown")),
        (_("when"), _("unknown") if when is None else when + doubt),
        (_("where"), where),
        (_("verdict"), _(", ").join(decided)),
        (_("level"), str(document.level)),
        *_impact(document.impact),
        (_("recorded by"), f"{versions.software or '?'}, {versions.algorithm or '?'}, {versions.profile_id or '?'}"),
    ]


def _impact(impact: Impact) -> list[tuple[str, str]]:
    found = []
    if impact.dv_kmh is not None:
        span = "" if impact.dv_lo_kmh is None else f" ({impact.dv_lo_kmh:.0f} .. {_or_open(impact.dv_hi_kmh)})"
        if impact.lower_bound:  # the sensor saturated: what it saw, less its error, is the least it can have been
            least = impact.dv_kmh if impact.dv_lo_kmh is None else min(impact.dv_kmh, impact.dv_lo_kmh)
            found.append((_("delta-V"), _("at least ") + f"{least:.0f} km/h"))
        else:
            found.append((_("delta-V"), f"{impact.dv_kmh:.0f} km/h{span}"))
    if impact.clock is not None and impact.pdof_deg is not None:
        told = _("{clock} o'clock, {degrees:.0f}° (0 frontal, + from the left)")
        found.append((_("direction"), told.format(clock=impact.clock, degrees=impact.pdof_deg)))
    if impact.peak_g is not None:
        found.append((_("peak"), f"{impact.peak_g:.1f} g"))
    speeds = (impact.v_pre_kmh, impact.v_impact_kmh, impact.v_post_kmh)
    if any(speed is not None for speed in speeds):
        shown = " → ".join("?" if speed is None else f"{speed:.0f}" for speed in speeds)
        found.append((_("speed before, at, after"), f"{shown} km/h"))
    yes, no = _("yes"), _("no")
    found.append((_("airbag, rollover"), f"{yes if impact.airbag else no}, {yes if impact.rollover else no}"))
    return found


def _or_open(value: float | None) -> str:
    return "?" if value is None else f"{value:.0f}"


def _value(value: Any, unit: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return f"{value:.6g} {unit}".strip() if isinstance(value, float) else f"{value} {unit}".strip()


def _plain_table(*columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_header=bool(columns), pad_edge=False)
    for name in columns or ("", ""):
        table.add_column(name, overflow="fold")
    return table


def _text(text: str, style: str = "") -> Any:
    from rich.text import Text

    return Text(text, style=style)


def _console() -> Console:
    console: Console = stdout_console(highlight=False)
    return console if console.is_terminal else stdout_console(highlight=False, width=_WIDE)
