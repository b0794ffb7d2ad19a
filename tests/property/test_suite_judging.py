"""Verdicts over any expectations and events: nothing is counted twice, nothing is forgotten, order does not matter."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from outrider.suite.model import Expect, Limits, Tolerances
from outrider.suite.observed import Finding
from outrider.suite.verdict import DriveVerdict, Verdict, judge
from tests.support.suites import drive_of, finding, observed

KINDS = ("crash", "rollover", "harsh_brake")
TOLERANCES = Tolerances(time_s=0.5)
moments = st.integers(0, 4000).map(lambda n: n / 100)
expects = st.lists(st.builds(lambda kind, t_s: Expect(kind=kind, t_s=t_s), st.sampled_from(KINDS), moments), max_size=8)
findings = st.lists(st.builds(finding, st.sampled_from(KINDS), moments), max_size=8)


def verdict_of(wanted: list[Expect], seen: list[Finding], extra: int = 0) -> DriveVerdict:
    drive = drive_of()
    limits = Limits(max_extra_events=extra)
    changed = type(drive)(name=drive.name, scenario=drive.scenario, expect=tuple(wanted), limits=limits)
    return judge(changed, observed(*seen), TOLERANCES)


@given(expects, findings)
def test_every_expectation_and_event_once(wanted: list[Expect], seen: list[Finding]) -> None:
    """Each has exactly one line; what the lines say of themselves is true; the drive passes when all are hits."""
    verdict = verdict_of(wanted, seen)
    assert Counter(line.expected for line in verdict.lines if line.expected is not None) == Counter(wanted)
    assert Counter(line.found for line in verdict.lines if line.found is not None) == Counter(seen)
    for line in verdict.lines:
        assert line.sentence
        both = line.expected is not None and line.found is not None
        assert both == (line.verdict in {Verdict.HIT, Verdict.OFF, Verdict.RENAMED})
        if line.expected is not None and line.found is not None:
            near = abs(round((line.found.t_s - line.expected.t_s) * 1e6)) <= 500_000
            same = line.found.kind == line.expected.kind
            assert (line.verdict is Verdict.HIT) == (near and same)
            assert (line.verdict is Verdict.RENAMED) == (not same)
            assert near or same
    assert verdict.ok == all(line.verdict is Verdict.HIT for line in verdict.lines)
    assert (verdict.problems == []) == verdict.ok


@given(expects, findings, st.integers(0, 2**32))
def test_the_order_of_the_file_does_not_matter(wanted: list[Expect], seen: list[Finding], seed: int) -> None:
    """The same verdicts, however the expectations are written down and the events arrive."""
    shuffled, later = list(wanted), list(seen)
    Random(seed).shuffle(shuffled)
    Random(seed).shuffle(later)
    first, second = verdict_of(wanted, seen), verdict_of(shuffled, later)
    assert Counter(line.verdict for line in first.lines) == Counter(line.verdict for line in second.lines)
    assert first.ok == second.ok


@given(findings, st.integers(0, 9))
def test_extra_events_up_to_the_limit(seen: list[Finding], allowed: int) -> None:
    """With nothing expected a drive passes exactly when no more was found than is allowed."""
    verdict = verdict_of([], seen, allowed)
    assert verdict.ok == (len(seen) <= allowed)


@given(findings)
def test_what_was_seen_is_what_was_seen(seen: list[Finding]) -> None:
    """Expecting exactly what is there passes."""
    assert verdict_of([Expect(kind=f.kind, t_s=f.t_s) for f in seen], seen).ok
