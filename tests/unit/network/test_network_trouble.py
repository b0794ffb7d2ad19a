"""What is seen of the modem, and what is said of it: one look at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outrider.network.ladder import Ladder, LadderOptions, Step
from outrider.network.modem import Bearer, Modem, Signal, Sim
from outrider.network.names import FailedReason, Lock, ModemState, Registration
from outrider.network.trouble import Condition, Facts, Judge, Rung, Traffic, TroubleKind, UplinkFacts

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


def steps_of_a_day(modem: Modem, *, moving: bool) -> set[Rung]:
    """What the ladder does in a day to a modem that says it is connected and gets no answer."""
    judge, ladder = Judge(), Ladder(LadderOptions(available=frozenset(Rung)))
    judge.was_registered = True
    taken = set()
    for second in range(0, 86_400, 30):
        facts = Facts(
            second * SECOND,
            modem,
            known=True,
            moving=moving,
            traffic=Traffic("wwan0", 0, second),
            uplink=UplinkFacts(connected=False, waiting=True),
        )
        move = ladder.turn(facts.now_us, judge.judge(facts))
        if isinstance(move, Step):
            taken.add(move.rung)
    return taken


@pytest.mark.parametrize(
    ("registration", "rsrp_dbm", "moving", "expected"),
    [
        (Registration.SEARCHING, None, False, set()),
        (Registration.EMERGENCY_ONLY, -80.0, False, set()),
        (Registration.DENIED, -80.0, True, set()),
        (Registration.SEARCHING, None, True, {Rung.TOGGLE, Rung.RESET}),
        (Registration.HOME, -118.0, False, {Rung.RECONNECT, Rung.TOGGLE}),
        (Registration.HOME, -118.0, True, set(Rung)),
        (Registration.HOME, -80.0, False, set(Rung)),
    ],
)  # fmt: skip
def test_a_bearer_that_outlives_its_cell_is_want_of_coverage(
    registration: Registration, rsrp_dbm: float | None, moving: bool, expected: set[Rung]
) -> None:
    """The connection stands in a garage, nothing comes back: no power cut for it. With packets as the only evidence the
    parked car was reset and its modem's power cut all day."""
    modem = replace(WELL, registration=registration, signal=Signal(rsrp_dbm=rsrp_dbm))
    assert steps_of_a_day(modem, moving=moving) == expected


def test_what_others_send_is_no_evidence_while_the_uplink_is_silent() -> None:
    """Parked, connected, pings ten minutes apart, records waiting for their time; mDNS leaves without an answer."""
    judge = Judge()
    for second in range(0, 3600, 10):
        sent = second // 600
        idle = UplinkFacts(connected=True, waiting=True, progress=sent, sent=sent)
        assert judge.judge(Facts(second * SECOND, WELL, traffic=Traffic("wwan0", sent, second), uplink=idle)).healthy
    for second in range(3600, 3800, 10):  # now it sends, and is not answered
        lost = UplinkFacts(connected=True, waiting=True, progress=5, sent=second)
        seen = judge.judge(Facts(second * SECOND, WELL, traffic=Traffic("wwan0", 5, second), uplink=lost))
    assert seen.condition is Condition.DEAD
