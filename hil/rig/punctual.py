"""When a drive was not played as it was recorded, because the machine did not let the sender send in time.

A frame that is late by 25 ms at ten times the speed is late by a quarter of a second of the drive: half the silence
that is an event. The sender counts; here it is watched while it plays, so that one knows when.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final

from outrider.sources.drive_io import Drive
from outrider.sources.playback_io import Playback
from outrider.sources.sequence import times_of

LATE_S: Final = 0.25  # of the drive
LOOK_S: Final = 0.25  # of the drive, between two looks
Span = tuple[float, float]


class Watch:
    """Looks at a playback until it is over. ``disturbed``: spans of the drive, in seconds, that came late."""

    def __init__(self, drive: Drive, speed: float) -> None:
        self.disturbed: list[Span] = []
        self._times: Sequence[int] = times_of(drive.frames)
        self._speed = speed
        self._before_s, self._before = 0.0, 0

    def follow(self, playback: Playback, now_us: Callable[[], int], limit_s: float) -> None:
        """Until everything is sent. TimeoutError after ``limit_s``."""
        end_us = now_us() + round(limit_s * 1e6)
        while playback.running:
            self.look(playback.stats().frames.sent, (now_us() - playback.start_boot_us) / 1e6 * self._speed)
            if now_us() > end_us:
                raise TimeoutError(f"{playback.drive.name}: still playing after {limit_s:.0f} s: {playback.stats()}")
            time.sleep(LOOK_S / self._speed)  # the player tells nobody

    def look(self, sent: int, now_s: float) -> None:
        """So many frames were sent at ``now_s`` of the drive."""
        due_s = self._times[sent] / 1e6 if sent < len(self._times) else now_s
        if now_s - due_s > LATE_S:
            self._add(due_s, now_s)
        elif now_s - self._before_s > LATE_S + 2 * LOOK_S and self._sent_between(self._before_s, now_s):
            self._add(self._before_s, now_s)  # nobody looked for so long: what was late meanwhile cannot be told
        self._before_s, self._before = now_s, sent

    def _sent_between(self, begin_s: float, end_s: float) -> bool:
        """Whether frames were due within the span that had not been sent before it."""
        first = max(self._before, bisect_left(self._times, begin_s * 1e6))
        return first < bisect_left(self._times, end_s * 1e6)

    def _add(self, begin_s: float, end_s: float) -> None:
        if self.disturbed and begin_s <= self.disturbed[-1][1]:
            begin_s = min(begin_s, self.disturbed.pop()[0])
        self.disturbed.append((begin_s, end_s))
