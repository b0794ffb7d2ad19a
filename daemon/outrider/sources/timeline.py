"""File time to engine time: one zero point for all recordings that share a clock. Pure.

engine time = file time - t0 + base. Recordings of one zone (UTC, local time of unknown zone, no date at all) share t0,
the earliest stamp among them, so that parts of a drive continue one time line and gaps between them stay. Zones cannot
be compared with each other: each starts at ``base``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

YEAR_2000_US: Final = 946_684_800_000_000
YEAR_2200_US: Final = 7_258_118_400_000_000
# 1 sigma of the wall clock a recording was stamped with: set by hand, by NTP, by GNSS, nobody knows.
RECORDING_UNCERTAINTY_US: Final = 1_000_000


class Zone(Enum):
    """What the stamps of a recording count from."""

    UTC = "utc"
    LOCAL = "local"  # a date without a time zone: ASC, TRC
    RELATIVE = "relative"  # seconds since the logger started


def zone_of(first_us: int, *, local: bool = False) -> Zone:
    """Zone by the first stamp: a stamp between the years 2000 and 2200 is a date."""
    if not YEAR_2000_US <= first_us < YEAR_2200_US:
        return Zone.RELATIVE
    return Zone.LOCAL if local else Zone.UTC


@dataclass(frozen=True, slots=True)
class TimeLine:
    """``offset_us``: to be added to a stamp of the file to get engine time."""

    zone: Zone
    offset_us: int


def time_lines(firsts: Iterable[tuple[Zone, int]], base_us: int) -> dict[Zone, TimeLine]:
    """The time line of each zone from (zone, first stamp) of every recording."""
    zeros: dict[Zone, int] = {}
    for zone, first_us in firsts:
        zeros[zone] = min(first_us, zeros.get(zone, first_us))
    return {zone: TimeLine(zone, base_us - t0) for zone, t0 in zeros.items()}
