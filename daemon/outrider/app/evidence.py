"""From what the flight recorder saves to records: slices in pieces for the bulk lane, states for the emergency lane."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from math import isfinite
from struct import Struct
from typing import Final

from outrider.engine import EvidenceState
from outrider.model.crash import CrashStage, CrashState, MountState, SlotName
from outrider.model.evidence import ITEM_BYTES, MAX_SLICE_BYTES, EvidenceChunk, EvidencePart, EvidenceSlice
from outrider.model.record import BootInfo
from outrider.model.vehicle import VehicleTables
from outrider.wire.evidence import cut

MAX_SLOTS: Final = 256  # named in the first state, before it is known which of them the evidence holds
_T_US: Final = Struct("<q")  # of an item, at its beginning
_RECORD_WORDS: Final = 6  # u32 words of an otr_signal_record; the slot is number 2


class EvidenceRecords:
    """Bodies of records, each with its time; the same for the same steps.

    software, algorithm and profile are those of ``boot``. A state after the first names just the slots that occurred.
    A number that is none (a broken sensor) is left out: the state is worth more than it.
    """

    def __init__(self, tables: VehicleTables, boot: BootInfo, tables_hash: int, holdup_ms: int) -> None:
        self._boot = boot
        self._tables_hash = tables_hash
        self._holdup_ms = holdup_ms
        self._names = [SlotName(slot, spec.path, spec.unit) for slot, spec in enumerate(tables.slots)]
        rows = sorted(range(len(tables.slots)), key=lambda slot: (not tables.slots[slot].telemetry, slot))
        self._likely = tuple(self._names[slot] for slot in sorted(rows[:MAX_SLOTS]))
        self._seen: dict[int, set[int]] = {}  # slots by event, while its window is open
        self._more: dict[tuple[int, EvidencePart], int] = {}  # slices beyond the engine's count, likewise

    def records(self, step: EvidenceSlice | EvidenceState) -> Iterator[tuple[EvidenceChunk | CrashState, int]]:
        """(body, time): of a slice the time of its newest item."""
        if isinstance(step, EvidenceState):
            yield self._state(step), step.t_us
            return
        if step.part is EvidencePart.SIGNALS:
            words = memoryview(step.data).cast("I")
            self._seen.setdefault(step.event_seq, set()).update(words[2::_RECORD_WORDS].tolist())
        for piece in self._in_measure(step):
            for chunk in cut(piece):
                yield chunk, piece.last_us

    def _in_measure(self, step: EvidenceSlice) -> Iterator[EvidenceSlice]:
        """Slices that travel: one of a large recorder on many buses, or of thousands of signals, becomes several."""
        before = self._more.get((step.event_seq, step.part), 0)
        size = ITEM_BYTES[step.part]
        most = MAX_SLICE_BYTES // size * size
        starts = range(0, len(step.data), most)
        for number, start in enumerate(starts, step.number + before):
            data = step.data[start : start + most]
            first_us = _T_US.unpack_from(data)[0] if start else step.first_us
            last_us = _T_US.unpack_from(data, len(data) - size)[0] if start + most < len(step.data) else step.last_us
            yield EvidenceSlice(step.event_seq, step.part, number, first_us, last_us, data)
        if len(starts) > 1:
            self._more[step.event_seq, step.part] = before + len(starts) - 1

    def _state(self, step: EvidenceState) -> CrashState:
        seen = self._seen.get(step.event_seq, set())
        named = self._likely if step.stage is CrashStage.TRIGGER else tuple(self._names[slot] for slot in sorted(seen))
        pulse = list(takewhile(lambda point: isfinite(point[0]) and isfinite(point[1]), step.pulse))
        if step.stage is CrashStage.CLOSED:
            self._seen.pop(step.event_seq, None)
            self._more = {key: more for key, more in self._more.items() if key[0] != step.event_seq}
        return CrashState(
            event_seq=step.event_seq,
            stage=step.stage,
            t0_us=step.t0_us,
            t_trigger_us=step.t_trigger_us,
            software=self._boot.software,
            algorithm=self._boot.algorithm,
            profile_id=self._boot.profile_id,
            tables_hash=self._tables_hash,
            thresholds=tuple((name, value) for name, value in step.thresholds if isfinite(value)),
            imu_range_g=step.imu_range_g if isfinite(step.imu_range_g) else 0.0,
            imu_rate_hz=step.imu_rate_hz,
            imu_src=step.imu_src,
            mount=step.mount if step.mount is not None and _is_whole(step.mount) else None,
            vehicle_class=step.vehicle_class,
            holdup_ms=self._holdup_ms,
            pulse_long_kmh=tuple(along for along, _across in pulse),
            pulse_lat_kmh=tuple(across for _along, across in pulse),
            slots=named,
            covers=step.covers,
        )


def _is_whole(mount: MountState) -> bool:
    return all(isfinite(number) for number in (*mount.up, *mount.forward, mount.rho, mount.age_s))
