"""The simulator's scenarios on the kernel's bus, through `outrider hil run`: each gives its verdict live.

A crash and a rollover, the seconds around them (an emulated machine: the crash, in real time); every scenario of
hil/suites/scenarios.suite.toml, whole, with OUTRIDER_HIL_WHOLE=1. What must be told is the suite's: of a part its
accidents (a manoeuvre needs the seconds that are cut off). Numbers are held against a replay of the same files where
the machine plays a pulse to the millisecond.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from hil.rig.can import Vcan
from hil.rig.drives import SCENARIOS, WHOLE, load, scenario_drive
from hil.rig.patience import Patience
from outrider.app.suite import SuiteRun, run_suite
from outrider.suite.compare import LIVE, compare
from outrider.suite.load_io import load_suite
from outrider.suite.model import MANOEUVRES
from outrider.suite.observed import Observed
from outrider.suite.results import Results

SUITE: Final = Path(__file__).parent / "suites" / "scenarios.suite.toml"
EMULATED: Final = Patience.of_this_machine().factor >= 4
SPEED: Final = 1 if EMULATED else 10
PLAYED: Final = SCENARIOS if WHOLE or not EMULATED else SCENARIOS[:1]


def suite_of(name: str, bus: Vcan, folder: Path) -> Path:
    """A suite of the one drive, as it was prepared."""
    drive = load(scenario_drive(name))
    if drive is None:
        pytest.skip(f"needs the prepared drive {scenario_drive(name)}: make hil prepares it")
    after_s = next(each.after_s for each in load_suite(SUITE).suite.drive if each.name == name)
    files = ", ".join(f'"{path}"' for path in drive.files)
    path = folder / "rig.suite.toml"
    path.write_text(
        f'[suite]\nname = "rig"\nprofiles = ["simcar"]\ninterfaces = ["{bus.name}"]\n'
        f'[[drive]]\nname = "{name}"\nfiles = [{files}]\nafter_s = {after_s}\n',
        encoding="utf-8",
    )
    return path


def run_of(suite: Path, bus: str) -> Results:
    run = SuiteRun(load_suite(suite), bus, SPEED)
    run_suite(run)
    return run.results()


def verdicts(seen: Observed) -> set[tuple[str, str]]:
    """Alarms and what became of them."""
    return {(finding.kind, finding.outcome) for finding in seen.findings}


@pytest.mark.parametrize("name", PLAYED)
def test_the_scenario_gives_its_verdict_on_vcan(vcan: tuple[Vcan, ...], name: str, tmp_path: Path) -> None:
    """Through `outrider run` and real SocketCAN: no frame is lost, what must be told is told, and on a machine that
    keeps time the events are those of the replay within the jitter of a live bus."""
    suite = suite_of(name, vcan[0], tmp_path)
    live = run_of(suite, "vcan")
    (seen,) = (each.observed for each in live.drives)
    assert seen.error is None
    assert seen.lost_frames == 0
    wanted = next(each.expect for each in load_suite(SUITE).suite.drive if each.name == name)
    told = verdicts(seen)
    for expected in wanted if WHOLE else [each for each in wanted if each.kind not in MANOEUVRES]:
        assert any(kind == expected.kind and expected.outcome in (None, outcome) for kind, outcome in told), told
    if not EMULATED:
        (compared,) = compare(run_of(suite, "replay"), live, LIVE).drives
        assert [difference.sentence for difference in compared.differences] == []
