"""``outrider sim``: files, summaries, errors, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from outrider.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = 0
    try:
        main(list(args))
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_drive_writes_three_files_and_tells_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Paths go to stdout, the story to stderr."""
    code, out, err = run(capsys, "sim", "drive", "short", "-o", str(tmp_path / "d"))
    assert code == 0
    assert out.splitlines() == [str(tmp_path / "d" / name) for name in ("can.log", "gnss.nmea", "truth.json")]
    assert all(Path(line).stat().st_size > 1000 for line in out.splitlines())
    assert "0.37" in err
    assert "0:59" in err


def test_json_is_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json: counts and files, agreeing with the truth."""
    code, out, _err = run(capsys, "sim", "drive", "short", "-o", str(tmp_path), "--seed", "5", "--json")
    assert code == 0
    summary = json.loads(out)
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert summary["seed"] == truth["seed"] == 5
    assert sum(summary["events"].values()) == len(truth["events"])
    assert summary["frames"] == len((tmp_path / "can.log").read_text().splitlines())
    assert summary["sentences"] == len((tmp_path / "gnss.nmea").read_bytes().splitlines())
    assert set(summary["files"]) == {"can", "nmea", "imu", "truth"}
    assert summary["files"]["imu"] is None


def test_list_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, or one object, per bundled scenario."""
    code, out, _err = run(capsys, "sim", "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "city",
        "city-crash",
        "device-drop",
        "door-slam",
        "emergency-stop",
        "front-62",
        "ice-start",
        "jack",
        "kerb-angle",
        "lost-at-123",
        "parked-bump",
        "pole",
        "pothole-deep",
        "power-loss",
        "rear-end",
        "rollover",
        "second-impact",
        "short",
        "side-impact",
        "tow",
    ]
    code, out, _err = run(capsys, "sim", "list", "--json")
    assert code == 0
    assert {item["name"] for item in json.loads(out)} >= {"city", "short"}


def test_errors_are_one_line_and_a_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown scenario and broken file: exit code 65; a folder that cannot be: 74."""
    code, out, err = run(capsys, "sim", "drive", "citty", "-o", str(tmp_path))
    assert (code, out) == (65, "")
    assert err.startswith("error: no scenario 'citty'")
    assert len(err.splitlines()) == 1
    broken = tmp_path / "broken.toml"
    broken.write_text('name = "x"\ntitle = "x"\nspeedy = 1\n')
    code, _out, err = run(capsys, "sim", "drive", str(broken), "-o", str(tmp_path))
    assert code == 65
    assert err.startswith(f"error: {broken}:3: unknown key 'speedy'")
    blocked = tmp_path / "file"
    blocked.write_text("")
    code, _out, err = run(capsys, "sim", "drive", "short", "-o", str(blocked / "below"))
    assert code == 74
    assert err.startswith("error: ")
