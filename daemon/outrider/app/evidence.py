"""The flight recorder's frozen window, cut into records of the bulk lane."""

from __future__ import annotations

from collections.abc import Iterator

from outrider.engine import Evidence
from outrider.model.evidence import MAX_CHUNK_BYTES, EvidenceChunk, EvidencePart


def chunks(evidence: Evidence) -> Iterator[EvidenceChunk]:
    """Frames, IMU and signals in pieces; a part with nothing in it has none."""
    parts = (
        (EvidencePart.FRAMES, evidence.frames),
        (EvidencePart.IMU, evidence.imu),
        (EvidencePart.SIGNALS, evidence.signals),
    )
    for (part, data), (first_us, last_us) in zip(parts, evidence.spans_us, strict=True):
        count = -(-len(data) // MAX_CHUNK_BYTES)
        for index in range(count):
            piece = data[index * MAX_CHUNK_BYTES : (index + 1) * MAX_CHUNK_BYTES]
            yield EvidenceChunk(evidence.event_seq, part, index, count, first_us, last_us, piece)
