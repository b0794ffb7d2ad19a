"""``outrider hil``: exit codes, files, --update, comparison with a file and with another program."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from outrider.app import suite_extra
from outrider.engine import ALGORITHM
from outrider.sim.write_io import Written

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "cli-schema.json").read_text(encoding="utf-8"))
Run = Callable[..., tuple[int, str, str]]
HEAD = '[suite]\nname = "Fleet" # ours\nprofiles = ["simcar"]\n\n'


def check(document: dict[str, Any], kind: str) -> None:
    jsonschema.validate(document, {"$ref": f"#/$defs/{kind}", "$defs": SCHEMA["$defs"]})


@pytest.fixture
def suite(tmp_path: Path, drive: Written) -> Path:
    """A suite of one recorded drive that expects nothing yet."""
    shutil.copy(drive.can, tmp_path / "a.log")
    shutil.copy(drive.nmea, tmp_path / "a.nmea")
    file = tmp_path / "fleet.suite.toml"
    file.write_text(HEAD + '[[drive]]\nname = "a [1]"\nfiles = ["a.log", "a.nmea"]\n', encoding="utf-8")
    return file


def test_from_a_new_suite_to_a_pinned_one(run: Run, suite: Path, tmp_path: Path) -> None:
    """It differs; --update takes what was seen and pins the algorithm; then it passes and --update changes nothing."""
    code, out, _err = run("hil", "run", suite)
    assert code == 1
    assert "harsh_brake at 24.15 s was not expected" in out
    assert "a [1]" in out
    code, _out, err = run("hil", "run", suite, "--update")
    assert (code, "updated" in err) == (0, True)
    text = suite.read_text(encoding="utf-8")
    assert text.startswith(HEAD.rstrip() + f'\nalgorithm = "{ALGORITHM}"\n')
    assert text.count("[[drive.expect]]") == 2
    code, out, _err = run("hil", "run", suite)
    assert (code, "1 of 1 drive(s) as expected" in out) == (0, True)
    code, _out, err = run("hil", "run", suite, "--update")
    assert (code, "nothing to update" in err) == (0, True)
    assert suite.read_text(encoding="utf-8") == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.nmea", "fleet.suite.toml"]


def test_another_algorithm_is_a_failure(run: Run, suite: Path) -> None:
    """Even when every drive passes; the message says how to accept it."""
    run("hil", "run", suite, "--update")
    suite.write_text(suite.read_text(encoding="utf-8").replace(ALGORITHM, "motion-0"), encoding="utf-8")
    code, out, _err = run("hil", "run", suite)
    assert (code, "motion-0" in out, "--update" in out) == (1, True, True)


def test_all_its_files_and_json(run: Run, suite: Path, tmp_path: Path) -> None:
    """JUnit, report and results are written beside the verdict; --json is one object of the schema."""
    names = {"--junit": "o.xml", "--html": "o.html", "--results": "o.json"}
    arguments = [part for option, name in names.items() for part in (option, tmp_path / name)]
    code, out, _err = run("hil", "run", suite, *arguments, "--json")
    assert code == 1
    document = json.loads(out)
    check(document, "hil_run")
    assert "trace" not in document["drives"][0]["observed"]
    check(json.loads((tmp_path / "o.json").read_text(encoding="utf-8")), "hil_results")
    assert "<testcase" in (tmp_path / "o.xml").read_text(encoding="utf-8")
    assert "<svg" in (tmp_path / "o.html").read_text(encoding="utf-8")


def test_a_broken_drive_does_not_stop_the_others(run: Run, suite: Path, tmp_path: Path) -> None:
    """Its error is its result, the exit code is that of the error; --update leaves its table alone."""
    (tmp_path / "bad.log").write_text("no recording at all\n", encoding="ascii")
    text = suite.read_text(encoding="utf-8") + '\n[[drive]]\nname = "bad"\nfiles = ["bad.log"]\n'
    suite.write_text(text, encoding="utf-8")
    code, out, _err = run("hil", "run", suite, "--update")
    assert code == 65
    assert "bad.log" in out
    after = suite.read_text(encoding="utf-8")
    assert after.count("[[drive.expect]]") == 2
    assert after.endswith('\n[[drive]]\nname = "bad"\nfiles = ["bad.log"]\n')


def test_jobs_give_the_same(run: Run, suite: Path) -> None:
    """Drives run by other processes are told in the order of the suite and as if they had been run here."""
    text = suite.read_text(encoding="utf-8")
    suite.write_text(text + text[len(HEAD) :].replace("a [1]", "b"), encoding="utf-8")
    one = run("hil", "run", suite, "--json")
    two = run("hil", "run", suite, "--json", "--jobs", "2")
    assert one == two


def test_nothing_is_run_for_a_file_that_cannot_be_written(
    run: Run, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of drives end in their files: a folder that is not there, a suite --update cannot edit, come first."""

    def fail(*_arguments: object) -> None:
        raise AssertionError("drives were run")

    monkeypatch.setattr("outrider.app.suite.run_suite", fail)
    for option in ("--junit", "--html", "--results"):
        assert run("hil", "run", suite, option, tmp_path / "none" / "o")[0] == 74
    suite.write_text('suite = {name = "t"}\ndrive = [{name = "a", scenario = "short"}]\n', encoding="utf-8")
    assert run("hil", "run", suite, "--update")[0] == 65


def test_update_writes_through_a_link(run: Run, suite: Path, tmp_path: Path) -> None:
    """The file behind it is the suite: the link stays one, and who may read the suite still may."""
    link = tmp_path / "link.suite.toml"
    link.symlink_to(suite)
    suite.chmod(0o640)
    assert run("hil", "run", link, "--update")[0] == 0
    assert link.is_symlink()
    assert suite.stat().st_mode & 0o777 == 0o640
    assert "[[drive.expect]]" in suite.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("hil",), 2, "compare"),
        (("hil", "run"), 2, "SUITE"),
        (("hil", "run", "gone.suite.toml"), 65, "gone.suite.toml"),
        (("hil", "run", "{suite}", "--only", "zz"), 65, "'zz'"),
        (("hil", "run", "{suite}", "--speed", "101"), 2, "101"),
        (("hil", "run", "{suite}", "--jobs", "0"), 2, "0"),
        (("hil", "run", "{suite}", "--bus", "vcan"), 69, "ip link add dev no-such-if type vcan"),
        (("hil", "run", "{suite}", "--results", "{folder}/none/r.json"), 74, "none"),
        (("hil", "run", "{suite}", "--results", "{suite}"), 65, "written over"),
        (("hil", "run", "{suite}", "--results", "{folder}/o", "--html", "{folder}/o"), 65, "written over"),
        (("hil", "compare", "{suite}", "{suite}", "--html", "{suite}"), 65, "written over"),
        (("hil", "compare", "gone.json", "gone.json"), 65, "neither"),
        (("hil", "compare", "{suite}", "{suite}"), 65, "no results"),
        (("hil", "compare", sys.executable, "{suite}"), 65, "--suite"),
        (("hil", "compare", sys.executable, sys.executable, "--suite", "{suite}"), 69, "is no outrider"),
    ],
)
def test_mistakes_are_one_line(run: Run, suite: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    """A clear line and the exit code of its kind, never a traceback."""
    text = suite.read_text(encoding="utf-8").replace("profiles", 'interfaces = ["no-such-if"]\nprofiles')
    suite.write_text(text, encoding="utf-8")
    given = [part.format(suite=suite, folder=suite.parent) for part in arguments]
    found, out, err = run(*given)
    assert found == code
    assert words in err + out
    assert "Traceback" not in err


def test_without_the_extra(run: Run, suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is said before anything runs, with the name of the extra."""
    monkeypatch.setattr(suite_extra, "find_spec", lambda _name: None)
    for option in (("--junit", "o.xml"), ("--html", "o.html"), ("--update",), ("--bus", "unix")):
        code, _out, err = run("hil", "run", suite, *option)
        assert (code, "outrider[workstation]" in err) == (65, True)
    assert run("hil", "run", suite)[0] == 1


def test_comparing_two_releases(run: Run, suite: Path, tmp_path: Path) -> None:
    """A file against a file, and against a program; what differs has exit code 1 and is told."""
    new, old, page = tmp_path / "new.json", tmp_path / "old.json", tmp_path / "c.html"
    run("hil", "run", suite, "--results", new)
    document = json.loads(new.read_text(encoding="utf-8"))
    document["drives"][0]["observed"]["findings"].pop()
    document["software"] = "0.0.1"
    old.write_text(json.dumps(document), encoding="utf-8")
    code, out, _err = run("hil", "compare", old, new, "--html", page)
    assert code == 1
    assert "a [1]: harsh_brake at 38.99 s is new" in out
    assert "outrider 0.0.1" in out
    assert "<svg" in page.read_text(encoding="utf-8")
    code, out, _err = run("hil", "compare", old, new, "--json")
    check(json.loads(out), "hil_compare")
    code, _out, err = run("hil", "compare", old, new, "--only", "zz")
    assert (code, "has no drive 'zz'" in err) == (65, True)
    new.chmod(0o755)  # as on file systems without such bits
    code, out, _err = run("hil", "compare", new, new)
    assert (code, "give the same" in out) == (0, True)


def test_another_release_as_a_program(run: Run, suite: Path, tmp_path: Path) -> None:
    """Its ``replay --json`` gives what this release's own run gives, to the last digit."""
    program = tmp_path / "old-outrider"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m outrider "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    new = tmp_path / "new.json"
    run("hil", "run", suite, "--results", new)
    code, out, _err = run("hil", "compare", program, new, "--suite", suite)
    assert (code, out.count("algorithm ?")) == (0, 1), out
    program.write_text('#!/bin/sh\ntest "$1" = --version && echo "outrider, version 0.9" && exit\nexit 3\n')
    code, out, _err = run("hil", "compare", program, new, "--suite", suite)
    assert (code, "ended with 3" in out) == (1, True)
