"""What was recorded of one crash, as it came from the records: the step between a journal and a document.

Owns no decision and no words; ``collect`` makes bundles, ``build`` and ``package_data`` read them.
"""

from __future__ import annotations

from dataclasses import dataclass

from outrider.crash.document import Missing
from outrider.model.crash import CrashState
from outrider.model.event import Event
from outrider.model.evidence import EvidencePart
from outrider.model.record import BootInfo, ClockFix, Gap, Lane, SignalTable, StoredRecord, TelemetryRow


@dataclass(frozen=True, slots=True)
class Part:
    """All items of one part of the evidence, in order of time, in the layout of ``EvidencePart``.

    pieces_missing, pieces_refused: pieces that are known to exist but are not here, or cannot be used. slices: how many
    there were. first_us, last_us: of the items that are here, 0 without any.
    """

    part: EvidencePart
    data: bytes
    slices: int
    pieces_missing: int = 0
    pieces_refused: int = 0
    first_us: int = 0
    last_us: int = 0


@dataclass(frozen=True, slots=True)
class CrashBundle:
    """One crash of one terminal. events: all phases in the order in which they were said; empty when only evidence was
    found. states: in the same order, empty with records from before there were any. rows: telemetry around T0.
    clocks: (engine time, what UTC it was) of this start of the terminal. records: the very records all of this came
    from, by epoch, lane and number. notes: what was found damaged while collecting.
    """

    device: str
    event_id: str
    epoch: int
    boot_id: int
    seq: int
    events: tuple[Event, ...]
    states: tuple[CrashState, ...]
    parts: tuple[Part, ...]
    rows: tuple[tuple[int, TelemetryRow], ...]
    tables: tuple[tuple[int, SignalTable], ...]
    clocks: tuple[tuple[int, ClockFix], ...]
    boot: BootInfo | None
    gaps: tuple[tuple[Lane, Gap], ...]
    records: tuple[StoredRecord, ...]
    notes: tuple[Missing, ...] = ()

    @property
    def event(self) -> Event | None:
        """The last phase, which counts."""
        return self.events[-1] if self.events else None

    @property
    def strongest(self) -> Event | None:
        """The last phase of the strongest impact, whose numbers count; None without a measured one."""
        measured = [event for event in self.events if event.dv_kmh is not None]
        if not measured:
            return None
        last_of = {event.impact_no: event for event in measured}
        return max(last_of.values(), key=lambda event: event.dv_kmh or 0.0)

    @property
    def state(self) -> CrashState | None:
        """The last state, which counts."""
        return self.states[-1] if self.states else None

    @property
    def t0_us(self) -> int:
        """T0 of the strongest impact, as it was last said."""
        counts = self.strongest or self.event
        if counts is not None:
            return counts.t0_us
        if self.states:
            return self.states[-1].t0_us
        return max((part.first_us for part in self.parts), default=0)

    def part(self, kind: EvidencePart) -> Part | None:
        """None when nothing of it was recorded."""
        return next((part for part in self.parts if part.part is kind), None)

    def items(self, kind: EvidencePart) -> bytes:
        """The part's items, empty without."""
        part = self.part(kind)
        return b"" if part is None else part.data
