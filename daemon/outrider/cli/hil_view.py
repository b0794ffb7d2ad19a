"""How a run of a suite shows itself: progress on stderr, a table for people, one document for programs."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from outrider.i18n import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from outrider.suite.compare import Comparison
    from outrider.suite.results import Results
    from outrider.suite.verdict import DriveVerdict


class SuiteView:
    """A bar of the drives on a terminal, nothing elsewhere."""

    def __init__(self, drives: int | None, as_json: bool) -> None:
        self._drives = drives
        self._quiet = as_json or not sys.stderr.isatty()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if not self._quiet:
            from rich.console import Console
            from rich.progress import Progress

            self._bar = self._stack.enter_context(Progress(console=Console(stderr=True), transient=True))
            self._task = self._bar.add_task(_("drives"), total=self._drives)
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    def done(self, verdict: DriveVerdict) -> None:
        """One drive was judged."""
        if not self._quiet:
            self._bar.update(self._task, advance=1, description=verdict.drive.name)


def print_results(console: Console, results: Results, verdicts: Sequence[DriveVerdict]) -> None:
    """A row a drive, then every difference in a sentence, then the whole in one."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from outrider.suite.results import algorithm_sentence

    table = Table(title=Text(results.suite), title_justify="left", box=SIMPLE)
    table.add_column(_("drive"), overflow="fold")
    for column in ("min", "km", _("trips"), _("expected"), _("found")):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for verdict in verdicts:
        table.add_row(Text(verdict.drive.name), *_numbers(verdict), _mark(verdict))
    console.print(table)
    for verdict in verdicts:
        for problem in verdict.problems:
            console.print(Text(f"{verdict.drive.name}: {problem}"), soft_wrap=True)
        for text in verdict.observed.notes:
            console.print(Text(f"{verdict.drive.name}: {text}", style="yellow"), soft_wrap=True)
    if not results.algorithm_ok:
        console.print(Text(algorithm_sentence(results), style="red"), soft_wrap=True)
    console.print(Text(_whole(results)), soft_wrap=True)


def _numbers(verdict: DriveVerdict) -> list[str]:
    seen = verdict.observed
    return [
        f"{seen.duration_s / 60:.1f}",
        f"{seen.distance_m / 1000:.2f}",
        str(seen.trips),
        str(len(verdict.drive.expect)),
        str(len(seen.findings)),
    ]


def _mark(verdict: DriveVerdict) -> str:
    if verdict.observed.error is not None:
        return "[red]" + _("error") + "[/]"
    return "[green]" + _("as expected") + "[/]" if verdict.ok else "[red]" + _("differs") + "[/]"


def _whole(results: Results) -> str:
    passed = sum(drive.ok for drive in results.drives)
    return _("{passed} of {drives} drive(s) as expected, outrider {software}, algorithm {algorithm}, bus {bus}").format(
        passed=passed,
        drives=len(results.drives),
        software=results.software,
        algorithm=results.algorithm,
        bus=results.bus,
    )


def results_document(results: Results) -> dict[str, Any]:
    """The results without the traces, which are for plots."""
    import msgspec

    document: dict[str, Any] = msgspec.to_builtins(results)
    for drive in document["drives"]:
        del drive["observed"]["trace"]
    return {"type": "hil_run", "ok": results.ok, **document}


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Each difference on a line, then the whole in one sentence."""
    from rich.text import Text

    from outrider.suite.compare import comparison_sentence, release_of

    for drive in comparison.drives:
        for difference in drive.differences:
            console.print(Text(f"{drive.name}: {difference.sentence}"), soft_wrap=True)
    for name, results in ((_("old"), comparison.old), (_("new"), comparison.new)):
        console.print(Text(f"{name}: {release_of(results)}"), soft_wrap=True)
    console.print(Text(comparison_sentence(comparison)), soft_wrap=True)


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """What differs, drive by drive, and which two runs it is about."""
    import msgspec

    runs = {
        name: {key: getattr(results, key) for key in ("suite", "software", "algorithm", "bus", "speed")}
        for name, results in (("old", comparison.old), ("new", comparison.new))
    }
    drives = [
        {"name": drive.name, "differences": msgspec.to_builtins(drive.differences)} for drive in comparison.drives
    ]
    return {"type": "hil_compare", "same": comparison.same, **runs, "drives": drives}
