"""The command in this process, and a short drive to give it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from outrider.cli.main import main
from outrider.sim.drive import generate
from outrider.sim.scenario_io import load_scenario
from outrider.sim.write_io import Written, write_drive

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process: (exit code, stdout, stderr)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = 0
        try:
            main([str(a) for a in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_drive(generate(load_scenario("short"), 1), tmp_path_factory.mktemp("short"))
