"""What the dead-man says: a car has vanished, an alarm is cleared. Plain data with the geometry of the search. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from outrider.ingest.watch.deadman_place import Spot, ahead

UNKNOWN_HACC_M: Final = 15.0  # 1 sigma, where a receiver does not say
MAX_RADIUS_M: Final = 100_000.0
_BLIND_MOST_S: Final = 120.0
_STOP_DECEL_MPS2: Final = 6.0  # a car that skids or rolls to rest
_CONE_NEAR_DEG, _CONE_FAR_DEG, _CONE_GROWS_M = 10.0, 60.0, 5_000.0


@dataclass(frozen=True, slots=True)
class Vanished:
    """A car fell silent at speed where it should have been heard.

    lat_deg, lon_deg, heading_deg, speed_mps, hacc_m: the last fix, as sent, of ``fix_utc_s`` (receiver's clock).
    since_utc_s: last sign of life of any kind. interval_s: of its beacons. score: decades of surprise. reasons: in
    words, the strongest first. None: unknown.
    """

    device: str
    since_utc_s: float
    raised_utc_s: float
    lat_deg: float | None
    lon_deg: float | None
    heading_deg: float | None
    speed_mps: float
    score: float
    reasons: tuple[str, ...]
    hacc_m: float | None = None
    fix_utc_s: float = 0.0
    interval_s: float = 5.0

    def place(self) -> tuple[float, float] | None:
        """Where it most likely is if it stopped where it fell silent: from the last fix so far as it drove until the
        last sign of life, half an interval more, and half of what a car needs to come to rest."""
        if self.lat_deg is None or self.lon_deg is None:
            return None
        metres = self.speed_mps * (self._heard_after_s() + self.interval_s / 2) + self._stop_m() / 2
        return ahead(Spot(self.lat_deg, self.lon_deg, self.heading_deg), metres)

    def place_radius_m(self) -> float:
        """Radius around ``place()`` that holds it if it stopped where it fell silent (accuracy at 95 %)."""
        blind_m = self.speed_mps * (self._heard_after_s() / 2 + self.interval_s / 2)
        return 2 * self._hacc() + blind_m + self._stop_m() / 2

    def radius_m(self, now_utc_s: float) -> float:
        """Radius around the last fix that holds it wherever it went since: accuracy at 95 % and speed times time."""
        age_s = max(0.0, now_utc_s - self.fix_utc_s)
        return min(MAX_RADIUS_M, 2 * self._hacc() + self.speed_mps * age_s)

    def cone(self, now_utc_s: float) -> tuple[float, float]:
        """(length in m, half angle in degrees) of the sector along the heading to be searched first. It opens with its
        length, as roads bend; half angle 180 without a heading."""
        length = self.radius_m(now_utc_s)
        if self.heading_deg is None:
            return length, 180.0
        share = min(1.0, length / _CONE_GROWS_M)
        return length, _CONE_NEAR_DEG + share * (_CONE_FAR_DEG - _CONE_NEAR_DEG)

    def _heard_after_s(self) -> float:
        """Between the last fix and the last sign of life (which may tell no place)."""
        return min(max(0.0, self.since_utc_s - self.fix_utc_s), _BLIND_MOST_S)

    def _stop_m(self) -> float:
        return self.speed_mps**2 / (2 * _STOP_DECEL_MPS2)

    def _hacc(self) -> float:
        given = self.hacc_m
        return given if given is not None and math.isfinite(given) and given >= 0 else UNKNOWN_HACC_M


@dataclass(frozen=True, slots=True)
class Cleared:
    """An alarm is over. reason: what the return says, in words."""

    device: str
    at_utc_s: float
    reason: str
