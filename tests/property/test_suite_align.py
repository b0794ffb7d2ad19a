"""The assignment of expected to found moments, held against every assignment there is."""

from __future__ import annotations

from itertools import combinations, permutations

from hypothesis import given
from hypothesis import strategies as st

from outrider.suite.align import Cost, Moment, Pair, align

times = st.integers(0, 40)
tolerances = st.integers(1, 8)
REACH = 10


def cost_of(pairs: list[Pair], expected: list[Moment], found: list[int]) -> Cost:
    total = [0, 0, 0]
    for i, j in pairs:
        if i is None or j is None:
            continue
        distance = abs(expected[i].t_us - found[j])
        within = distance <= expected[i].tolerance_us
        assert within or distance <= REACH
        total = [total[0] - within, total[1] - 1, total[2] + distance]
    return (total[0], total[1], total[2])


def possible(expected: list[Moment], found: list[int], ordered: bool) -> list[Cost]:
    """Costs of every one-to-one assignment (``ordered``: of those that keep the order of time)."""
    left = sorted(range(len(expected)), key=lambda i: expected[i].t_us)
    right = sorted(range(len(found)), key=lambda j: found[j])
    costs = []
    for count in range(min(len(left), len(right)) + 1):
        for some in combinations(left, count):
            others = combinations(right, count) if ordered else permutations(right, count)
            for partners in others:
                pairs: list[Pair] = list(zip(some, partners, strict=True))
                near = all(
                    abs(expected[i].t_us - found[j]) <= max(REACH, expected[i].tolerance_us)
                    for i, j in zip(some, partners, strict=True)
                )
                if near:
                    costs.append(cost_of(pairs, expected, found))
    return costs


@given(
    st.lists(st.builds(Moment, times, tolerances), max_size=4),
    st.lists(times, max_size=4),
)
def test_it_is_the_best_that_keeps_the_order_of_time(expected: list[Moment], found: list[int]) -> None:
    """Most pairs within tolerance, then most pairs, then nearest: no ordered assignment does better."""
    pairs = align(expected, found, REACH)
    assert cost_of(pairs, expected, found) == min(possible(expected, found, ordered=True))


@given(st.lists(times, max_size=4), tolerances, st.lists(times, max_size=4))
def test_with_one_tolerance_nothing_has_more_pairs_within_it(
    moments: list[int], tolerance: int, found: list[int]
) -> None:
    """Keeping the order costs no hit: not even swapped pairs would give more."""
    expected = [Moment(t, tolerance) for t in moments]
    hits = cost_of(align(expected, found, REACH), expected, found)[0]
    assert hits == min(cost[0] for cost in possible(expected, found, ordered=False))


@given(
    st.lists(st.builds(Moment, st.integers(0, 10**9), st.integers(1, 10**6)), max_size=40),
    st.lists(st.integers(0, 10**9), max_size=40),
    st.integers(1, 10**7),
)
def test_every_moment_once(expected: list[Moment], found: list[int], reach: int) -> None:
    """Each expectation and each event is in exactly one pair, whatever the numbers; order is kept; it is repeatable."""
    pairs = align(expected, found, reach)
    assert sorted(i for i, _j in pairs if i is not None) == list(range(len(expected)))
    assert sorted(j for _i, j in pairs if j is not None) == list(range(len(found)))
    both = [(expected[i].t_us, found[j]) for i, j in pairs if i is not None and j is not None]
    assert both == sorted(both)
    assert [t for _e, t in both] == sorted(t for _e, t in both)
    assert align(expected, found, reach) == pairs
