"""A frozen window of the flight recorder, copied out of the engine."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

from outrider.engine.convert import SAMPLE
from outrider.engine.native import ffi, lib
from outrider.model.frame import FRAME_SIZE

_SIGNAL: Final = struct.Struct("=qIId")
_SIZES: Final = {lib.OTR_REC_FRAMES: FRAME_SIZE, lib.OTR_REC_IMU: SAMPLE.size, lib.OTR_REC_SIGNALS: _SIGNAL.size}


@dataclass(frozen=True, slots=True)
class SignalRecord:
    """``slot`` had ``value`` at the tick ``t_us`` and had been written since the tick before."""

    t_us: int
    slot: int
    value: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was recorded from 30 s before to 15 s after the suspected crash ``event_seq`` at ``t0_us``.

    frames: ``FrameBatch`` layout; imu: ``otr_sample`` layout; signals: ``otr_signal_record`` layout; all in order of
    time. ``spans_us``: (first, last) of each of the three, (0, 0) when empty: with a small recorder the beginning may
    be missing. covered_s: seconds of raw frames that are there.
    """

    event_seq: int
    t0_us: int
    frames: bytes
    imu: bytes
    signals: bytes
    spans_us: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]

    @property
    def covered_s(self) -> float:
        first, last = self.spans_us[0]
        return (last - first) / 1e6

    @property
    def last_us(self) -> int:
        """Time of the newest thing in the window; that of the event when it is empty."""
        return max((last for _first, last in self.spans_us if last), default=self.t0_us)

    def signal_records(self) -> list[SignalRecord]:
        return [SignalRecord(t_us, slot, value) for t_us, slot, _rsv, value in _SIGNAL.iter_unpack(self.signals)]


def take(recorder: Any) -> Evidence | None:
    """Copies and releases the frozen window; None when there is none."""
    if recorder == ffi.NULL:
        return None
    info = ffi.new("otr_evidence *")
    if not lib.otr_recorder_frozen(recorder, info):
        return None
    frames, imu, signals = (_read(recorder, kind, info.count[kind]) for kind in _SIZES)
    of_frames, of_imu, of_signals = ((info.first_us[kind], info.last_us[kind]) for kind in _SIZES)
    lib.otr_recorder_release(recorder)
    return Evidence(info.event_seq, info.t0_us, frames, imu, signals, (of_frames, of_imu, of_signals))


def _read(recorder: Any, kind: int, count: int) -> bytes:
    size = _SIZES[kind]
    memory = ffi.new("uint8_t[]", max(1, size * count))
    return bytes(ffi.buffer(memory, lib.otr_recorder_read(recorder, kind, memory, count) * size))
