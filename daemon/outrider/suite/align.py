"""Which of two lists of moments belong together, one to one. Pure, exact (whole microseconds), the same every time.

The answer is the best assignment that keeps the order of time (two events of a kind do not swap places): it has the
most pairs within their tolerance; among those the most pairs within reach; among those the least sum of distances.
Where that still leaves a choice, the earlier moments are paired. With one tolerance for all, no assignment at all has
more pairs within tolerance.

Found by dynamic programming over the two sorted lists (Needleman and Wunsch 1970), separately for stretches that are
further apart than the reach.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

Pair = tuple[int | None, int | None]
Cost = tuple[int, int, int]  # -pairs within tolerance, -pairs, sum of distances [us]: smaller is better
_IMPOSSIBLE: Final[Cost] = (1 << 62, 0, 0)
_PAIR, _PASS_EXPECTED, _PASS_FOUND = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Moment:
    """Where something is expected: time, and how far from it is still right [us]."""

    t_us: int
    tolerance_us: int


def align(expected: Sequence[Moment], found: Sequence[int], reach_us: int) -> list[Pair]:
    """Pairs of indexes (expected, found), each index once, in order of time; None = has no partner.

    ``reach_us``: nothing further apart is a pair, unless its own tolerance is larger.
    """
    reach = max([reach_us, *(moment.tolerance_us for moment in expected)])
    marks = sorted([(m.t_us, 0, i) for i, m in enumerate(expected)] + [(t, 1, i) for i, t in enumerate(found)])
    pairs: list[Pair] = []
    for cluster in _clusters(marks, reach):
        left = [i for _t, side, i in cluster if side == 0]
        right = [i for _t, side, i in cluster if side == 1]
        pairs += _best(expected, found, left, right, reach_us)
    return pairs


def _clusters(marks: list[tuple[int, int, int]], reach: int) -> Iterator[list[tuple[int, int, int]]]:
    cluster: list[tuple[int, int, int]] = []
    for mark in marks:
        if cluster and mark[0] - cluster[-1][0] > reach:
            yield cluster
            cluster = []
        cluster.append(mark)
    if cluster:
        yield cluster


def _best(
    expected: Sequence[Moment], found: Sequence[int], left: list[int], right: list[int], reach_us: int
) -> list[Pair]:
    """The best pairs of ``left`` (indexes of expected) and ``right`` (of found), both in order of time."""
    steps = _steps([expected[i] for i in left], [found[j] for j in right], reach_us)
    pairs: list[Pair] = []
    i = j = 0
    while i < len(left) and j < len(right):
        step = steps[i][j]
        pairs.append((left[i] if step != _PASS_FOUND else None, right[j] if step != _PASS_EXPECTED else None))
        i += step != _PASS_FOUND
        j += step != _PASS_EXPECTED
    return pairs + [(left_over, None) for left_over in left[i:]] + [(None, left_over) for left_over in right[j:]]


def _steps(expected: list[Moment], found: list[int], reach_us: int) -> list[bytearray]:
    """steps[i][j]: what the best assignment of expected[i:] and found[j:] does first."""
    steps = [bytearray(len(found)) for _ in expected]
    below: list[Cost] = [(0, 0, 0)] * (len(found) + 1)  # costs of the row under the one being filled
    for i in range(len(expected) - 1, -1, -1):
        row: list[Cost] = [(0, 0, 0)] * (len(found) + 1)
        for j in range(len(found) - 1, -1, -1):
            paired = _add(_cost(expected[i], found[j], reach_us), below[j + 1])
            row[j], steps[i][j] = min((paired, _PAIR), (below[j], _PASS_EXPECTED), (row[j + 1], _PASS_FOUND))
        below = row
    return steps


def _cost(moment: Moment, t_us: int, reach_us: int) -> Cost:
    distance = abs(t_us - moment.t_us)
    if distance <= moment.tolerance_us:
        return (-1, -1, distance)
    return (0, -1, distance) if distance <= reach_us else _IMPOSSIBLE


def _add(a: Cost, b: Cost) -> Cost:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])
