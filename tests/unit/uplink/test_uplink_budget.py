"""What may be sent: plans, the month's limit, roaming, Wi-Fi for bulk."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.errors import ConfigError
from outrider.model.network import NetworkState, Path
from outrider.model.record import Lane
from outrider.uplink.budget import (
    Budget,
    BudgetOptions,
    Hold,
    Plan,
    Portion,
    Reach,
    Why,
    is_metered,
    limit_step,
)

CELLULAR = NetworkState(Path.CELLULAR)
ROAMING = replace(CELLULAR, roaming=True)
WIFI = NetworkState(Path.WIFI)
EVENTS = {Lane.EMERGENCY, Lane.LEDGER, Lane.EVENT}
S = 1_000_000


def test_without_settings_all_goes_at_sixty_seconds() -> None:
    """The default is what a terminal without a budget does."""
    rules = Budget().rules(0, NetworkState())
    assert (rules.batch_age_s, rules.batch_records, rules.lanes) == (60.0, 60, frozenset(Lane))
    assert rules.pause_reason is None


def test_watching_ends_by_itself() -> None:
    """Small batches while somebody looks; whoever forgets to stop looking does not pay for it."""
    budget = Budget()
    budget.watch(100 * S)
    assert budget.rules(99 * S, CELLULAR).batch_age_s == 10.0
    assert budget.rules(100 * S, CELLULAR).batch_age_s == 60.0
    configured = Budget(BudgetOptions(plan=Plan.WATCHED, watch_s=60.0))
    assert configured.rules(5 * S, CELLULAR).plan is Plan.WATCHED
    assert configured.rules(64 * S, CELLULAR).plan is Plan.WATCHED
    assert configured.rules(65 * S, CELLULAR).plan is Plan.MOVING


def test_parked_is_slower_but_not_before_the_last_of_the_drive_has_gone() -> None:
    """Where the car stands is told at the pace of the drive; the rows of the night in company."""
    budget = Budget()
    budget.set_parked(True, 1000 * S)
    budget.set_parked(True, 1050 * S)  # told each second: the first counts
    assert budget.rules(1070 * S, CELLULAR).batch_age_s == 60.0
    parked = budget.rules(1071 * S, CELLULAR)
    assert (parked.batch_age_s, parked.why) == (900.0, Why.PARKED)
    budget.watch(2000 * S)
    assert budget.rules(1071 * S, CELLULAR).batch_age_s == 10.0
    budget.watch(0)
    budget.set_parked(False, 1072 * S)
    assert budget.rules(1072 * S, CELLULAR).batch_age_s == 60.0


@pytest.mark.parametrize(
    ("used", "plan", "lanes", "hold"),
    [
        (79, Plan.MOVING, set(Lane), None),
        (80, Plan.LOW, set(Lane), None),
        (95, Plan.LOW, EVENTS, Hold.LIMIT_95),
        (100, Plan.LOW, {Lane.EMERGENCY}, Hold.LIMIT_100),
        (1000, Plan.LOW, {Lane.EMERGENCY}, Hold.LIMIT_100),
    ],
)
def test_the_month_s_limit_comes_in_steps(used: int, plan: Plan, lanes: set[Lane], hold: Hold | None) -> None:
    """80 %: large batches; 95 %: events; 100 %: emergencies; and none of it where bytes cost nothing."""
    budget = Budget(BudgetOptions(monthly_bytes=100))
    budget.used_bytes = used
    budget.watch(10 * S)
    rules = budget.rules(20 * S, CELLULAR)
    assert (rules.plan, rules.lanes, rules.pause_reason) == (plan, lanes, hold)
    free = budget.rules(20 * S, WIFI)
    assert (free.plan, free.lanes, free.step_percent) == (Plan.MOVING, set(Lane), 0)


def test_the_word_that_the_limit_is_reached_still_goes() -> None:
    """Held back with all other events, it would say so next month."""
    budget = Budget(BudgetOptions(monthly_bytes=100))
    budget.used_bytes = 100
    budget.last_word(10 * S)
    assert budget.rules(309 * S, CELLULAR).lanes == EVENTS
    assert budget.rules(310 * S, CELLULAR).lanes == {Lane.EMERGENCY}


def test_roaming_is_the_owner_s_choice() -> None:
    """Off by default: SIMs made for machines roam all the time. Emergencies go in any case."""
    assert Budget().rules(0, ROAMING).lanes == set(Lane)
    events = Budget(BudgetOptions(roaming=Reach.EVENTS))
    assert events.rules(0, ROAMING).lanes == EVENTS
    assert events.rules(0, ROAMING).pause_reason == "roaming"
    assert events.rules(0, CELLULAR).lanes == set(Lane)
    assert Budget(BudgetOptions(roaming=Reach.EMERGENCY)).rules(0, ROAMING).lanes == {Lane.EMERGENCY}


def test_bulk_waits_for_wifi_but_evidence_of_a_crash_does_not() -> None:
    """A wreck does not come home; whoever wants to wait all the same can say so."""
    budget = Budget(BudgetOptions(bulk_wifi=True, monthly_bytes=100))
    assert budget.rules(0, CELLULAR).lanes == set(Lane) - {Lane.BULK}
    assert budget.rules(0, CELLULAR).pause_reason == "bulk_wifi"
    assert budget.rules(0, WIFI).lanes == set(Lane)
    hotspot = replace(WIFI, metered=True)
    assert Lane.BULK not in budget.rules(0, hotspot).lanes
    budget.set_evidence_due(True)
    assert budget.rules(0, CELLULAR).lanes == set(Lane)
    assert budget.rules(0, CELLULAR).pause_reason is None
    budget.used_bytes = 100
    assert budget.rules(0, CELLULAR).lanes == {Lane.EMERGENCY, Lane.BULK}
    waits = Budget(BudgetOptions(bulk_wifi=True, evidence_always=False))
    waits.set_evidence_due(True)
    assert Lane.BULK not in waits.rules(0, CELLULAR).lanes


def test_what_costs() -> None:
    """What the system says of a path counts; an unknown one is taken to cost."""
    assert is_metered(NetworkState())
    assert is_metered(CELLULAR)
    assert not is_metered(WIFI)
    assert not is_metered(NetworkState(Path.ETHERNET))
    assert is_metered(NetworkState(Path.ETHERNET, metered=True))
    assert not is_metered(replace(CELLULAR, metered=False))


@pytest.mark.parametrize("options", [{"moving": Portion(0, 60)}, {"low": Portion(1, 0)}, {"monthly_bytes": 0}])
def test_portions_that_never_go_are_refused(options: dict[str, object]) -> None:
    """A mistake of the configuration is one clear error."""
    with pytest.raises(ConfigError, match=r"uplink\.budget"):
        BudgetOptions(**options)  # type: ignore[arg-type]  # what is tested


@given(
    used=st.integers(0, 2000),
    limit=st.none() | st.integers(1, 1000),
    roaming=st.sampled_from(Reach),
    wifi=st.booleans(),
    evidence=st.booleans(),
    path=st.sampled_from(Path),
    metered=st.none() | st.booleans(),
    is_roaming=st.none() | st.booleans(),
)
def test_emergencies_always_go_and_what_waits_is_told(
    *,
    used: int,
    limit: int | None,
    roaming: Reach,
    wifi: bool,
    evidence: bool,
    path: Path,
    metered: bool | None,
    is_roaming: bool | None,
) -> None:
    """Over the whole space of settings: nothing holds an emergency, and a lane waits exactly when a reason is named."""
    budget = Budget(BudgetOptions(monthly_bytes=limit, roaming=roaming, bulk_wifi=wifi))
    budget.used_bytes = used
    budget.set_evidence_due(evidence)
    rules = budget.rules(0, NetworkState(path, metered=metered, roaming=is_roaming))
    assert Lane.EMERGENCY in rules.lanes
    assert (rules.lanes != frozenset(Lane)) == (rules.pause_reason is not None)
    assert evidence <= (Lane.BULK in rules.lanes)
    assert rules.step_percent == (limit_step(used, limit) if rules.metered else 0)
    assert rules.document()["lanes"][0] == "emergency"
