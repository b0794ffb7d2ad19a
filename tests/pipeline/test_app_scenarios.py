"""The scenarios as a suite: some through a running daemon and as a replay; all with OUTRIDER_SCENARIOS=all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from outrider.app.suite import SuiteRun, run_suite
from outrider.suite.load_io import load_suite
from outrider.suite.results import Results

SCENARIOS = Path(__file__).parents[2] / "hil" / "suites" / "scenarios.suite.toml"
WHOLE = os.environ.get("OUTRIDER_SCENARIOS") == "all"
QUICK = ("front-62", "power-loss")


def run_of(bus: str, jobs: int = 1) -> Results:
    run = SuiteRun(load_suite(SCENARIOS), bus, 10, only=() if WHOLE else QUICK, jobs=jobs)
    run_suite(run)
    return run.results()


@pytest.mark.slow
@pytest.mark.parametrize(("bus", "jobs"), [("replay", 2), ("unix", 1)])
def test_the_scenarios_give_their_verdicts(bus: str, jobs: int) -> None:
    """As a replay, and through ``outrider run`` at ten times real time: each verdict, nothing else, no frame lost."""
    results = run_of(bus, jobs)
    assert {drive.observed.name: drive.problems for drive in results.drives if not drive.ok} == {}
    assert {drive.observed.lost_frames for drive in results.drives} == {0}
    assert len(results.drives) == (14 if WHOLE else len(QUICK))
