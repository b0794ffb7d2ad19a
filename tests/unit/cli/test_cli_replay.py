"""``outrider replay`` and the habits all commands share: schema, errors in one line, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from outrider.cli.main import COMMANDS, main
from outrider.sim.write_io import Written

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "cli-schema.json").read_text(encoding="utf-8"))
Run = Callable[..., tuple[int, str, str]]


def check(document: dict[str, Any], kind: str) -> None:
    jsonschema.validate(document, {"$ref": f"#/$defs/{kind}", "$defs": SCHEMA["$defs"]})


def test_json_lines_follow_the_schema(run: Run, drive: Written) -> None:
    """Every line is an event, a trip or the summary, as documented; the summary is last."""
    code, out, _err = run("replay", drive.can, drive.nmea, "-p", "simcar", "--json")
    assert code == 0
    documents = [json.loads(line) for line in out.splitlines()]
    for document in documents:
        check(document, document["type"])
    assert documents[-1]["type"] == "summary"
    assert [d["type"] for d in documents].count("trip") == 1
    assert documents[-1]["engine"]["frames"] == drive.frames


def test_for_people_it_is_lines(run: Run, drive: Written) -> None:
    """No JSON, a line for each trip, a summary; nothing but data on stdout."""
    code, out, _err = run("replay", drive.can, "-p", "simcar")
    assert code == 0
    assert "trip 1" in out
    assert "{" not in out


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("replay", "nowhere.log"), 65, "nowhere.log"),
        (("replay", "nowhere.log", "-p", "no-such-profile"), 65, "no-such-profile"),
        (("replay",), 2, "FILES"),
        (("replay", "x", "--speed", "fast"), 2, "max"),
        (("replay", "x", "--speed", "-3"), 2, "max"),
        (("replay", "x", "--broker", "h:1"), 65, "--journal"),
        (("replay", "x", "--broker", "h:port", "--journal", "j"), 78, "port"),
        (("config", "check", "nowhere.toml"), 78, "nowhere.toml"),
        (("status", "--socket", "nowhere.sock"), 69, "outrider run"),
        (("run", "--config", "nowhere.toml"), 78, "nowhere.toml"),
        (("no-such-command",), 2, "no-such-command"),
    ],
)
def test_errors_are_one_line_and_a_code(
    run: Run, empty_folder: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """What is wrong and where, on stderr; no traceback, nothing on stdout."""
    got, out, err = run(*arguments)
    assert (got, out) == (code, "")
    assert words in err
    assert "Traceback" not in err


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    """--debug lets the exception through."""
    with pytest.raises(Exception, match="nowhere"):
        main(["--debug", "config", "check", str(tmp_path / "nowhere.toml")])


def test_a_tape_is_replayed_alone(run: Run, tmp_path: Path) -> None:
    """A tape holds all inputs; another file beside it is an error. A damaged tape is one too."""
    tape = tmp_path / "x.tape"
    tape.write_bytes(b"not a tape at all" * 10)
    assert run("replay", tape, tmp_path / "y.log")[0] == 65
    code, _out, err = run("replay", tape)
    assert code == 65
    assert "Traceback" not in err


def test_a_cut_tape_gives_what_it_holds_and_an_error(run: Run, drive: Written, tmp_path: Path) -> None:
    """A tape cut by a power loss replays up to the cut, then says so."""
    tape = tmp_path / "whole.tape"
    _code, whole, _err = run("replay", drive.can, drive.nmea, "-p", "simcar", "--tape", tape, "--json")
    cut = tmp_path / "cut.tape"
    cut.write_bytes(tape.read_bytes()[:-100])
    code, out, err = run("replay", cut, "-p", "simcar", "--json")
    assert code == 65
    assert "middle of a block" in err
    assert out.splitlines()[0] == whole.splitlines()[0]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(run: Run, name: str) -> None:
    """The module behind each name exists and explains itself."""
    code, out, _err = run(name, "--help")
    assert code == 0
    assert "Usage: outrider" in out


def test_help_imports_no_heavy_module() -> None:
    """``--help`` stays quick: none of the libraries of the commands is imported for it."""
    import subprocess
    import sys

    code = "import sys; from outrider.cli import main; print([m for m in sys.modules if '.' not in m])"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("can", "paho", "google", "zstandard", "rich", "sqlite3", "msgspec", "yaml", "asyncio"):
        assert f"'{heavy}'" not in modules, heavy
