"""Stamps of a live bus to engine time."""

from __future__ import annotations

import pytest

from outrider.sources.stamps import MAX_AGE_US, StampConverter
from outrider.sources.stats import SourceStats

BOOT = 50_000_000
REAL = 1_700_000_000_000_000


def test_wall_clock_stamps_become_boottime() -> None:
    """The difference of the clocks is taken off; microseconds stay."""
    stats = SourceStats()
    stamps = [(REAL - 9_000) / 1e6, (REAL - 5_000) / 1e6]
    assert StampConverter(stats).convert(stamps, BOOT, REAL) == [
        pytest.approx(BOOT - 9_000, abs=1),
        pytest.approx(BOOT - 5_000, abs=1),
    ]
    assert (stats.restamped, stats.clock_steps) == (0, 0)


def test_a_step_of_the_wall_clock_is_noticed_and_the_batch_placed_by_arrival() -> None:
    """Somebody sets the clock between two batches: the engine's time line does not move."""
    stats = SourceStats()
    converter = StampConverter(stats)
    converter.convert([(REAL - 1_000) / 1e6], BOOT, REAL)
    hour = 3_600_000_000
    real = REAL + 20_000 + hour
    got = converter.convert([(REAL + 10_000) / 1e6, (REAL + 12_000) / 1e6], BOOT + 20_000, real)
    assert got == [pytest.approx(BOOT + 18_000, abs=1), BOOT + 20_000]
    assert (stats.clock_steps, stats.restamped) == (1, 2)
    after = converter.convert([(real + 15_000) / 1e6], BOOT + 40_000, real + 20_000)
    assert after == [pytest.approx(BOOT + 35_000, abs=1)]
    assert (stats.clock_steps, stats.restamped) == (1, 2)


def test_a_small_step_is_placed_by_arrival_too() -> None:
    """Half a second back: the stamps look possible, but were taken by the clock as it was before."""
    stats = SourceStats()
    converter = StampConverter(stats)
    converter.convert([REAL / 1e6], BOOT, REAL)
    got = converter.convert([(REAL + 18_000) / 1e6], BOOT + 20_000, REAL + 20_000 + 500_000)
    assert got == [BOOT + 20_000]
    assert (stats.clock_steps, stats.restamped) == (1, 1)


def test_slewing_is_no_step() -> None:
    """NTP moves the clock by up to 500 ppm without anybody being told."""
    stats = SourceStats()
    converter = StampConverter(stats)
    minute = 60_000_000
    for n in range(10):
        drift = n * minute * 400 // 1_000_000
        converter.convert([(REAL + n * minute + drift) / 1e6], BOOT + n * minute, REAL + n * minute + drift)
    assert stats.clock_steps == 0


def test_stamps_of_a_foreign_clock_keep_their_distances() -> None:
    """Adapters that count from their own start: the last frame arrived now, the others before it."""
    stats = SourceStats()
    assert StampConverter(stats).convert([12.000, 12.005, 12.009], BOOT, REAL) == [BOOT - 9_000, BOOT - 4_000, BOOT]
    assert stats.restamped == 3


def test_zero_stamps_get_the_time_of_arrival() -> None:
    """An interface that does not stamp at all."""
    assert StampConverter(SourceStats()).convert([0.0, 0.0], BOOT, REAL) == [BOOT, BOOT]


def test_senseless_distances_are_not_kept() -> None:
    """Stamps that jump back or spread over more than a driver can hold."""
    converter = StampConverter(SourceStats())
    assert converter.convert([5.0, 1.0], BOOT, REAL) == [BOOT, BOOT]
    assert converter.convert([5.0, 5.0 + 2 * MAX_AGE_US / 1e6], BOOT + 5, REAL + 5) == [BOOT + 5, BOOT + 5]


def test_time_never_falls_and_is_never_ahead_of_now() -> None:
    """Across batches too."""
    converter = StampConverter(SourceStats())
    first = converter.convert([(REAL + 100) / 1e6], BOOT, REAL)
    second = converter.convert([(REAL - 50_000) / 1e6, (REAL + 1_000) / 1e6], BOOT + 1_000, REAL + 1_000)
    assert first == [BOOT]
    assert second == [BOOT, BOOT + 1_000]


def test_an_empty_batch_is_empty() -> None:
    """Nothing in, nothing out."""
    assert StampConverter(SourceStats()).convert([], BOOT, REAL) == []
