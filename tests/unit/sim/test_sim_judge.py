"""The judge: what is told is held against the truth, and nothing slips by."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from outrider.model.event import Event, EventFlag, EventKind, Phase
from outrider.sim import Drive, generate, load_scenario
from outrider.sim.judge import best_sense, judge
from outrider.sim.tables import Car


@pytest.fixture(scope="module")
def front() -> Drive:
    return generate(load_scenario("front-62"), 1)


def said(drive: Drive, **changes: object) -> Event:
    """The right answer, changed."""
    (truth,) = (event for event in drive.truth()["events"] if event["kind"] == "crash")
    t0 = round(drive.engine_time_s(truth["t0_s"]) * 1e6) + 12_000
    event = Event(
        seq=1,
        kind=EventKind.CRASH,
        phase=Phase.CONFIRMED,
        level=3,
        flags=EventFlag.DV_LOWER_BOUND,
        src_mask=1,
        rule=1,
        t0_us=t0,
        t_detect_us=t0 + 40_000,
        t_end_us=t0,
        lat_deg=None,
        lon_deg=None,
        hacc_m=None,
        heading_deg=None,
        clock=12,
        impact_no=1,
        conf=0.99,
        dv_kmh=44.0,
        dv_long_kmh=-44.0,
        dv_lat_kmh=-3.0,
        dv_time_ms=100.0,
        peak_g=20.0,
        peak_vert_g=1.0,
        mean_g=10.0,
        asi=1.0,
        pdof_deg=4.0,
        dur_ms=120.0,
        v_pre_kmh=70.0,
        v_post_kmh=0.0,
        limit=6.5,
    )
    return dataclasses.replace(event, **changes)  # type: ignore[arg-type]  # any field


def test_the_right_answer_is_right(front: Drive) -> None:
    """A confirmed crash with the truth's numbers; the braking before it is beside the point."""
    brake = said(front, seq=2, kind=EventKind.HARSH_BRAKE, phase=Phase.END)
    assert judge(front, [said(front), brake], mount_known=True).wrong == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": EventKind.PARKED_IMPACT}, "not told: crash"),
        ({"phase": Phase.CANCELLED}, "crash withdrawn, not confirmed"),
        ({"phase": Phase.SUSPECT}, "crash suspected, not confirmed"),
        ({"level": 4}, "level 4, not 3 to 3"),
        ({"dv_kmh": 60.0}, "delta-V 60.0 km/h at least, true is 46.0"),
        ({"flags": EventFlag(0)}, "the sensor was at its range"),
        ({"t0_us": 1}, "T0"),
        ({"pdof_deg": -90.0}, "direction -90 deg (12 o'clock), true is 6 deg"),
        ({"pdof_deg": None}, "no direction"),
        ({"impact_no": 2}, "impact 1 is not told of"),
    ],
)
def test_each_wrong_answer_is_named(front: Drive, changes: dict[str, object], words: str) -> None:
    """Kind, outcome, level, delta-V, flag, time, direction."""
    wrong = judge(front, [said(front, **changes)], mount_known=True).wrong
    assert any(words in sentence for sentence in wrong), wrong


def test_silence_and_surplus_are_wrong(front: Drive) -> None:
    """Nothing told, and something more told."""
    assert judge(front, []).wrong == ("not told: crash",)
    more = said(front, seq=7, kind=EventKind.TOWED, phase=Phase.CONFIRMED)
    assert judge(front, [said(front), more]).wrong == ("told: towed (confirmed, level 3, rule 1)",)


def test_the_best_sense_decides_what_is_expected(front: Drive) -> None:
    """A car without a sensor need not know of a crash what only a sensor tells."""
    scenario = msgspec.structs.replace(front.scenario, car=Car(senses=("gnss",)))
    assert best_sense(scenario) == "gnss"
    heard = front.heard_as(scenario)
    assert judge(heard, []).wrong == ("not told: crash_inferred",)
    assert judge(heard, [said(front, kind=EventKind.CRASH_INFERRED, dv_kmh=None)]).wrong == ()


def test_what_was_measured_is_told_beside_the_truth(front: Drive) -> None:
    """Delta-V as it was and as told, with its interval; the sensor was at its range."""
    (pulse,) = judge(front, [said(front, dv_lo_kmh=40.0)]).measured
    assert (pulse.true_kmh, pulse.dv_kmh, pulse.lo_kmh, pulse.hi_kmh, pulse.cut) == (46.0, 44.0, 40.0, None, True)
