"""``outrider alarms``: cars that vanished, from the receiver's database. Reads beside a running receiver."""

from __future__ import annotations

from pathlib import Path

import click

from outrider.cli.common import emit_json, json_option, note
from outrider.i18n import _


@click.command()
@click.option(
    "--db",
    type=click.Path(path_type=Path),
    default=Path("outrider.db"),
    show_default=True,
    help=_("The receiver's SQLite database."),
)
@click.option("--standing", is_flag=True, help=_("Only alarms that are not cleared."))
@click.option("--device", help=_("Only this terminal."))
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help=_("At most so many, the newest."))
@json_option
def cli(db: Path, standing: bool, device: str | None, limit: int, as_json: bool) -> None:
    """List the cars that fell silent at speed: when, where, why, and how it ended."""
    from outrider.cli.alarm_view import alarm_document, clock, vanished_line
    from outrider.clock import SystemClock
    from outrider.ingest.store_io import Store

    now = SystemClock().utc_us() / 1e6
    with Store.open(db, read_only=True) as store:
        alarms = store.alarms.listing(device, standing=standing, limit=limit)
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
