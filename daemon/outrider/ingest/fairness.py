"""Nobody starves: how much of the receiver's time one terminal may take while others wait, and how many of its useless
payloads are kept. Pure.

What is refused here is not stored and not acknowledged, so no record is lost: the terminal sends it again, in growing
intervals. A terminal that drains a backlog alone has the receiver to itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_FLOOR_US: Final = 500_000  # nobody is refused for less work than this: more than a terminal may have in the air
_LEAST_SHARE: Final = 0.25  # nobody is refused below this share of all work
_TIMES_FAIR: Final = 1.4  # and nobody below so many times its equal share
_FORGET: Final = 1_000  # work of less than this many microseconds is nothing


class Fairness:
    """Work by terminal over the last few seconds; old work fades with the time constant ``fade_s``."""

    def __init__(self, fade_s: float = 2.0) -> None:
        self._fade_us = fade_s * 1e6
        self._spent: dict[str, float] = {}
        self._urgent: dict[str, float] = {}  # of this, for messages that are no telemetry
        self._faded_us: int | None = None

    def spend(self, device: str, us: float, *, urgent: bool = False) -> None:
        """So much work was done for the terminal; urgent: for anything but telemetry."""
        self._spent[device] = self._spent.get(device, 0.0) + us
        if urgent:
            self._urgent[device] = self._urgent.get(device, 0.0) + us

    def fade(self, now_us: int) -> None:
        """Time passed: work of before counts less. Call once a group."""
        if self._faded_us is not None:
            factor = max(0.0, 1.0 - (now_us - self._faded_us) / self._fade_us)
            self._spent = {d: us * factor for d, us in self._spent.items() if us * factor > _FORGET}
            self._urgent = {d: us * factor for d, us in self._urgent.items() if us * factor > _FORGET}
        self._faded_us = now_us

    def hogs(self, device: str, *, urgent: bool = False) -> bool:
        """It has had more than its share, and others are there. Ask only while messages wait. urgent: the message is no
        telemetry, and is not held up by a backlog of it: only work for such messages counts."""
        own = (self._urgent if urgent else self._spent).get(device, 0.0)
        if own < _FLOOR_US or len(self._spent) < 2:
            return False
        return own > max(_LEAST_SHARE, _TIMES_FAIR / len(self._spent)) * sum(self._spent.values())


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_us: int


class LetterLimit:
    """How many dead letters of one terminal are kept: ``burst`` at once, then ``per_s``. The others are counted only,
    so that a terminal that sends garbage does not push out the dead letters of all others."""

    def __init__(self, per_s: float = 0.2, burst: int = 50, most_devices: int = 10_000) -> None:
        self._per_us = per_s / 1e6
        self._burst = float(burst)
        self._most = most_devices
        self._buckets: dict[str, _Bucket] = {}

    def allows(self, device: str, now_us: int) -> bool:
        """Keep one more of this terminal?"""
        bucket = self._buckets.pop(device, None)
        if bucket is None:
            bucket = _Bucket(self._burst, now_us)
            if len(self._buckets) >= self._most:
                del self._buckets[next(iter(self._buckets))]  # the one that was quiet for longest
        tokens = min(self._burst, bucket.tokens + max(0, now_us - bucket.at_us) * self._per_us)
        allowed = tokens >= 1.0
        self._buckets[device] = _Bucket(tokens - allowed, now_us)
        return allowed
