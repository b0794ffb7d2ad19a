"""Every simulated scenario gives the verdict its file demands, as every kind of car.

``make test`` plays a part of the table: each scenario as written and without its sensor, and the ranges, rates and
mountings where they matter. ``OUTRIDER_SCENARIOS=all`` plays all of it (some minutes), as does row K of ``outrider
evaluate``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from outrider.app.scenarios import VARIANTS, Stage, Variant
from outrider.sim import bundled_scenarios
from outrider.sim.scenario import Scenario

SCENARIOS = {name: scenario for name, scenario in bundled_scenarios().items() if scenario.expect is not None}
BY_NAME = {variant.name: variant for variant in VARIANTS}
PROMISED = (
    *("front-62", "rear-end", "side-impact", "pole", "rollover", "second-impact", "parked-bump", "power-loss"),
    *("lost-at-123", "emergency-stop", "kerb-angle", "pothole-deep", "door-slam", "jack", "tow", "device-drop"),
    "ice-start",
)
EVERYWHERE = ("as written", "CAN only", "OBD only", "GNSS only")
LONG = ("as written", "OBD only")  # of a minute and a half
PARTS = {
    "front-62": ("mounting known", "range 2 g", "400 Hz", "upside down", "sensor of its own"),
    "side-impact": ("mounting known", "on its side"),
    "rollover": ("range 200 g",),
    "emergency-stop": ("50 Hz",),
    "second-impact": ("range 8 g",),
    "device-drop": ("25 Hz",),
    "power-loss": ("sensor and satellites",),
}
# What is known to be wrong today, and why. Strict: once it is right, its line goes.
_HAND = "a terminal of unknown mounting in a hand is taken for a car that brakes, when no sample of its fall was cut"
_ALONE = "no speed of the car is there to contradict what a terminal in a hand feels"
_SLOW = "below 40 Hz a new attitude alone is not told"
_RATES = ("200 Hz", "400 Hz", "800 Hz", "1600 Hz")
KNOWN: dict[tuple[str, str], str] = {
    **{("device-drop", name): _HAND for name in ("range 200 g", *_RATES)},
    ("device-drop", "sensor and satellites"): _ALONE,
    ("device-drop", "25 Hz"): _SLOW,
}


def cases() -> Iterator[object]:
    whole = os.environ.get("OUTRIDER_SCENARIOS") == "all"
    for name, scenario in SCENARIOS.items():
        usual = LONG if name in {"rear-end", "lost-at-123", "jack", "tow"} else EVERYWHERE
        names = tuple(BY_NAME) if whole else (*usual, *PARTS.get(name, ()))
        for variant in names:
            known = KNOWN.get((name, variant))
            marks = [pytest.mark.xfail(strict=True, reason=known)] if known else []
            yield pytest.param(scenario, BY_NAME[variant], id=f"{name}, {variant}", marks=marks)


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize(("scenario", "variant"), [*cases()])
def test_the_verdict_is_the_expected_one(stage: Stage, scenario: Scenario, variant: Variant) -> None:
    """What is told agrees with what the file demands, and with the truth's numbers; nothing else is told."""
    outcome = stage.play(scenario, variant)
    assert outcome.wrong == (), f"told: {', '.join(outcome.told) or 'nothing'}"


def test_known_faults_are_of_the_table() -> None:
    """No line about a scenario or variant that is not there."""
    assert {(name, variant) for name, variant in KNOWN} <= {
        (name, variant) for name in SCENARIOS for variant in BY_NAME
    }


def test_the_scenarios_of_the_promise_are_there() -> None:
    """Each kind of accident and non-accident has a scenario with expectations, for every sense."""
    assert {*PROMISED} <= {*SCENARIOS}
    for scenario in SCENARIOS.values():
        expect = scenario.expect
        assert expect is not None
        assert None not in (expect.imu, expect.can, expect.obd, expect.gnss), scenario.name
