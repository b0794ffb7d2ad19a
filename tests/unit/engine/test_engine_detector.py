"""The detector by itself: batches of samples in, events out."""

from __future__ import annotations

import math

import pytest

from outrider.engine import (
    SAMPLE_SIZE,
    MotionDetector,
    crash_bias,
    crash_weights,
    default_thresholds,
    detector_bytes,
    reference_loop,
)
from outrider.engine.convert import SAMPLE
from outrider.engine.native import lib
from outrider.errors import EngineError
from outrider.model.event import CrashEvidence, EventKind, Phase

G = 9.80665


def drive(pulses: int = 1, apart_s: float = 40.0) -> bytes:
    """100 Hz: standing level, then half-sine pulses of 100 ms and 15 g from the front, ``apart_s`` between them."""
    out = bytearray()
    for i in range(int((20 + pulses * apart_s) * 100)):
        t = i / 100
        since = (t - 20) % apart_s
        along = -15 * G * math.sin(math.pi * since / 0.1) if t >= 20 and since < 0.1 else 0.0
        values = (along, 0.0, G, 0.0, 0.0, 0.0, 0.0, 0.0)
        out += SAMPLE.pack(1_000_000 + i * 10_000, lib.OTR_IN_IMU, lib.OTR_SRC_IMU_IIO, lib.OTR_Q_VALID, 0.0, *values)
    return bytes(out)


def test_a_pulse_is_a_crash_with_its_delta_v() -> None:
    """15 g over 100 ms, a half sine: 15 g x 0.1 s x 2 / pi = 33.7 km/h, from the front."""
    detector = MotionDetector(200)
    detector.set_mount([0, 0, 1], [1, 0, 0], 0.9, 600)
    events = detector.push(drive())
    update = next(e for e in events if e.phase is Phase.UPDATE)
    assert update.kind is EventKind.CRASH
    assert update.dv_kmh == pytest.approx(33.7, rel=0.02)
    assert update.pdof_deg == pytest.approx(0, abs=1)
    pulse = detector.pulse()
    assert pulse is not None
    assert min(pulse.along_kmh) == pytest.approx(-33.7, rel=0.02)
    assert detector.mount().forward == pytest.approx((1, 0, 0), abs=1e-3)


def test_confidence_is_the_sum_of_the_weights_of_its_evidence() -> None:
    """Who has an event and the public weights can redo its confidence; each phase says what it counted."""
    weights = crash_weights()
    events = [e for e in MotionDetector(200).push(drive()) if e.kind is EventKind.CRASH]
    assert [e.phase for e in events][:1] == [Phase.SUSPECT]
    for event in events:
        total = crash_bias() + sum(weights[term] for term in event.evidence)
        assert event.conf == pytest.approx(1 / (1 + math.exp(-total)), rel=1e-6)
    assert events[-1].evidence == CrashEvidence.DV8 | CrashEvidence.DV25
    assert set(weights) == set(CrashEvidence)


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_the_size_of_a_batch_changes_nothing(piece: int) -> None:
    """The same events however the samples are handed over."""
    samples = drive()
    whole, pieces = MotionDetector(200), MotionDetector(200)
    step = piece * SAMPLE_SIZE
    parts = [e for at in range(0, len(samples), step) for e in pieces.push(samples[at : at + step])]
    assert repr(parts) == repr(whole.push(samples))  # unknown numbers are None; floats print all their bits
    assert parts


def test_no_event_is_lost_when_there_are_many() -> None:
    """More events than the buffer of one native call holds: every pulse is told, none is counted as lost."""
    detector = MotionDetector(200)
    events = detector.push(drive(pulses=100))
    suspects = [e for e in events if e.phase is Phase.SUSPECT]
    assert len(suspects) == 100
    assert len(events) > 256
    assert detector.stats().events_lost == 0


def test_what_is_no_whole_sample_is_refused() -> None:
    """Half a sample would shift all that follow."""
    with pytest.raises(ValueError, match="48-byte samples"):
        MotionDetector().push(b"\0" * 50)


def test_thresholds_are_checked() -> None:
    """An unknown name and a senseless value are errors, not silence."""
    with pytest.raises(EngineError, match="unknown"):
        MotionDetector(motion={"brake": 0.3})
    with pytest.raises(EngineError, match="out of range"):
        MotionDetector(motion={"brake_g": 50})


def test_the_thresholds_as_shipped_are_told() -> None:
    """Every threshold by its name; giving them back changes nothing."""
    shipped = default_thresholds()
    assert (shipped["dv150_kmh"], shipped["confirm_s"]) == (6.5, 10)
    assert repr(MotionDetector(200, shipped).push(drive())) == repr(MotionDetector(200).push(drive()))


def test_the_yardstick_runs_and_the_state_is_bounded() -> None:
    """The reference loop reads the samples; the detector's state stays in tens of kilobytes."""
    assert reference_loop(drive()) != 0
    assert 8_192 < detector_bytes() < 65_536
