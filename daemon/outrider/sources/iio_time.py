"""Times and pairs of IIO samples: a FIFO read in one go becomes samples in even steps; accelerations meet their rates.

Pure. Rule: times rise strictly, and are believed where they can be; a burst whose stamps stand still is spread by the
measured rate.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import pairwise
from typing import Final

from outrider.model.fix import ImuSample

Vector = tuple[float, float, float]
TRUST: Final = 0.3  # a measured period this far from the nominal one is a pause or a burst, not the sensor's clock
SLOW: Final = 0.1  # of the difference goes into the running estimate
MAX_AGE_US: Final = 2_000_000
MAX_WAITING: Final = 4096


class SampleClock:
    """Engine times for the samples of one device. ``respread``: samples whose stamps could not be used."""

    def __init__(self, rate_hz: float) -> None:
        self._nominal_us = 1e6 / rate_hz
        self._period_us = self._nominal_us
        self._last_us: int | None = None
        self.respread = 0

    @property
    def period_us(self) -> float:
        return self._period_us

    def times(self, stamps_us: list[int] | None, count: int, now_us: int) -> list[int]:
        """Of ``count`` samples read at ``now_us``. stamps_us: the device's, in engine time; None: it gives none."""
        if not count:
            return []
        if stamps_us is None or not self._usable(stamps_us, now_us):
            newest = now_us if stamps_us is None else min(now_us, max(stamps_us))
            if newest <= now_us - MAX_AGE_US:
                newest = now_us
            self.respread += 0 if stamps_us is None else count
            stamps_us = [round(newest - (count - 1 - i) * self._period_us) for i in range(count)]
        self._learn(stamps_us)
        return self._rising(stamps_us)

    def _usable(self, stamps_us: list[int], now_us: int) -> bool:
        rising = all(a < b for a, b in pairwise(stamps_us))
        fresh = now_us - MAX_AGE_US < stamps_us[0] and stamps_us[-1] <= now_us + self._period_us
        return rising and fresh and (self._last_us is None or stamps_us[0] > self._last_us)

    def _learn(self, stamps_us: list[int]) -> None:
        if self._last_us is not None:
            period = (stamps_us[-1] - self._last_us) / len(stamps_us)
            if abs(period - self._nominal_us) <= TRUST * self._nominal_us:
                self._period_us += SLOW * (period - self._period_us)

    def _rising(self, stamps_us: list[int]) -> list[int]:
        """Strictly, also after the batch before."""
        out, last = [], self._last_us
        for stamp in stamps_us:
            last = stamp if last is None else max(stamp, last + 1)
            out.append(last)
        self._last_us = last
        return out


class RatePairing:
    """Accelerations of one device with angular rates of another, which runs on its own clock.

    An acceleration waits for the first rate after it, at most ``wait_us``; the rate is interpolated between its
    neighbours, or the newest one if that is no older than ``wait_us``; else there is none.
    """

    def __init__(self, wait_us: int) -> None:
        self._wait_us = wait_us
        self._waiting: deque[ImuSample] = deque()
        self._rates: deque[tuple[int, Vector]] = deque(maxlen=MAX_WAITING)
        self.unpaired = 0

    def accelerations(self, samples: list[ImuSample]) -> None:
        self._waiting.extend(samples)

    def rates(self, rates: list[tuple[int, Vector]]) -> None:
        self._rates.extend(rates)

    def ready(self, now_us: int) -> list[ImuSample]:
        """Samples that are complete, or have waited long enough."""
        out: list[ImuSample] = []
        while self._waiting:
            sample = self._waiting[0]
            while len(self._rates) > 1 and self._rates[1][0] <= sample.t_us:
                self._rates.popleft()
            told = bool(self._rates) and self._rates[-1][0] >= sample.t_us
            if not told and now_us - sample.t_us < self._wait_us and len(self._waiting) < MAX_WAITING:
                break
            gyro = self._rate_at(sample.t_us)
            self.unpaired += gyro is None
            out.append(replace(self._waiting.popleft(), gyro=gyro))
        return out

    def _rate_at(self, t_us: int) -> Vector | None:
        if not self._rates:
            return None
        (before_us, before), *rest = list(self._rates)[:2]
        if before_us > t_us:
            return before if before_us - t_us < self._wait_us else None
        if not rest or t_us - before_us >= self._wait_us:
            return before if t_us - before_us < self._wait_us else None
        after_us, after = rest[0]
        share = (t_us - before_us) / (after_us - before_us) if after_us > before_us else 0.0
        x, y, z = (b + share * (a - b) for a, b in zip(after, before, strict=True))
        return (x, y, z)
