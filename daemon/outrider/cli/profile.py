"""``outrider profile``: what a vehicle profile gives the product, what it lacks, and what is odd in its files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from outrider.cli.common import emit_json, json_option, stdout_console
from outrider.errors import InputError
from outrider.i18n import _

if TYPE_CHECKING:
    from rich.console import Console

    from outrider.profile.explain import ProfileReport
    from outrider.profile.load_io import LoadedProfile

MAX_LISTED: Final = 50
WIDE: Final = 200


@click.group(help=_("Explain vehicle profiles."))
def cli() -> None:
    pass


@cli.command("list", help=_("List the profiles that come with the product."))
@json_option
def list_profiles(as_json: bool) -> None:
    from outrider.profile.load_io import bundled_profiles

    found = bundled_profiles()
    if as_json:
        emit_json([{"name": name, "title": p.name, "needs": p.needs} for name, p in found.items()])
        return
    for name, profile in found.items():
        needs = _("; needs {what}").format(what=profile.needs) if profile.needs else ""
        click.echo(f"{name:<10} {profile.name}{needs}")


@cli.command(
    "check", help=_("Load profiles and tell what they give. Exit code 65 when something asked for is missing.")
)
@click.argument("profiles", nargs=-1, required=True, metavar="NAME|FILE...")
@click.option("--dbc", "dbcs", multiple=True, type=click.Path(path_type=Path), help=_("DBC file of the car."))
@click.option("--overlay", "overlays", multiple=True, type=click.Path(path_type=Path), help=_("More VSS mappings."))
@json_option
@click.pass_context
def check(
    ctx: click.Context, profiles: tuple[str, ...], dbcs: tuple[Path, ...], overlays: tuple[Path, ...], as_json: bool
) -> None:
    from outrider.profile.explain import report_document
    from outrider.profile.load_io import load_profile

    names = [name for name in profiles if not name.lower().endswith(".dbc")]
    dbcs = (*dbcs, *(Path(name) for name in profiles if name.lower().endswith(".dbc")))
    if not names and not overlays:
        _check_dbcs(dbcs, as_json)
        return
    loaded = load_profile(names, dbcs, overlays)
    if as_json:
        emit_json(
            report_document(
                loaded.tables.profile_id, loaded.imu_range_g, loaded.vehicle_class, loaded.holdup_ms, loaded.report
            )
        )
    else:
        _print(loaded)
    if loaded.report.errors:
        ctx.exit(InputError.exit_code)


def _check_dbcs(paths: tuple[Path, ...], as_json: bool) -> None:
    """DBC files by themselves: how much is in them and what is odd. Oddities are no failure."""
    from outrider.profile.explain import anomaly_documents
    from outrider.profile.load_io import read_dbc

    found = [read_dbc(path) for path in paths]
    counts = [(dbc, len(dbc.messages), sum(len(m.signals) for m in dbc.messages)) for dbc in found]
    if as_json:
        files = [{"file": d.file, "encoding": d.encoding, "messages": m, "signals": s} for d, m, s in counts]
        emit_json({"dbc": files, "anomalies": anomaly_documents([a for d in found for a in d.anomalies])})
        return
    for dbc, messages, signals in counts:
        text = _("{file}: {messages} messages, {signals} signals, {odd} anomalies")
        click.echo(text.format(file=dbc.file, messages=messages, signals=signals, odd=len(dbc.anomalies)))
        for anomaly in dbc.anomalies:
            click.echo(_("note: {anomaly}").format(anomaly=anomaly))


def _print(loaded: LoadedProfile) -> None:
    console = stdout_console(highlight=False)
    if not console.is_terminal:  # a file or a pipe has no width of its own
        console = stdout_console(highlight=False, width=WIDE)
    _print_paths(console, loaded)
    _print_capabilities(console, loaded)
    _print_anomalies(loaded.report)


def _print_paths(console: Console, loaded: LoadedProfile) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=escape(loaded.tables.profile_id), title_justify="left")
    for title in (_("path"), _("unit"), _("step"), _("role"), _("message"), _("signal"), _("bits")):
        table.add_column(title, overflow="fold")
    for source in loaded.report.sources:
        slot, field = source.slot, source.signal.field
        cells = (
            slot.path,
            slot.unit,
            f"{slot.step:g}",
            slot.role.name if slot.role else "",
            f"{source.message.name} {source.message.frame_id:X}{'x' if source.message.extended else ''}",
            source.signal.name,
            f"{field.start}|{field.length}@{0 if field.big_endian else 1}",
        )
        table.add_row(*map(escape, cells))
    console.print(table)


def _print_capabilities(console: Console, loaded: LoadedProfile) -> None:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for item in loaded.report.capabilities:
        missing = _("needs {roles}").format(roles=", ".join(r.name for r in item.missing)) if item.missing else ""
        mark = "[green]" + _("yes") + "[/]" if item.works else "[yellow]" + _("no") + "[/]"
        table.add_row(" " + mark, item.note, missing)
    console.print(table)
    if loaded.imu_range_g:
        console.print(_(" IMU range {range:g} g").format(range=loaded.imu_range_g))
    if loaded.holdup_ms:
        console.print(_(" stored energy {holdup} ms").format(holdup=loaded.holdup_ms))
    console.print()


def _print_anomalies(report: ProfileReport) -> None:
    wrong, notes = report.errors, [a for a in report.anomalies if a not in report.errors]
    for anomaly in (*wrong, *notes[:MAX_LISTED]):
        text = _("error: {anomaly}") if anomaly in wrong else _("note: {anomaly}")
        click.echo(text.format(anomaly=anomaly))
    if len(notes) > MAX_LISTED:
        click.echo(_("{count} more notes; --json lists all").format(count=len(notes) - MAX_LISTED))
