"""The example suite, whole as a replay and in part through a running daemon."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from outrider.app.suite import SuiteRun, run_suite
from outrider.errors import LinkError
from outrider.suite.compare import LIVE, compare
from outrider.suite.load_io import load_suite
from outrider.suite.results import Results

EXAMPLE = Path(__file__).parents[2] / "hil" / "suites" / "example.suite.toml"
QUICK = ("short", "rear end", "lost at 123 km/h", "parked")


def run_of(bus: str, speed: int, only: tuple[str, ...] = (), jobs: int = 1) -> Results:
    run = SuiteRun(load_suite(EXAMPLE), bus, speed, only=only, jobs=jobs)
    run_suite(run)
    return run.results()


@pytest.fixture(scope="module")
def replayed() -> Results:
    return run_of("replay", 1, jobs=2)


@pytest.mark.slow
def test_the_example_passes_as_a_replay(replayed: Results) -> None:
    """All six drives, and the algorithm they are pinned to."""
    assert {drive.observed.name: drive.problems for drive in replayed.drives if not drive.ok} == {}
    assert replayed.ok
    assert len(replayed.drives) == 6


@pytest.mark.slow
def test_the_example_passes_on_a_bus(replayed: Results) -> None:
    """The short drives through ``outrider run``, at ten times real time: they meet the suite, no frame is lost, and
    what was found is what the replay finds, within the jitter of a live bus."""
    live = run_of("unix", 10, QUICK)
    assert {drive.observed.name: drive.problems for drive in live.drives if not drive.ok} == {}
    for drive in live.drives:
        seen = drive.observed
        assert (seen.lost_frames, seen.algorithm) == (0, replayed.algorithm)
        assert seen.frames == next(d.observed.frames for d in replayed.drives if d.observed.name == seen.name)
    differences = [d for each in compare(replayed, live, LIVE).drives for d in each.differences if d.what != "drive"]
    assert differences == []


def test_a_daemon_that_does_not_start_is_the_drives_error(tmp_path: Path) -> None:
    """A profile the daemon cannot read ends the drive with the daemon's last words, not the run."""
    shutil.copy(EXAMPLE, tmp_path / "a.suite.toml")
    (tmp_path / "own.profile.toml").write_text("nonsense = 1\n", encoding="ascii")
    text = EXAMPLE.read_text(encoding="utf-8").replace('["simcar"]', '["own.profile.toml"]')
    (tmp_path / "a.suite.toml").write_text(text, encoding="utf-8")
    run = SuiteRun(load_suite(tmp_path / "a.suite.toml"), "unix", 10, only=("parked",))
    run_suite(run)
    (verdict,) = run.verdicts
    assert verdict.observed.error is not None
    assert "own.profile.toml" in verdict.observed.error
    assert verdict.observed.error_code == LinkError.exit_code
    assert json.dumps(verdict.problems)
