"""``outrider alarms``: cars that vanished, from the receiver's database. Reads beside a running receiver."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from outrider.cli.common import emit_json, json_option, note
from outrider.cli.ingest_sink import open_stored, sink_options
from outrider.i18n import _

if TYPE_CHECKING:
    from outrider.ingest.sinks.alarms_io import Alarm
    from outrider.ingest.watch.vigil import HeardBeacon

UNHEARD_S: Final = 600.0


@click.command()
@sink_options
@click.option("--standing", is_flag=True, help=_("Only alarms that are not cleared."))
@click.option("--unheard", is_flag=True, help=_("Instead: terminals that announced a beacon and were not heard again."))
@click.option("--device", help=_("Only this terminal."))
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help=_("At most so many, the newest."))
@json_option
def cli(
    *,
    db: Path,
    sink: str | None,
    register: str | None,
    standing: bool,
    unheard: bool,
    device: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List the cars that fell silent at speed: when, where, why, and how it ended."""
    from outrider.clock import SystemClock

    now = SystemClock().utc_us() / 1e6
    with open_stored(db, sink, register) as store:
        if unheard:
            silent = store.alarms.unheard(round((now - UNHEARD_S) * 1e6))
            _show_unheard({n: heard for n, heard in silent.items() if device in (None, n)}, as_json)
        else:
            _show(store.alarms.listing(device, standing=standing, limit=limit), now, as_json)


def _show_unheard(silent: dict[str, HeardBeacon], as_json: bool) -> None:
    from dataclasses import asdict

    from outrider.cli.alarm_view import beacon_words, clock

    for name, heard in sorted(silent.items()):
        if as_json:
            at = round(heard.received_utc_s * 1e6)
            emit_json({"type": "unheard", "device": name, "received_utc_us": at, **asdict(heard.beacon)})
        else:
            click.echo(f"{clock(heard.received_utc_s)} {name} {beacon_words(heard.beacon)}")
    if not silent and not as_json:
        note(_("all were heard again"))


def _show(alarms: list[Alarm], now: float, as_json: bool) -> None:
    from outrider.cli.alarm_view import alarm_document, clock, vanished_line

    for alarm in alarms:
        if as_json:
            emit_json({**alarm_document(alarm, now), "type": "alarm"})
            continue
        cleared = alarm.cleared_utc_us
        click.echo(vanished_line(alarm.vanished, now if cleared is None else cleared / 1e6))
        if cleared is None:
            click.echo("    " + _("stands"))
        else:
            click.echo(
                "    " + _("cleared {time}: {reason}").format(time=clock(cleared / 1e6), reason=alarm.cleared_reason)
            )
    if not alarms and not as_json:
        note(_("no alarms"))
