"""The few numbers that say how far a count can be trusted. Pure; each with its source."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Interval = tuple[float, float]
_Z95 = 1.959964


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


def _poisson_up_to(count: int, mean: float) -> float:
    term = total = math.exp(-mean)
    for k in range(1, count + 1):
        term *= mean / k
        total += term
    return total


def percentile(values: Sequence[float], q: float) -> float | None:
    """None without a value; linear between the two nearest."""
    return float(np.percentile(np.asarray(values, dtype=float), q)) if len(values) else None
