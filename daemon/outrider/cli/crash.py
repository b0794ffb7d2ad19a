"""``outrider crash``: crashes on record, their packages and reports, and judging them again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outrider.cli.common import emit_json, json_option, note, stdout_console
from outrider.errors import InputError
from outrider.i18n import _

if TYPE_CHECKING:
    from outrider.app.crash import Place, Profiles
    from outrider.crash.document import CrashDocument
    from outrider.crash.reanalyse import Reanalysis

_PATH = click.Path(path_type=Path)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _places(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--device", help=_("Only this terminal (store); the terminal's name (journal).")),
        click.option("--register", metavar="URL", help=_("Of a shelf (ClickHouse, Parquet): its register.")),
        click.option("--sink", metavar="URL", help=_("A receiver's sink that is no SQLite file.")),
        click.option("--store", type=_PATH, help=_("A receiver's database.")),
        click.option("--journal", type=_PATH, help=_("A terminal's journal; default: that of this terminal.")),
    ):
        command = option(command)
    return command


def _event(command: Callable[..., None]) -> Callable[..., None]:
    text = _("Which crash: its id or the end of it; default: the newest.")
    return click.option("--event", metavar="ID", help=text)(command)


def _profiles(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--overlay", multiple=True, type=_PATH, help=_("More VSS overlays.")),
        click.option("--dbc", multiple=True, type=_PATH, help=_("More DBC files.")),
        click.option("--profile", "-p", "profiles", multiple=True, help=_("Vehicle profile: bundled name or file.")),
    ):
        command = option(command)
    return command


_package = click.argument("package", required=False, type=_PATH)


@click.group()
def cli() -> None:
    """Crashes on record: list them, show one, write its package or report, judge it again.

    They are looked for in a terminal's journal, a receiver's database, or a PACKAGE.
    """


@cli.command("list")
@_places
@json_option
def list_(as_json: bool, **args: Any) -> None:
    """All crashes on record, oldest first."""
    from outrider.app.crash import all_crashes
    from outrider.crash.collect import document

    documents = [document(bundle) for bundle in all_crashes(_place(args), _say_damage)]
    if as_json:
        for one in documents:
            emit_json(_row(one))
        return
    if not documents:
        note(_("no crash is recorded here"))
    _print_table(documents)


@cli.command()
@_package
@_places
@_event
@_profiles
@json_option
def show(as_json: bool, **args: Any) -> None:
    """One crash on one screen."""
    from outrider.app.crash import crash_document

    found = crash_document(_place(args), args["event"], _named(args), _say_damage)
    if as_json:
        from outrider.crash.document_json import encode_document

        click.echo(encode_document(found).decode("utf-8"), nl=False)
        return
    from outrider.cli.crash_view import print_crash

    print_crash(found)


@cli.command()
@_places
@_event
@_profiles
@click.option("-o", "--output", type=_PATH, help=_("File or folder to write; default: crash-ID.zip here."))
@click.option(
    "--format", "log_format", type=click.Choice(["candump", "blf", "mf4"]), default="candump", show_default=True,
    help=_("How the raw CAN frames are written."),
)  # fmt: skip
@json_option
def export(output: Path | None, log_format: str, as_json: bool, **args: Any) -> None:
    """Write the evidence package of one crash: a ZIP that other tools and experts can read."""
    from outrider.app.crash import one_crash, tables_of
    from outrider.crash.package_io import write_package

    bundle = one_crash(_place(args), args["event"], _say_damage)
    path = _target(output, f"crash-{bundle.event_id}.zip")
    document = write_package(bundle, path, tables=tables_of(bundle, _named(args)), log_format=log_format)
    _say_missing(document)
    digest = _sha256(path) if path.is_file() else None  # what went into a pipe or device cannot be read again
    if as_json:
        emit_json({"package": str(path), **({"sha256": digest} if digest else {}), **_row(document)})
        return
    click.echo(str(path))
    if digest:
        note(_("SHA-256 {digest}").format(digest=digest))


@cli.command()
@_package
@_places
@_event
@_profiles
@click.option("-o", "--output", type=_PATH, help=_("File or folder to write; default: crash-ID.html here."))
@click.option("--language", type=click.Choice(["en", "zh"]), default="en", show_default=True, help=_("Of the page."))
@json_option
def report(output: Path | None, language: str, as_json: bool, **args: Any) -> None:
    """Write the report of one crash: a page for people that needs no network."""
    from outrider.app.crash import crash_document

    _need_report()
    found = crash_document(_place(args), args["event"], _named(args), _say_damage)
    from outrider.crash.report_io import write_report

    path = _target(output, f"crash-{found.event_id}.html")
    write_report(found, path, language=language)
    if as_json:
        emit_json({"report": str(path), **_row(found)})
    else:
        click.echo(str(path))


@cli.command()
@click.argument("package", required=False, type=_PATH)
@_places
@_event
@_profiles
@click.option(
    "--thresholds", type=click.Choice(["package", "present"]), default="package", show_default=True,
    help=_("Judge with the thresholds of then, or with those of this release."),
)  # fmt: skip
@json_option
def reanalyse(thresholds: str, as_json: bool, **args: Any) -> None:
    """Judge a crash again from its raw evidence and show what differs."""
    from outrider.app.crash import one_crash, tables_of
    from outrider.crash import reanalyse as again

    bundle = one_crash(_place(args), args["event"], _say_damage)
    result = again.reanalyse(bundle, tables_of(bundle, _named(args)), present_thresholds=thresholds == "present")
    if as_json:
        emit_json(_reanalysis_document(result))
        return
    from outrider.cli.crash_view import print_reanalysis

    print_reanalysis(result)


# -- leaves -----------------------------------------------------------------------------------------


def _place(args: dict[str, Any]) -> Place:
    from outrider.app.crash import Place

    given = {name: args.get(name) for name in ("package", "journal", "store", "sink") if args.get(name) is not None}
    if len(given) > 1:
        raise InputError(_("give one of PACKAGE, --journal, --store and --sink, not several"))
    if given:
        return Place(**given, device=args.get("device"), register=args.get("register"))
    from outrider.config import DEFAULT_PATH, load_config

    terminal = load_config(DEFAULT_PATH).terminal
    journal = DEFAULT_PATH.parent / terminal.data_directory / "journal"
    return Place(journal=journal, device=args.get("device") or terminal.device)


def _named(args: dict[str, Any]) -> Profiles:
    from outrider.app.crash import Profiles

    return Profiles(tuple(args["profiles"]), tuple(args["dbc"]), tuple(args["overlay"]))


def _target(output: Path | None, name: str) -> Path:
    if output is None:
        return Path(name)
    return output / name if output.is_dir() else output


def _need_report() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]
    if missing:
        raise InputError(
            _("the report needs {names}, not installed here: pip install 'outrider[workstation]'").format(
                names=", ".join(missing)
            )
        )


def _sha256(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _say_damage(where: str, what: str) -> None:
    note(_("damaged: {file}: {what} {numbers}").format(file=where, what=what, numbers="").rstrip())


def _say_missing(document: CrashDocument) -> None:
    from outrider.crash.report_clean import clean
    from outrider.crash.report_terms import told, told_span

    for one in clean(document.missing):
        note(_("missing: {what}: {why}").format(what=told_span(one.what), why=told(one.why)))


def utc_text(utc_us: int | None) -> str | None:
    """ISO 8601 to the millisecond; None when unknown or no date."""
    if utc_us is None:
        return None
    try:
        return (_EPOCH + timedelta(microseconds=utc_us)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return None


def share_text(document: CrashDocument) -> str:
    """The confidence in per cent, never all: nothing is certain. "?" while no verdict is here."""
    return f"{min(document.verdict.confidence, 0.99):.0%}" if document.phases else "?"


def _row(document: CrashDocument) -> dict[str, Any]:
    """What the list says of a crash."""
    impact, place = document.impact, document.place
    return {
        "event_id": document.event_id,
        "device": document.device,
        "utc": utc_text(document.time.t0_utc_us),
        "kind": document.kind,
        "level": document.level,
        "state": document.verdict.state,
        "confidence": round(document.verdict.confidence, 4),
        "dv_kmh": None if impact.dv_kmh is None else round(impact.dv_kmh, 1),
        "dv_lower_bound": impact.lower_bound,
        "clock": impact.clock,
        "lat_deg": None if place is None else round(place.lat_deg, 7),
        "lon_deg": None if place is None else round(place.lon_deg, 7),
        "missing": len(document.missing),
        "sentence": document.verdict.sentence,
    }


def _reanalysis_document(result: Reanalysis) -> dict[str, Any]:
    return {
        "algorithm_then": result.algorithm_then,
        "algorithm_now": result.algorithm_now,
        "thresholds": result.thresholds,
        "found": result.found,
        "same": result.same,
        "same_verdict": result.same_verdict,
        "rows": [
            {"name": row.name, "unit": row.unit, "then": row.then, "now": row.now, "same": row.same}
            for row in result.rows
        ],
        "limits": list(result.limits),
    }


def _print_table(documents: list[CrashDocument]) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from outrider.crash.report_clean import shown

    table = Table(box=box.SIMPLE_HEAD)
    for name in (_("id"), _("terminal"), _("UTC"), _("what"), _("level"), _("state"), _("sure"), _("delta-V km/h")):
        table.add_column(name, overflow="fold")
    for one in documents:
        impact, when = one.impact, utc_text(one.time.t0_utc_us) or "?"
        speed = "" if impact.dv_kmh is None else f"{'≥' if impact.lower_bound else ''}{impact.dv_kmh:.0f}"
        cells = (one.event_id, one.device, when, one.kind, str(one.level), one.verdict.state)
        table.add_row(*(escape(shown(cell)) for cell in cells), share_text(one), speed)
    console = stdout_console(highlight=False)
    if documents:
        console = console if console.is_terminal else stdout_console(highlight=False, width=180)
        console.print(table)
