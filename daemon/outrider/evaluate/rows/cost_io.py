"""Row I: what a sample costs, as a ratio to a reference loop timed in the same run, and bytes of state.

The one row that reads a clock, and the one whose numbers differ from run to run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from outrider.engine import MotionDetector, detector_bytes, reference_loop
from outrider.evaluate import samples as sm
from outrider.evaluate.detect import raw
from outrider.evaluate.recordings import Recordings
from outrider.evaluate.results import RowResult, Table, at_most, share
from outrider.evaluate.rows.effort import Effort

SAMPLES = 20_000
PIECE = 1_000  # short enough to fit between two interruptions
ROUNDS = 120


def score(_recordings: Recordings, effort: Effort) -> RowResult:
    """A made-up drive at 100 Hz, in short pieces; the least disturbed round of each piece counts, for both."""
    result = RowResult(row="I", title="Cost", layouts=(), method=METHOD, limits=LIMITS)
    samples = _drive(effort.random(ord("I")))
    pieces = [raw(samples[begin : begin + PIECE]) for begin in range(0, SAMPLES, PIECE)]
    rounds = np.array([_round(pieces) for _ in range(ROUNDS)])
    reference, detector = (float(best.sum()) / SAMPLES for best in rounds.min(axis=0).T)
    size = detector_bytes()
    result.numbers = {
        "ns_per_imu_sample": detector,
        "reference_ns": reference,
        "ratio": detector / reference,
        "state_bytes": size,
    }
    rows = (
        ("detector, ns an IMU sample", share(detector, 0)),
        ("reference loop, ns a sample", share(reference, 1)),
        ("ratio", share(detector / reference, 0)),
        ("state, bytes (8,192 of them the ring of samples)", size),
    )
    result.tables = [Table(title="On this machine", columns=("", "measured"), rows=rows)]
    result.bars = [
        at_most("ns an IMU sample", 150, detector, unit=" ns", digits=0, note="on this machine"),
    ]
    return result


def _round(pieces: Sequence[memoryview]) -> list[tuple[int, int]]:
    """Nanoseconds that each piece takes the reference loop and a detector that goes on from piece to piece."""
    motion = MotionDetector(16.0)
    out = []
    for piece in pieces:
        begin = time.perf_counter_ns()
        reference_loop(piece)
        middle = time.perf_counter_ns()
        motion.push(piece)
        out.append((middle - begin, time.perf_counter_ns() - middle))
    return out


def _drive(rng: np.random.Generator) -> sm.Samples:
    """Gravity, a slow swing of acceleration, noise."""
    t = np.arange(SAMPLES) / 100
    acc = rng.uniform(-0.5, 0.5, (SAMPLES, 3)) + np.stack([np.sin(t), np.zeros_like(t), np.full_like(t, sm.G)], axis=1)
    return sm.make_imu(t, acc, rng.uniform(-0.025, 0.025, (SAMPLES, 3)))


METHOD = (
    f"{SAMPLES} samples of a made-up drive in pieces of {PIECE}, of each the best of {ROUNDS} rounds; the reference is "
    "three biquads a sample in C (native/src/motion_reference.c), timed in the same rounds."
)
LIMITS = "Nanoseconds are those of the machine it ran on; the ratio is what carries to another."
