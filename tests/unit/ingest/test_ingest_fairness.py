"""Nobody starves, and who is alone has everything."""

from __future__ import annotations

from outrider.ingest.fairness import Fairness, LetterLimit


def test_one_terminal_alone_may_take_all_the_time() -> None:
    """A backlog of hours drains at full speed."""
    fairness = Fairness()
    fairness.spend("car", 10e6)
    assert not fairness.hogs("car")


def test_a_flood_is_put_behind_the_others() -> None:
    """Whoever took most of the time while others were there, and nobody else."""
    fairness = Fairness()
    fairness.spend("flood", 2e6)
    for n in range(9):
        fairness.spend(f"car-{n}", 50e3)
    assert fairness.hogs("flood")
    assert not any(fairness.hogs(f"car-{n}") for n in range(9))
    assert not fairness.hogs("new")


def test_a_backlog_does_not_hold_up_its_own_terminals_events() -> None:
    """A terminal that drains hours of telemetry beside others has a crash: that is read. A flood of events is not."""
    fairness = Fairness()
    fairness.fade(0)
    fairness.spend("car", 3e6)
    fairness.spend("car", 1e4, urgent=True)
    fairness.spend("other", 1e5)
    assert fairness.hogs("car")
    assert not fairness.hogs("car", urgent=True)
    fairness.spend("car", 9e6, urgent=True)
    assert fairness.hogs("car", urgent=True)
    fairness.fade(2_000_000)
    assert not fairness.hogs("car", urgent=True)
    assert not fairness._urgent


def test_two_that_drain_a_backlog_side_by_side_are_both_served() -> None:
    """Half of the time each is no flood; neither is a third each."""
    for count in (2, 3, 4, 50):
        fairness = Fairness()
        for n in range(count):
            fairness.spend(f"car-{n}", 3e6)
        assert not any(fairness.hogs(f"car-{n}") for n in range(count))


def test_work_of_long_ago_is_forgotten() -> None:
    """And with it the terminal: what is kept in memory is bounded by who was heard lately."""
    fairness = Fairness(fade_s=2.0)
    fairness.fade(0)
    fairness.spend("flood", 2e6)
    fairness.spend("car", 1e5)
    assert fairness.hogs("flood")
    fairness.fade(2_000_000)
    assert not fairness.hogs("flood")
    assert not fairness._spent


def test_dead_letters_of_one_terminal_are_limited() -> None:
    """Garbage of one does not push out the dead letters of the others."""
    limit = LetterLimit(per_s=0.2, burst=5)
    assert sum(limit.allows("flood", 0) for _ in range(1000)) == 5
    assert limit.allows("car", 0)
    assert sum(limit.allows("flood", 10_000_000) for _ in range(1000)) == 2


def test_the_number_of_terminals_remembered_is_bounded() -> None:
    """The one that was quiet for longest goes."""
    limit = LetterLimit(burst=1, most_devices=3)
    for name in ("a", "b", "c", "d"):
        assert limit.allows(name, 0)
    assert len(limit._buckets) == 3
    assert not limit.allows("d", 0)
    assert limit.allows("a", 0)
