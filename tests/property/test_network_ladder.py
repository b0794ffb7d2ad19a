"""The ladder under anything that may happen to it, and the reader of D-Bus under any value."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.network.grades import measures, overall
from outrider.network.ladder import DAY_US, HOUR_US, Ladder, LadderOptions, Lost, Recovered, Step
from outrider.network.modem import BEARER, LOCATION, MODEM, MODEM_3GPP, SIGNAL, SIM, choose, modems, wanted_objects
from outrider.network.properties import MAX_OBJECTS, ObjectTree
from outrider.network.trouble import RUNGS, SECOND_US, Condition, Diagnosis, Facts, Judge, Rung, Trouble, TroubleKind
from outrider.network.view import modem_document

OPTIONS = LadderOptions(available=frozenset(Rung), per_hour=3, per_day=9, power_per_hour=1, power_per_day=2)
SHORTEST_S = 60  # the shortest time that a step gets to work


def course_of(seed: int) -> Iterator[tuple[int, Diagnosis]]:
    """Seconds since the last look, and what is seen: two hundred looks."""
    rng = random.Random(seed)
    for _ in range(200):
        seconds = rng.choice([2, 30, 60, 120, 120, 240, 600, 3600])
        kind = rng.choice([None, TroubleKind.DEAD_SESSION, *TroubleKind])
        told = {"heard_us": rng.choice([None, 0, 1 << 60]), "hold": rng.choice([None, None, None, "a crash"])}
        if kind is None:
            yield seconds, Diagnosis(Condition.CONNECTED, "", rng.random() < 0.5, **told)
        else:
            rungs = tuple(rung for rung in RUNGS[kind] if rng.random() < 0.8)
            yield seconds, Diagnosis(Condition.FAILED, "", trouble=Trouble(kind, "why", 0, rungs), **told)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 32), st.booleans())
def test_no_course_of_events_breaks_the_limits(seed: int, fails: bool) -> None:
    """Steps only for a trouble, only rungs that may help it, never while held, never before the last had its time,
    never beyond the limits of any hour and any day; recovered only after a step."""
    ladder, now, taken = Ladder(OPTIONS), 0, list[tuple[int, Rung]]()
    steps_since_recovery = 0
    for seconds, diagnosis in course_of(seed):
        now += seconds * SECOND_US
        move = ladder.turn(now, diagnosis)
        if isinstance(move, Step):
            assert diagnosis.trouble is not None
            assert diagnosis.hold is None
            assert move.rung in diagnosis.trouble.rungs
            if taken and not fails:
                assert now - taken[-1][0] >= SHORTEST_S * SECOND_US or steps_since_recovery == 0
            taken.append((now, move.rung))
            steps_since_recovery += 1
            assert move.number <= steps_since_recovery
            if fails:
                ladder.failed(now)
        elif isinstance(move, Recovered):
            assert diagnosis.healthy
            assert 0 < move.steps <= steps_since_recovery
            steps_since_recovery = 0
        elif isinstance(move, Lost):
            assert diagnosis.trouble is not None
    for span, most, power in (
        (HOUR_US, OPTIONS.per_hour, OPTIONS.power_per_hour),
        (DAY_US, OPTIONS.per_day, OPTIONS.power_per_day),
    ):
        for at, _ in taken:
            within = [rung for then, rung in taken if at - span < then <= at]
            assert len(within) <= most
            assert within.count(Rung.POWER) <= power


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1 << 32))
def test_what_was_done_before_the_start_counts(seed: int) -> None:
    """A ladder that starts with a full day of steps takes none until they are old."""
    ladder, now = Ladder(OPTIONS, [(-number, Rung.RESET) for number in range(OPTIONS.per_day)]), 0
    for seconds, diagnosis in course_of(seed):
        now += seconds * SECOND_US
        move = ladder.turn(now, diagnosis)
        if now < DAY_US - OPTIONS.per_day:
            assert not isinstance(move, Step)


# -- anything over D-Bus ------------------------------------------------------------------------------------------

OWN_NUMBER = "+8613800138000"
NAMES = [
    *("State", "StateFailedReason", "Model", "Manufacturer", "Revision", "Plugin", "PowerState", "UnlockRequired"),
    *("UnlockRetries", "SignalQuality", "AccessTechnologies", "Ports", "PrimaryPort", "Sim", "Bearers", "Imei"),
    *("OperatorName", "OperatorCode", "RegistrationState", "Rate", "Lte", "Nr5g", "Umts", "Gsm", "Enabled"),
    *("SimIdentifier", "Imsi", "Connected", "Interface", "Ip4Config", "Ip6Config", "Stats", "Properties"),
    "ConnectionError",
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 64) - 1), st.floats(), st.text(max_size=8),
    st.sampled_from(["/m", "/s", "/b", "rsrp", "\x00", "a" * 300]), st.binary(max_size=4),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["rsrp", "rsrq", "snr", "rssi", "apn", "address", "dns1", "rx-bytes"])
            | SCALARS.filter(lambda key: key.__hash__ is not None),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
PROPERTIES = st.dictionaries(st.sampled_from(NAMES) | st.integers(), VALUES, max_size=12).map(
    lambda values: {**values, "OwnNumbers": [OWN_NUMBER]}
)
PATHS = st.sampled_from(["/m", "/s", "/b", "/", ""]) | SCALARS
INTERFACES = st.sampled_from([MODEM, MODEM_3GPP, SIGNAL, LOCATION, SIM, BEARER]) | SCALARS
NEWS = st.one_of(
    st.tuples(st.just("put"), PATHS, st.dictionaries(st.sampled_from([MODEM, SIM, BEARER]), PROPERTIES) | VALUES),
    st.tuples(st.just("change"), PATHS, INTERFACES, PROPERTIES | VALUES, VALUES),
    st.tuples(st.just("drop"), PATHS, st.lists(INTERFACES, max_size=3)),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(NEWS, max_size=25))
def test_whatever_is_told_is_judged_without_a_fault(news: list[tuple[Any, ...]]) -> None:
    """Any value of any type under any name: a modem comes out that can be judged and shown, without its own number."""
    tree, judge = ObjectTree(), Judge()
    tree.put("/m", {MODEM: {"State": 11}})
    for number, (what, *arguments) in enumerate(news):
        getattr(tree, what)(*arguments)
        for path in tree:
            wanted_objects(tree, path)
        modem = choose(modems(tree))
        judge.judge(Facts(number * SECOND_US, modem))
        if modem is not None:
            assert OWN_NUMBER not in repr(modem_document(modem)) + repr(tree.of(modem.path, MODEM))
            assert overall(modem.signal) in {None, *(measure.grade for measure in measures(modem.signal))}


@given(st.integers(0, 3 * MAX_OBJECTS))
def test_what_is_kept_is_bounded(count: int) -> None:
    """A program that tells of objects without end fills no memory."""
    tree = ObjectTree()
    for number in range(count):
        tree.put(f"/{number}", {MODEM: {}})
    assert len(list(tree)) == min(count, MAX_OBJECTS)
    assert tree.refused == max(0, count - MAX_OBJECTS)
