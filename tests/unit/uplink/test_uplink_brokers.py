"""Which broker next: the first where possible, another at once, back without a storm."""

from __future__ import annotations

import random

from outrider.uplink.brokers import Brokers

S = 1_000_000


def made(count: int = 2, seed: int = 1, **changes: float) -> Brokers:
    options = {"backoff_s": 1.0, "cap_s": 300.0, "prefer_s": 900.0} | changes
    addresses = tuple((f"b{n}", 8883) for n in range(count))
    return Brokers(addresses, rng=random.Random(seed), **options)  # type: ignore[arg-type]  # floats all


def test_the_next_is_tried_at_once_and_the_first_again_when_it_may_be() -> None:
    """Each has its own back-off: where the first fails, the second does not wait for it."""
    brokers = made()
    first, second = brokers.list
    assert brokers.choose(0) is first
    brokers.failed(first, 0)
    assert brokers.choose(0) is second
    assert brokers.rest_s(0) == 0
    brokers.failed(second, 0)
    soonest = min(brokers.list, key=lambda broker: broker.ready_us)
    assert brokers.choose(0) is soonest
    assert brokers.rest_s(0) == soonest.ready_us / 1e6
    assert brokers.choose(400 * S) is first


def test_a_lone_broker_is_backed_off_from() -> None:
    brokers = made(1)
    waits = []
    for _ in range(12):
        brokers.failed(brokers.first, 0)
        waits.append(brokers.rest_s(0))
        brokers.first.ready_us = 0
    assert max(waits[:2]) <= 2
    assert max(waits) > 30
    assert max(waits) <= 300


def test_another_network_ends_all_waiting() -> None:
    brokers = made()
    for broker in brokers.list:
        brokers.failed(broker, 0)
    brokers.hurry(1)
    assert brokers.rest_s(1) == 0
    assert brokers.choose(1) is brokers.first


def test_a_switch_is_told_once() -> None:
    brokers = made()
    first, second = brokers.list
    assert brokers.accepted(first, 0) is None
    assert brokers.accepted(first, 1) is None
    assert brokers.accepted(second, 2) is first
    assert brokers.accepted(second, 3) is None
    assert brokers.accepted(first, 4) is second


def test_on_the_second_it_looks_back_at_growing_intervals() -> None:
    """From about a quarter of an hour to some hours; never while on the first."""
    brokers = made()
    first, second = brokers.list
    brokers.accepted(first, 0)
    assert not brokers.may_return(10**12)
    brokers.accepted(second, 0)
    looks, now = [], 0
    while now < 24 * 3600 * S:
        if brokers.may_return(now):
            looks.append(now / S)
        now += 10 * S
    gaps = [b - a for a, b in zip([0.0, *looks], looks, strict=False)]
    assert 450 <= gaps[0] <= 1360
    assert all(gap <= 900 * 8 * 1.5 + 10 for gap in gaps)
    assert len(looks) < 24
    brokers.accepted(first, now)
    assert not brokers.may_return(10**15)


def test_a_fleet_does_not_come_back_all_at_once() -> None:
    """A thousand cars on the second broker: their first looks at the primary are spread over a quarter of an hour."""
    times = []
    for seed in range(1000):
        brokers = made(seed=seed)
        brokers.accepted(brokers.list[1], 0)
        now = 0
        while not brokers.may_return(now):
            now += S
        times.append(now / S)
    assert max(times) - min(times) > 800
    assert max(sum(at <= t < at + 10 for t in times) for at in range(0, 1400, 10)) < 40


def test_names() -> None:
    brokers = Brokers((("2001:db8::1", 8883), ("b", 1)), backoff_s=1, cap_s=1, prefer_s=1)
    assert [broker.name for broker in brokers.list] == ["[2001:db8::1]:8883", "b:1"]
