"""Boot time to UTC: a record is stamped with the time since boot, clock records of the same boot say what UTC it was.

The fix that gives the smallest uncertainty is used: its own plus the drift of a cheap crystal over the distance in
time. So a late or better fix corrects old records without rewriting them. The view ``records_utc`` does the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

US_PER_US_OF_DRIFT: Final = 20_000  # 50 ppm, the sum of tolerance and temperature of a Raspberry Pi class oscillator


@dataclass(frozen=True, slots=True)
class FixPoint:
    """At boot time t_us it was utc_us, within uncertainty_us (1 sigma)."""

    t_us: int
    utc_us: int
    uncertainty_us: int


@dataclass(frozen=True, slots=True)
class UtcTime:
    utc_us: int
    uncertainty_us: int


def resolve(fixes: Iterable[FixPoint], t_us: int) -> UtcTime | None:
    """UTC at boot time t_us; None without a fix of that boot."""

    def cost(fix: FixPoint) -> tuple[int, int]:
        return fix.uncertainty_us + abs(t_us - fix.t_us) // US_PER_US_OF_DRIFT, fix.t_us

    best = min(fixes, key=cost, default=None)
    return None if best is None else UtcTime(best.utc_us + t_us - best.t_us, cost(best)[0])
