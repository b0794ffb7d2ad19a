"""What is seen of the modem, and what is said of it: one look at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outrider.network.modem import Bearer, Modem, Signal, Sim
from outrider.network.names import FailedReason, Lock, ModemState, Registration
from outrider.network.trouble import Condition, Facts, Judge, Traffic, TroubleKind, UplinkFacts

SECOND = 1_000_000
WELL = Modem(
    path="/m",
    state=ModemState.CONNECTED,
    lock=Lock.NONE,
    registration=Registration.HOME,
    signal=Signal(rsrp_dbm=-90.0),
    sim=Sim("/s"),
    bearers=(Bearer("/b", connected=True, interface="wwan0"),),
)
SEARCHING = replace(WELL, state=ModemState.SEARCHING, registration=Registration.SEARCHING, signal=Signal())


@pytest.mark.parametrize(
    ("facts", "condition", "words"),
    [
        (Facts(1, bus_error="no socket"), Condition.NO_BUS, "no socket"),
        (Facts(1, manager=False, manager_error="ended"), Condition.NO_MANAGER, "ended"),
        (Facts(1), Condition.NO_MODEM, "no modem"),
        (Facts(1, known=True), Condition.VANISHED, "gone"),
        (Facts(1, WELL), Condition.CONNECTED, "up"),
        (Facts(1, replace(WELL, state=ModemState.UNKNOWN)), Condition.STARTING, "not told"),
        (Facts(1, replace(WELL, state=ModemState.ENABLING)), Condition.CHANGING, "enabling"),
        (Facts(1, replace(WELL, state=ModemState.DISABLED)), Condition.DISABLED, "disabled"),
        (Facts(1, replace(WELL, state=ModemState.LOCKED, lock=Lock.SIM_PUK)), Condition.LOCKED, "sim-puk"),
        (Facts(1, replace(WELL, lock=Lock.PH_NET_PIN)), Condition.LOCKED, "ph-net-pin"),
        (Facts(1, replace(WELL, lock=Lock.SIM_PIN2)), Condition.CONNECTED, "up"),
        (Facts(1, replace(SEARCHING, registration=Registration.DENIED)), Condition.DENIED, "refuses"),
        (Facts(1, SEARCHING), Condition.NO_COVERAGE, "no cell"),
        (Facts(1, replace(SEARCHING, registration=Registration.EMERGENCY_ONLY)), Condition.NO_COVERAGE, "only other"),
        (Facts(1, replace(SEARCHING, quality_percent=40)), Condition.SEARCHING, "a cell is heard"),
        (Facts(1, replace(SEARCHING, quality_percent=5)), Condition.NO_COVERAGE, "no cell"),
        (Facts(1, replace(SEARCHING, registration=Registration.IDLE)), Condition.SEARCHING, "does not search"),
        (Facts(1, replace(WELL, state=ModemState.REGISTERED)), Condition.REGISTERED, "without a data connection"),
    ],
)  # fmt: skip
def test_each_state_has_its_words(facts: Facts, condition: Condition, words: str) -> None:
    """One look: the condition, and a reason for people; never a trouble at first sight."""
    seen = Judge().judge(facts)
    assert seen.condition is condition
    assert words in seen.reason
    assert seen.trouble is None
    assert seen.healthy == (condition is Condition.CONNECTED)


@pytest.mark.parametrize(
    ("reason", "had_sim", "condition", "kind"),
    [
        (FailedReason.UNKNOWN, False, Condition.FAILED, TroubleKind.FAILED),
        (FailedReason.SIM_MISSING, False, Condition.NO_SIM, None),
        (FailedReason.SIM_MISSING, True, Condition.NO_SIM, TroubleKind.FAILED),
        (FailedReason.ESIM_WITHOUT_PROFILES, True, Condition.NO_SIM, None),
        (FailedReason(77), False, Condition.FAILED, TroubleKind.FAILED),
    ],
)
def test_a_sim_that_never_was_is_no_hang(
    reason: FailedReason, had_sim: bool, condition: Condition, kind: TroubleKind | None
) -> None:
    """A slot that was always empty is for people; a SIM that was there and is gone may be a contact or a hang."""
    judge = Judge(had_sim=had_sim)
    modem = replace(WELL, state=ModemState.FAILED, failed_reason=reason, sim=None)
    for second in range(0, 120, 10):
        seen = judge.judge(Facts(second * SECOND, modem))
    assert seen.condition is condition
    assert (seen.trouble.kind if seen.trouble else None) is kind


def test_a_bearer_that_fails_says_why() -> None:
    """ModemManager's own words are in the reason."""
    bearer = Bearer("/b", error="NotAllowed: operator-determined-barring")
    seen = Judge().judge(Facts(1, replace(WELL, state=ModemState.REGISTERED, bearers=(bearer,))))
    assert "operator-determined-barring" in seen.reason


def test_silence_counts_from_the_first_packet_without_an_answer() -> None:
    """An hour without traffic, then a burst: the two minutes begin with the burst, not an hour ago."""
    judge = Judge()
    waiting = UplinkFacts(connected=False, waiting=True)
    for second in range(0, 3600, 30):
        judge.judge(Facts(second * SECOND, WELL, traffic=Traffic("wwan0", 100, 100), uplink=waiting))
    sent = Traffic("wwan0", 100, 120)
    assert judge.judge(Facts(3602 * SECOND, WELL, traffic=sent, uplink=waiting)).trouble is None
    for second in range(3632, 3762, 30):
        seen = judge.judge(Facts(second * SECOND, WELL, traffic=sent, uplink=waiting))
    assert seen.condition is Condition.DEAD
    assert seen.trouble is not None
    assert seen.trouble.kind is TroubleKind.DEAD_SESSION
    answered = judge.judge(Facts(3764 * SECOND, WELL, traffic=Traffic("wwan0", 101, 121), uplink=waiting))
    assert answered.healthy


def test_without_counters_the_uplinks_word_counts_slowly() -> None:
    """No packet counters: a quarter of an hour without a word from the other side, and only a reconnect."""
    judge = Judge()
    lost = UplinkFacts(connected=False, waiting=True, progress=7)
    for second in range(0, 901, 30):
        seen = judge.judge(Facts(second * SECOND, WELL, uplink=lost))
    assert seen.trouble is not None
    assert (seen.trouble.kind, [rung.word for rung in seen.trouble.rungs]) == (TroubleKind.SILENT, ["reconnect"])


def test_a_hold_ends_with_the_progress() -> None:
    """Emergency records that are heard of hold; a minute without a word, and they do not."""
    judge = Judge()
    for second, progress in ((0, 1), (2, 2)):
        seen = judge.judge(Facts(second * SECOND, WELL, uplink=UplinkFacts(True, True, True, progress)))
    assert seen.hold is not None
    for second in (30, 63):
        seen = judge.judge(Facts(second * SECOND, WELL, uplink=UplinkFacts(True, True, True, 2)))
    assert seen.hold is None
