"""Intervals and bounds against values from the books."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.evaluate.statistics import f1, f1_interval, percentile, upper_rate, wilson


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(9, 9, 0.7009, 1.0), (0, 8, 0.0, 0.3244), (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)],
)
def test_wilson(hits: int, n: int, low: float, high: float) -> None:
    """The last two: Newcombe, Statistics in Medicine 17 (1998), table I."""
    assert wilson(hits, n) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_holds_the_share(hits: int, more: int) -> None:
    """Within 0 and 1, around the share, and nothing is known without a trial."""
    low, high = wilson(hits, hits + more)
    assert 0 <= low <= high <= 1
    if hits + more:
        assert low - 1e-12 <= hits / (hits + more) <= high + 1e-12
    else:
        assert (low, high) == (0, 1)


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200))
def test_the_interval_of_f1_holds_it(hits: int, false: int, missed: int) -> None:
    """F1 lies in its interval, whatever the counts."""
    low, high = f1_interval(hits, false, missed)
    if hits + false + missed:
        assert low - 1e-12 <= f1(hits, false, missed) <= high + 1e-12
    assert f1(0, false, missed) == 0


@pytest.mark.parametrize(("count", "bound"), [(0, 3.0), (1, 4.744), (2, 6.296), (5, 10.513), (20, 29.062)])
def test_the_upper_bound_of_a_rate(count: int, bound: float) -> None:
    """Rule of three for none; else half the 95 % quantile of chi-square with 2 (count + 1) degrees."""
    assert upper_rate(count, 1.0) == pytest.approx(bound, abs=1e-3)
    assert upper_rate(count, 10.0) == pytest.approx(bound / 10, abs=1e-3)


def test_nothing_driven_bounds_nothing() -> None:
    assert upper_rate(0, 0) == math.inf
    assert percentile([], 50) is None
    assert percentile([1, 2, 3], 50) == 2
