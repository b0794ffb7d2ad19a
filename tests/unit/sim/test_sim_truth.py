"""The truth document: its schema, what the bundled drives promise, and that it repeats to the byte."""

from __future__ import annotations

import json
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from outrider.sim import Drive, generate, load_scenario
from outrider.sim.write_io import write_drive

G = 9.80665
SCHEMA = json.loads((resources.files("outrider.sim") / "data" / "truth.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def city() -> Drive:
    return generate(load_scenario("city"), 1)


@pytest.mark.parametrize("name", ["short", "city_crash", "rear_end", "parked_bump", "lost"])
def test_truth_keeps_its_schema(name: str, request: pytest.FixtureRequest) -> None:
    """Every bundled drive's truth validates, events in order, columns of one length, finite numbers."""
    truth = request.getfixturevalue(name).truth()
    jsonschema.validate(truth, SCHEMA)
    json.dumps(truth, allow_nan=False)
    times = [event["t0_s"] for event in truth["events"]]
    assert times == sorted(times)
    assert len({len(column) for column in truth["profile"].values()}) == 1
    assert len(truth["profile"]["t_s"]) == int(truth["duration_s"]) + 1


def test_city_drive_holds_what_it_promises(city: Drive) -> None:
    """12 minutes, 3 brakings over 0.4 g, sharp turns, lane changes, 6 potholes, one tunnel of 40 s."""
    truth = city.truth()
    events: list[dict[str, Any]] = truth["events"]
    kinds = Counter(event["kind"] for event in events)
    assert 690 < truth["duration_s"] < 760
    assert sum(1 for e in events if e["kind"] == "brake" and e["peak_g"] > 0.4) >= 3
    assert sum(1 for e in events if e["kind"] == "corner" and e["peak_g"] > 0.35) >= 3
    assert any(e["kind"] == "lane_change" and e["peak_g"] > 0.4 for e in events)
    assert kinds["lane_change"] >= 3
    assert kinds["pothole"] >= 6
    assert "crash" not in kinds
    (tunnel,) = truth["tunnels"]
    assert 35 < tunnel["end_s"] - tunnel["begin_s"] < 48
    (trip,) = truth["trips"]
    assert trip["closed"]
    assert trip["distance_m"] == pytest.approx(truth["distance_m"], abs=0.1)
    standing = sum(1 for v in truth["profile"]["speed_kmh"] if v == 0.0)
    assert standing > 120


def test_manoeuvres_have_their_true_peaks(short: Drive) -> None:
    """Peak, duration above 0.2 g and speeds of each manoeuvre, computed again from the track."""
    c, h = short.track.columns, short.track.step_s
    events = [e for e in short.truth()["events"] if e["kind"] in {"brake", "accel", "corner"}]
    assert {e["kind"] for e in events} == {"brake", "accel", "corner"}
    for event in events:
        rows = short.track.rows(event["t0_s"] + h / 2, event["t0_s"] + event["duration_s"] + h / 2)
        column = c["across"] if event["kind"] == "corner" else c["along"]
        values = [abs(column[i]) / G for i in rows]
        assert max(values) == pytest.approx(event["peak_g"], abs=1e-3)
        assert values[0] >= 0.2
        assert values[-1] >= 0.2
        assert event["held_s"]["0.20"] <= event["duration_s"] + 1e-6
        levels = [event["held_s"][key] for key in sorted(event["held_s"])]
        assert levels == sorted(levels, reverse=True)
        assert (event["speed_to_kmh"] < event["speed_from_kmh"]) == (event["kind"] == "brake") or (
            event["kind"] == "corner"
        )


def test_gentle_driving_lists_nothing_harsh() -> None:
    """Without hard legs there are no manoeuvres: the list is not a list of everything."""
    from outrider.sim import parse_scenario

    text = """
name = "calm"
title = "calm"
[timeline]
ignition_on_s = 1
depart_s = 3
end_after_s = 2
[driver]
accel_g = 0.12
brake_g = 0.12
[[leg]]
length_m = 400
speed_kmh = 50
"""
    assert generate(parse_scenario(text), 1).truth()["events"] == []


def test_silence_at_123(lost: Drive) -> None:
    """The speed is 123 km/h; frames and sentences end there and nothing follows."""
    (event,) = [e for e in lost.truth()["events"] if e["kind"] == "silence"]
    assert event["speed_kmh"] == pytest.approx(123.0, abs=0.5)
    last = max(frame.t_us for frame in lost.frames())
    assert (last - lost.start_us) / 1e6 == pytest.approx(event["t0_s"], abs=0.03)
    assert lost.truth()["trips"][0]["closed"] is False


def test_trip_agrees_with_the_profile(short: Drive) -> None:
    """Distance of the trip = last distance of the profile = integral of its speeds within 1 per cent."""
    truth = short.truth()
    (trip,) = truth["trips"]
    speeds = truth["profile"]["speed_kmh"]
    assert trip["distance_m"] == pytest.approx(truth["profile"]["distance_m"][-1], abs=0.1)
    assert sum(speeds) / 3.6 == pytest.approx(trip["distance_m"], rel=0.01)
    assert trip["max_speed_kmh"] >= max(speeds) - 0.01


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    """Two runs with one seed write equal files; another seed writes others."""
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        write_drive(generate(load_scenario("short"), seed), tmp_path / name)
    for file in ("can.log", "gnss.nmea", "truth.json"):
        a, b, c = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert a == b
        assert a != c


def test_iterators_can_be_taken_again(short: Drive) -> None:
    """frames(), sentences() and samples() start anew and repeat."""
    assert list(short.frames())[:3000] == list(short.frames())[:3000]
    assert list(short.sentences()) == list(short.sentences())
    assert next(short.samples()) == next(short.samples())
