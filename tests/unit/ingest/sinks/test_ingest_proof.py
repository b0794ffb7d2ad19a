"""The gap proof: every number in exactly one class, and the right one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outrider.ingest.core import StreamKey, reason_today
from outrider.ingest.sinks.progress import runs
from outrider.ingest.sinks.proof import Verdict, prove, size
from outrider.ingest.sinks.sink import GapRow
from outrider.model.record import Lane

KEY = StreamKey("car", 1, Lane.EVENT)


def test_what_is_acknowledged_but_neither_stored_nor_declared_is_lost() -> None:
    """Above the position the terminal still has it: awaited."""
    gaps = [GapRow(KEY, 4, 6, "quota"), GapRow(KEY, 5, 9, "released")]
    [proof] = prove([(KEY, 1, 2), (KEY, 10, 10), (KEY, 14, 15)], gaps, {KEY: 11})
    assert proof.declared == ((4, 6, "quota"), (7, 9, "released"))
    assert proof.lost == ((3, 3), (11, 11))
    assert proof.awaited == ((12, 13),)
    assert (proof.newest, proof.acknowledged, proof.verdict) == (15, 11, Verdict.LOST)


def test_a_stream_of_which_nothing_is_stored_is_proved_too() -> None:
    """An acknowledged position without records would else go unnoticed."""
    [proof] = prove([], [], {KEY: 3})
    assert (proof.lost, proof.verdict) == (((1, 3),), Verdict.LOST)
    [proof] = prove([], [], {KEY: 0})
    assert (proof.newest, proof.verdict) == (0, Verdict.COMPLETE)


def test_a_reason_that_was_a_number_gets_its_name_when_it_has_one() -> None:
    """What a newer terminal gave as its reason is readable after the receiver's upgrade."""
    assert reason_today("gapreason_6") == "thinned"
    assert reason_today("gapreason_99") == "gapreason_99"
    assert reason_today("gapreason_999") == "gapreason_999"
    assert reason_today("released") == "released"


ranges = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 15)).map(lambda t: (t[0], t[0] + t[1])), max_size=8)


@given(
    stored=st.sets(st.integers(1, 70)),
    told=st.lists(st.tuples(ranges, st.sampled_from(["quota", "corrupt", "released"])), max_size=4),
    position=st.integers(0, 80),
)
def test_each_number_is_in_one_class(
    stored: set[int], told: list[tuple[list[tuple[int, int]], str]], position: int
) -> None:
    """Against the definition, number by number: stored, else the terminal's reason, else released, else awaited or
    lost."""
    gaps = [GapRow(KEY, first, last, reason) for group, reason in told for first, last in group]
    found = prove([(KEY, first, last) for first, last in runs(sorted(stored))], gaps, {KEY: position})
    [proof] = found
    reasons: dict[int, set[str]] = {}
    for gap in gaps:
        for number in range(gap.first_seq, gap.last_seq + 1):
            reasons.setdefault(number, set()).add(gap.reason)
    assert proof.newest == max([position, *stored, *reasons], default=0)
    declared = {n: reason for first, last, reason in proof.declared for n in range(first, last + 1)}
    numbers = {
        name: [n for first, last in getattr(proof, name) for n in range(first, last + 1)]
        for name in ("awaited", "lost")
    }
    for number in range(1, proof.newest + 1):
        if number in stored:
            assert number not in declared
        elif number in reasons:
            own = reasons[number] - {"released"} or {"released"}
            assert declared[number] in own
        else:
            assert number in numbers["lost" if number <= position else "awaited"]
    total = size(proof.stored) + size(proof.declared) + size(proof.awaited) + size(proof.lost)
    assert total == proof.newest
