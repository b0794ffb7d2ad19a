"""How far a stream is complete."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outrider.ingest.sinks.progress import Progress


def test_the_position_waits_at_a_hole_and_jumps_when_it_is_filled() -> None:
    progress = Progress()
    progress.add(1, 10)
    progress.add(21, 30)
    progress.add(41, 50)
    assert progress.position == 10
    assert progress.missing_below(60) == [(11, 20), (31, 40), (51, 59)]
    progress.add(11, 20)
    assert progress.position == 30
    progress.add(31, 40)
    assert (progress.position, progress.ahead) == (50, ())


def test_old_ranges_change_nothing() -> None:
    progress = Progress(100, [(150, 160)])
    progress.add(1, 100)
    assert (progress.position, progress.ahead) == (100, ((150, 160),))


def test_nothing_is_missing_below_the_position() -> None:
    assert Progress(10).missing_below(11) == []


numbers = st.integers(1, 30)
spans = st.tuples(numbers, st.integers(0, 8)).map(lambda t: (t[0], t[0] + t[1]))


@given(st.lists(spans, max_size=12), spans)
def test_what_is_known_of_a_range_is_as_narrow_as_can_be(added: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    """Against sets of numbers; and a copy goes its own way."""
    progress = Progress()
    for span in added:
        progress.add(*span)
    there = {n for first, last in added for n in range(first, last + 1)}
    inside = sorted(there & set(range(asked[0], asked[1] + 1)))
    assert progress.known(*asked) == ((inside[0], inside[-1]) if inside else None)
    other = progress.copy()
    other.add(1, 100)
    assert {n for n in range(1, 100) if progress.known(n, n)} == there
