"""``outrider profile``: text for people, JSON for programs, exit codes for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from outrider.cli.main import main
from outrider.cli.profile import cli

DBC = 'BO_ 1 Speedy: 8 X\n SG_ V : 0|16@1+ (0.01,0) [0|0] "km/h" X\n'


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, args, catch_exceptions=False)


@pytest.fixture
def car(tmp_path: Path) -> Path:
    (tmp_path / "car.dbc").write_text(DBC)
    (tmp_path / "car.yaml").write_text(
        "Vehicle.Speed: {dbc2vss: {signal: V}}\nVehicle.IsMoving: {dbc2vss: {signal: W}}\n"
    )
    path = tmp_path / "car.profile.toml"
    path.write_text('id = "car"\nname = "Car"\ndbc = ["car.dbc"]\noverlay = ["car.yaml"]\n')
    return path


def test_list_names_every_bundled_profile() -> None:
    """A person sees what there is and what it needs."""
    result = run("list")
    assert result.exit_code == 0
    assert {"obd2", "canmod", "j1939"} <= {line.split()[0] for line in result.output.splitlines()}
    assert {p["name"] for p in json.loads(run("list", "--json").output)} >= {"obd2", "canmod"}


def test_check_explains_a_profile_to_a_person() -> None:
    """Paths with unit, step, role, message, signal and bits; what works; what is missing."""
    result = run("check", "obd2")
    assert result.exit_code == 0
    row = next(line for line in result.output.splitlines() if "Vehicle.OBD.Speed " in line)
    assert row.split() == [
        "Vehicle.OBD.Speed",
        "km/h",
        "1",
        "SPEED_OBD",
        "ObdResponse",
        "7E8",
        "VehicleSpeed",
        "31|8@0",
    ]
    assert "needs ACC_X, ACC_Y, ACC_Z" in result.output


def test_check_fails_when_something_asked_for_is_missing(car: Path) -> None:
    """Exit code 65, the place and the remedy on a line of its own."""
    result = run("check", str(car))
    assert result.exit_code == 65
    assert f"error: {car.parent / 'car.yaml'}:2: Vehicle.IsMoving: no DBC has the signal W" in result.output


def test_check_prints_json_for_programs(car: Path) -> None:
    """One document with everything, the same exit code."""
    result = run("check", str(car), "--json")
    assert result.exit_code == 65
    document = json.loads(result.output)
    assert [p["path"] for p in document["paths"]] == ["Vehicle.Speed"]
    assert document["errors"] == 1
    assert document["anomalies"][0]["line"] == 2
    assert {c["name"] for c in document["capabilities"]} >= {"crash-imu", "airbag", "ignition"}


def test_check_of_a_dbc_alone_lists_what_is_odd(tmp_path: Path) -> None:
    """An author sees what the loader made of a file before writing any mapping; oddities do not fail."""
    path = tmp_path / "odd.dbc"
    path.write_text(DBC + "stray\n")
    result = run("check", str(path))
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"{path}: 1 messages, 1 signals, 1 anomalies",
        f"note: {path}:3: 'stray' outside any statement; skipped",
    ]
    document = json.loads(run("check", str(path), "--json").output)
    assert document["dbc"] == [{"file": str(path), "encoding": "utf-8", "messages": 1, "signals": 1}]
    assert document["anomalies"][0]["code"] == "stray-text"


def test_a_broken_profile_is_one_line_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback reaches a person; the exit code is that of bad data."""
    path = tmp_path / "x.profile.toml"
    path.write_text("id = ")
    with pytest.raises(SystemExit) as caught:
        main(["profile", "check", str(path)])
    assert caught.value.code == 65
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {path}:1: no valid TOML")
    assert len(captured.err.splitlines()) == 1
