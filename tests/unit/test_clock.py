"""Clocks: the system's two, the same ones faster, and one moved by hand."""

from __future__ import annotations

import time

import pytest

from outrider.clock import ManualClock, ScaledClock, SystemClock


def test_the_scaled_clock_is_the_boot_clock_times_its_scale() -> None:
    """As the native capture multiplies its stamps: both must agree on what now is."""
    system, scaled = SystemClock(), ScaledClock(7)
    before, now, after = system.boottime_us(), scaled.boottime_us(), system.boottime_us()
    assert 7 * before <= now <= 7 * after


def test_scaled_utc_runs_from_the_start_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal at the beginning, then ``scale`` times as fast; a step of the wall clock stays a step of its size."""
    boot_ns, real_ns = [50_000_000_000], [1_790_000_000_000_000_000]
    monkeypatch.setattr(time, "clock_gettime_ns", lambda _clock: boot_ns[0])
    monkeypatch.setattr(time, "time_ns", lambda: real_ns[0])
    clock = ScaledClock(10)
    first_boot_us, first_utc_us = clock.boottime_us(), clock.utc_us()
    assert first_utc_us == real_ns[0] // 1000
    boot_ns[0] += 2_000_000_000
    real_ns[0] += 2_000_000_000
    assert clock.boottime_us() - first_boot_us == 20_000_000
    assert clock.utc_us() - first_utc_us == 20_000_000
    real_ns[0] += 3_600_000_000_000
    assert clock.utc_us() - first_utc_us == 3_620_000_000


def test_sleeping_scaled_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds of the drive are one of the machine at scale ten."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    ScaledClock(10).sleep(10.0)
    assert slept == [1.0]


def test_the_manual_clock_moves_when_told() -> None:
    """Both of its clocks move together; sleeping moves it too."""
    clock = ManualClock(5, 100)
    clock.advance(1.5)
    clock.sleep(0.5)
    assert (clock.boottime_us(), clock.utc_us()) == (2_000_005, 2_000_100)
