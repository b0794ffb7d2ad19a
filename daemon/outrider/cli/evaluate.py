"""``outrider evaluate``: how good the detector is, told by recordings."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outrider.cli.common import note, stdout_console
from outrider.i18n import _

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from outrider.evaluate.results import Evaluation, RowResult

_FILE = click.Path(dir_okay=False, path_type=Path)
_STDOUT = Path("-")
_ROWS = "ABCDEFGHIJK"
_WIDE = 160


class Rows(click.ParamType[tuple[str, ...]]):
    """Letters of rows, with or without commas, in the table's order."""

    name = "rows"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        wanted = {letter for letter in str(value).upper() if letter not in ", "}
        unknown = sorted(wanted - set(_ROWS))
        if unknown or not wanted:
            self.fail(_("{value!r}: rows are letters from A to K, such as A,B").format(value=value), param, ctx)
        return tuple(letter for letter in _ROWS if letter in wanted)


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--rows", type=Rows(), default=_ROWS, metavar="A,B,..", help=_("Only these rows of the table."))
@click.option("--seed", type=click.IntRange(0, 2**31), default=1, show_default=True, help=_("Of all random choices."))
@click.option("--html", type=_FILE, help=_("Write a report with a picture of every hit, miss and false alarm."))
@click.option("--json", "json_file", type=_FILE, help=_("Write all numbers as JSON; - for stdout."))
@click.option("--markdown", type=_FILE, help=_("Write the tables as a page of the documentation."))
@click.option(
    "--full", is_flag=True, help=_("The long simulations: row J with what each assumption moves, every car of row K.")
)
@click.option("--lost", type=_FILE, help=_("Write row J as a page of its own, its curve as ../images/NAME.svg."))
def cli(folder: Path, **args: Any) -> None:
    """Score the detector on the recordings found anywhere in DIR, told by their content.

    Rows whose recordings are missing are named and left out. The same recordings and seed give the same numbers (but
    for row I, which is a timing).
    """
    from outrider.app.evaluate import need_libraries, open_recordings, run_evaluation

    need_libraries(html=bool(args["html"]))
    from outrider.evaluate.rows.effort import Effort

    recordings = open_recordings(folder)
    _check_places(args)
    quiet = args["json_file"] == _STDOUT
    console = _console()

    def show(row: RowResult) -> None:
        if not quiet:
            _print_row(console, row)

    evaluation = run_evaluation(recordings, args["rows"], Effort(seed=args["seed"], full=args["full"]), show)
    _write(evaluation, args)
    for name, why in evaluation.left_out.items():
        note(_("{file}: left out: {why}").format(file=name, why=why))
    for row in evaluation.rows:
        if row.missing:
            note(_("row {row} not scored: {why}").format(row=row.row, why=row.missing))
    if not quiet:
        from outrider.evaluate.words import whole_sentence

        click.echo(whole_sentence(evaluation))


def _check_places(args: dict[str, Any]) -> None:
    """What cannot be written is said before minutes are spent on it."""
    for path in (args["html"], args["json_file"], args["markdown"], args["lost"]):
        if path is not None and path != _STDOUT and not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, _("no such folder to write into"), str(path))


def _write(evaluation: Evaluation, args: dict[str, Any]) -> None:
    from outrider.evaluate import report_io

    if args["json_file"] == _STDOUT:
        click.echo(report_io.json_text(evaluation), nl=False)
    elif args["json_file"]:
        report_io.write_json(evaluation, args["json_file"])
    if args["markdown"]:
        report_io.write_markdown(evaluation, args["markdown"])
    if args["lost"]:
        report_io.write_lost(evaluation, args["lost"])
    if args["html"]:
        report_io.write_report(evaluation, args["html"], _now())
        note(_("{file}: written").format(file=args["html"]))


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _console() -> Console:
    console: Console = stdout_console(highlight=False)
    if not console.is_terminal:  # a file or a pipe has no width of its own
        console = stdout_console(highlight=False, width=_WIDE)
    return console


def _print_row(console: Console, row: RowResult) -> None:
    from rich.text import Text

    from outrider.evaluate.words import verdict_of

    console.print(Text(f"{row.row}. {row.title}", style="bold"))
    if row.missing:
        console.print(Text("  " + _("not scored") + f": {row.missing}", style="yellow"))
        return
    for table in row.tables:
        _print_table(console, table.title, table.columns, table.rows)
    for bar in row.bars:
        style = "red" if bar.met is False else "green" if bar.met else "yellow"
        told = f"  {bar.what} {bar.limit}: {bar.measured}, {verdict_of(bar)}"
        console.print(Text(told, style=style), Text(bar.note, style="dim"))
    console.print()


def _print_table(console: Console, title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=escape(title), title_justify="left")
    for name in columns:
        table.add_column(escape(name), overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else escape(str(cell)) for cell in row))
    console.print(table)
