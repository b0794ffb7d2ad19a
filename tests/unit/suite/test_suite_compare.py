"""Two runs of the same drives: each difference once, noise never."""

from __future__ import annotations

from typing import Any

import pytest

from outrider.errors import SuiteError
from outrider.suite.compare import LIVE, REPLAY, Difference, Noise, compare, comparison_sentence, lines_of
from outrider.suite.observed import Finding, Observed
from outrider.suite.results import DriveResult, Results
from outrider.suite.verdict import Verdict
from tests.support.suites import finding, observed


def run_of(*drives: Observed, ok: bool = True, software: str = "1") -> Results:
    results = tuple(DriveResult(ok=ok, summary="as it is", problems=(), observed=drive) for drive in drives)
    return Results(
        suite="s", software=software, algorithm="m", pinned=None, bus="replay", speed=1, drives=results
    )  # fmt: skip


def differences(old: list[Finding], new: list[Finding], noise: Noise = REPLAY, **more: Any) -> tuple[Difference, ...]:
    result = compare(run_of(observed(*old)), run_of(observed(*new, **more)), noise)
    return result.drives[0].differences


def test_the_same_run_does_not_differ() -> None:
    """Identical runs: no difference, and it is said."""
    run = run_of(observed(finding(), finding("harsh_brake", 20), finding("harsh_brake", 21)))
    comparison = compare(run, run, REPLAY)
    assert comparison.same
    assert comparison_sentence(comparison) == "All 1 drive(s) give the same."


@pytest.mark.parametrize(
    ("new", "what", "words"),
    [
        ([], "vanished", "crash at 100.00 s is gone"),
        ([finding(), finding("rollover", 300)], "appeared", "rollover at 300.00 s is new"),
        ([finding(t_s=100.5)], "moved", "crash at 100.00 s is now at 100.50 s"),
        ([finding("crash_inferred")], "renamed", "is now crash_inferred"),
        ([finding(outcome="suspected")], "changed", "outcome confirmed, now suspected"),
        ([finding(level=3)], "changed", "level 2, now 3"),
        ([finding(clock=None)], "changed", "direction 12, now ?"),
        ([finding(delta_v_kmh=None)], "changed", "Δv 30 km/h, now ?"),
        ([finding(delta_v_kmh=30.3)], "changed", "Δv 30 km/h, now 30.3 km/h"),
        ([finding(confidence=0.8)], "changed", "confidence 0.9, now 0.8"),
        ([finding(peak_g=12.02)], "changed", "peak 12 g, now 12.02 g"),
        ([finding(speed_after_kmh=9.0)], "changed", "speed after 0 km/h, now 9 km/h"),
    ],
)
def test_what_differs_is_told_once(new: list[Finding], what: str, words: str) -> None:
    """Appeared, vanished, moved, changed, renamed: one difference with both values."""
    (difference,) = differences([finding()], new)
    assert (difference.what, words in difference.sentence) == (what, True), difference.sentence


def test_noise_is_no_difference() -> None:
    """A live run repeats itself within its jitter; a replay has to be exact."""
    shaken = [finding(t_s=100.2, delta_v_kmh=31.0, confidence=0.95)]
    assert differences([finding()], shaken, LIVE) == ()
    assert differences([finding()], shaken, REPLAY) != ()


def test_distance_trips_and_verdict() -> None:
    """What holds for the whole drive is compared too."""
    found = [d.what for d in differences([], [], distance_m=5030.0, trips=2)]
    assert found == ["distance", "trips"]
    comparison = compare(run_of(observed()), run_of(observed(), ok=False), REPLAY)
    (difference,) = comparison.drives[0].differences
    assert difference.what == "verdict"
    assert "does not any more" in difference.sentence


def test_a_drive_that_broke() -> None:
    """An error in one run is the difference; where neither could be made, nothing was compared, which is not
    the same as no difference."""
    (difference,) = differences([finding()], [], error="cut short", error_code=65)
    assert (difference.what, "cut short" in difference.sentence) == ("error", True)
    broken = run_of(observed(error="cut short"))
    (difference,) = compare(broken, broken, REPLAY).drives[0].differences
    assert "neither" in difference.sentence


def test_drives_of_one_run_only() -> None:
    """They are told as differences, as long as the runs share a drive."""
    old, new = run_of(observed(name="a"), observed(name="b")), run_of(observed(name="b"), observed(name="c"))
    comparison = compare(old, new, REPLAY)
    assert [(d.name, [x.what for x in d.differences]) for d in comparison.drives] == [
        ("b", []),
        ("c", ["drive"]),
        ("a", ["drive"]),
    ]
    with pytest.raises(SuiteError, match="no drive in common"):
        compare(run_of(observed(name="a")), run_of(observed(name="c")), REPLAY)


def test_other_recordings_under_the_same_name() -> None:
    """Comparing what was given different input would blame the software for it."""
    with pytest.raises(SuiteError, match="'d'"):
        compare(run_of(observed()), run_of(observed(inputs="cd" * 32)), REPLAY)


def test_lines_for_the_picture() -> None:
    """Old below, new above; only events have a place in it."""
    comparison = compare(
        run_of(observed(finding(), finding("harsh_brake", 20))),
        run_of(observed(finding(t_s=101), finding("rollover", 300), trips=3)),
        REPLAY,
    )
    lines = lines_of(comparison.drives[0])
    assert [line.verdict for line in lines] == [Verdict.MISSING, Verdict.OFF, Verdict.EXTRA]
    assert [(line.expected is None, line.found is None) for line in lines] == [
        (False, True),
        (False, False),
        (True, False),
    ]
