"""Reports of the detector become findings: one an event, its last word, and a bounded trace."""

from __future__ import annotations

from typing import Any

import pytest

from outrider.suite.observed import TRACE_MAX, Finding, Observer, Point, Trace, merged, thinned


def report(seq: int, kind: str, phase: str, t_s: float, detect_s: float, **more: Any) -> dict[str, Any]:
    base = {"level": 1, "flags": [], "clock": 0, "conf": 0.5, "dv_kmh": None, "peak_g": 2.0, "dur_ms": 100.0}
    times = {"t0_us": round(t_s * 1e6), "t_detect_us": round(detect_s * 1e6)}
    return {"seq": seq, "kind": kind, "phase": phase, **base, **times, **more}


def findings_of(*reports: dict[str, Any], **options: int) -> tuple[Finding, ...]:
    observer = Observer(**options)
    for each in reports:
        observer.note_report(each)
    return observer.observed("d", "").findings


def test_an_alarm_is_one_finding_with_its_last_word() -> None:
    """Kind, time and sizes of the last report; the moment of the first; confirmed stays when it is closed."""
    (found,) = findings_of(
        report(1, "airbag", "confirmed", 10.2, 10.25, conf=0.95),
        report(1, "crash", "update", 10, 10.4, dv_kmh=40.0, flags=["dv_lower_bound"]),
        report(1, "crash", "closed", 10, 20, conf=0.99, dv_kmh=45.006, flags=["dv_lower_bound"], clock=12),
    )
    assert (found.kind, found.outcome, found.t_s, found.reported_s) == ("crash", "confirmed", 10.0, 10.25)
    assert (found.delta_v_kmh, found.delta_v_at_least, found.confidence, found.clock) == (45.01, True, 0.99, 12)


@pytest.mark.parametrize(
    ("phases", "outcome"),
    [
        (("suspect",), "suspected"),
        (("suspect", "update", "closed"), "suspected"),
        (("suspect", "confirmed", "closed"), "confirmed"),
        (("suspect", "confirmed", "cancelled"), "withdrawn"),
        (("cancelled",), "withdrawn"),
    ],
)
def test_outcomes_of_an_alarm(phases: tuple[str, ...], outcome: str) -> None:
    """What the fleet was left with."""
    (found,) = findings_of(*(report(7, "crash", phase, 10, 10 + n) for n, phase in enumerate(phases)))
    assert found.outcome == outcome


def test_a_manoeuvre_counts_when_it_is_over() -> None:
    """As in the journal: begun and never ended is nothing; its duration is in seconds; nobody was alarmed."""
    ended, *none = findings_of(
        report(1, "harsh_corner", "begin", 10, 10.4),
        report(1, "lane_change", "end", 10, 12, dur_ms=1900.0),
        report(2, "harsh_brake", "begin", 30, 30.4),
    )
    assert none == []
    assert (ended.kind, ended.outcome, ended.duration_s, ended.reported_s) == ("lane_change", "ended", 1.9, None)


def test_what_follows_the_drive_is_not_the_drives() -> None:
    """Reports after the end are left out one by one: what was said before stands."""
    found = findings_of(
        report(1, "crash", "suspect", 10, 10.1),
        report(1, "crash", "cancelled", 10, 20.1),
        report(2, "power_lost_moving", "suspect", 20, 20.5),
        until_us=20_000_000,
    )
    assert [(f.kind, f.outcome) for f in found] == [("crash", "suspected")]


def test_a_live_time_line_reads_as_a_replay() -> None:
    """``origin_us`` is where the drive's time reads 0, whatever the machine's uptime."""
    (found,) = findings_of(report(1, "crash", "suspect", 5010.5, 5010.6), origin_us=5_000_000_000)
    assert (found.t_s, found.reported_s) == (10.5, 10.6)


def test_totals() -> None:
    """The last known distance, trips that are over, first to last second."""
    observer = Observer()
    observer.note_second(2_000_000, 36.0, 9.80665, None, 10.0)
    observer.note_second(5_000_000, None, None, float("nan"), None)
    observer.note_trip(0)
    observer.note_trip(7)
    seen = observer.observed("d", "ff", frames=3)
    assert (seen.duration_s, seen.distance_m, seen.trips, seen.frames) == (3.0, 10.0, 1, 3)
    assert seen.trace == (Point(2.0, 36.0, 1.0, None), Point(5.0, None, None, None))


def test_a_trace_is_bounded_and_keeps_the_peaks() -> None:
    """A day of seconds takes no more room than the limit, and its hardest braking is still in it."""
    trace = Trace()
    for second in range(86_400):
        trace.add(Point(float(second), 50.0, -0.9 if second == 40_001 else 0.01, None))
    points = trace.points()
    assert len(points) <= TRACE_MAX + 1
    assert min(p.along_g for p in points if p.along_g is not None) == -0.9
    assert [p.t_s for p in points] == sorted(p.t_s for p in points)
    assert {p.speed_kmh for p in points} == {50.0}
    assert len(thinned(points, 100)) <= 100


def test_merging_points() -> None:
    """Mean speed, the acceleration furthest from zero; what nobody knows stays unknown."""
    one, two = Point(1.0, 10.0, -0.5, None), Point(2.0, 20.0, 0.4, None)
    assert merged([one, two]) == Point(1.0, 15.0, -0.5, None)
    assert merged([one]) is one
    assert thinned((), 5) == ()
