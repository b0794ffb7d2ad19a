"""``outrider sim fleet``: many virtual terminals on a broker, and a look into the store at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outrider.cli.common import Number, emit_json, json_option, note
from outrider.cli.ingest import broker_options, make_broker, read_secret
from outrider.i18n import _

if TYPE_CHECKING:
    from outrider.app.fleet_options import FleetResult

_PATH = click.Path(path_type=Path)


@click.command()
@broker_options
@click.option("-n", "--terminals", type=click.IntRange(1), default=50, show_default=True, help=_("Virtual terminals."))
@click.option(
    "--minutes", type=Number(0.01, 100_000), default=10.0, show_default=True, help=_("Of driving, in their time.")
)
@click.option("--speed", type=Number(0.1, 1000), default=10.0, show_default=True, help=_("How much faster than real."))
@click.option(
    "--outages", type=Number(0, 0.9), default=0.1, show_default=True, help=_("Share of the time out of coverage.")
)
@click.option("--reboots", type=Number(0, 3600), default=2.0, show_default=True, help=_("Power cuts of each, an hour."))
@click.option("--storm/--no-storm", default=True, show_default=True, help=_("Cut all connections at once, halfway."))
@click.option("--clock-errors", type=Number(0, 1), default=0.1, show_default=True, help=_("Share with a wrong clock."))
@click.option("--key-file", type=_PATH, required=True, help=_("The receiver's keys (TOML) with a master key."))
@click.option("--journal", type=_PATH, metavar="DIR", help=_("Real journals on disk, one folder each."))
@click.option("--db", type=_PATH, help=_("The receiver's SQLite database, to compare with at the end."))
@click.option("--sink", metavar="URL", help=_("The receiver's sink, to compare with at the end."))
@click.option("--register", metavar="URL", help=_("The sink's register, where that is another database."))
@click.option(
    "--settle-s", type=Number(0, 86_400), default=120.0, show_default=True, help=_("Wait for the last at most.")
)
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help=_("Same seed, same drives and fates.")
)
@click.option("--prefix", default="sim", show_default=True, help=_("Of the device names."))
@json_option
def fleet(*, key_file: Path, db: Path | None, sink: str | None, as_json: bool, **given: Any) -> None:
    """Drive a fleet of virtual terminals against a broker: real journals, real uplinks, made-up drives, with outages,
    power cuts and a reconnect storm; then compare the store with what was sent. Exit code 1: something is missing."""
    from outrider.app.fleet import Fleet
    from outrider.app.fleet_options import FleetOptions
    from outrider.errors import ConfigError
    from outrider.ingest.keys import parse_keys

    if db is not None and sink is not None:
        raise ConfigError("--db and --sink name the store twice")
    names = ("terminals", "minutes", "speed", "outages", "reboots", "storm", "clock_errors", "settle_s", "seed",
             "prefix", "journal", "register")  # fmt: skip
    options = FleetOptions(
        broker=make_broker("unused", persistent=False, **given),
        keys=parse_keys(read_secret(key_file) or "", key_file),
        sink=f"sqlite:{db}" if db is not None else sink,
        **{name: given[name] for name in names},
    )
    with _bar() as progress:
        result = Fleet(options, progress).run()
    if as_json:
        emit_json({"type": "fleet", "good": result.is_good, **asdict(result)})
    else:
        _tell(result)
    if not result.is_good:
        raise SystemExit(1)


@contextmanager
def _bar() -> Iterator[Callable[[str, float], None]]:
    """A progress bar on the terminal; silent where stderr is none."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    titles = {
        "start": _("starting the terminals"),
        "drive": _("driving"),
        "settle": _("waiting for the last acknowledgements"),
        "check": _("comparing with the store"),
    }
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=1.0)

        def report(what: str, share: float) -> None:
            bar.update(task, description=titles[what], completed=share)

        yield report


def _tell(result: FleetResult) -> None:
    records = sum(result.records.values())
    note(
        _(
            "{terminals} terminals, {records} records in {seconds:.0f} s; {connects} connections, {cuts} cut, "
            "{reboots} power cuts; {published} batches, {acks} acknowledgements"
        ).format(
            terminals=result.terminals,
            records=records,
            seconds=result.seconds,
            connects=result.connects,
            cuts=result.cuts,
            reboots=result.reboots,
            published=result.published,
            acks=result.acks,
        )
    )
    if result.ack_p50_s is not None:
        text = _("events: acknowledged after {p50:.2f} s (half of them), {p99:.1f} s (99 of 100)")
        note(text.format(p50=result.ack_p50_s, p99=result.ack_p99_s))
    for d in result.differences[:20]:
        click.echo(_("{device} epoch {epoch:016x} {lane}: {sent} sent, {stored} stored ({why})").format(**asdict(d)))
    if result.unacknowledged:
        note(_("NOT GOOD: {count} records are not acknowledged").format(count=result.unacknowledged))
    elif result.differences:
        note(_("NOT GOOD: {count} streams differ from what was sent").format(count=len(result.differences)))
    elif result.checked:
        note(_("good: the store holds exactly what was sent"))
    else:
        note(_("good: everything was acknowledged (no store was given to compare with)"))
