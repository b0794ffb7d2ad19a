"""The two sides of a comparison: results that were written before, or a program that runs the drives now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from outrider.app.suite import SuiteRun, run_suite
from outrider.app.suite_program import find_program, program_version
from outrider.errors import SuiteError
from outrider.suite.compare import LIVE, REPLAY, Comparison, compare
from outrider.suite.load_io import LoadedSuite, load_suite
from outrider.suite.results import Results
from outrider.suite.results_io import read_results
from outrider.suite.verdict import DriveVerdict


def compare_sides(
    old: str,
    new: str,
    suite: Path | None,
    *,
    only: Sequence[str] = (),
    jobs: int = 1,
    on_done: Callable[[DriveVerdict], None] = lambda _verdict: None,
) -> Comparison:
    """SuiteError for what is neither results nor a program, or a program without a suite."""
    loaded = None if suite is None else load_suite(suite)
    for side in (old, new):  # what is wrong is told before anything runs
        _check(side, loaded)
    sides = [_side(side, loaded, only, jobs, on_done) for side in (old, new)]
    noise = REPLAY if all(side.bus == "replay" for side in sides) else LIVE
    return compare(sides[0], sides[1], noise)


def _program(side: str) -> tuple[str, ...] | None:
    """A program is what can be executed, unless it begins as results do (some file systems let everything be executed);
    anything else is read as results."""
    program = find_program(side)
    if program is None:
        return None
    with Path(program[0]).open("rb") as file:
        return None if file.read(1) == b"{" else program


def _check(side: str, loaded: LoadedSuite | None) -> None:
    program = _program(side)
    if program is None:
        if not Path(side).exists():
            raise SuiteError("neither a results file nor a program", path=side)
        return
    if loaded is None:
        raise SuiteError("is a program: say with --suite which drives it is to run", path=side)


def _side(
    side: str, loaded: LoadedSuite | None, only: Sequence[str], jobs: int, on_done: Callable[[DriveVerdict], None]
) -> Results:
    program = _program(side)
    if program is None:
        return _chosen(read_results(Path(side)), only, side)
    assert loaded is not None
    version = program_version(program)
    run = SuiteRun(loaded, "replay", 1, only=only, jobs=jobs, program=program)
    run_suite(run, on_done)
    return run.results(version, None)


def _chosen(results: Results, only: Sequence[str], side: str) -> Results:
    """The drives asked for. SuiteError for one that is not there."""
    import msgspec

    if not only:
        return results
    unknown = sorted(set(only) - {drive.observed.name for drive in results.drives})
    if unknown:
        raise SuiteError(f"has no drive {', '.join(map(repr, unknown))}", path=side)
    drives = tuple(drive for drive in results.drives if drive.observed.name in only)
    return msgspec.structs.replace(results, drives=drives)
