"""What the flight recorder has to save: slices and states, copied out of the engine at the moment they are due.

Which step is due when follows from the engine's time alone (native/include/outrider/recorder.h), so a replay gives the
same ones. Nothing here decides what is worth saving.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from typing import Any, Final

from outrider.engine.native import ffi, lib
from outrider.model.crash import Cover, CrashStage, MountState
from outrider.model.evidence import EvidencePart, EvidenceSlice

_SIGNAL: Final = struct.Struct("=qIId")
_PARTS: Final = {
    lib.OTR_REC_FRAMES: EvidencePart.FRAMES,
    lib.OTR_REC_IMU: EvidencePart.IMU,
    lib.OTR_REC_SIGNALS: EvidencePart.SIGNALS,
    lib.OTR_REC_FIXES: EvidencePart.FIXES,
    lib.OTR_REC_INPUTS: EvidencePart.INPUTS,
}
_STAGES: Final = {
    lib.OTR_STEP_TRIGGER: CrashStage.TRIGGER,
    lib.OTR_STEP_PULSE: CrashStage.PULSE,
    lib.OTR_STEP_CLOSED: CrashStage.CLOSED,
}


@dataclass(frozen=True, slots=True)
class SignalRecord:
    """``slot`` had ``value`` at the tick ``t_us`` and had been written since the tick before."""

    t_us: int
    slot: int
    value: float


@dataclass(frozen=True, slots=True)
class EvidenceState:
    """What the engine knows of a crash at one stage; the fields are those of ``model.crash.CrashState``.

    t_us: time of the stage. pulse: (long, lat) cumulative delta-V in km/h at 100 Hz, empty before it was captured.
    """

    event_seq: int
    stage: CrashStage
    t_us: int
    t0_us: int
    t_trigger_us: int
    thresholds: tuple[tuple[str, float], ...]
    imu_range_g: float
    imu_rate_hz: float | None
    imu_src: int
    mount: MountState | None
    vehicle_class: int
    pulse: tuple[tuple[float, float], ...]
    covers: tuple[Cover, ...]


def signal_records(data: bytes) -> list[SignalRecord]:
    """The items of a slice of ``EvidencePart.SIGNALS``."""
    return [SignalRecord(t_us, slot, value) for t_us, slot, _rsv, value in _SIGNAL.iter_unpack(data)]


class EvidenceReader:
    """Takes the steps that are due from the recorder of one engine. ``taken`` counts them."""

    def __init__(self, motion: Any, recorder: Any, thresholds: tuple[str, ...]) -> None:
        self._motion = motion
        self._recorder = recorder
        self._names = thresholds
        self._pulses: dict[int, tuple[tuple[float, float], ...]] = {}  # of the events whose window is open

    @property
    def busy(self) -> bool:
        """A window is open."""
        return self._recorder != ffi.NULL and bool(lib.otr_recorder_windows(self._recorder))

    def take(self, now_us: int, most: int) -> list[EvidenceSlice | EvidenceState]:
        """What is due by now, in order, at most so many steps."""
        found: list[EvidenceSlice | EvidenceState] = []
        if self._recorder == ffi.NULL:
            return found
        step = ffi.new("otr_evidence_step *")
        while len(found) < most and lib.otr_recorder_step(self._recorder, now_us, step):
            found.append(self._slice(step) if step.what == lib.OTR_STEP_SLICE else self._state(step))
            lib.otr_recorder_done(self._recorder)
        return found

    def finish(self, now_us: int) -> list[EvidenceSlice | EvidenceState]:
        """Nothing more will come: the rest of every window, and its closing state."""
        if self._recorder == ffi.NULL:
            return []
        lib.otr_recorder_finish(self._recorder, now_us)
        return self.take(now_us + 1, sys.maxsize)

    def _slice(self, step: Any) -> EvidenceSlice:
        size = lib.otr_recorder_item(step.kind)
        memory = ffi.new("uint8_t[]", size * step.count)
        count = lib.otr_recorder_read(self._recorder, memory, step.count)
        data = bytes(ffi.buffer(memory, size * count))
        return EvidenceSlice(step.event_seq, _PARTS[step.kind], step.slice, step.first_us, step.last_us, data)

    def _state(self, step: Any) -> EvidenceState:
        config = ffi.new("otr_motion_config *")
        lib.otr_motion_get_config(self._motion, config)
        source = ffi.new("uint8_t *")
        rate = lib.otr_recorder_imu_rate(self._recorder, source)
        return EvidenceState(
            event_seq=step.event_seq,
            stage=_STAGES[step.what],
            t_us=step.last_us,
            t0_us=step.t0_us,
            t_trigger_us=step.trigger_us,
            thresholds=tuple((name, float(getattr(config, name))) for name in self._names),
            imu_range_g=config.imu_range_g,
            imu_rate_hz=rate or None,
            imu_src=source[0],
            mount=self._mount(),
            vehicle_class=config.vehicle_class,
            pulse=self._pulse(step.event_seq, _STAGES[step.what]),
            covers=tuple(_cover(step.cover[kind], kind) for kind in _PARTS if step.cover[kind].count),
        )

    def _mount(self) -> MountState | None:
        raw = ffi.new("otr_mount *")
        lib.otr_motion_get_mount(self._motion, raw)
        return MountState((*raw.up,), (*raw.fwd,), raw.rho, raw.age_s) if any(raw.up) else None

    def _pulse(self, event_seq: int, stage: CrashStage) -> tuple[tuple[float, float], ...]:
        """The curve is the detector's only while its impact is the last one; so it is kept from stage to stage."""
        if stage is CrashStage.PULSE:
            self._pulses[event_seq] = read_pulse(self._motion)
        pulse = self._pulses.get(event_seq, ())
        if stage is CrashStage.CLOSED:
            self._pulses.pop(event_seq, None)
        return pulse


def read_pulse(motion: Any) -> tuple[tuple[float, float], ...]:
    """Cumulative delta-V (long, lat) in km/h at 100 Hz of the last captured impact; empty without one."""
    both = ffi.new("float[62]")
    count = lib.otr_motion_pulse(motion, both, both + 31, 31)
    return tuple((both[i], both[31 + i]) for i in range(count))


def _cover(raw: Any, kind: int) -> Cover:
    return Cover(_PARTS[kind], raw.first_us, raw.last_us, raw.count * lib.otr_recorder_item(kind))
