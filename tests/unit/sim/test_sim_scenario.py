"""Scenario documents: errors name file, line, key and the nearest known one; bundled ones load."""

from __future__ import annotations

from pathlib import Path

import pytest

from outrider.errors import ScenarioError
from outrider.sim import bundled_scenarios, generate, load_scenario, parse_scenario

GOOD = """name = "x"
title = "x"

[timeline]
ignition_on_s = 1

[[leg]]
length_m = 100
speed_kmh = 30

[[leg]]
turn_deg = 90
radius_m = 20
speed_kmh = 30
pothole = [{ at_m = 5 }]
"""


def failure(text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text, "drive.toml")
    return str(caught.value)


def test_good_one_loads() -> None:
    """The base of the cases below is right."""
    assert len(parse_scenario(GOOD).leg) == 2


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("speed_kmh = 30\n\n", "speed_kph = 30\n\n", 9, "unknown key 'speed_kph'; did you mean 'speed_kmh'?"),
        ("ignition_on_s = 1", "ignition_on = 1", 5, "did you mean 'ignition_on_s'?"),
        ("[timeline]", "[timelines]", 4, "unknown key 'timelines'; did you mean 'timeline'?"),
        ("{ at_m = 5 }", "{ at = 5 }", 15, "unknown key 'at'; did you mean 'at_m'?"),
        ("radius_m = 20", 'radius_m = "20"', 13, "leg.2.radius_m: Expected 'float"),
        ("radius_m = 20", "radius_m = 1", 13, "leg.2.radius_m: Expected 'float' >= 4.0"),
        ("turn_deg = 90\n", "", 12, "radius_m needs a turn_deg"),
        ("length_m = 100", "length_m = 100\nradius_m = 30", 7, "give either length_m (straight) or turn_deg"),
        ('name = "x"', 'name = "No Spaces!"', 1, "name: Expected 'str' matching regex"),
        ("length_m = 100", "length_m = nan", 8, "length_m"),
        ("[timeline]", "[silence]\nleg = 9\n[timeline]", 5, "silence.leg: there are 2 legs"),
        ("[timeline]", "[silence]\n[timeline]", 4, "say where (leg and at_m) or when (at_s)"),
        ("ignition_on_s = 1", "depart_s = 1", 4, "a car that drives needs ignition_on_s"),
        ("[timeline]", "[start]\nutc = 2026-01-01T00:00:00\n[timeline]", 5, "give the time zone"),
        ("[[leg]]\nlength_m", "[[leg]\nlength_m", 7, "not valid TOML"),
    ],
)
def test_errors_name_file_line_and_key(old: str, new: str, line: int, words: str) -> None:
    """Each mistake is one sentence that begins with file:line."""
    assert old in GOOD
    message = failure(GOOD.replace(old, new, 1))
    assert message.startswith(f"drive.toml:{line}: "), message
    assert words in message


def test_keys_of_nested_tables_are_found_in_the_right_leg() -> None:
    """The line is that of the third leg's pothole, not the first one's."""
    text = GOOD + "[[leg]]\nlength_m = 50\nspeed_kmh = 20\n[[leg.pothole]]\nat_m = 5\n[[leg.pothole]]\ndeep = 3\n"
    assert failure(text).startswith(f"drive.toml:{len(text.splitlines())}: unknown key 'deep'")


def test_unknown_name_lists_what_there_is() -> None:
    """A misspelt name gets the nearest one and the list."""
    with pytest.raises(ScenarioError, match=r"did you mean 'city-crash'\? bundled: city, city-crash"):
        load_scenario("city-crsh")


def test_files_that_are_no_scenarios(tmp_path: Path) -> None:
    """Binary, missing and oversized files are one error each."""
    binary = tmp_path / "a.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        load_scenario(binary)
    with pytest.raises(ScenarioError, match="neither a bundled name nor a file"):
        load_scenario(tmp_path / "none.toml")
    huge = tmp_path / "b.toml"
    huge.write_bytes(b"#" * 4_000_001)
    with pytest.raises(ScenarioError, match="not a scenario"):
        load_scenario(huge)


def test_scenarios_from_files_are_driven(tmp_path: Path) -> None:
    """A file works as well as a name."""
    path = tmp_path / "own.toml"
    path.write_text(GOOD)
    assert generate(load_scenario(path), 1).truth()["scenario"] == "x"


def test_a_crash_that_cannot_be_reached_is_an_error() -> None:
    """The car stops before the place of the crash: said, not silently left out."""
    text = GOOD + "[crash]\nleg = 2\nat_m = 200\ndelta_v_kmh = 20\n"
    with pytest.raises(ScenarioError, match="never gets to the crash; it drove"):
        generate(parse_scenario(text), 1)


def test_bundled_scenarios_are_the_promised_ones() -> None:
    """Names and what they promise."""
    found = bundled_scenarios()
    assert set(found) == {
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
    }
    for name, scenario in found.items():
        assert scenario.name == name
        assert scenario.title
