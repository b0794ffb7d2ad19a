"""Which event a record is evidence of: what retention must know to keep the last crashes whole."""

from __future__ import annotations

from outrider.errors import WireError
from outrider.model.evidence import EvidenceChunk
from outrider.model.record import Category, Kind, Lane, Record
from outrider.wire.bodies import decode_body

EvidenceLabel = tuple[int, int]  # boot id, number of the event since that start


def is_evidence(record: Record) -> bool:
    """It has to be on flash at once, and may use the room that is kept for it."""
    return record.kind == Kind.EVIDENCE and record.lane is Lane.BULK and record.category == Category.EMERGENCY


def evidence_label(record: Record) -> EvidenceLabel | None:
    """None for a record that is no evidence, or whose body a newer version wrote in a way not known here."""
    if not is_evidence(record):
        return None
    try:
        body = decode_body(record.kind, record.body)
    except WireError:
        return None
    return (record.boot_id, body.event_seq) if isinstance(body, EvidenceChunk) else None
