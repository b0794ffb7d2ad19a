"""From what the driving side says to records: lane, data category, encoding, and the tallies people look at.

This is where the owner's consent will be asked: every record passes here once, before it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from outrider.model.event import Event, Trip
from outrider.model.evidence import EvidenceChunk
from outrider.model.record import (
    BootInfo,
    Category,
    ClockFix,
    Lane,
    Record,
    SignalTable,
    TelemetryRow,
)
from outrider.ports import RecordSink
from outrider.wire.bodies import encode_body, kind_of

Recordable = BootInfo | SignalTable | ClockFix | TelemetryRow | Event | Trip | EvidenceChunk


def place_of(item: Recordable) -> tuple[Lane, Category]:
    """Lane and category of an item (architecture: Records)."""
    if isinstance(item, Event):
        return (Lane.EMERGENCY, Category.EMERGENCY) if item.kind.is_crash else (Lane.EVENT, Category.DRIVING)
    if isinstance(item, Trip):
        return (Lane.LEDGER, Category.DRIVING) if item.t_end_us else (Lane.EVENT, Category.DRIVING)
    if isinstance(item, EvidenceChunk):
        return Lane.BULK, Category.EMERGENCY
    if isinstance(item, TelemetryRow):
        return Lane.TELEMETRY, Category.LOCATION
    if isinstance(item, SignalTable):
        return Lane.TELEMETRY, Category.SYSTEM
    return Lane.EVENT, Category.SYSTEM


@dataclass(slots=True)
class IntakeStats:
    """Records handed to the journal, and refused by it, by lane."""

    put: dict[Lane, int] = field(default_factory=lambda: dict.fromkeys(Lane, 0))
    refused: dict[Lane, int] = field(default_factory=lambda: dict.fromkeys(Lane, 0))


class Intake:
    """Encodes items and puts them into the sink; never blocks, never raises for a full sink."""

    def __init__(self, sink: RecordSink, boot_id: int) -> None:
        self._sink = sink
        self._boot_id = boot_id
        self.stats = IntakeStats()

    def put(self, item: Recordable, t_us: int) -> None:
        lane, category = place_of(item)
        record = Record(lane, kind_of(item), category, self._boot_id, t_us, encode_body(item))
        tally = self.stats.put if self._sink.put(record) else self.stats.refused
        tally[lane] += 1
