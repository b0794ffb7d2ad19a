"""`outrider hil run` on the kernel's bus: what a fleet's own CI does with vcan."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hil.rig.can import Vcan
from hil.rig.drives import load
from outrider.app.suite import SuiteRun, run_suite
from outrider.sources.drive_io import load_drive
from outrider.suite.compare import LIVE, compare
from outrider.suite.load_io import load_suite
from outrider.suite.results import Results

SPEED = 2
PART_S = (75.0, 120.0)  # of the drive: the crash is in it
# An emulated machine plays no pulse to the millisecond; test_04 measures how near a drive comes when it is in time.
EMULATED = msgspec.structs.replace(LIVE, delta_v_kmh=6.0, peak_g=2.0, speed_kmh=6.0)


def run_of(suite: Path, bus: str) -> Results:
    run = SuiteRun(load_suite(suite), bus, SPEED)
    run_suite(run)
    return run.results()


def test_a_suite_on_vcan_gives_what_it_gives_as_a_replay(vcan: tuple[Vcan, ...], tmp_path: Path) -> None:
    """The end of a simulated drive, a crash in it, through `outrider run` and real SocketCAN: no frame is lost, and the
    events are those of the replay within the jitter of a live bus."""
    drive = load("city-crash-end")
    if drive is None:
        pytest.skip("needs the prepared drive city-crash-end: make hil prepares it")
    suite = tmp_path / "rig.suite.toml"
    files = ", ".join(f'"{path.name}"' for path in load_drive(drive.files).part(*PART_S).write(tmp_path))
    suite.write_text(
        f'[suite]\nname = "rig"\nprofiles = ["simcar"]\ninterfaces = ["{vcan[0].name}"]\n'
        f'[[drive]]\nname = "a crash"\nfiles = [{files}]\n',
        encoding="utf-8",
    )
    live, replayed = run_of(suite, "vcan"), run_of(suite, "replay")
    (seen,) = (each.observed for each in live.drives)
    assert seen.error is None
    assert seen.lost_frames == 0
    assert seen.frames == replayed.drives[0].observed.frames
    assert "crash" in {finding.kind for finding in seen.findings}
    (compared,) = compare(replayed, live, EMULATED).drives
    assert [difference.sentence for difference in compared.differences] == []
