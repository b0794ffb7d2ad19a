"""Evidence: what the flight recorder held around an event, cut into pieces small enough to travel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

MAX_CHUNK_BYTES: Final = 8192
MAX_SLICE_BYTES: Final = 8 * 1024 * 1024  # of a slice, laid out plainly


class EvidencePart(IntEnum):
    """Layouts are those of native/include/outrider/types.h and recorder.h, little-endian."""

    FRAMES = 1  # CAN frames: ``otr_frame``, 80 bytes
    IMU = 2  # samples: ``otr_sample``, 48 bytes
    SIGNALS = 3  # signals as decoded: ``otr_signal_record``, 24 bytes
    BLACK_BOX = 4  # one black-box page, 4096 bytes
    FIXES = 5  # positions: ``otr_fix``, 56 bytes
    INPUTS = 6  # other direct inputs (supply, ignition): ``otr_sample``, 48 bytes


ITEM_BYTES: Final = {
    EvidencePart.FRAMES: 80,
    EvidencePart.IMU: 48,
    EvidencePart.SIGNALS: 24,
    EvidencePart.BLACK_BOX: 4096,
    EvidencePart.FIXES: 56,
    EvidencePart.INPUTS: 48,
}


class Packing(IntEnum):
    """How the bytes of a slice were packed before they were cut into pieces."""

    PLAIN = 0
    ZSTD = 1  # one zstd frame of the slice


@dataclass(frozen=True, slots=True)
class EvidenceSlice:
    """Items of one part between first_us and last_us, laid out plainly. number: of the slice within its part."""

    event_seq: int
    part: EvidencePart
    number: int
    first_us: int
    last_us: int
    data: bytes


@dataclass(frozen=True, slots=True)
class EvidenceChunk:
    """Body of an EVIDENCE record: piece ``index`` (from 0) of ``count`` of one slice of one part.

    event_seq: the event it belongs to. first_us..last_us: time the slice covers. data: at most MAX_CHUNK_BYTES; the
    pieces of a slice in order, put together and unpacked, are its items in order of time. Slices of a part count from
    0 in the order in which they were written, which is not that of time; they do not overlap.
    """

    event_seq: int
    part: EvidencePart
    index: int
    count: int
    first_us: int
    last_us: int
    data: bytes
    slice: int = 0
    packing: Packing = Packing.PLAIN
