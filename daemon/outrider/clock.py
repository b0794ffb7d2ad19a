"""Clocks: the system's, one that runs faster (rigs), and one that only moves when told to (tests, replay)."""

from __future__ import annotations

import time


class SystemClock:
    """CLOCK_BOOTTIME keeps counting through suspend; CLOCK_REALTIME is for stamps only."""

    def boottime_us(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000

    def utc_us(self) -> int:
        return time.time_ns() // 1000

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ScaledClock:
    """The system's clock, ``scale`` times as fast: for drives played faster than they were (``--rig-speed``).

    boottime_us is CLOCK_BOOTTIME times ``scale``, as in the native capture. UTC runs ``scale`` times as fast from the
    moment the clock was made; a step of the wall clock is a step of the same size here.
    """

    def __init__(self, scale: int) -> None:
        self.scale = scale
        self._system = SystemClock()
        self._made_us = self._system.boottime_us()

    def boottime_us(self) -> int:
        return self._system.boottime_us() * self.scale

    def utc_us(self) -> int:
        return self._system.utc_us() + (self._system.boottime_us() - self._made_us) * (self.scale - 1)

    def sleep(self, seconds: float) -> None:
        self._system.sleep(seconds / self.scale)


class ManualClock:
    """A clock driven by hand; ``sleep`` moves it."""

    def __init__(self, boottime_us: int = 0, utc_us: int = 1_600_000_000_000_000) -> None:
        self._boot = boottime_us
        self._utc = utc_us

    def advance(self, seconds: float) -> None:
        step = round(seconds * 1e6)
        self._boot += step
        self._utc += step

    def boottime_us(self) -> int:
        return self._boot

    def utc_us(self) -> int:
        return self._utc

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)
