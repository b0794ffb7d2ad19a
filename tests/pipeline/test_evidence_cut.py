"""Power goes with the crash: what is on flash depends on the stored energy, and what is missing is told.

The terminal and its flash of tests/support/evidence_cut.py; every state is one that a real disk may be found in.
"""

from __future__ import annotations

from functools import cache

import pytest

from outrider.model.crash import CrashStage
from outrider.model.evidence import EvidencePart
from tests.support.evidence_cut import IMPACT_US, Case, Flash, Run, after_cut, simulate

FRAMES, IMU, SIGNALS, FIXES = EvidencePart.FRAMES, EvidencePart.IMU, EvidencePart.SIGNALS, EvidencePart.FIXES
ENERGY = Case(supply_us=50_000, holdup_ms=1000)
NO_ENERGY = Case(supply_us=None, holdup_ms=0)
SLOW = Flash(bytes_per_s=1e6, sync_us=40_000)
SEEDS = range(4)


@cache
def run_of(case: Case) -> Run:
    return simulate(case)


@pytest.mark.parametrize("seed", SEEDS)
def test_with_a_second_of_stored_energy_the_whole_package_survives(seed: int) -> None:
    """The supply is cut 50 ms after the impact, before the crash is even suspected: state, pulse, 30 s of frames, IMU,
    positions and signals before it, the frames up to the cut, and the IMU until the terminal dies."""
    found = after_cut(run_of(ENERGY), ENERGY, seed)
    assert found.stages == (CrashStage.TRIGGER, CrashStage.PULSE)
    assert found.events >= 2
    assert found.before == {FRAMES: 1.0, IMU: 1.0, FIXES: 1.0, SIGNALS: 1.0}
    assert found.after_us[FRAMES] >= 49_000
    assert found.after_us[IMU] >= 850_000
    assert all(missing <= 0 for missing in found.missing.values())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("cut_ms", [0, 50])
def test_without_stored_energy_what_was_committed_up_to_a_second_before_survives(cut_ms: int, seed: int) -> None:
    """Of the crash there is nothing or what was just being written; the row of the last second is there (the black-box
    page stands apart)."""
    found = after_cut(run_of(NO_ENERGY), NO_ENERGY, seed, IMPACT_US + cut_ms * 1000)
    assert found.telemetry_us >= -1_200_000
    assert found.before[FRAMES] == 0.0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_later_the_cut_the_more_is_there_and_what_is_missing_is_told(seed: int) -> None:
    """From the header on, each part grows; the first state says how much there was."""
    states = [after_cut(run_of(NO_ENERGY), NO_ENERGY, seed, IMPACT_US + ms * 1000) for ms in (90, 130, 200, 500, 2000)]
    assert [CrashStage.TRIGGER in found.stages for found in states] == [True] * 5
    for part in (SIGNALS, IMU, FRAMES):
        shares = [found.before[part] for found in states]
        assert shares == sorted(shares)
        assert shares[-1] == 1.0
        after = [found.after_us[part] for found in states]
        assert after == sorted(after)
    assert states[1].before[FRAMES] < 1.0
    assert states[1].missing[FRAMES] > 0
    assert states[1].before[SIGNALS] == 1.0, "it comes first"
    assert states[-1].after_us[FRAMES] > 1_700_000


def test_the_header_is_on_flash_within_100_ms_of_the_trigger() -> None:
    """One sync, since an open segment waits for it; also on a slow card, though it is busy by then."""
    for case in (ENERGY, Case(50_000, 1000, flash=SLOW)):
        run = run_of(case)
        assert run.trigger_us is not None
        assert run.header_us is not None
        assert run.header_us - run.trigger_us <= 100_000


def test_a_card_that_is_too_slow_keeps_the_most_valuable() -> None:
    """Not all of it, and in the right order."""
    case = Case(50_000, 1000, flash=Flash(bytes_per_s=3e5, sync_us=60_000))
    found = after_cut(run_of(case), case)
    assert found.before[SIGNALS] == 1.0
    assert found.before[IMU] >= 0.16, "the last five seconds"
    assert 0.0 < found.before[FRAMES] < 1.0
    assert found.missing[FRAMES] > 0
