"""The pytest plugin, in runs of pytest of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

# Runs in this process forget the modules they load: what is loaded here is loaded once, and events stay of one class.
from outrider.app import suite_extra, suite_replay
from outrider.engine import ALGORITHM
from outrider.sim.drive import generate
from outrider.sim.scenario_io import load_scenario
from outrider.sim.write_io import Written, write_drive

assert suite_replay
pytest_plugins = ["pytester"]
PLUGIN = "outrider.app.suite_pytest"
# An installed Outrider is found by its entry point, and a plugin must not come twice.
LOADED = () if entry_points(group="pytest11", name="outrider") else ("-p", PLUGIN)
EXPECT = '[[drive.expect]]\nkind = "harsh_brake"\nt_s = {}\n'


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_drive(generate(load_scenario("short"), 1), tmp_path_factory.mktemp("short"))


def write_suite(folder: Path, short: Written, head: str = "", good: str = "good") -> None:
    """Two drives of the same recording: what the second expects is not there."""
    shutil.copy(short.can, folder / "a.log")
    drive = '[[drive]]\nname = "{}"\nfiles = ["a.log"]\n'
    text = f'[suite]\nname = "Fleet"\nprofiles = ["simcar"]\n{head}\n'
    text += drive.format(good) + EXPECT.format(24.15) + EXPECT.format(38.99)
    text += drive.format("bad") + EXPECT.format(30) + EXPECT.format(38.99)
    (folder / "fleet.suite.toml").write_text(text, encoding="utf-8")


def test_an_item_a_drive(pytester: pytest.Pytester, short: Written) -> None:
    """The failure's text is the verdict's sentences, without a traceback."""
    write_suite(pytester.path, short)
    result = pytester.runpytest_inprocess(*LOADED, "fleet.suite.toml", "-v")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "fleet.suite.toml::good PASSED*",
            "fleet.suite.toml::bad FAILED*",
            "harsh_brake expected at 30.00 s*too early*",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert "suite_pytest.py" not in result.stdout.str()


def test_the_algorithm_is_an_item(pytester: pytest.Pytester, short: Written) -> None:
    """A pinned suite fails with another detector, and says how to accept it."""
    write_suite(pytester.path, short, 'algorithm = "motion-0"')
    result = pytester.runpytest_inprocess(*LOADED, "fleet.suite.toml::algorithm")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*pinned to algorithm motion-0, this release has {ALGORITHM}*--update"])
    write_suite(pytester.path, short, f'algorithm = "{ALGORITHM}"')
    pytester.runpytest_inprocess(*LOADED, "-k", "algorithm or good").assert_outcomes(passed=2, deselected=1)


def test_a_suite_with_a_mistake_is_a_collection_error(pytester: pytest.Pytester) -> None:
    """One line that names the file and the mistake."""
    (pytester.path / "fleet.suite.toml").write_text('[suite]\nnam = "x"\n[[drive]]\nname = "d"\n', encoding="utf-8")
    result = pytester.runpytest_inprocess(*LOADED)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fleet.suite.toml: *unknown key 'nam'; did you mean 'name'?*"])
    assert "Traceback" not in result.stdout.str()


def test_a_drive_that_cannot_be_run(pytester: pytest.Pytester, short: Written) -> None:
    """Its error is the failure; a bus that is not there too."""
    write_suite(pytester.path, short)
    (pytester.path / "a.log").write_text("nothing\n", encoding="ascii")
    result = pytester.runpytest_inprocess(*LOADED)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*a.log: *"])
    write_suite(pytester.path, short, 'interfaces = ["no-such-if"]')
    result = pytester.runpytest_inprocess(*LOADED, "--outrider-bus", "vcan", "-k", "good")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["*no-such-if*ip link add*"])


def test_a_live_bus_without_the_extra(
    pytester: pytest.Pytester, short: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is named once, before a drive is run."""
    monkeypatch.setattr(suite_extra, "find_spec", lambda _name: None)
    write_suite(pytester.path, short)
    result = pytester.runpytest_inprocess(*LOADED, "--outrider-bus", "unix")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*tomlkit*outrider?workstation?*"])


@pytest.mark.parametrize("option", [("--outrider-speed", "0"), ("--outrider-speed", "x"), ("--outrider-bus", "can0")])
def test_options_are_checked(pytester: pytest.Pytester, option: tuple[str, str]) -> None:
    """A mistake in an option is pytest's usage error."""
    result = pytester.runpytest_inprocess(*LOADED, *option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_nothing_is_imported_and_nothing_collected_without_a_suite(pytester: pytest.Pytester) -> None:
    """Every run of pytest beside an installed Outrider loads the plugin: it must not be felt."""
    pytester.makefile(".toml", other="[tool]\n", suite="[suite]\n")
    pytester.makepyfile("def test_it():\n    pass\n")
    code = (
        "import sys, pytest\n"
        f"code = pytest.main(['-q', *{LOADED!r}, '-p', 'no:cacheprovider'])\n"
        "ours = sorted(name for name in sys.modules if name.startswith('outrider'))\n"
        "print('CODE', int(code), 'MODULES', *ours)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=pytester.path, capture_output=True, text=True, check=True)
    assert "1 passed" in answer.stdout
    assert answer.stdout.splitlines()[-1] == f"CODE 0 MODULES outrider outrider.app {PLUGIN}"
