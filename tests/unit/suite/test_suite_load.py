"""Suite files: what they mean, and how each mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from outrider.errors import SuiteError
from outrider.suite.load_io import load_suite, parse_suite
from tests.support.suites import HEAD, drive_of, suite_of

DRIVE = '[[drive]]\nname = "d"\nscenario = "short"\n'


def test_what_is_not_given_is_not_compared() -> None:
    """Only kind and time are needed; bus, speed and tolerances have defaults."""
    suite = suite_of(DRIVE + '[[drive.expect]]\nkind = "crash"\nt_s = 12\n')
    assert (suite.suite.bus, suite.suite.speed, suite.suite.tolerances.time_s) == ("replay", 10, 0.5)
    (expect,) = suite.drive[0].expect
    assert expect.t_s == 12.0
    assert expect.delta_v_kmh is expect.outcome is expect.confidence_min is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[suite]\nname =\n", ["fleet.suite.toml:2:", "not valid TOML"]),
        ("", ["missing", "suite"]),
        (HEAD, ["missing", "drive"]),
        (HEAD + "drive = []", ["drive"]),
        (HEAD + 'buss = "unix"\n' + DRIVE, ["[suite]", "'buss'", "'bus'"]),
        (HEAD + 'bus = "can"\n' + DRIVE, ["[suite] bus", "replay, unix, vcan"]),
        (HEAD + "speed = 101\n" + DRIVE, ["[suite] speed", "100"]),
        (HEAD + "[suite.tolerances]\ntime_s = 0\n" + DRIVE, ["tolerances.time_s"]),
        (HEAD + "[suite.tolerances]\ntime_s = inf\n" + DRIVE, ["tolerances.time_s"]),
        (HEAD + "[suite.tolerances]\ntimes_s = 1\n" + DRIVE, ["tolerances", "'times_s'", "'time_s'"]),
        (HEAD + DRIVE + "[[drive.expect]]\nkind = 'crash'\nt_s = nan", ["[[drive]] 1 'd'", "expect 1", "t_s"]),
        (HEAD + DRIVE + "[[drive.expect]]\nkind = 'crash'\nt_s = -1", ["expect 1", "t_s"]),
        (HEAD + DRIVE + "[[drive.expect]]\nkind = 'crash'\nts = 1", ["[[drive]] 1 'd'", "'ts'", "'t_s'"]),
        (HEAD + DRIVE + "[[drive.expect]]\nkind = 'crush'\nt_s = 1", ["'d'", "expect 1", "'crush'", "'crash'"]),
        (HEAD + DRIVE + "[[drive.expect]]\nkind = 'zzz'\nt_s = 1", ["known kinds", "rollover"]),
        (HEAD + DRIVE + "[[drive.expect]]\nkind = 'crash'\nt_s = 1\noutcome = 'sure'", ["outcome", "confirmed"]),
        (HEAD + DRIVE + "[[drive.expect]]\nkind = 'crash'\nt_s = 1\npeak_tolerance_g = 1", ["needs peak_g"]),
        (HEAD + DRIVE + "[[drive.expect]]\nkind = 'harsh_brake'\nt_s = 1\ndetect_within_s = 1", ["alarms"]),
        (HEAD + DRIVE + "[drive.limits]\ndistance_tolerance_km = 1", ["needs distance_km"]),
        (HEAD + DRIVE + "[drive.limits]\ntrip = 1", ["limits", "'trip'", "'trips'"]),
        (HEAD + DRIVE + DRIVE, ["two drives", "'d'"]),
        (HEAD + '[[drive]]\nname = "d"\n', ["'d'", "files", "scenario"]),
        (HEAD + DRIVE + 'files = ["a"]\n', ["'d'", "files", "scenario"]),
        (HEAD + '[[drive]]\nname = "a\\u0007b"\nscenario = "short"\n', ["cannot be printed"]),
        (HEAD + 'algorithm = "a\\u0001"\n' + DRIVE, ["a\\x01", "cannot be printed"]),
        (HEAD + 'interfaces = ["vcan0", "vcan0"]\n' + DRIVE, ["interfaces", "'vcan0'", "twice"]),
        (HEAD + 'interfaces = ["v\\u0000"]\n' + DRIVE, ["v\\x00", "cannot be printed"]),
        (HEAD + 'overlays = ["\\u0000"]\n' + DRIVE, ["[suite] overlays", "null"]),
        (HEAD + '[[drive]]\nname = "d"\nfiles = ["a\\u0000"]\n', ["'d'", "files", "null"]),
        (HEAD + '[[drive]]\nname = "d"\nscenario = "/\\u0000"\n', ["'d'", "scenario", "null"]),
        (HEAD + '[[drive]]\nname = "d"\nfiles = ["a", "b", "a"]\n', ["'d'", "files", "'a'", "twice"]),
        (HEAD + DRIVE + "profiles = []\n", ["'d'", "profiles is empty"]),
        ('suite = 1\ndrive = [{name = "d"}]', ["[suite]"]),
        ("a = " + "[" * 5000, ["not valid TOML"]),
    ],
)
def test_a_mistake_is_named_with_table_and_key(text: str, words: list[str]) -> None:
    """One line: the file, where in it, what is wrong and what would be right."""
    with pytest.raises(SuiteError) as caught:
        parse_suite(text, Path("fleet.suite.toml"))
    message = str(caught.value)
    assert message.startswith("fleet.suite.toml:")
    assert not [word for word in words if word not in message], message


def test_missing_drives_are_listed_all_at_once(tmp_path: Path) -> None:
    """Who copies a suite without its recordings learns of all of them in one go; folders are no recordings."""
    (tmp_path / "there.log").write_text("x", encoding="ascii")
    (tmp_path / "folder").mkdir()
    file = tmp_path / "fleet.suite.toml"
    text = HEAD.replace('"simcar"', '"own.profile.toml"') + (
        '[[drive]]\nname = "a"\nfiles = ["there.log", "gone.log"]\n'
        '[[drive]]\nname = "b"\nfiles = ["gone.nmea", "folder"]\ndbc = ["gone.dbc"]\n'
    )
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SuiteError) as caught:
        load_suite(file)
    message = str(caught.value)
    for name in ("gone.log", "gone.nmea", "folder", "gone.dbc", "own.profile.toml"):
        assert str(tmp_path / name) in message
    assert "there.log" not in message
    assert "drive 'a'" in message
    assert "drive 'b'" in message


def test_paths_are_relative_to_the_suite(tmp_path: Path) -> None:
    """A suite runs from any working directory; bundled profiles and scenarios stay names."""
    file = tmp_path / "fleet.suite.toml"
    file.write_text(HEAD + '[[drive]]\nname = "a"\nfiles = ["x/y.log"]\nprofiles = ["obd2", "p/q.toml"]\n')
    loaded = load_suite(file, require_files=False)
    (drive,) = loaded.suite.drive
    assert loaded.files(drive) == [tmp_path / "x" / "y.log"]
    assert loaded.profiles(drive) == ["obd2", str(tmp_path / "p/q.toml")]
    assert loaded.profiles(drive_of()) == ["simcar"]
    assert loaded.scenario(drive_of()) == "short"


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_is_no_text_or_not_there(tmp_path: Path, content: bytes | None) -> None:
    """Both are said of the file, without a traceback."""
    file = tmp_path / "fleet.suite.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SuiteError, match=r"fleet\.suite\.toml"):
        load_suite(file)
