"""What a sink holds of a stream, number by number: stored, declared missing and why, still awaited, or lost. Pure.

Below the acknowledged position the terminal has freed its flash, so whatever is neither stored nor declared there is
lost, and by our fault. Above it, the terminal still has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from outrider.ingest.core import StreamKey
from outrider.ingest.sinks.sink import GapRow

Range = tuple[int, int]  # inclusive
_RELEASED = "released"


class Verdict(StrEnum):
    """In order of trouble."""

    COMPLETE = "complete"
    AWAITED = "awaited"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class StreamProof:
    """Each number of 1..newest is in exactly one of stored, declared, awaited and lost. Ranges ascend."""

    stream: StreamKey
    newest: int
    acknowledged: int
    stored: tuple[Range, ...]
    declared: tuple[tuple[int, int, str], ...]
    awaited: tuple[Range, ...]
    lost: tuple[Range, ...]

    @property
    def verdict(self) -> Verdict:
        if self.lost:
            return Verdict.LOST
        return Verdict.AWAITED if self.awaited else Verdict.COMPLETE


def size(ranges: Iterable[Sequence[int | str]]) -> int:
    """Numbers in ranges."""
    return sum(int(r[1]) - int(r[0]) + 1 for r in ranges)


def prove(
    runs: Iterable[tuple[StreamKey, int, int]], gaps: Iterable[GapRow], positions: Mapping[StreamKey, int]
) -> list[StreamProof]:
    """runs: stored sequences, ascending within each stream. By stream."""
    stored: dict[StreamKey, list[Range]] = {key: [] for key in positions}
    for stream, first, last in runs:
        stored.setdefault(stream, []).append((first, last))
    told: dict[StreamKey, list[GapRow]] = {}
    for gap in gaps:
        told.setdefault(gap.stream, []).append(gap)
        stored.setdefault(gap.stream, [])
    ordered = sorted(stored, key=lambda s: (s.device, s.epoch, s.lane))
    return [_prove(s, stored[s], told.get(s, []), positions.get(s, 0)) for s in ordered]


def _prove(stream: StreamKey, stored: list[Range], gaps: list[GapRow], position: int) -> StreamProof:
    reasons = sorted((g.first_seq, g.last_seq, g.reason) for g in gaps if g.reason != _RELEASED)
    released = sorted((g.first_seq, g.last_seq, g.reason) for g in gaps if g.reason == _RELEASED)
    declared = list(_minus(reasons, stored))  # a number has one reason: that of the terminal before "released"
    covered = _joined([*stored, *((first, last) for first, last, _reason in declared)])
    declared = sorted([*declared, *_minus(released, covered)])
    covered = _joined([*stored, *((first, last) for first, last, _reason in declared)])
    newest = max([position, *(last for _first, last in covered[-1:])])
    missing = [(first, last) for first, last, _reason in _minus([(1, newest, "")] if newest else [], covered)]
    return StreamProof(
        stream=stream,
        newest=newest,
        acknowledged=position,
        stored=tuple(stored),
        declared=tuple(declared),
        awaited=tuple((max(first, position + 1), last) for first, last in missing if last > position),
        lost=tuple((first, min(last, position)) for first, last in missing if first <= position),
    )


def _minus(ranges: list[tuple[int, int, str]], cover: list[Range]) -> Iterator[tuple[int, int, str]]:
    """Ranges (ascending, may overlap: the first counts) without what a disjoint, ascending cover has."""
    index = done = 0
    for first, last, reason in ranges:
        start = max(first, done + 1)
        while index < len(cover) and cover[index][1] < start:
            index += 1
        at = index
        while start <= last:
            if at == len(cover) or cover[at][0] > last:
                yield start, last, reason
                break
            if cover[at][0] > start:
                yield start, cover[at][0] - 1, reason
            start = max(start, cover[at][1] + 1)
            at += 1
        done = max(done, last)


def _joined(ranges: list[Range]) -> list[Range]:
    """The same numbers in as few ranges as there may be."""
    joined: list[Range] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined
