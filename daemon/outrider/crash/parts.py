"""Putting the pieces of evidence together again: slices of pieces, in any order, incomplete, doubled or hostile.

Rule: whatever comes in, what can be used is used, and what cannot is counted. Nothing here trusts a number of a piece
before it has looked at it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import zstandard

from outrider.crash.bundle import Part
from outrider.model.evidence import (
    ITEM_BYTES,
    MAX_CHUNK_BYTES,
    MAX_SLICE_BYTES,
    EvidenceChunk,
    EvidencePart,
    Packing,
)

_MAX_PIECES: Final = MAX_SLICE_BYTES // MAX_CHUNK_BYTES + 1
_MAX_PART_BYTES: Final = 128 * 1024 * 1024
_REACH_US: Final = 300_000_000  # items further from the event belong to something else
_TIME: Final = struct.Struct("<q")


@dataclass(slots=True)
class _Slice:
    count: int
    packing: int
    pieces: dict[int, bytes] = field(default_factory=dict)


def join_parts(chunks: Iterable[EvidenceChunk], t0_us: int) -> tuple[Part, ...]:
    """The parts of one event, by number. Items that lie more than five minutes from ``t0_us`` are left out."""
    slices: dict[EvidencePart, dict[int, _Slice]] = {}
    refused: dict[EvidencePart, int] = {}
    for chunk in chunks:
        known = slices.setdefault(chunk.part, {})
        if not _fits(chunk, known.get(chunk.slice)):
            refused[chunk.part] = refused.get(chunk.part, 0) + 1
            continue
        known.setdefault(chunk.slice, _Slice(chunk.count, chunk.packing)).pieces.setdefault(chunk.index, chunk.data)
    return tuple(_join(part, slices[part], refused.get(part, 0), t0_us) for part in sorted(slices))


def _fits(chunk: EvidenceChunk, known: _Slice | None) -> bool:
    """Whether a piece can be of this slice; a second one of the same number must be the same."""
    if not 0 <= chunk.index < chunk.count <= _MAX_PIECES or len(chunk.data) > MAX_CHUNK_BYTES:
        return False
    if known is None:
        return True
    same_shape = (known.count, known.packing) == (chunk.count, chunk.packing)
    return same_shape and known.pieces.get(chunk.index, chunk.data) == chunk.data


def _join(part: EvidencePart, slices: dict[int, _Slice], refused: int, t0_us: int) -> Part:
    size = ITEM_BYTES[part]
    missing = total = 0
    items: list[bytes] = []
    for number in sorted(slices):
        one = slices[number]
        missing += one.count - len(one.pieces)
        runs = [run for run in _unpacked(one, size) if run]
        if not runs:
            refused += len(one.pieces)
        for run in runs:
            total += len(run)
            if total > _MAX_PART_BYTES:
                refused += 1
                break
            items += (run[at : at + size] for at in range(0, len(run) - size + 1, size))
    highest = max(slices, default=-1)
    missing += min(highest + 1 - len(slices), _MAX_PIECES)  # of a whole slice that is not here at least one piece
    kept = _near(part, items, t0_us)
    times = (
        [_TIME.unpack_from(item)[0] for item in (kept[:1] + kept[-1:])] if part is not EvidencePart.BLACK_BOX else []
    )
    first, last = (times[0], times[-1]) if times else (0, 0)
    return Part(part, b"".join(kept), len(slices), missing, refused, first, last)


def _near(part: EvidencePart, items: list[bytes], t0_us: int) -> list[bytes]:
    """In order of time, without what has no business here. A black-box page does not begin with a time."""
    if part is EvidencePart.BLACK_BOX:
        return items
    stamped = [(int(_TIME.unpack_from(item)[0]), item) for item in items]
    near = [pair for pair in stamped if abs(pair[0] - t0_us) <= _REACH_US]
    near.sort(key=lambda pair: pair[0])
    return [item for _t_us, item in near]


def _unpacked(one: _Slice, size: int) -> list[bytes]:
    """Runs of whole items. Of a plain slice with holes each run is cut to whole items; of a packed one only what lies
    before the first hole can be unpacked."""
    if one.packing == Packing.PLAIN:
        return _plain_runs(one, size)
    head = b""
    for index in range(one.count):
        if index not in one.pieces:
            break
        head += one.pieces[index]
    if one.packing != Packing.ZSTD or not head:
        return []
    try:
        with zstandard.ZstdDecompressor().stream_reader(head) as reader:  # bounded, whatever the head promises
            data = reader.read(MAX_SLICE_BYTES)
    except zstandard.ZstdError:
        return []
    return [data[: len(data) - len(data) % size]]


def _plain_runs(one: _Slice, size: int) -> list[bytes]:
    """All pieces but the last have one size, so a piece knows its place."""
    last = one.count - 1
    step = next((len(data) for index, data in one.pieces.items() if index < last), MAX_CHUNK_BYTES)
    runs: list[bytes] = []
    begin, run, before = 0, b"", -2
    for index in sorted(one.pieces):
        data = one.pieces[index]
        if index < last and len(data) != step:
            continue  # not of this slice's making
        if index != before + 1:
            runs.append(_whole(run, begin, size))
            begin, run = index * step, b""
        run += data
        before = index
    runs.append(_whole(run, begin, size))
    return runs


def _whole(run: bytes, begin: int, size: int) -> bytes:
    """The whole items of bytes that begin at ``begin`` of the slice."""
    skip = -begin % size
    end = len(run) - (len(run) - skip) % size
    return run[skip:end] if end > skip else b""
