"""When a moving car sends beacons, and what they say. Pure: snapshots and events in, beacons out.

From ``from_kmh`` on one goes out every ``interval_s``. The last one (``interval_s`` 0) tells the receiver that silence
is meant, so it is given only for what cannot be the beginning of an accident: below the speed for ``SETTLE_US``, or
switched off while slow. A car that stops within a second and is heard no more has not said goodbye. After a sign of a
crash, or of a failing supply, nobody says goodbye for ``HOLD_US``; beacons then go on, at whatever speed, and say that
the terminal lives. The goodbye is said twice, ``AGAIN_US`` apart: one that is lost would make a parked car a lost one.

Hard braking is told at once, out of turn: most drivers brake before they hit something, and when the impact takes the
power with it, that beacon is the last word and the freshest place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from outrider.model.beacon import Beacon
from outrider.model.event import Event, EventKind, Snapshot

SETTLE_US: Final = 5_000_000
HOLD_US: Final = 60_000_000
AGAIN_US: Final = 2_000_000
UNKNOWN_US: Final = 60_000_000  # so long without any source of speed, a car is not known to move
FIX_MAX_AGE_US: Final = 2_000_000
UTC_MAX_AGE_US: Final = 600_000_000  # a crystal's 50 ppm over this is 30 ms
BRAKING_MPS2: Final = 4.0  # harder than nine in ten brake in traffic
BRAKING_APART_US: Final = 5_000_000
_DECEL_US: Final = (500_000, 2_000_000)  # the two speeds of a deceleration lie so far apart


@dataclass(frozen=True, slots=True)
class BeaconOptions:
    """``[uplink]`` beacon_kmh and beacon_s. interval_s 0: no beacons."""

    from_kmh: float = 60.0
    interval_s: int = 5


class BeaconMaker:
    """Feed it every snapshot and event of the engine, in order."""

    def __init__(self, options: BeaconOptions, boot_id: int) -> None:
        self._options = options
        self._boot_id = boot_id
        self._on = False
        self._sent_us = 0
        self._braked_us = -BRAKING_APART_US  # when braking was last told out of turn
        self._is_braking = False
        self._fast_us = 0  # last known to be fast
        self._known_us = 0  # last known to have a speed
        self._held_until_us = 0
        self._again_us: int | None = None  # when the goodbye is due a second time
        self._last: Snapshot | None = None
        self._speed_mps = 0.0  # the last known

    @property
    def is_on(self) -> bool:
        """Beacons are being sent: the receiver expects the next one."""
        return self._on

    def note(self, event: Event) -> None:
        """A sign of a crash: no goodbye for a while."""
        if event.kind.is_crash or event.kind is EventKind.BUS_LOST_MOVING:
            self._held_until_us = max(self._held_until_us, event.t_detect_us + HOLD_US)

    def note_supply_failure(self, t_us: int) -> None:
        """The terminal's supply fails: what shuts it down now may be an impact. No goodbye for a while."""
        self._held_until_us = max(self._held_until_us, t_us + HOLD_US)

    def update(self, snapshot: Snapshot, utc_us: int | None = None, signal_dbm: int | None = None) -> Beacon | None:
        """The beacon that is due with this snapshot. utc_us: what another clock than GNSS says it is, at the snapshot;
        signal_dbm: of the mobile network."""
        decel = self._deceleration(snapshot)
        self._last = snapshot
        now = snapshot.t_us
        if snapshot.speed_mps is not None and math.isfinite(snapshot.speed_mps):
            self._known_us, self._speed_mps = now, max(0.0, snapshot.speed_mps)
            if self._speed_mps * 3.6 >= self._options.from_kmh:
                self._fast_us = now
        was_on = self._on
        self._on = self._goes_on(snapshot)
        if not (self._on or was_on):
            return self._make(snapshot, utc_us, signal_dbm, decel) if self._is_due_again(now) else None
        self._again_us = None if self._on else now + AGAIN_US
        brakes = self._begins_to_brake(now, decel)
        if self._on and was_on and not brakes and now - self._sent_us < self._options.interval_s * 1_000_000:
            return None
        self._sent_us = now
        return self._make(snapshot, utc_us, signal_dbm, decel)

    def farewell(self) -> Beacon | None:
        """The terminal is shut down in order: a last beacon, if one is expected. None after a sign of a crash: that the
        system goes down with its last energy must not look like a parked car."""
        last, was_on = self._last, self._on
        if last is None or not was_on or last.t_us < self._held_until_us:
            return None
        self._on = False
        return self._make(last, None, None, None)

    def _is_due_again(self, now: int) -> bool:
        if self._again_us is None or now < self._again_us:
            return False
        self._again_us = None
        return now >= self._held_until_us  # an accident since: nothing more is said

    def _begins_to_brake(self, now: int, decel: float | None) -> bool:
        was_braking = self._is_braking
        self._is_braking = decel is not None and decel >= BRAKING_MPS2
        if not self._is_braking or was_braking or now - self._braked_us < BRAKING_APART_US:
            return False
        self._braked_us = now
        return True

    def _goes_on(self, snapshot: Snapshot) -> bool:
        if self._options.interval_s == 0:
            return False
        now = snapshot.t_us
        is_fast = self._fast_us == now
        if is_fast or not self._on or now < self._held_until_us:
            return is_fast or self._on
        if self._known_us != now:
            return now - self._known_us < UNKNOWN_US
        return now - self._fast_us < SETTLE_US and snapshot.ignition is not False

    def _deceleration(self, snapshot: Snapshot) -> float | None:
        last = self._last
        if last is None or last.speed_mps is None or snapshot.speed_mps is None:
            return None
        between_us = snapshot.t_us - last.t_us
        if not _DECEL_US[0] <= between_us <= _DECEL_US[1]:
            return None
        return (last.speed_mps - snapshot.speed_mps) / (between_us / 1e6)

    def _make(self, snapshot: Snapshot, utc_us: int | None, signal_dbm: int | None, decel_mps2: float | None) -> Beacon:
        placed = snapshot.fix_t_us > 0 and snapshot.t_us - snapshot.fix_t_us <= FIX_MAX_AGE_US
        return Beacon(
            boot_id=self._boot_id,
            t_us=snapshot.t_us,
            utc_us=_utc_us(snapshot) or utc_us,
            lat_deg=snapshot.lat_deg if placed else None,
            lon_deg=snapshot.lon_deg if placed else None,
            hacc_m=snapshot.hacc_m if placed else None,
            speed_mps=self._speed_mps,
            heading_deg=snapshot.heading_deg if placed else None,
            signal_dbm=signal_dbm,
            decel_mps2=decel_mps2,
            interval_s=self._options.interval_s if self._on else 0,
        )


def _utc_us(snapshot: Snapshot) -> int | None:
    """By the last fix, if there is a recent one that knew it."""
    age_us = snapshot.t_us - snapshot.fix_t_us
    if snapshot.fix_t_us <= 0 or snapshot.fix_utc_us <= 0 or age_us > UTC_MAX_AGE_US:
        return None
    return snapshot.fix_utc_us + age_us
