"""When to renew, what time it is at least, how often to try."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from outrider.trust.renewal import RELEASED_UTC_S, RETRY_CAP_S, Lifetime, State, believable_s, retry_s

YEAR_S = 365 * 86_400


def lifetime(seed: int = 0, length_s: int = YEAR_S) -> Lifetime:
    start = RELEASED_UTC_S
    return Lifetime(start, start + length_s, hashlib.sha256(str(seed).encode()).hexdigest())


def test_states_follow_each_other() -> None:
    """Fresh, due at two thirds at the latest, expiring at five sixths, expired."""
    one = lifetime()
    assert one.state(one.starts_s) is State.FRESH
    assert one.state(one.due_s - 1) is State.FRESH
    assert one.state(one.due_s) is State.DUE
    assert one.state(one.ends_s - YEAR_S / 6 + 1) is State.EXPIRING
    assert one.state(one.ends_s) is State.EXPIRED


def test_a_fleet_enrolled_in_one_afternoon_is_spread_over_weeks() -> None:
    """A thousand certificates of the same second come due evenly within a twentieth of the lifetime."""
    due = sorted(lifetime(seed).due_s - RELEASED_UTC_S for seed in range(1000))
    assert YEAR_S * 0.61 < due[0] < due[-1] <= YEAR_S * 2 / 3
    days = {second // 86_400 for second in due}
    assert len(days) >= 18
    assert max(sum(1 for second in due if second // 86_400 == day) for day in days) < 100


@given(length_s=st.integers(60, 20 * YEAR_S), seed=st.integers(0, 1000))
def test_due_lies_within_the_lifetime(length_s: int, seed: int) -> None:
    """Whatever the lifetime, there is at least a third of it to try in."""
    one = lifetime(seed, length_s)
    assert one.starts_s < one.due_s <= one.ends_s - length_s / 3 + 1


def test_a_clock_behind_what_is_known_is_wrong() -> None:
    """1970 becomes the highest floor; a clock ahead of it is believed."""
    assert believable_s(0.0, ()) == (RELEASED_UTC_S, False)
    assert believable_s(RELEASED_UTC_S + 5, (RELEASED_UTC_S + 9.0,)) == (RELEASED_UTC_S + 9, False)
    assert believable_s(RELEASED_UTC_S + 9, (RELEASED_UTC_S + 5.0,)) == (RELEASED_UTC_S + 9, True)


def test_failures_are_tried_again_at_growing_intervals() -> None:
    """An hour, then doubled up to a day, however often it failed."""
    assert [retry_s(n) for n in (1, 2, 3)] == [3600, 7200, 14_400]
    assert retry_s(5) == 16 * 3600
    assert retry_s(6) == retry_s(10_000) == RETRY_CAP_S
