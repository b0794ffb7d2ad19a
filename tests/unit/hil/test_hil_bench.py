"""hil/bench: how a highest rate is searched for, and how a latency is told."""

from __future__ import annotations

import pytest

from hil.bench.latency import PERIOD_S, due_us, spread
from hil.bench.lossless import Trial, highest
from outrider.sim.can import SimFrame
from tests.support.crash_drive import CrashDrive


def climb(limit: int, first: int) -> tuple[int | None, int, int]:
    """(highest good step, lowest bad step, trials) for a receiver that holds up to ``limit``."""
    tried: list[int] = []

    def step(number: int) -> Trial:
        tried.append(number)
        return Trial(float(number), number <= limit, True, 0 if number <= limit else 1)

    good, bad = highest(step, first)
    return (None if good is None else int(good.rate)), int(bad.rate), len(tried)


@pytest.mark.parametrize("first", [-16, -3, 0, 5])
@pytest.mark.parametrize("limit", [-9, -4, -3, 0, 1, 6])
def test_the_highest_rate_is_found_to_one_step(first: int, limit: int) -> None:
    """From above and from below; the next step is known to fail."""
    good, bad, _trials = climb(limit, first)
    assert good == limit
    assert bad == limit + 1


def test_a_receiver_that_never_keeps_up_has_no_rate() -> None:
    """The search ends."""
    good, _bad, trials = climb(-1000, 0)
    assert good is None
    assert trials < 50


def test_percentiles_are_values_that_were_measured() -> None:
    """Nearest rank: of 200 values the 198th, of few the last."""
    assert spread([float(n) for n in range(1, 201)]) == {"p50_ms": 100.5, "p99_ms": 198.0, "max_ms": 200.0}
    assert spread([3.0, 1.0]) == {"p50_ms": 2.0, "p99_ms": 3.0, "max_ms": 3.0}


def test_a_detection_is_traced_to_its_sample() -> None:
    """The last inertial sample due before the stamp, in the right round of the right terminal; none in a hole."""
    frame = SimFrame(0, 0x1A0, False, True, b"")
    drive = CrashDrive(tuple((n * 10_000, frame) for n in range(100)), 500_000)
    period, start = round(PERIOD_S * 1e6), 7_000_000
    for terminal in (0, 3):
        for number in (0, 4):
            begin = start + number * period + terminal * period // 10
            assert due_us(drive, start, terminal, 10, begin + 503_000) == begin + 500_000
            assert due_us(drive, start, terminal, 10, begin + 509_999) == begin + 510_000, "stamped a little early"
            assert due_us(drive, start, terminal, 10, begin + 5_000_000) is None
