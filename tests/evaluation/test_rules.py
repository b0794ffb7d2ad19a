"""What is each rule worth? For each rule, gate and piece of evidence: a recording or scene, the verdict with it, and
the other one without it. docs/internals/detector.md has the same table for people; a rule in neither fails here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outrider.engine import MotionDetector
from outrider.evaluate.detect import episodes, feed
from outrider.evaluate.fit_harsh import match
from outrider.evaluate.loaders_io import FolderRecordings
from outrider.model.event import CrashEvidence
from tests.native import motion_harness as mh
from tests.support import rule_scenes as sc
from tests.support.recordings import recording

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "internals" / "detector.md"
UNPROVEN = {"COARSE"}  # the page says so, too
SWITCHES = {
    name.removeprefix("OTR_RB_"): number
    for number, name in enumerate(
        re.findall(r"^    (OTR_RB_\w+),", (ROOT / "native/include/outrider/motion.h").read_text(encoding="utf-8"), re.M)
    )
}


def recordings(folder: str) -> FolderRecordings:
    return FolderRecordings(recording(folder), lambda _path: b"")


def events_of(samples: Any, config: dict[str, Any]) -> Any:
    return feed(MotionDetector(rules_off=config.get("rules_off", 0)), samples)


def manoeuvres_of_trip_17(config: dict[str, Any]) -> int:
    """harsh-jair/17: how many of the 14 manoeuvres are found."""
    trip = next(trip for trip in recordings("harsh-jair").trips() if trip.name == "17")
    return match(trip.manoeuvres, episodes(events_of(trip.samples, config))).hits


def brakes_of_trip_17(config: dict[str, Any]) -> int:
    """harsh-jair/17: episodes called a lane change; four were driven, noted or not."""
    trip = next(trip for trip in recordings("harsh-jair").trips() if trip.name == "17")
    return sum(e.kind == "lane" for e in episodes(events_of(trip.samples, config)))


def events_of_the_etios(config: dict[str, Any]) -> bool:
    """obd-etios, 97 km, answers repeated until there is a new one: at most ten harsh events."""
    return sum(len(episodes(events_of(log.samples(), config))) for log in recordings("obd-etios").obd_logs()) <= 10


speed_down = sc.can_speed(*sc.course((0, 60), (20, 60), (22, 36), (40, 36)))
speed_up = sc.can_speed(*sc.course((0, 5), (20, 5), (21.5, 47), (23, 10), (40, 10)))
crash_bit = mh.scalar(mh.AIRBAG, [1, 20.1], [0, 1], mh.CAN)
ignition_off = mh.scalar(mh.POWER, [1.0], 0)

# switch, what it is shown on, verdict with it, verdict without it
RULES: list[tuple[str, sc.Scene, Any, Any]] = [
    ("DV150", sc.pulse(8), ["crash"], []),
    ("DV300", sc.soft_pulse, ["crash"], []),
    ("ABRUPT", sc.emergency_stop, [], ["crash"]),
    ("MORE", sc.bump_while_braking, [], ["crash"]),
    ("STEP", sc.broken_axis, [], ["crash"]),
    ("FLAT", sc.frozen_axis, ["crash withdrawn"], ["crash, sure"]),
    ("MULTI", sc.two_impacts, 2, 1),
    ("AIRBAG", sc.bits((1, 0), (20, 1)), ["airbag, sure"], []),
    ("CAN_STOP", sc.stop(), ["inferred"], []),
    ("STEP_STOP", sc.stop(src=mh.OBD), ["inferred"], []),
    ("SILENCE", sc.silence(), ["power lost"], []),
    ("ZERO_SILENCE", sc.default_code, ["sensor lost"], []),
    ("ROLL_HELD", sc.rolls(45, 1.0), ["rollover, sure"], []),
    ("ROLL_FAR", sc.rolls(66, 0.4, back=0.9), ["rollover, sure"], []),
    ("TURNED", sc.box_turned, ["moved, sure"], []),
    ("TOWED_MOVING", sc.towed, ["towed, sure"], []),
    ("TOWED_TILT", sc.jacked, ["towed, sure"], []),
    ("BRAKE", sc.driven(sc.push(along=-0.45)), ["brake"], []),
    ("ACCEL", sc.driven(sc.push(along=0.38)), ["accel"], []),
    ("CORNER", sc.driven(sc.push(across=0.5)), ["corner"], []),
    ("LANE", sc.driven(sc.swerve()), ["lane"], ["corner"]),
    ("BRISK", sc.driven(sc.push(along=0.23)), ["accel"], []),
    ("BRISK", manoeuvres_of_trip_17, 12, 9),
    ("PLANE", sc.driven(sc.push(along=-0.45), known=False), ["brake"], []),
    ("PLANE_YAW", sc.driven(sc.push(across=0.45, yaw=0.5), known=False), ["corner"], ["brake"]),
    (
        "PLANE_BEND",
        sc.driven(sc.push(across=0.45, yaw=0.145), sc.speed(50, 40, 30.5), known=False),
        ["corner"],
        [],
    ),
    ("PLANE_TREND", sc.driven(sc.push(along=-0.33), speed_down, known=False), ["brake"], ["accel"]),
    ("PLANE_SIZE", sc.driven(sc.push(along=-0.45), known=False), ["brake"], ["accel"]),
    ("SWERVE", sc.driven(sc.brake_and_nod(), known=False), ["brake"], ["lane"]),
    ("SWERVE", brakes_of_trip_17, 3, 8),
    ("SLOPE_BRAKE", sc.from_speed((0, 80), (20, 80), (23, 27), (40, 27)), ["brake"], []),
    ("SLOPE_ACCEL", sc.from_speed((0, 20), (20, 20), (23, 65), (40, 65)), ["accel"], []),
    ("SLOPE_CORNER", sc.bend(60), ["corner"], []),
    ("SPIN", sc.driven(sc.still(), speed_up), ["spin"], []),
    ("FIRST_FIX", sc.fixes(20, 20, *[90] * 6, first=1), [], ["accel"]),
    ("SPACING", sc.from_speed((0, 80), (20, 80), (23, 27), (40, 27), rate=100), ["brake"], []),
    ("FROM_ZERO", sc.fixes(*[60] * 10, 0, *[60] * 10), ["brake"], ["brake", "accel"]),
    ("HELD", events_of_the_etios, True, False),
    ("MIN_V", sc.driven(sc.push(along=-0.45), sc.speed(50, 40, 1.5)), [], ["brake"]),
    ("CORNER_V", sc.bend(20), [], ["corner"]),
    ("CRASH_PAUSE", sc.crash_and_after, [], ["corner"]),
    ("IMU_WITNESS", sc.stop(imu=True), ["sensor lost withdrawn"], ["inferred"]),
    ("GNSS_WITNESS", sc.stop(*sc.braking_gnss()), ["lockup withdrawn"], ["inferred"]),
    ("RPM_WITNESS", sc.stop(sc.turning_engine()), ["sensor lost withdrawn"], ["inferred"]),
    ("WHEEL_WITNESS", sc.stop(sc.turning_wheels()), ["sensor lost withdrawn"], ["inferred"]),
    ("SWITCHED_OFF", sc.silence(off_at=19.8), [], ["power lost"]),
    ("REST", sc.silence(back_at=22), ["bus lost withdrawn"], ["bus lost withdrawn", "power lost"]),
    ("ROLL_FELT", sc.wrong_gyro, [], ["rollover, sure"]),
    ("ROLL_MOVED", sc.rolls(50, 2.0, ignition=0), [], ["rollover, sure"]),
    ("DRIVES_ON", sc.box_falls(), ["moved withdrawn"], ["moved, sure", "rolled"]),
    ("DRIVES_ON", sc.box_in_a_hand, ["moved withdrawn"], ["rollover, sure"]),
    ("ONE_ACCIDENT", sc.bit_then_pulse, ["crash, sure"], ["airbag, sure", "crash, sure"]),
    ("AIRBAG_OFF", sc.bits((1, 1), (2, 1)), [], ["airbag, sure"]),
    ("TURN_AXES", sc.bends_alone, 2, 1),
    ("MOUNT_AGREES", sc.box_sits_elsewhere, [26], []),
    ("BOX_TURNED", sc.box_turns_at_25_hz, [], ["brake"]),
    ("SPEED_AGREES", sc.driven(sc.push(along=-0.45), sc.speed(50, 40, 15), known=False), [], ["brake"]),
]
EVIDENCE: list[tuple[CrashEvidence, sc.Scene, Any, Any]] = [
    (CrashEvidence.DV_LOW, sc.pulse(7.2), ["crash"], ["crash withdrawn"]),
    (CrashEvidence.DV8, sc.pulse(12), ["crash"], ["crash withdrawn"]),
    (CrashEvidence.DV25, sc.pulse(30), ["crash, sure"], ["crash"]),
    (CrashEvidence.AIRBAG, sc.pulse(12, crash_bit), ["crash, sure"], ["crash"]),
    (CrashEvidence.COLLAPSE, sc.pulse(12, sc.speed(20.05, 40, 17, 5)), ["crash, sure"], ["crash"]),
    (CrashEvidence.THRUST, sc.pulse(14, sc.pushed_on(), angle=0), ["crash, sure"], ["crash"]),
    (CrashEvidence.STANDING, sc.pulse(12, sc.late_stop()), ["crash, sure"], ["crash"]),
    (CrashEvidence.SILENCE, sc.pulse(12, bus_until=20.2), ["crash, sure"], ["crash"]),
    (CrashEvidence.TURN, sc.pulse(12, spin=3), ["crash, sure"], ["crash"]),
    (CrashEvidence.ROLLOVER, sc.pulse(12, rolls=1), ["crash, sure"], ["crash"]),
    (CrashEvidence.VERTICAL, sc.pulse(7.2, sc.speed(50, 40, 17), vertical=30), ["crash withdrawn"], ["crash"]),
    (CrashEvidence.PARKED, sc.pulse(7.2, ignition_off), ["parked withdrawn"], ["parked"]),
    (CrashEvidence.TURNED, sc.box_falls(turned=False), ["moved withdrawn"], ["moved"]),
]
TIMES: list[tuple[str, float, sc.Scene, Any, Any]] = [
    ("merge_gap_s", 0.0, sc.driven(sc.two_pushes(0.5)), ["brake"], ["brake", "brake"]),
    ("hysteresis", 1.0, sc.driven(sc.two_pushes(2.0, 0.29)), ["brake"], ["brake", "brake"]),
    ("min_hold_s", 0.0, sc.driven(sc.push(along=-0.5, length=0.25)), [], ["brake"]),
    ("refractory_s", 0.0, sc.impact_after_the_end, [False, True], [False, False]),
]


def each(rows: list[Any], name: Callable[[Any], str]) -> list[Any]:
    """Parameters named after what is switched off; the second proof of one is numbered."""
    seen: dict[str, int] = {}
    out = []
    for row in rows:
        seen[name(row)] = seen.get(name(row), 0) + 1
        out.append(pytest.param(*row, id=f"{name(row)}-{seen[name(row)]}"))
    return out


@pytest.mark.parametrize(("switch", "scene", "verdict", "without"), each(RULES, lambda row: str(row[0])))
def test_a_rule_changes_a_verdict(switch: str, scene: sc.Scene, verdict: Any, without: Any) -> None:
    """With the rule one answer, without it the other: nobody can delete it unnoticed."""
    assert scene({}) == verdict
    assert scene({"rules_off": 1 << SWITCHES[switch]}) == without


@pytest.mark.parametrize(("term", "scene", "verdict", "without"), each(EVIDENCE, lambda row: str(row[0].name)))
def test_a_piece_of_evidence_changes_a_verdict(
    term: CrashEvidence, scene: sc.Scene, verdict: Any, without: Any
) -> None:
    """Confirmed, closed as a suspicion, or withdrawn: each term of the confidence moves some crash between them."""
    assert scene({}) == verdict
    assert scene({"evidence_off": int(term)}) == without


@pytest.mark.parametrize(("name", "value", "scene", "verdict", "without"), each(TIMES, lambda row: str(row[0])))
def test_a_time_or_share_changes_a_verdict(
    name: str, value: float, scene: sc.Scene, verdict: Any, without: Any
) -> None:
    """The same for what is a number of the configuration: at the value that makes it nothing."""
    assert scene({}) == verdict
    assert scene({name: value}) == without


def test_no_rule_is_left_out() -> None:
    """Each switch of motion.h and each piece of evidence has its proof, or is named as unproven."""
    _ffi, lib = mh.library()
    assert len(SWITCHES) == lib.OTR_RB_COUNT
    assert all(getattr(lib, f"OTR_RB_{name}") == number for name, number in SWITCHES.items())
    assert {row[0] for row in RULES} == set(SWITCHES) - UNPROVEN
    assert {row[0] for row in EVIDENCE} == set(CrashEvidence)


def test_the_page_has_every_rule() -> None:
    """docs/internals/detector.md names the switch of each rule, and marks those that nothing proves."""
    page = PAGE.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)$", page, re.M))
    terms = {f"{term.name}" for term in CrashEvidence}
    named = set(rows)
    assert named >= set(SWITCHES) | {f"EW_{name}" for name in terms} | {row[0] for row in TIMES}
    assert {name for name, row in rows.items() if "**unproven**" in row} & set(SWITCHES) == UNPROVEN


def test_the_class_of_the_vehicle_scales_the_thresholds() -> None:
    """0.25 g of brake is ordinary in a car and harsh in a lorry; a threshold set by hand stays; no fourth class."""
    scene = sc.driven(sc.push(along=-0.25))
    assert scene({}) == []
    assert scene({"vehicle_class": 1}) == []
    assert scene({"vehicle_class": 2}) == ["brake"]
    assert scene({"vehicle_class": 2, "brake_g": np.float32(0.4)}) == []
    with pytest.raises(ValueError, match="-1"):
        scene({"vehicle_class": 3})
