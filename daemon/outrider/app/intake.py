"""From what the driving side says to records: lane, data category, encoding, and the tallies people look at.

This is where the owner's consent is asked (``app/consent``; today for nothing): every record passes here once, before
it is stored.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from dataclasses import dataclass, field
from typing import Any

from outrider.app.consent import Consent
from outrider.errors import WireError
from outrider.model.crash import CrashState
from outrider.model.event import Event, Trip
from outrider.model.evidence import EvidenceChunk
from outrider.model.notice import Notice
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

log = logging.getLogger(__name__)

Recordable = BootInfo | SignalTable | ClockFix | TelemetryRow | Event | Trip | EvidenceChunk | CrashState | Notice


def place_of(item: Recordable) -> tuple[Lane, Category]:
    """Lane and category of an item (architecture: Records)."""
    if isinstance(item, Event):
        return (Lane.EMERGENCY, Category.EMERGENCY) if item.kind.is_crash else (Lane.EVENT, Category.DRIVING)
    if isinstance(item, Trip):
        return (Lane.LEDGER, Category.DRIVING) if item.t_end_us else (Lane.EVENT, Category.DRIVING)
    if isinstance(item, CrashState):
        return Lane.EMERGENCY, Category.EMERGENCY
    if isinstance(item, EvidenceChunk):
        return Lane.BULK, Category.EMERGENCY
    if isinstance(item, TelemetryRow):
        return Lane.TELEMETRY, Category.LOCATION
    if isinstance(item, SignalTable):
        return Lane.TELEMETRY, Category.SYSTEM
    return Lane.EVENT, Category.SYSTEM


@dataclass(slots=True)
class IntakeStats:
    """Records handed to the journal, refused by it, and not made for want of the owner's consent, by lane."""

    put: dict[Lane, int] = field(default_factory=lambda: dict.fromkeys(Lane, 0))
    refused: dict[Lane, int] = field(default_factory=lambda: dict.fromkeys(Lane, 0))
    withheld: dict[Lane, int] = field(default_factory=lambda: dict.fromkeys(Lane, 0))


class Intake:
    """Encodes items and puts them into the sink; never blocks and never raises: the caller drives the engine."""

    def __init__(self, sink: RecordSink, boot_id: int, consent: Consent | None = None) -> None:
        self._sink = sink
        self._consent = consent or Consent()
        self._boot_id = boot_id
        self.stats = IntakeStats()

    def put(self, item: Recordable, t_us: int, boot_id: int | None = None) -> None:
        """boot_id: of an earlier start that the item is about."""
        lane, category = place_of(item)
        if not self._consent.allows(category):
            self.stats.withheld[lane] += 1
            return
        body = _encode(item)
        if body is None:
            self.stats.refused[lane] += 1
            return
        record = Record(lane, kind_of(item), category, self._boot_id if boot_id is None else boot_id, t_us, body)
        tally = self.stats.put if self._sink.put(record) else self.stats.refused
        tally[lane] += 1


def _encode(item: Recordable) -> bytes | None:
    """None: not to be had. A number that is none (NaN, infinite) is left out rather than losing an event for it."""
    try:
        return encode_body(item)
    except WireError as err:
        log.warning("record: %s", err)
    try:
        return encode_body(dataclasses.replace(item, **_not_finite(item)))
    except WireError as err:
        log.warning("record lost: %s", err)
        return None


def _not_finite(item: Recordable) -> dict[str, Any]:
    values = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    return {name: None for name, value in values.items() if isinstance(value, float) and not math.isfinite(value)}
