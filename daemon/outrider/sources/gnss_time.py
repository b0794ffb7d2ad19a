"""UTC from what a receiver says: time of day, date now and then, and a week counter that may have rolled over.

Owns: midnight, the leap second, 1024-week jumps. Pure; never looks at a clock.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from outrider.sources.nmea_fields import DAY_US
from outrider.sources.stats import NmeaStats

ROLLOVER: Final = timedelta(weeks=1024)
# Built after this day: a live receiver that names an earlier one has lost 1024 weeks (IS-GPS-200, 20.3.3.3.1.1).
LIVE_FLOOR: Final = date(2026, 1, 1)
# A recording may be old; no receiver wrote sentences with a right date before this day.
RECORDING_FLOOR: Final = date(2000, 1, 1)


class GnssCalendar:
    """Dates for times of day. ``floor``: earlier dates are moved up by whole 1024 weeks and counted."""

    def __init__(self, stats: NmeaStats, floor: date) -> None:
        self._stats = stats
        self._floor = floor
        self._date: date | None = None
        self._tod_us = 0
        self._last_us: int | None = None

    def utc_us(self, tod_us: int | None, day: date | None) -> int | None:
        """UTC of an epoch, microseconds since 1970; ``day`` as the epoch's own sentences say, if they do.

        None while no date is known. Time going back by a second or more is counted and believed.
        """
        if day is not None:
            self._date = self._corrected(day)
        elif self._date is not None and tod_us is not None and tod_us < self._tod_us - DAY_US // 2:
            self._date += timedelta(days=1)
        if tod_us is None or self._date is None:
            return None
        self._tod_us = tod_us
        utc = to_us(self._date) + tod_us
        if self._last_us is not None and utc <= self._last_us - 1_000_000:
            self._stats.time_back += 1
        self._last_us = utc
        return utc

    def _corrected(self, day: date) -> date:
        rolled = day
        while rolled < self._floor:
            rolled += ROLLOVER
        if rolled != day:
            self._stats.week_rollover += 1
        return rolled


def to_us(day: date) -> int:
    """Midnight UTC of a day in microseconds since 1970."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
