"""Evidence there and back: slices packed and cut into pieces that travel; pieces put together into parts.

A part comes in slices, each a stretch of time, in the order in which they were worth saving. A slice is there when all
its pieces are; what is missing is told. What comes from outside is never expanded beyond ``MAX_SLICE_BYTES``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import zstandard

from outrider.errors import WireError
from outrider.model.evidence import (
    MAX_CHUNK_BYTES,
    MAX_SLICE_BYTES,
    EvidenceChunk,
    EvidencePart,
    EvidenceSlice,
    Packing,
)

_LEVEL: Final = 1  # on the thread that captures: a second of a full 1 Mbit/s bus in two milliseconds
MAX_SLICES: Final = 4096  # of a part; a terminal writes some 60
_LITTLE: Final = 64  # not worth a frame


@dataclass(frozen=True, slots=True)
class PartData:
    """A part put together from the slices that are whole, in order of time.

    spans_us: (first, last) of each slice; missing: numbers of slices of which pieces are missing, or that should have
    come before one that is there; damaged: numbers of slices whose pieces do not unpack.
    """

    part: EvidencePart
    data: bytes
    spans_us: tuple[tuple[int, int], ...]
    missing: tuple[int, ...]
    damaged: tuple[int, ...]


def cut(piece: EvidenceSlice) -> list[EvidenceChunk]:
    """The slice in pieces, packed when that is shorter; none for an empty one. WireError beyond MAX_SLICE_BYTES."""
    if len(piece.data) > MAX_SLICE_BYTES:
        raise WireError(f"evidence slice of {len(piece.data)} bytes, at most {MAX_SLICE_BYTES}")
    packing, data = _pack(piece.data)
    count = -(-len(data) // MAX_CHUNK_BYTES)
    return [
        EvidenceChunk(
            piece.event_seq,
            piece.part,
            index,
            count,
            piece.first_us,
            piece.last_us,
            data[index * MAX_CHUNK_BYTES : (index + 1) * MAX_CHUNK_BYTES],
            piece.number,
            packing,
        )
        for index in range(count)
    ]


def assemble(chunks: Iterable[EvidenceChunk]) -> dict[EvidencePart, PartData]:
    """Parts of one event's evidence, from its pieces in any order; a piece that comes twice counts once.

    A slice number from MAX_SLICES on is no terminal's and is passed over.
    """
    slices: dict[EvidencePart, dict[int, dict[int, EvidenceChunk]]] = defaultdict(lambda: defaultdict(dict))
    for chunk in chunks:
        if chunk.slice < MAX_SLICES:
            slices[chunk.part][chunk.slice].setdefault(chunk.index, chunk)
    return {part: _part(part, found) for part, found in sorted(slices.items())}


def _part(part: EvidencePart, slices: dict[int, dict[int, EvidenceChunk]]) -> PartData:
    whole: list[tuple[int, int, bytes]] = []
    missing, damaged = [], []
    for number in range(max(slices) + 1):
        pieces = slices.get(number, {})
        head = pieces.get(0)
        if head is None or any(index not in pieces for index in range(head.count)):
            missing.append(number)
            continue
        try:
            data = _unpack(head.packing, b"".join(pieces[index].data for index in range(head.count)))
        except WireError:
            damaged.append(number)
            continue
        whole.append((head.first_us, head.last_us, data))
    whole.sort(key=lambda each: each[:2])
    return PartData(
        part,
        b"".join(data for _first, _last, data in whole),
        tuple((first, last) for first, last, _data in whole),
        tuple(missing),
        tuple(damaged),
    )


def _pack(data: bytes) -> tuple[Packing, bytes]:
    if len(data) < _LITTLE:
        return Packing.PLAIN, data
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(data)
    return (Packing.ZSTD, packed) if len(packed) < len(data) else (Packing.PLAIN, data)


def _unpack(packing: Packing, data: bytes) -> bytes:
    if packing is Packing.PLAIN:
        return data
    try:
        declared = zstandard.frame_content_size(data)
        if not 0 <= declared <= MAX_SLICE_BYTES:
            raise WireError("evidence slice does not tell its size, or is too large")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=MAX_SLICE_BYTES)
    except zstandard.ZstdError as err:
        raise WireError(f"evidence slice does not unpack: {err}") from None
