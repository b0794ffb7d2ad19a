"""When a certificate is renewed, and what time it is at least. Pure.

Due at two thirds of its lifetime, up to a twentieth earlier: the fingerprint decides, so that a fleet enrolled in one
afternoon does not come back in one afternoon. A failed attempt is repeated after an hour, then at doubling intervals up
to a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

RELEASED_UTC_S: Final = 1_790_812_800  # 2026-10-01: this software was not there before
RETRY_S: Final = 3600.0
RETRY_CAP_S: Final = 86_400.0
_EXPIRING: Final = 1 / 6  # of the lifetime left: a third of it has passed in trying


class State(Enum):
    FRESH = "fresh"
    DUE = "due"
    EXPIRING = "expiring"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Of one certificate, seconds since 1970. fingerprint: hex digits."""

    starts_s: int
    ends_s: int
    fingerprint: str

    @property
    def due_s(self) -> int:
        length = self.ends_s - self.starts_s
        share = int(self.fingerprint[:8], 16) / 0xFFFF_FFFF
        return self.starts_s + int(length * (2 / 3 - share / 20))

    def state(self, now_s: float) -> State:
        """At ``now_s``, which must be believable (``believable_s``)."""
        if now_s >= self.ends_s:
            return State.EXPIRED
        if now_s >= self.ends_s - (self.ends_s - self.starts_s) * _EXPIRING:
            return State.EXPIRING
        return State.DUE if now_s >= self.due_s else State.FRESH


def believable_s(clock_s: float, floors_s: tuple[float, ...]) -> tuple[float, bool]:
    """(time, whether the clock gave it). A clock behind any floor is wrong; the highest floor is the best guess then.

    Floors: when the software was released, when the certificate was issued, the last time that was known for good.
    """
    floor = max((float(RELEASED_UTC_S), *floors_s))
    return (clock_s, True) if clock_s >= floor else (floor, False)


def retry_s(failures: int) -> float:
    """Seconds until the next attempt after so many failures in a row (at least one)."""
    return min(RETRY_CAP_S, RETRY_S * 2.0 ** min(failures - 1, 10))
