"""What the dead-man remembers of one terminal. Mutable, and changed by ``deadman`` alone; no rule is here."""

from __future__ import annotations

import math
from dataclasses import dataclass

from outrider.ingest.watch.deadman_alarm import Vanished
from outrider.ingest.watch.deadman_place import Spot, known
from outrider.model.beacon import Beacon

_FASTEST_INTERVAL_S, _SLOWEST_INTERVAL_S = 1, 600
_FASTEST_MPS = 100.0


@dataclass(frozen=True, slots=True)
class Fix:
    """The newest place that is one. at_s: when it came; beacon: whose it is."""

    lat_deg: float
    lon_deg: float
    at_s: float
    beacon: Beacon

    @property
    def heading_deg(self) -> float | None:
        given = self.beacon.heading_deg
        return given if given is not None and math.isfinite(given) else None

    @property
    def speed_mps(self) -> float:
        return speed_of(self.beacon)

    @property
    def spot(self) -> Spot:
        return Spot(self.lat_deg, self.lon_deg, self.heading_deg)


@dataclass(slots=True)
class Car:
    """heard_s: the last sign of life of any kind; beacon_s: the last beacon. next_s: when it is to be judged;
    queued_s: for when it stands in the queue. held: its silence was one of many at once. settle_s: when a
    return without a story clears the alarm."""

    beacon: Beacon | None = None
    fix: Fix | None = None
    heard_s: float = -math.inf
    beacon_s: float = -math.inf
    armed: bool = False
    held: bool = False
    next_s: float = math.inf
    queued_s: float = math.inf
    signals: tuple[int | None, ...] = ()
    crash_s: float | None = None
    closed_s: float | None = None
    own_beacons: int = 0
    own_silences: int = 0
    alarm: Vanished | None = None
    settle_s: float | None = None
    story: str = ""

    @property
    def interval_s(self) -> float:
        given = 0 if self.beacon is None else self.beacon.interval_s
        return float(min(max(given, _FASTEST_INTERVAL_S), _SLOWEST_INTERVAL_S))

    @property
    def last_fix(self) -> Fix | None:
        """The fix of the newest beacon, None when that one had none."""
        return self.fix if self.fix is not None and self.fix.beacon is self.beacon else None


def fix_of(beacon: Beacon, at_s: float) -> Fix | None:
    """None when the beacon tells no place on this earth."""
    lat, lon = beacon.lat_deg, beacon.lon_deg
    return Fix(lat, lon, at_s, beacon) if lat is not None and lon is not None and known(lat, lon) else None


def speed_of(beacon: Beacon | None) -> float:
    """Within what a road vehicle can do."""
    speed = 0.0 if beacon is None else beacon.speed_mps
    return min(max(speed, 0.0), _FASTEST_MPS) if math.isfinite(speed) else 0.0
