"""Stamps of a live bus to engine time (CLOCK_BOOTTIME). Pure: both clocks are sampled by the caller, once a batch.

Most python-can interfaces stamp with CLOCK_REALTIME, which somebody may set at any moment. Rule: a batch whose stamps,
moved by the difference of the clocks, do not lie between "a while ago" and "now" is placed by its arrival, keeping the
distances between its frames; so is the batch in which the wall clock stepped.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Final

from outrider.sources.stats import SourceStats

STEP_US: Final = 1_000  # NTP slews by at most 500 ppm; what moves more than that and this is a step
SLEW_PPM: Final = 500
MAX_AGE_US: Final = 2_000_000  # how long a frame may have waited in the kernel or a driver
SLACK_US: Final = 200  # the two clocks are read one after the other


class StampConverter:
    """Keeps the difference of the clocks between batches."""

    def __init__(self, stats: SourceStats) -> None:
        self._stats = stats
        self._offset_us: int | None = None
        self._sampled_us = 0
        self._last_us = 0

    def convert(self, stamps_s: list[float], boot_us: int, real_us: int) -> list[int]:
        """Engine times of a batch, never falling and never later than ``boot_us``.

        stamps_s: as python-can gives them, seconds. boot_us, real_us: both clocks, read when the batch was complete.
        """
        if not stamps_s:
            return []
        offset = boot_us - real_us
        stepped = self._note(offset, boot_us)
        times = [round(s * 1e6) + offset for s in stamps_s]
        if stepped or min(times) < boot_us - MAX_AGE_US or max(times) > boot_us + SLACK_US:
            times = _by_arrival(times, boot_us)
            self._stats.restamped += len(times)
        floor = min(self._last_us, boot_us)
        ordered = [min(t, boot_us) for t in accumulate(times, max, initial=floor)][1:]
        self._last_us = ordered[-1]
        return ordered

    def _note(self, offset_us: int, boot_us: int) -> bool:
        before, self._offset_us = self._offset_us, offset_us
        elapsed, self._sampled_us = boot_us - self._sampled_us, boot_us
        if before is None or abs(offset_us - before) <= STEP_US + elapsed * SLEW_PPM // 1_000_000:
            return False
        self._stats.clock_steps += 1
        return True


def _by_arrival(times: list[int], boot_us: int) -> list[int]:
    """The last frame arrived now; the others keep their distance to it where that makes sense."""
    last = times[-1]
    ages = [last - t for t in times]
    if min(ages) < 0 or max(ages) > MAX_AGE_US:
        return [boot_us] * len(times)
    return [boot_us - age for age in ages]
