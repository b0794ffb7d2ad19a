"""How far a stream (device, epoch, lane) is complete: the highest sequence below which nothing is missing.

Ranges are inclusive and count from 1. What came ahead of a hole is kept as a sorted list of disjoint ranges.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator


class Progress:
    """``position``: everything up to it is here, or known to be missing for good."""

    def __init__(self, position: int = 0, ahead: Iterable[tuple[int, int]] = ()) -> None:
        self.position = position
        self._ahead: list[tuple[int, int]] = []
        for first, last in ahead:
            self.add(first, last)

    @property
    def ahead(self) -> tuple[tuple[int, int], ...]:
        return tuple(self._ahead)

    @property
    def holes(self) -> int:
        return len(self._ahead)

    def add(self, first: int, last: int) -> None:
        """Sequences first..last are accounted for."""
        first = max(first, self.position + 1)
        if first > last:
            return
        index = bisect_left(self._ahead, (first, first))
        if index and self._ahead[index - 1][1] >= first - 1:
            index -= 1
        end = index
        while end < len(self._ahead) and self._ahead[end][0] <= last + 1:
            first = min(first, self._ahead[end][0])
            last = max(last, self._ahead[end][1])
            end += 1
        self._ahead[index:end] = [(first, last)]
        if self._ahead[0][0] == self.position + 1:
            self.position = self._ahead.pop(0)[1]

    def copy(self) -> Progress:
        """One of its own that says the same."""
        made = Progress(self.position)
        made._ahead = list(self._ahead)
        return made

    def known(self, first: int, last: int) -> tuple[int, int] | None:
        """The narrowest range that holds all of first..last that is accounted for; None: nothing of it is."""
        begin = bisect_left(self._ahead, (first, first))
        if begin and self._ahead[begin - 1][1] >= first:
            begin -= 1
        end = bisect_left(self._ahead, (last + 1, 0))
        touched = self._ahead[begin:end]
        if first <= self.position:
            return first, max(min(last, self.position), min(last, touched[-1][1]) if touched else 0)
        return (max(first, touched[0][0]), min(last, touched[-1][1])) if touched else None

    def missing_below(self, seq: int) -> list[tuple[int, int]]:
        """Holes below ``seq``."""
        holes = []
        start = self.position + 1
        for first, last in self._ahead:
            if first >= seq:
                break
            holes.append((start, first - 1))
            start = last + 1
        if start < seq:
            holes.append((start, seq - 1))
        return holes


def runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Ascending numbers as inclusive ranges."""
    first = last = None
    for n in numbers:
        if first is None or last is None:
            first = last = n
        elif n == last + 1:
            last = n
        else:
            yield first, last
            first = last = n
    if first is not None and last is not None:
        yield first, last


def spans(numbers: Iterable[int], slack: int) -> Iterator[tuple[int, int]]:
    """Ascending numbers as inclusive ranges; holes of at most ``slack`` numbers count as if they were there."""
    whole: tuple[int, int] | None = None
    for first, last in runs(numbers):
        if whole is None or first - whole[1] - 1 > slack:
            if whole is not None:
                yield whole
            whole = first, last
        else:
            whole = whole[0], last
    if whole is not None:
        yield whole
