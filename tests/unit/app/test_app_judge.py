"""Comparing found events with the truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from outrider.app.judge import judge
from outrider.model.event import Event, EventFlag, EventKind, Phase
from tests.support.events import EVENT


def truth(*events: dict[str, Any]) -> dict[str, Any]:
    return {"events": list(events)}


def brake(t0_s: float, held: float = 1.0) -> dict[str, Any]:
    return {"kind": "brake", "t0_s": t0_s, "duration_s": 2.0, "peak_g": 0.45, "held_s": {"0.35": held}}


CRASH = {"kind": "crash", "t0_s": 100.0, "duration_s": 0.12, "delta_v_kmh": 40.0, "clock": 12}


def found(kind: EventKind, t0_s: float, seq: int = 1, phase: Phase = Phase.END) -> Event:
    return replace(EVENT, kind=kind, t0_us=round((t0_s + 1.0) * 1e6), seq=seq, phase=phase, peak_g=0.4)


def verdicts(events: list[Event], *items: dict[str, Any]) -> list[str]:
    return [m.verdict for m in judge(truth(*items), events)]


def test_hit_missed_extra() -> None:
    """Each truth event and each found event is told once."""
    assert verdicts([found(EventKind.HARSH_BRAKE, 10.5)], brake(10)) == ["hit"]
    assert verdicts([], brake(10)) == ["missed"]
    assert verdicts([found(EventKind.HARSH_BRAKE, 50)], brake(10)) == ["missed", "extra"]
    assert verdicts([found(EventKind.HARSH_ACCEL, 10)], brake(10)) == ["missed", "extra"]


def test_one_finding_serves_one_truth() -> None:
    """Two brakings close together need two findings."""
    assert verdicts([found(EventKind.HARSH_BRAKE, 10.5)], brake(10), brake(12)) == ["hit", "missed"]


def test_near_the_threshold_is_no_mistake() -> None:
    """A short or weak manoeuvre may be found or not."""
    assert verdicts([], brake(10, held=0.3)) == []
    assert verdicts([found(EventKind.HARSH_BRAKE, 10)], brake(10, held=0.3)) == ["below"]


def test_a_cancelled_suspicion_is_no_finding() -> None:
    """What the detector took back does not count, in either direction."""
    suspect = found(EventKind.CRASH, 50, phase=Phase.SUSPECT)
    cancelled = replace(suspect, phase=Phase.CANCELLED)
    assert verdicts([suspect, cancelled]) == []
    assert verdicts([suspect, cancelled], CRASH) == ["missed"]
    assert verdicts([suspect], CRASH) == ["missed", "extra"] or verdicts([suspect], CRASH) == ["extra", "missed"]


def test_a_crash_brings_its_own_along() -> None:
    """The airbag and the measured pulse of one crash are one finding, told by the pulse."""
    airbag, crash = found(EventKind.AIRBAG, 100, seq=1), replace(found(EventKind.CRASH, 100.02, seq=2), dv_kmh=40.0)
    (match,) = judge(truth(CRASH), [airbag, crash])
    assert match.found_kind == "crash"
    assert verdicts([found(EventKind.CRASH, 30, seq=3), airbag, crash], CRASH) == ["extra", "hit"]


def test_a_crash_shows_its_size() -> None:
    """A saturated delta-V is shown as a lower bound."""
    event = replace(found(EventKind.CRASH, 100), dv_kmh=35.0, flags=EventFlag.DV_LOWER_BOUND, clock=12)
    (match,) = judge(truth(CRASH), [event])
    assert match.verdict == "hit"
    assert match.found_size == "Δv ≥ 35 km/h, 12 h"
