"""Trips from scripted snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.drive.trips import TripTracker
from outrider.model.event import Event, EventKind, Phase, Snapshot, Trip, TripEndReason
from tests.support.events import EVENT
from tests.support.snapshots import S, drive


def run(tracker: TripTracker, snapshots: Iterator[Snapshot]) -> list[Trip]:
    return [trip for s in snapshots for trip in tracker.update(s)]


def test_ignition_bounds_a_trip() -> None:
    """With a known ignition the trip lasts from ignition on to ignition off, standing time included."""
    trips = run(
        TripTracker(),
        drive((5, 0.0, {"ignition": False}), (20, 0.0, {"ignition": True}), (100, 10.0, {"ignition": True}),
              (30, 0.0, {"ignition": True}), (10, 0.0, {"ignition": False})),
    )  # fmt: skip
    assert [t.t_end_us > 0 for t in trips] == [False, True]
    done = trips[1]
    assert done.end_reason is TripEndReason.IGNITION_OFF
    assert done.t_start_us == (10 + 6) * S
    assert done.t_end_us == (10 + 5 + 20 + 100 + 30 + 1) * S
    assert done.distance_m == pytest.approx(1000.0)
    assert done.moving_s == pytest.approx(100, abs=2)
    assert done.idle_s == pytest.approx(50, abs=3)


def test_rpm_zero_never_ends_a_trip() -> None:
    """Start-stop, hybrid and electric cars stand and even drive at 0 rpm: one trip, not three."""
    trips = run(
        TripTracker(),
        drive((60, 12.0, {"rpm": 1800.0}), (90, 0.0, {"rpm": 0.0}), (60, 12.0, {"rpm": 0.0}),
              (90, 0.0, {"rpm": 0.0}), (60, 12.0, {"rpm": 1500.0})),
    )  # fmt: skip
    assert len(trips) == 1
    assert trips[0].t_end_us == 0


def test_standstill_ends_when_the_car_stopped() -> None:
    """Without ignition a long standstill ends the trip, stamped with the moment the car stopped."""
    tracker = TripTracker()
    trips = run(tracker, drive((60, 12.0, {}), (400, 0.0, {})))
    assert trips[-1].end_reason is TripEndReason.STANDSTILL
    assert trips[-1].t_end_us == (10 + 61) * S
    assert tracker.current is None
    assert trips[-1].idle_s <= 1


def test_a_running_engine_keeps_the_trip_open_longer() -> None:
    """Idling at a barrier for six minutes is not the end of a trip."""
    trips = run(
        TripTracker(), drive((60, 12.0, {"rpm": 1500.0}), (360, 0.0, {"rpm": 800.0}), (60, 12.0, {"rpm": 1500.0}))
    )
    assert len(trips) == 1


def test_silence_ends_with_the_last_sign_of_life() -> None:
    """Bus and GNSS silent: the trip ended when they were last heard."""
    trips = run(TripTracker(), drive((60, 12.0, {}), (130, None, {"bus_alive": False})))
    assert trips[-1].end_reason is TripEndReason.SILENCE
    assert trips[-1].t_end_us == (10 + 60) * S


def test_shutdown_closes_the_trip() -> None:
    """The end of a recording closes the running trip instead of losing it."""
    tracker = TripTracker(7)
    run(tracker, drive((60, 12.0, {})))
    (trip,) = tracker.finish(10_000 * S)
    assert trip.trip_no == 7
    assert trip.end_reason is TripEndReason.SHUTDOWN
    assert trip.t_end_us == 70 * S
    assert tracker.finish(10_000 * S) == []


def test_walking_pace_jitter_starts_nothing() -> None:
    """A parked receiver's speed noise is no trip."""
    assert run(TripTracker(), drive((600, 0.4, {}), (1, 3.0, {}), (600, 0.2, {}))) == []


def harsh(kind: EventKind, phase: Phase) -> Event:
    return replace(EVENT, kind=kind, phase=phase)


def test_a_flicker_of_the_ignition_splits_nothing() -> None:
    """Two seconds of ignition off at a light (a crank, a loose contact) and ten while driving: one trip."""
    on, off = {"ignition": True}, {"ignition": False}
    tracker = TripTracker()
    trips = run(tracker, drive((60, 12.0, on), (20, 0.0, on), (2, 0.0, off), (20, 0.0, on), (60, 12.0, on),
                               (10, 12.0, off), (60, 12.0, on)))  # fmt: skip
    assert len(trips) == 1
    assert tracker.current is not None
    assert tracker.current.distance_m == pytest.approx(190 * 12, rel=0.01)


def test_an_odometer_that_starts_anew_leaves_the_distance_alone() -> None:
    """The dashboard was replaced or the count rolled over: its two ends are told as read, the distance is our own."""
    tracker = TripTracker()
    run(tracker, drive((60, 10.0, {"odometer_m": 999_900.0}), (60, 10.0, {"odometer_m": 100.0})))
    (done,) = tracker.finish(1000 * S)
    assert done.distance_m == pytest.approx(1200, rel=0.02)
    assert (done.odometer_start_m, done.odometer_end_m) == (999_900.0, 100.0)


def test_the_seconds_in_a_tunnel_are_driven_ones() -> None:
    """GNSS only: forty seconds without any sign of life between two stretches of driving are moving, not lost."""
    t, snapshots = 0, []
    for s in drive(
        (60, 15.0, {"bus_alive": False}), (40, None, {"bus_alive": False}), (60, 15.0, {"bus_alive": False})
    ):
        t = s.t_us
        snapshots.append(replace(s, fix_t_us=t) if s.speed_mps is not None else replace(s, fix_t_us=70 * S))
    tracker = TripTracker()
    assert len(run(tracker, iter(snapshots))) == 1
    (done,) = tracker.finish(t)
    assert done.moving_s + done.idle_s == pytest.approx(160, abs=2)
    assert done.idle_s <= 3


def test_harsh_events_are_counted_once() -> None:
    """Begin and end of one event count as one; events outside a trip count for none."""
    tracker = TripTracker()
    tracker.note_event(harsh(EventKind.HARSH_BRAKE, Phase.END))
    run(tracker, drive((60, 12.0, {})))
    for phase in (Phase.BEGIN, Phase.END):
        tracker.note_event(harsh(EventKind.HARSH_BRAKE, phase))
        tracker.note_event(harsh(EventKind.LANE_CHANGE, phase))
    (trip,) = tracker.finish(100 * S)
    assert (trip.harsh_brakes, trip.lane_changes, trip.harsh_accels) == (1, 1, 0)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 200),
            st.one_of(st.none(), st.floats(0, 60)),
            st.fixed_dictionaries(
                {
                    "ignition": st.sampled_from([None, True, False]),
                    "bus_alive": st.booleans(),
                    "rpm": st.sampled_from([None, 0.0, 900.0]),
                }
            ),
        ),
        max_size=12,
    )
)
def test_any_drive_gives_ordered_disjoint_trips(legs: list[tuple[int, float | None, dict[str, object]]]) -> None:
    """Whatever happens: begins and ends alternate, trips do not overlap, sums are never negative."""
    tracker = TripTracker()
    trips = run(tracker, drive(*legs)) + tracker.finish(10**12)
    assert len(trips) % 2 == 0
    last_end = 0
    for begin, end in zip(trips[::2], trips[1::2], strict=True):
        assert begin.trip_no == end.trip_no
        assert begin.t_end_us == 0
        assert last_end <= begin.t_start_us <= end.t_end_us
        assert min(end.distance_m, end.moving_s, end.idle_s) >= 0
        last_end = end.t_end_us
