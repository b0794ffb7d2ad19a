"""Evidence: what the flight recorder froze around an event, cut into pieces small enough to travel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

MAX_CHUNK_BYTES: Final = 8192


class EvidencePart(IntEnum):
    FRAMES = 1  # CAN frames in the layout of ``otr_frame``, little-endian
    IMU = 2  # samples in the layout of ``otr_sample``, little-endian
    SIGNALS = 3
    BLACK_BOX = 4  # one black-box page


@dataclass(frozen=True, slots=True)
class EvidenceChunk:
    """Body of an EVIDENCE record: piece ``index`` (from 0) of ``count`` of one part of an event's evidence.

    event_seq: the event it belongs to. first_us..last_us: time the whole part covers. data: at most MAX_CHUNK_BYTES;
    the pieces of a part in order, put together, are the part.
    """

    event_seq: int
    part: EvidencePart
    index: int
    count: int
    first_us: int
    last_us: int
    data: bytes
