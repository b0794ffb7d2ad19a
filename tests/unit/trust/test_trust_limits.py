"""Failures cost; successes do not; memory is bounded."""

from __future__ import annotations

from outrider.trust.limits import ADDRESSES, FailureLimit


def test_an_address_waits_after_its_failures_and_others_do_not() -> None:
    """Ten at once, then one every six seconds."""
    limit = FailureLimit(per_address=10, total=300, window_s=60)
    for _number in range(10):
        assert limit.wait_s("a", 0) == 0
        limit.fail("a", 0)
    assert limit.wait_s("a", 0) == 6
    assert limit.wait_s("b", 0) == 0
    assert limit.wait_s("a", 6) == 0
    limit.fail("a", 6)
    assert limit.wait_s("a", 6) == 6
    assert limit.wait_s("a", 3600) == 0


def test_many_addresses_together_wait_as_well() -> None:
    """A botnet gets as many guesses as the total allows."""
    limit = FailureLimit(per_address=10, total=20, window_s=60)
    for number in range(20):
        limit.fail(str(number), 0)
    assert limit.wait_s("new", 0) == 3


def test_memory_is_bounded() -> None:
    """Addresses that failed the longest ago are forgotten; the total still holds."""
    limit = FailureLimit(per_address=1, total=1_000_000)
    for number in range(ADDRESSES + 10):
        limit.fail(str(number), 0)
    assert len(limit._known) == ADDRESSES
    assert limit.wait_s(str(ADDRESSES + 9), 0) > 0
    assert limit.wait_s("0", 0) == 0


def test_a_clock_that_steps_back_gives_nothing() -> None:
    """No refill, no error; from then on it refills as ever."""
    limit = FailureLimit(per_address=1)
    limit.fail("a", 1000)
    assert limit.wait_s("a", 0) == 60
    assert limit.wait_s("a", 30) == 30
    assert limit.wait_s("a", 60) == 0
