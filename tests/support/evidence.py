"""What the flight recorder handed out, put together again per event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from outrider.engine import EvidenceState, SignalRecord, signal_records
from outrider.model.crash import CrashStage
from outrider.model.evidence import EvidencePart, EvidenceSlice
from outrider.model.frame import FRAME


class Gathered:
    """The steps of one event: ``parts`` merged by time, ``states`` by stage, ``slices`` as they came."""

    def __init__(self, steps: Iterable[EvidenceSlice | EvidenceState], event_seq: int | None = None) -> None:
        self.steps = [step for step in steps if event_seq in (None, step.event_seq)]
        self.slices = [step for step in self.steps if isinstance(step, EvidenceSlice)]
        self.states = {step.stage: step for step in self.steps if isinstance(step, EvidenceState)}
        pieces: dict[EvidencePart, list[EvidenceSlice]] = defaultdict(list)
        for each in self.slices:
            pieces[each.part].append(each)
        self.parts: dict[EvidencePart, bytes] = defaultdict(bytes)
        for part, own in pieces.items():
            assert [each.number for each in own] == list(range(len(own)))
            self.parts[part] = b"".join(each.data for each in sorted(own, key=lambda each: each.first_us))

    @property
    def frame_times(self) -> list[int]:
        return [row[0] for row in FRAME.iter_unpack(self.parts[EvidencePart.FRAMES])]

    @property
    def signals(self) -> list[SignalRecord]:
        return signal_records(self.parts[EvidencePart.SIGNALS])

    @property
    def stages(self) -> list[CrashStage]:
        return [step.stage for step in self.steps if isinstance(step, EvidenceState)]
