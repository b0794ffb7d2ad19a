"""Trips: when a drive begins and ends, how far it went, and what happened in it.

Owns the trip state machine. Evidence in order of trust: ignition, then speed, then silence of the bus. rpm never
ends a trip: start-stop systems, hybrids and electric cars stand at 0 rpm; a running engine only keeps one open.

* With a known ignition: from ignition on (once the car has moved) to ignition off while standing.
* Without: from the first ``START_HOLD_US`` of movement to the standstill that lasted ``STAND_END_US`` (``IDLE_END_US``
  while the engine runs); the end is stamped when the car stopped, not when that was noticed.
* Bus and GNSS silent for ``SILENCE_END_US``: the trip ended with the last sign of life. Shorter ones (a tunnel), and
  seconds of unknown speed, count as moving or standing like what was known last.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from outrider.model.event import Event, EventKind, Phase, Snapshot, Trip, TripEndReason

MOVING_MPS: Final = 1.4
START_HOLD_US: Final = 2_000_000
STAND_END_US: Final = 300_000_000
IDLE_END_US: Final = 900_000_000
SILENCE_END_US: Final = 120_000_000
OFF_HOLD_US: Final = 3_000_000
FIX_ALIVE_US: Final = 2_000_000

_COUNTED: Final = {
    EventKind.HARSH_BRAKE: "harsh_brakes",
    EventKind.HARSH_ACCEL: "harsh_accels",
    EventKind.HARSH_CORNER: "harsh_corners",
    EventKind.LANE_CHANGE: "lane_changes",
}


@dataclass(slots=True)
class _Open:
    """The running trip: what is summed up while it lasts."""

    trip: Trip
    distance_base_m: float
    last_t_us: int
    last_alive_us: int
    moving: bool = True  # by the last known speed
    stand_since_us: int | None = None
    off_since_us: int | None = None
    last_place: tuple[float, float] | None = None
    counts: dict[str, int] = field(default_factory=dict)


class TripTracker:
    """Feed every snapshot and event in order; get the trips that began or ended (``t_end_us`` tells which)."""

    def __init__(self, first_trip_no: int = 1) -> None:
        self._next_no = first_trip_no
        self._open: _Open | None = None
        self._moving_since: Snapshot | None = None
        self._ignition_on_since: Snapshot | None = None

    @property
    def current(self) -> Trip | None:
        return self._open.trip if self._open else None

    def note_event(self, event: Event) -> None:
        """Count a harsh event in the running trip (once, when it is complete)."""
        name = _COUNTED.get(event.kind)
        if self._open and name and event.phase is Phase.END:
            self._open.counts[name] = self._open.counts.get(name, 0) + 1

    def update(self, snapshot: Snapshot) -> list[Trip]:
        if self._open is None:
            return self._maybe_start(snapshot)
        return self._go_on(self._open, snapshot)

    def finish(self, t_us: int) -> list[Trip]:
        """The terminal shuts down, or the recording is over."""
        if self._open is None:
            return []
        end = min(t_us, self._open.last_alive_us)
        return [self._close(self._open, end, TripEndReason.SHUTDOWN)]

    # -- start -------------------------------------------------------------------------------------

    def _maybe_start(self, snapshot: Snapshot) -> list[Trip]:
        self._note_ignition(snapshot)
        if not _moves(snapshot) or snapshot.ignition is False:
            self._moving_since = None
            return []
        if self._moving_since is None:
            self._moving_since = snapshot
        if snapshot.t_us - self._moving_since.t_us < START_HOLD_US:
            return []
        return [self._start(self._ignition_on_since or self._moving_since, snapshot)]

    def _note_ignition(self, snapshot: Snapshot) -> None:
        if snapshot.ignition:
            self._ignition_on_since = self._ignition_on_since or snapshot
        else:
            self._ignition_on_since = None

    def _start(self, begin: Snapshot, now: Snapshot) -> Trip:
        trip = Trip(
            trip_no=self._next_no,
            t_start_us=begin.t_us,
            t_end_us=0,
            start_lat_deg=begin.lat_deg if begin.lat_deg is not None else now.lat_deg,
            start_lon_deg=begin.lon_deg if begin.lon_deg is not None else now.lon_deg,
            end_lat_deg=None,
            end_lon_deg=None,
            distance_m=now.distance_m - begin.distance_m,
            odometer_start_m=begin.odometer_m if begin.odometer_m is not None else now.odometer_m,
            odometer_end_m=None,
            moving_s=(now.t_us - (self._moving_since or now).t_us) / 1e6,
            idle_s=max(0, (self._moving_since or now).t_us - begin.t_us) / 1e6,
            max_speed_mps=now.speed_mps or 0.0,
            speed_src=now.speed_src,
            harsh_brakes=0,
            harsh_accels=0,
            harsh_corners=0,
            lane_changes=0,
            end_reason=None,
        )
        self._next_no += 1
        self._open = _Open(trip, begin.distance_m, now.t_us, now.t_us)
        self._moving_since = None
        return trip

    # -- while it lasts ----------------------------------------------------------------------------

    def _go_on(self, run: _Open, snapshot: Snapshot) -> list[Trip]:
        step_us = max(0, snapshot.t_us - run.last_t_us)
        alive = snapshot.bus_alive or 0 < snapshot.fix_t_us > snapshot.t_us - FIX_ALIVE_US
        if not alive and snapshot.t_us - run.last_alive_us >= SILENCE_END_US:
            return [self._close(run, run.last_alive_us, TripEndReason.SILENCE)]
        run.last_t_us = snapshot.t_us
        if alive:
            unseen_us = max(0, snapshot.t_us - run.last_alive_us - step_us)
            run.last_alive_us = snapshot.t_us
            self._sum_up(run, snapshot, step_us, unseen_us)
        return self._maybe_end(run, snapshot)

    def _sum_up(self, run: _Open, snapshot: Snapshot, step_us: int, unseen_us: int) -> None:
        moves = _moves(snapshot)
        moving_us = unseen_us if run.moving else 0
        if snapshot.speed_mps is not None:
            run.moving = moves
        moving_us += step_us if run.moving else 0
        if snapshot.lat_deg is not None and snapshot.lon_deg is not None:
            run.last_place = (snapshot.lat_deg, snapshot.lon_deg)
        run.trip = replace(
            run.trip,
            distance_m=snapshot.distance_m - run.distance_base_m,
            odometer_end_m=snapshot.odometer_m if snapshot.odometer_m is not None else run.trip.odometer_end_m,
            odometer_start_m=run.trip.odometer_start_m
            if run.trip.odometer_start_m is not None
            else snapshot.odometer_m,
            moving_s=run.trip.moving_s + moving_us / 1e6,
            idle_s=run.trip.idle_s + (step_us + unseen_us - moving_us) / 1e6,
            max_speed_mps=max(run.trip.max_speed_mps, snapshot.speed_mps or 0.0),
            speed_src=run.trip.speed_src or snapshot.speed_src,
        )
        if moves:
            run.stand_since_us = None
        elif run.stand_since_us is None:
            run.stand_since_us = snapshot.t_us

    def _maybe_end(self, run: _Open, snapshot: Snapshot) -> list[Trip]:
        if snapshot.ignition is False and not _moves(snapshot):
            if run.off_since_us is None:
                run.off_since_us = snapshot.t_us
            if snapshot.t_us - run.off_since_us >= OFF_HOLD_US:
                return [self._close(run, run.off_since_us, TripEndReason.IGNITION_OFF)]
            return []
        run.off_since_us = None
        if snapshot.ignition is None and run.stand_since_us is not None:
            limit = IDLE_END_US if (snapshot.rpm or 0.0) > 0 else STAND_END_US
            if snapshot.t_us - run.stand_since_us >= limit:
                return [self._close(run, run.stand_since_us, TripEndReason.STANDSTILL)]
        return []

    def _close(self, run: _Open, end_us: int, reason: TripEndReason) -> Trip:
        self._open = None
        self._ignition_on_since = None
        after_end_s = max(0, run.last_alive_us - end_us) / 1e6
        place = run.last_place or (None, None)
        return replace(
            run.trip,
            t_end_us=end_us,
            end_lat_deg=place[0],
            end_lon_deg=place[1],
            idle_s=max(0.0, run.trip.idle_s - after_end_s),
            end_reason=reason,
            **run.counts,
        )


def _moves(snapshot: Snapshot) -> bool:
    return snapshot.speed_mps is not None and snapshot.speed_mps >= MOVING_MPS
