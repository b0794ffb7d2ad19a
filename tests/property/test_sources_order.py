"""Order of time: the sequencer against a heap, the merge against a sort."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from outrider.model.fix import Fix, FixType
from outrider.model.frame import FRAME, FRAME_SIZE
from outrider.ports import SourceItem
from outrider.sources.merge import merge
from outrider.sources.sequence import WINDOW, items_of
from outrider.sources.stats import SourceStats


def heap_oracle(times: list[int]) -> list[tuple[int, int]]:
    """Slow and obviously right: a heap of WINDOW frames, then clamped."""
    heap: list[tuple[int, int]] = []
    out: list[tuple[int, int]] = []
    for n, t in enumerate(times):
        heapq.heappush(heap, (t, n))
        if len(heap) > WINDOW:
            out.append(heapq.heappop(heap))
    out += sorted(heap)
    reached = 0
    clamped = []
    for t, n in out:
        reached = max(reached, t)
        clamped.append((reached, n))
    return clamped


@given(
    st.lists(st.integers(-400, 400), min_size=1, max_size=900),
    st.lists(st.integers(1, 899), max_size=6),
)
def test_the_window_is_a_heap_however_the_file_was_chunked(jitter: list[int], cuts: list[int]) -> None:
    """Same frames in the same order as the oracle's, for any chunking."""
    times = [max(0, n * 2 + j) for n, j in enumerate(jitter)]
    raw = b"".join(FRAME.pack(t, n, 0, 0, 0, 0, b"") for n, t in enumerate(times))
    edges = sorted({0, len(times), *(c for c in cuts if c < len(times))})
    chunks = [raw[a * FRAME_SIZE : b * FRAME_SIZE] for a, b in pairwise(edges)]
    items = list(items_of(chunks, SourceStats()))
    got = [(f[0], f[1]) for i in items if i.frames is not None for f in FRAME.iter_unpack(i.frames.buffer)]
    assert got == heap_oracle(times)


class Fixes:
    """A source of fixes at given times."""

    def __init__(self, name: str, times: list[int]) -> None:
        self.name = name
        self.times = sorted(times)
        self.first_us = self.times[0] if times else 0

    def items(self) -> Iterator[SourceItem]:
        return (SourceItem(t, fix=Fix(t, FixType.NONE, sats=ord(self.name))) for t in self.times)


@given(st.lists(st.lists(st.integers(1, 300), max_size=40), max_size=5))
def test_the_merge_is_a_stable_sort_with_an_honest_watermark(times: list[list[int]]) -> None:
    """Order by (time, source); the watermark never falls and never passes what follows."""
    sources = [Fixes(chr(97 + n), each) for n, each in enumerate(times)]
    merged = list(merge(sources))
    got = [(i.fix.t_us, i.fix.sats) for i in merged if i.fix is not None]
    assert got == sorted((t, ord(s.name)) for s in sources for t in s.times)
    marks = [i.watermark_us for i in merged]
    assert marks == sorted(marks)
    assert all(mark <= t for mark, (t, _) in zip(marks, got[1:], strict=False))
