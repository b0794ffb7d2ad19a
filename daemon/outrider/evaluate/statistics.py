"""The few numbers that say how far a count can be trusted. Pure; each with its source."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Interval = tuple[float, float]
_Z95 = 1.959964
_LARGE_COUNT = 200


def wilson(hits: int, n: int) -> Interval:
    """95 % interval of a share (Wilson, JASA 22, 1927); (0, 1) without a trial."""
    if not n:
        return (0.0, 1.0)
    z2, p = _Z95 * _Z95, hits / n
    middle = p + z2 / (2 * n)
    half = _Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    scale = 1 + z2 / n
    return (max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale))


def f1(hits: int, false: int, missed: int) -> float:
    """Harmonic mean of precision and recall; 0 when nothing was there to be found."""
    return 2 * hits / max(2 * hits + false + missed, 1)


def f1_interval(hits: int, false: int, missed: int) -> Interval:
    """95 % interval of F1: with J = hits / (hits + false + missed), F1 = 2 J / (1 + J) rises with J, a plain share,
    so that Wilson's ends of J carry over."""
    low, high = wilson(hits, hits + false + missed)
    return (2 * low / (1 + low), 2 * high / (1 + high))


def upper_rate(count: int, exposure: float) -> float:
    """Upper 95 % bound of a rate from a count of rare events over an exposure (hours, km).

    Exact Poisson: half the 95 % quantile of chi-square with 2 (count + 1) degrees; for none it is the 3 / T of the
    rule of three (Hanley and Lippman-Hand, JAMA 249, 1983). Found by bisection on the Poisson sum.
    """
    if exposure <= 0:
        return math.inf
    if count == 0:
        return 3.0 / exposure
    low, high = float(count), 10.0 * (count + 3)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _poisson_up_to(count, middle) > 0.05 else (low, middle)
    return high / exposure


def poisson_interval(count: int) -> Interval:
    """95 % interval of the mean of a Poisson count: exact (Garwood, Biometrika 28, 1936) by bisection; Byar's
    approximation for large counts, where it is as good."""
    if count > _LARGE_COUNT:
        return tuple(  # type: ignore[return-value]  # two of them
            n * (1 - 1 / (9 * n) + side * _Z95 / (3 * math.sqrt(n))) ** 3 for n, side in ((count, -1), (count + 1, 1))
        )

    def mean_where(up_to: int, share: float) -> float:
        low, high = 0.0, 10.0 * (up_to + 3)
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if _poisson_up_to(up_to, middle) > share else (low, middle)
        return high

    return (mean_where(count - 1, 0.975) if count else 0.0, mean_where(count, 0.025))


def _poisson_up_to(count: int, mean: float) -> float:
    term = total = math.exp(-mean)
    for k in range(1, count + 1):
        term *= mean / k
        total += term
    return total


def percentile(values: Sequence[float], q: float) -> float | None:
    """None without a value; linear between the two nearest."""
    return float(np.percentile(np.asarray(values, dtype=float), q)) if len(values) else None
