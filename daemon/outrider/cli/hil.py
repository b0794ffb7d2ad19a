"""``outrider hil run|compare``: a fleet's own drives against this release, or two releases against each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outrider.cli.common import emit_json, json_option, note, stdout_console
from outrider.i18n import _

if TYPE_CHECKING:
    from outrider.app.suite import SuiteRun
    from outrider.suite.results import Results

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def cli() -> None:
    """Replay suites: recorded drives and the events they must give."""


@cli.command()
@click.argument("suite", type=click.Path(path_type=Path))
@click.option("--bus", type=click.Choice(["replay", "unix", "vcan"]), help=_("Instead of the suite's bus."))
@click.option("--speed", type=click.IntRange(1, 100), help=_("Instead of the suite's speed (unix and vcan)."))
@click.option("--only", multiple=True, metavar="NAME", help=_("Only this drive; may be given more than once."))
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help=_("Drives at the same time."))
@click.option("--junit", type=_FILE, help=_("Write the verdicts as JUnit XML."))
@click.option("--html", type=_FILE, help=_("Write a report with plots: one self-contained file."))
@click.option("--results", "results_file", type=_FILE, help=_("Write what was seen, for `outrider hil compare`."))
@click.option("--update", is_flag=True, help=_("Write what was seen into the suite as its expectations."))
@json_option
def run(suite: Path, update: bool, as_json: bool, **args: Any) -> None:
    """Run the drives of SUITE and hold what is found against what it expects.

    Exit code 0: all as expected (or written by --update), 1: something differs, 65: a drive cannot be read.
    """
    from outrider.app.suite import SuiteRun, run_suite
    from outrider.app.suite_extra import need
    from outrider.cli.hil_view import SuiteView, print_results, results_document
    from outrider.suite.load_io import load_suite

    need({"--junit": args["junit"], "--html": args["html"], "--update": update})
    loaded = load_suite(suite)
    _check_outputs(suite, args["junit"], args["html"], args["results_file"])
    if update:
        _check_editable(suite)
    header = loaded.suite.suite
    bus = args["bus"] or header.bus
    need({"a live bus": bus != "replay"})
    asked = SuiteRun(loaded, bus, args["speed"] or header.speed, only=args["only"], jobs=args["jobs"])
    with SuiteView(len(asked.drives()), as_json) as view:
        run_suite(asked, view.done)
    results = asked.results()
    _write(asked, results, args)
    if update:
        _update(asked, suite)
    if as_json:
        emit_json(results_document(results))
    else:
        print_results(stdout_console(), results, asked.verdicts)
    raise SystemExit(_exit_code(results, update))


@cli.command()
@click.argument("old")
@click.argument("new")
@click.option("--suite", type=click.Path(path_type=Path), help=_("The drives, when OLD or NEW is a program."))
@click.option("--only", multiple=True, metavar="NAME", help=_("Only this drive; may be given more than once."))
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help=_("Drives at the same time."))
@click.option("--html", type=_FILE, help=_("Write a report with plots: one self-contained file."))
@json_option
def compare(old: str, new: str, as_json: bool, **args: Any) -> None:
    """Every verdict that differs between two releases: events, times, sizes, distances.

    OLD and NEW are results files of `outrider hil run --results`, or programs: the `outrider` of another release
    (its path), whose `replay` then runs the drives of --suite. Exit code 0: the same, 1: something differs.
    """
    from outrider.app.suite_compare import compare_sides
    from outrider.app.suite_extra import need
    from outrider.cli.hil_view import SuiteView, comparison_document, print_comparison

    need({"--html": args["html"]})
    _check_outputs(Path(old), args["html"])
    _check_outputs(Path(new), args["html"])
    with SuiteView(None, as_json) as view:
        comparison = compare_sides(old, new, args["suite"], only=args["only"], jobs=args["jobs"], on_done=view.done)
    if args["html"]:
        from outrider.suite.report_io import write_comparison

        write_comparison(comparison, args["html"], _now())
    if as_json:
        emit_json(comparison_document(comparison))
    else:
        print_comparison(stdout_console(), comparison)
    raise SystemExit(int(not comparison.same))


def _check_outputs(source: Path, *outputs: Path | None) -> None:
    """Told before hours of drives are run: a folder that is not there or not ours, a file that is named twice."""
    import errno
    import os

    from outrider.errors import InputError

    taken = {source.resolve()}
    for path in outputs:
        if path is None:
            continue
        if path.resolve() in taken:
            raise InputError(_("would be written over: name another file"), path=path)
        taken.add(path.resolve())
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, _("its folder is not there"), str(path))
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, _("its folder cannot be written"), str(path))


def _check_editable(path: Path) -> None:
    from outrider.files_io import read_text
    from outrider.suite.update import check_editable

    check_editable(read_text(path), path)


def _write(asked: SuiteRun, results: Results, args: dict[str, Any]) -> None:
    if args["junit"]:
        from outrider.suite.junit_io import write_junit

        write_junit(results, args["junit"])
    if args["results_file"]:
        from outrider.suite.results_io import write_results

        write_results(results, args["results_file"])
    if args["html"]:
        from outrider.suite.report_io import write_report

        write_report(results, asked.verdicts, args["html"], _now())


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _update(asked: SuiteRun, path: Path) -> None:
    from outrider.engine import ALGORITHM
    from outrider.files_io import read_text
    from outrider.suite.results_io import replacing
    from outrider.suite.update import updated

    before = read_text(path)
    after = updated(before, path, asked.verdicts, ALGORITHM)
    if after == before:
        note(_("{path}: nothing to update").format(path=path))
        return
    target = path.resolve()  # what a link leads to is the suite
    with replacing(target) as part:
        part.write_text(after, encoding="utf-8", newline="")
        part.chmod(target.stat().st_mode)
    note(_("{path}: updated; look at the difference before you commit it").format(path=path))


def _exit_code(results: Results, update: bool) -> int:
    """The code of the first drive that could not be run, else 1 when something differs that was not accepted."""
    broken = [drive.observed.error_code for drive in results.drives if drive.observed.error is not None]
    if broken:
        return broken[0] or 70
    lost = any(drive.observed.lost_frames and not drive.ok for drive in results.drives)
    return int(lost if update else not results.ok)
