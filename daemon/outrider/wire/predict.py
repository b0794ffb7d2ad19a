"""Prediction of a column: what is left to be coded, and how the writer chooses.

A reader needs ``integrate`` alone; everything else here may change without a change of the format.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from operator import mul, sub
from typing import Final

PREDICTORS: Final = 5
FACTOR_BITS: Final = 16  # a factor counts 1/65536
_FACTOR_LIMIT: Final = 1 << 31
_LARGE: Final = 1 << 60


def residuals(z: Sequence[int], predictor: int) -> list[int]:
    """r[1..] for z[0..]; p[i] of the predictors, with d[i] = z[i-1] - z[i-2] (0 where there is none)::

    0  z[0]   1  z[i-1]   2  z[i-1] + d[i]   3  z[i-1] + (d[i] >> 1)   4  z[i-1] + (d[i] + d[i-1] >> 1)
    """
    if predictor == 0:
        first = z[0]
        return [v - first for v in z[1:]]
    d = list(map(sub, z[1:], z))
    if predictor == 1 or not d:
        return d
    if predictor == 2:
        return d[:1] + list(map(sub, d[1:], d))
    if predictor == 3:
        return d[:1] + [b - (a >> 1) for a, b in pairwise(d)]
    head = [d[0], d[1] - (d[0] >> 1)] if len(d) > 1 else d
    return head + [c - (a + b >> 1) for a, b, c in zip(d, d[1:], d[2:], strict=False)]


def share(factor: int, w: int) -> int:
    """What a reference contributes: factor / 65536 of w, rounded half up."""
    return factor * w + 32768 >> FACTOR_BITS


def _cost(r: Sequence[int]) -> float:
    """About how many bits the coder needs for residuals: entropy of their lengths, and the bits below."""
    lengths = bytes(map(int.bit_length, r))
    bits = _spread(len(lengths))
    for length in set(lengths):
        n = lengths.count(length)
        bits += n * length - _spread(n) + 2
    return bits


@cache
def _spread(n: int) -> float:
    return n * math.log2(n) if n else 0.0


def integrate(r: Sequence[int], predictor: int) -> list[int]:
    """z[0..] from r[1..], z[0] = 0: the inverse of ``residuals``."""
    if predictor == 0:
        return [0, *r]
    if predictor == 1:
        return list(accumulate(r, initial=0))
    if predictor == 2:
        return list(accumulate(accumulate(r), initial=0))
    z = [0]
    last = d = before = 0
    for value in r:
        before, d = d, value + (d >> 1 if predictor == 3 else d + before >> 1)
        last += d
        z.append(last)
    return z


@dataclass(slots=True)
class Plan:
    """How a column is coded: its header, its residuals, and what they cost in bits. index: its place in the batch."""

    first: int
    step: int
    y: list[int]
    predictor: int
    r: list[int]
    cost: float
    index: int = -1
    reference: int = -1
    factor: int = 0
    _slopes: tuple[list[int], int] | None = None

    def slopes(self) -> tuple[list[int], int]:
        """Differences of y and the sum of their squares."""
        if self._slopes is None:
            d = list(map(sub, self.y[1:], self.y))
            self._slopes = d, sum(map(mul, d, d))
        return self._slopes


def _best(z: Sequence[int]) -> tuple[float, int, list[int]]:
    """Cost, number and residuals of the best predictor; only linear ones where the numbers are so large that halving
    one that has gone round the ring would go wrong, and where the slope tells too little for the others to pay."""
    small = max(z) < _LARGE and min(z) > -_LARGE
    level = residuals(z, 1)
    best = plain = _cost(level), 1, level
    for predictor in (0, 2, 3, 4):
        if not any(best[2]):
            break
        r = residuals(z, predictor)
        cost = _cost(r)
        if cost < best[0]:
            best = cost, predictor, r
        if predictor == 2 and not (small and cost < 1.25 * plain[0]):
            break
    return best


def plan(values: Sequence[int]) -> Plan:
    first = values[0]
    step = math.gcd(*map(sub, values[1:], values)) if len(values) > 1 else 0
    if step < 2:
        step = 1
        y = [v - first for v in values]
    else:
        y = [(v - first) // step for v in values]
    cost, predictor, r = _best(y)
    return Plan(first, step, y, predictor, r, cost)


def _referable(y: Sequence[int]) -> bool:
    """Small enough for a product with a factor in 64 bits."""
    return min(y) > -_FACTOR_LIMIT and max(y) < _FACTOR_LIMIT


def refer(plan: Plan, earlier: Sequence[Plan]) -> None:
    """Use an earlier column as reference where that saves bits."""
    n = len(plan.y)
    if n < 16 or plan.cost < n or not _referable(plan.y):
        return
    d, energy = plan.slopes()
    for other in earlier:
        e, power = other.slopes()
        product = sum(map(mul, d, e))
        if product * product * 4 <= energy * power or not _referable(other.y):
            continue
        factor = (product * (1 << FACTOR_BITS) + (power >> 1)) // power
        if not factor or abs(factor) >= _FACTOR_LIMIT:
            continue
        z = [v - share(factor, w) for v, w in zip(plan.y, other.y, strict=True)]
        cost, predictor, r = _best(z)
        cost += 2 * factor.bit_length() + 6
        if cost < plan.cost:
            plan.cost, plan.predictor, plan.r, plan.reference, plan.factor = cost, predictor, r, other.index, factor
