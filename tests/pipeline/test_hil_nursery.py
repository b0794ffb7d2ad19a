"""The rig's nursery starts the same program as a Python start does, only sooner; and tells how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.rig.nursery import Launcher, Nursery, anew
from tests.support.terminal import wait_until

CONFIG = """
[terminal]
device = "N1"
data_directory = "data"
control_socket = "{folder}/control.sock"
[vehicle]
profiles = ["simcar"]
[[can]]
interface = "unix"
channel = "{folder}/bus.sock"
"""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


@pytest.fixture(params=["nursery", "anew"])
def launcher(request: pytest.FixtureRequest, nursery: Nursery) -> Launcher:
    """The same promises hold for both ways to start."""
    return nursery if request.param == "nursery" else anew


def test_output_and_exit_code(launcher: Launcher, tmp_path: Path) -> None:
    """What the program prints goes to its log, behind what is there; its exit code comes back."""
    log = tmp_path / "log"
    log.write_text("before\n")
    assert launcher(["--version"], log).wait(60) == 0
    assert launcher(["run", "--config", tmp_path / "missing.toml"], log).wait(60) == 78
    lines = log.read_text().splitlines()
    assert lines[0] == "before"
    assert lines[1].startswith("outrider, version")
    assert lines[2].startswith(f"error: {tmp_path / 'missing.toml'}")
    assert len(lines) == 3


def test_a_daemon_runs_and_ends(launcher: Launcher, tmp_path: Path) -> None:
    """It holds nothing of who started it, ends at SIGTERM with 0 and at SIGKILL with -9; two at a time."""
    boxes = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "outrider.toml").write_text(CONFIG.format(folder=folder))
        process = launcher(["run", "--config", folder / "outrider.toml"], folder / "log")
        boxes.append((folder, process))
    for folder, process in boxes:
        wait_until("the daemon listens", (folder / "bus.sock").exists)
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        fds = Path(f"/proc/{process.pid}/fd")
        assert [str((fds / name).readlink()) for name in "012"] == ["/dev/null", f"{folder}/log", f"{folder}/log"]
    os.kill(boxes[0][1].pid, signal.SIGTERM)
    assert boxes[0][1].wait(60) == 0
    boxes[1][1].kill()
    assert boxes[1][1].wait(60) == -signal.SIGKILL
    assert boxes[0][1].poll() == 0
    assert "WARNING" not in (tmp_path / "one" / "log").read_text()
