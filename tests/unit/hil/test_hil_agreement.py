"""hil/rig/agreement.py: what may differ between a drive on the bus and its replay, and what may not."""

from __future__ import annotations

from typing import Any

import pytest

from hil.rig.agreement import Tolerance, disagreements, final, set_aside, shifted


def event(kind: str = "harsh_brake", t_s: float = 10.0, **changes: Any) -> dict[str, Any]:
    t_us = round(t_s * 1e6)
    return {
        "kind": kind, "phase": "end", "level": 1, "t0_us": t_us, "t_detect_us": t_us + 500_000, "t_end_us": 0,
        "dv_kmh": 20.0, "lat_deg": 48.1, "lon_deg": 11.6,
    } | changes  # fmt: skip


TIGHT = Tolerance(t_s=0.1, dv_kmh=1.0, dv_share=0.05, place_m=15.0)


def test_equal_within_the_tolerances() -> None:
    """Small differences of time, size and place are told and allowed."""
    wrong, most = disagreements([event()], [event(t_s=10.05, dv_kmh=20.9, lat_deg=48.1001)], TIGHT)
    assert not wrong
    assert most.t_s == pytest.approx(0.05)
    assert most.dv_kmh == pytest.approx(0.9)
    assert most.place_m == pytest.approx(11.1, abs=0.1)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"t_s": 10.2}, "away"),
        ({"t_s": 9.8}, "away"),
        ({"dv_kmh": 22.0}, "velocity"),
        ({"dv_kmh": None}, "velocity"),
        ({"lat_deg": 48.101}, "m away"),
        ({"lat_deg": None, "lon_deg": None}, "m away"),
        ({"level": 2}, "replay finds"),
        ({"kind": "crash"}, "replay finds"),
        ({"phase": "closed"}, "replay finds"),
    ],
)
def test_each_difference_is_found(changes: dict[str, Any], word: str) -> None:
    """Any one value beyond its tolerance is a sentence."""
    wrong, _most = disagreements([event()], [event(**changes)], TIGHT)
    assert len(wrong) == 1
    assert word in wrong[0]


@pytest.mark.parametrize("found", [[], [event(), event("crash", 11.0)], [event("crash", 11.0), event()]])
def test_missing_extra_and_swapped_events_are_found(found: list[dict[str, Any]]) -> None:
    """The lists must be the same lists."""
    expected = [event(), event("crash", 11.0)]
    wrong, _most = disagreements(expected, found, TIGHT)
    assert bool(wrong) == (found != expected)


def test_what_counts() -> None:
    """Updates on the way, and what was noticed after the end of the drive, are left out; times are of the drive."""
    events = [event(phase="begin"), event(phase="update"), event(t_s=3), event("crash", 99.0)]
    kept = final(shifted(events, 1_000_000), until_s=50.0)
    assert [(e["kind"], e["t0_us"], e["t_detect_us"]) for e in kept] == [("harsh_brake", 2_000_000, 2_500_000)]


def test_what_is_disturbed_is_not_compared() -> None:
    """Events in a disturbed span, and those that overlap them, are set aside; those far from it stay."""
    expected = [event(t_s=10), event(t_s=30), event(t_s=60)]
    extra = event("bus_lost_moving", 31.5, phase="cancelled")  # near the one at 30, which is near the span
    moved = event(t_s=32.9)
    compared, found = set_aside(expected, [event(t_s=10), extra, moved, event(t_s=60)], [(28.0, 29.5)])
    assert compared == found == [event(t_s=10), event(t_s=60)]
    assert set_aside(expected, expected, []) == (expected, expected)
    assert set_aside(expected, [event(t_s=10), extra], [(80.0, 81.0)]) == (expected, [event(t_s=10), extra])
