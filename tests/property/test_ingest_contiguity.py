"""Progress against a set of numbers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.ingest.sinks.progress import Progress

RANGES = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 12)), max_size=25)


@settings(max_examples=100)
@given(RANGES)
def test_progress_equals_a_set(ranges: list[tuple[int, int]]) -> None:
    """Whatever ranges come in whatever order: position, holes and what lies ahead are those of the set."""
    progress, held = Progress(), set()
    for first, extra in ranges:
        progress.add(first, first + extra)
        held |= set(range(first, first + extra + 1))
        position = next(n for n in range(80) if n + 1 not in held)
        assert progress.position == position
        assert {n for a, b in progress.ahead for n in range(a, b + 1)} == {n for n in held if n > position}
        missing = {n for a, b in progress.missing_below(75) for n in range(a, b + 1)}
        assert missing == {n for n in range(position + 1, 75) if n not in held}
        assert list(progress.ahead) == sorted(progress.ahead)
