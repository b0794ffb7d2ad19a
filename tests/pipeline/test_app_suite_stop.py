"""A run of a suite that is stopped half-way leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

DEADLINE_S = 120.0
# What a shell starts in the background ignores Ctrl-C, and so do its children: a run of these tests may be one.
HEARING = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
SUITE = '[suite]\nname = "s"\nbus = "unix"\nspeed = 1\nprofiles = ["simcar"]\n'


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("whom", ["all", "first"])
def test_stopping_it_ends_daemons_and_takes_no_other_drive(tmp_path: Path, jobs: int, whom: str) -> None:
    """Ctrl-C (which every process of a terminal gets) and SIGTERM to the first process alone, which is what a CI system
    sends: the drives that run are ended with their daemons and folders, the next ones are not begun."""
    suite, temporary = tmp_path / "s.suite.toml", tmp_path / "t"
    temporary.mkdir()
    suite.write_text(
        SUITE + "".join(f'[[drive]]\nname = "{n}"\nscenario = "short"\n' for n in range(5)), encoding="utf-8"
    )
    command = [sys.executable, "-c", HEARING, sys.executable, "-m", "outrider", "hil", "run", str(suite)]
    command += ["--jobs", str(jobs)]
    process = subprocess.Popen(
        command,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        wait_for(lambda: len(list(temporary.glob("outrider-rig-*/data/journal/*"))) >= jobs)
        if whom == "all":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.terminate()
        out, _err = process.communicate(timeout=DEADLINE_S)
        assert (process.returncode, out.decode().strip()) == (130, "interrupted")
        wait_for(lambda: not alive(process.pid))
        assert list(temporary.iterdir()) == []
    finally:
        if alive(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
