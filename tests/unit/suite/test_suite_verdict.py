"""What is expected against what was found: every difference is one sentence, and nothing else fails a drive."""

from __future__ import annotations

from typing import Any

import pytest

from outrider.suite.model import Tolerances
from outrider.suite.observed import Finding
from outrider.suite.verdict import DriveVerdict, Verdict, judge
from tests.support.suites import drive_of, finding, observed


def expect(kind: str = "crash", t_s: float = 100.0, **more: Any) -> str:
    values = {"kind": kind, "t_s": t_s, **more}
    lines = [f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in values.items()]
    return "[[drive.expect]]\n" + "\n".join(lines) + "\n"


def verdict_of(text: str, *findings: Finding, **more: Any) -> DriveVerdict:
    return judge(drive_of(text), observed(*findings, **more), Tolerances())


def test_everything_as_expected() -> None:
    """All fields given and met: the drive passes and says how many events there were."""
    text = expect(
        outcome="confirmed", level=2, confidence_min=0.9, detect_within_s=0.1, delta_v_kmh=28.5, peak_g=12,
        duration_s=0.3, clock=12,
    )  # fmt: skip
    verdict = verdict_of(text + expect("harsh_brake", 50, peak_g=0.52), finding(), finding("harsh_brake", 50.4))
    assert verdict.ok
    assert verdict.problems == []
    assert [line.verdict for line in verdict.lines] == [Verdict.HIT, Verdict.HIT]
    assert "2 of 2" in verdict.sentence


@pytest.mark.parametrize(
    ("field", "changed", "words"),
    [
        ({"t_s": 100}, {"t_s": 100.6}, "0.60 s too late (tolerance 0.5 s)"),
        ({"t_s": 100}, {"t_s": 99.4}, "0.60 s too early"),
        ({"tolerance_s": 0.2}, {"t_s": 100.3}, "tolerance 0.2 s"),
        ({"outcome": "confirmed"}, {"outcome": "suspected"}, "suspected instead of confirmed"),
        ({"level": 3}, {}, "level 2 instead of 3"),
        ({"confidence_min": 0.95}, {}, "confidence 0.90, at least 0.95"),
        ({"detect_within_s": 0.04}, {}, "reported after 0.05 s, 0.04 s allowed"),
        ({"detect_within_s": 0.04}, {"reported_s": None}, "reported after ? s"),
        ({"delta_v_kmh": 33}, {}, "Δv 30 km/h instead of 33 ± 2"),
        ({"delta_v_kmh": 33}, {"delta_v_kmh": None}, "Δv unknown instead of 33 km/h"),
        ({"delta_v_kmh": 33, "delta_v_tolerance_kmh": 2.5}, {}, "± 2.5"),
        ({"peak_g": 12.1}, {}, "peak 12 g instead of 12.1 ± 0.05"),
        ({"duration_s": 0.7}, {}, "duration 0.1 s instead of 0.7"),
        ({"clock": 3}, {}, "from 12 o'clock instead of 3"),
        ({"clock": 3}, {"clock": None}, "from ? o'clock"),
    ],
)
def test_each_field_is_compared(field: dict[str, Any], changed: dict[str, Any], words: str) -> None:
    """One field off: one line off, with both values; at the tolerance itself it still holds."""
    base = {"t_s": 100.0}
    verdict = verdict_of(expect(**(base | field)), finding(**changed))
    (line,) = verdict.lines
    assert line.verdict is Verdict.OFF
    assert words in line.sentence
    assert not verdict.ok
    assert verdict.sentence == line.sentence


@pytest.mark.parametrize("late_s", [-0.5, 0.5])
def test_at_the_tolerance_it_holds(late_s: float) -> None:
    """A tolerance is inclusive, in decimal seconds."""
    assert verdict_of(expect(t_s=100.1), finding(t_s=round(100.1 + late_s, 3))).ok


def test_missing_and_extra() -> None:
    """An event far from where it was expected is one that is missing and one too many."""
    verdict = verdict_of(expect(t_s=100), finding(t_s=111))
    assert [line.verdict for line in verdict.lines] == [Verdict.MISSING, Verdict.EXTRA]
    assert verdict.problems == [line.sentence for line in verdict.lines]
    assert "(and 1 more)" in verdict.sentence


def test_another_kind_is_one_difference() -> None:
    """An event found under another name is told once; not when the times do not fit."""
    verdict = verdict_of(expect("crash", 100), finding("crash_inferred", 100.3))
    (line,) = verdict.lines
    assert line.verdict is Verdict.RENAMED
    assert "found as crash_inferred at 100.30 s" in line.sentence
    apart = verdict_of(expect("crash", 100), finding("crash_inferred", 103))
    assert [line.verdict for line in apart.lines] == [Verdict.MISSING, Verdict.EXTRA]


def test_one_event_meets_one_expectation() -> None:
    """Two expectations and one event: one of them is missing. Two events and one expectation: one is extra."""
    twice = verdict_of(expect(t_s=100) + expect(t_s=100.2), finding(t_s=100.2))
    assert sorted(line.verdict for line in twice.lines) == [Verdict.HIT, Verdict.MISSING]
    both = verdict_of(expect(t_s=100), finding(t_s=100.2), finding(t_s=99.9))
    assert sorted(line.verdict for line in both.lines) == [Verdict.EXTRA, Verdict.HIT]


def test_extra_events_may_be_allowed() -> None:
    """Up to the limit they are told and do not fail the drive; above it all of them do."""
    limit = "[drive.limits]\nmax_extra_events = 1\n"
    one = verdict_of(limit, finding())
    assert one.ok
    assert one.lines[0].sentence.endswith("allowed")
    two = verdict_of(limit, finding(), finding("rollover", 200))
    assert len(two.problems) == 3
    assert "2 unexpected events, 1 allowed" in two.problems


@pytest.mark.parametrize(
    ("limits", "seen", "words"),
    [
        ("distance_km = 5.1", {}, "distance 5 km instead of 5.1 ± 0.05"),
        ("distance_km = 5.2\ndistance_tolerance_km = 0.1", {}, "± 0.1"),
        ("trips = 2", {}, "1 trip(s) instead of 2"),
        ("max_lost_frames = 2", {"lost_frames": 3}, "3 frame(s) lost on the way, 2 allowed"),
        ("", {"lost_frames": 1}, "1 frame(s) lost"),
    ],
)
def test_limits_of_the_whole_drive(limits: str, seen: dict[str, Any], words: str) -> None:
    """Distance, trips and lost frames; lost frames are an error unless the suite says otherwise."""
    verdict = verdict_of(f"[drive.limits]\n{limits}\n", **seen)
    (problem,) = verdict.problems
    assert words in problem
    assert not verdict.ok
    assert verdict_of("[drive.limits]\ndistance_km = 5.05\ntrips = 1\nmax_lost_frames = 1\n", lost_frames=1).ok


def test_a_drive_that_could_not_be_run_has_one_problem() -> None:
    """Its error; nothing is called missing for it."""
    verdict = verdict_of(expect(), error="x.log: is empty", error_code=65)
    assert not verdict.ok
    assert verdict.problems == ["x.log: is empty"]
    assert verdict.lines == ()
    assert "x.log: is empty" in verdict.sentence
