"""Judge and ladder together on courses of a modem's life: every way to hang, and every ordinary hour that is none."""

from __future__ import annotations

import pytest

from outrider.network import trouble
from outrider.network.ladder import LadderOptions
from outrider.network.trouble import RUNGS, Rung, TroubleKind
from tests.support.modem_courses import DAY, HOUR, MINUTE, Hang, ModemWorld

ALL_RUNGS = LadderOptions(available=frozenset(Rung), per_hour=6)
KINDS = {
    Hang.SESSION: TroubleKind.DEAD_SESSION,
    Hang.CONNECT_LOOP: TroubleKind.NOT_CONNECTED,
    Hang.DEAF: TroubleKind.UNREGISTERED,
    Hang.IDLE: TroubleKind.UNREGISTERED,
    Hang.STUCK: TroubleKind.STUCK,
    Hang.FAILED: TroubleKind.FAILED,
    Hang.SIM_LOST: TroubleKind.FAILED,
    Hang.GONE: TroubleKind.VANISHED,
}
CURES = [(hang, rung) for hang, kind in KINDS.items() for rung in RUNGS[kind]]


@pytest.mark.parametrize(("hang", "cure"), CURES, ids=lambda value: value.name.lower())
def test_every_hang_ends_with_the_cheapest_step_that_helps(hang: Hang, cure: Rung) -> None:
    """Each class of hang is recovered within half an hour, by no more than the rungs up to the one that helps."""
    world = ModemWorld(hang_at_s=10 * MINUTE, hang=hang, cure=cure, options=ALL_RUNGS)
    world.run(10 * MINUTE + HOUR // 2)
    assert [step.rung for _, step in world.steps] == [rung for rung in RUNGS[KINDS[hang]] if rung <= cure]
    assert world.steps[0][1].trouble.kind is KINDS[hang]
    ((_, recovered),) = world.recovered
    assert (recovered.rung, recovered.steps) == (cure, len(world.steps))
    assert not world.lost


@pytest.mark.parametrize("hang", [hang for hang in Hang if RUNGS[KINDS[hang]]], ids=lambda value: value.name.lower())
def test_what_nothing_helps_costs_few_steps_a_day(hang: Hang) -> None:
    """A modem that is broken for good: the limits of the day hold on every day, and it is told lost once."""
    world = ModemWorld(tick_s=30, hang_at_s=0, hang=hang, cure=None, options=LadderOptions(available=frozenset(Rung)))
    world.judge.was_registered = world.judge.had_sim = True
    world.run(2 * DAY)
    for day in range(2):
        taken = [step.rung for at, step in world.steps if day * DAY <= at < (day + 1) * DAY]
        assert 0 < len(taken) <= 12
        assert taken.count(Rung.POWER) <= 3
    assert len(world.lost) == 1
    assert not world.recovered


def test_a_car_parked_without_coverage_costs_nothing() -> None:
    """A month in a garage: no step at all."""
    world = ModemWorld(tick_s=30, covered=lambda s: s < HOUR, moving=lambda s: s < HOUR)
    world.run(30 * DAY)
    assert not world.steps
    assert not world.lost


def test_without_the_rule_for_parked_cars_the_garage_costs_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The course above bites: with want of coverage taken for a hang, the modem is toggled and reset all night."""
    monkeypatch.setattr(trouble, "hears", lambda _modem: True)
    monkeypatch.setattr(trouble, "_rungs", lambda kind, _facts: RUNGS[kind])
    world = ModemWorld(tick_s=30, covered=lambda s: s < HOUR, moving=lambda s: s < HOUR)
    world.run(DAY)
    assert len(world.steps) > 5


def test_a_stale_signal_in_a_garage_costs_a_few_toggles_and_no_more() -> None:
    """A modem that goes on telling the last RSRP: soft steps with growing pauses, never a reset or a power cut."""
    world = ModemWorld(
        tick_s=30,
        covered=lambda s: s < HOUR,
        moving=lambda s: s < HOUR,
        stale_dbm=-95,
        options=LadderOptions(available=frozenset(Rung)),
    )
    world.run(7 * DAY)
    assert {step.rung for _, step in world.steps} == {Rung.TOGGLE}
    assert len(world.steps) <= 8 + 6 * 4


def test_tunnels_and_valleys_cost_nothing() -> None:
    """Driving with ten minutes of silence in every half hour, all day."""
    world = ModemWorld(tick_s=30, covered=lambda s: s % (HOUR // 2) > 10 * MINUTE)
    world.run(DAY)
    assert not world.steps


def test_a_long_drive_without_coverage_costs_few_soft_steps() -> None:
    """Six hours through nowhere: the modem may hang, so it is toggled and reset, rarely, and never cut off."""
    world = ModemWorld(
        tick_s=30, covered=lambda s: not HOUR < s < 7 * HOUR, options=LadderOptions(available=frozenset(Rung))
    )
    world.run(8 * HOUR)
    assert 0 < len(world.steps) <= 10
    assert {step.rung for _, step in world.steps} <= {Rung.TOGGLE, Rung.RESET}


def test_a_broker_that_is_down_costs_nothing() -> None:
    """Two days: packets come back (resets, name lookups), so the network is well and the modem is left alone."""
    world = ModemWorld(tick_s=30, broker=lambda s: s < HOUR)
    world.run(2 * DAY)
    assert not world.steps


def test_a_refused_subscription_costs_nothing() -> None:
    """Registration denied for a week."""
    world = ModemWorld(tick_s=30, denied=True)
    world.run(7 * DAY)
    assert not world.steps


def test_a_modem_that_only_sends_by_itself_is_not_taken_for_dead() -> None:
    """Wi-Fi carries; router solicitations leave the modem's interface for ever without an answer."""
    world = ModemWorld(tick_s=30, hang_at_s=HOUR, hang=Hang.SESSION, cure=None, other_path=lambda _s: True)
    world.run(DAY)
    assert not world.steps


def test_a_night_of_sleep_is_no_evidence() -> None:
    """The terminal is suspended for eight hours in the middle of everything: what was seen before does not count."""
    world = ModemWorld(hang_at_s=HOUR, hang=Hang.DEAF, cure=Rung.TOGGLE)
    world.run(HOUR + 4 * MINUTE)
    world.sleep(8 * HOUR)
    began = world.now_s
    world.run(began + 4 * MINUTE)
    assert not world.steps
    world.run(began + 10 * MINUTE)
    assert [step.rung for _, step in world.steps] == [Rung.TOGGLE]


def test_a_crash_on_its_way_is_not_cut() -> None:
    """Emergency records that get through hold every step; when nothing more gets through, the hold ends by itself."""
    crash = ModemWorld(hang_at_s=HOUR, hang=Hang.CONNECT_LOOP, cure=Rung.RECONNECT, urgent=lambda _s: True)
    crash.other_path = lambda s: HOUR < s < 2 * HOUR
    crash.run(2 * HOUR)
    assert not crash.steps
    crash.run(2 * HOUR + 10 * MINUTE)
    assert crash.steps


def test_a_modem_that_a_reset_leaves_disabled_is_enabled() -> None:
    """Where nobody else enables it: the ladder does, also after its highest rungs."""
    world = ModemWorld(hang_at_s=HOUR, hang=Hang.STUCK, cure=Rung.RESET, enables=False)
    world.run(2 * HOUR)
    assert [step.rung for _, step in world.steps] == [Rung.RESET, Rung.TOGGLE]
    assert len(world.recovered) == 1


def test_a_session_that_dies_again_and_again_is_not_reconnected_for_ever() -> None:
    """A new session looks well for a minute. Without the proof the ladder would begin at the lowest rung each time."""
    world = ModemWorld(hang_at_s=HOUR, hang=Hang.SESSION, cure=Rung.RESET)
    world.run(2 * HOUR)
    assert [step.rung for _, step in world.steps] == [Rung.RECONNECT, Rung.TOGGLE, Rung.RESET]


def test_a_vanished_modem_without_a_power_switch_is_told_and_left() -> None:
    """Nothing can be done from here: one notice, no step."""
    world = ModemWorld(tick_s=30, hang_at_s=HOUR, hang=Hang.GONE, cure=Rung.POWER)
    world.run(DAY)
    assert not world.steps
    ((_, lost),) = world.lost
    assert lost.next_try_s is None
