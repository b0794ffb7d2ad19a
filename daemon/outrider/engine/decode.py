"""Decoding frames without an engine: for tools, tests and benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from outrider.engine.handle import NativeTables
from outrider.engine.native import check, ffi, lib
from outrider.engine.stats import DecodeStats, decode_stats
from outrider.model.frame import FRAME_SIZE, FrameBatch
from outrider.model.vehicle import VehicleTables

_new: Final = ffi.new_allocator(should_clear_after_alloc=False)  # pages that are not written are never touched


@dataclass(frozen=True, slots=True)
class Decoded:
    """Value k: ``values[k]`` (float64) of slot ``slots[k]`` (uint32).

    Those of frame i are ``starts[i]`` to ``starts[i + 1]`` (uint32), the end not included.

    The views lend the decoder's memory when it was told to reuse it; else they own theirs.
    """

    values: memoryview[float]
    slots: memoryview
    starts: memoryview

    def __len__(self) -> int:
        return len(self.values)

    @property
    def frame_index(self) -> list[int]:
        """The number of the frame of each value; made anew at each call."""
        return [i for i, (begin, end) in enumerate(pairwise(self.starts)) for _ in range(begin, end)]


class _Buffers:
    def __init__(self, capacity: int, frames: int) -> None:
        self.capacity = capacity
        self.frames = frames
        self.values = _new("double[]", capacity)
        self.slots = _new("uint32_t[]", capacity)
        self.starts = _new("uint32_t[]", frames + 1)

    def view(self, count: int, frames: int) -> Decoded:
        return Decoded(
            memoryview(ffi.buffer(self.values, count * 8)).cast("d"),
            memoryview(ffi.buffer(self.slots, count * 4)).cast("I"),
            memoryview(ffi.buffer(self.starts, (frames + 1) * 4)).cast("I"),
        )


class Decoder:
    """Decode tables of one vehicle. ``reuse``: results lend one buffer and are valid until the next call."""

    def __init__(self, tables: VehicleTables, *, reuse: bool = False) -> None:
        self._tables = NativeTables(tables)
        self._reuse = reuse
        self._kept: _Buffers | None = None
        self._stats = ffi.new("otr_decode_stats *")

    def decode(self, frames: FrameBatch | bytes | bytearray | memoryview) -> Decoded:
        """All values of the frames (80-byte layout of ``model.frame``), in order; ValueError for a partial frame."""
        data, count = lend_frames(frames)
        buffers = self._buffers(count)
        used = ffi.new("uint32_t *")
        written = lib.otr_decode_batch(
            self._tables.ptr,
            ffi.cast("const otr_frame *", data),
            count,
            *(buffers.values, buffers.slots, buffers.starts, buffers.capacity),
            used,
            self._stats,
        )
        return buffers.view(check(written, "decode"), count)

    def stats(self) -> DecodeStats:
        """Counters since the decoder was made."""
        return decode_stats(self._stats)

    @property
    def tables_hash(self) -> int:
        return self._tables.hash

    def _buffers(self, frames: int) -> _Buffers:
        needed = (frames + 1) * self._tables.max_values
        if not self._reuse:
            return _Buffers(needed, frames)
        if self._kept is None or self._kept.capacity < needed or self._kept.frames < frames:
            self._kept = _Buffers(needed, frames)
        return self._kept


def lend_frames(frames: FrameBatch | bytes | bytearray | memoryview) -> tuple[Any, int]:
    """(cdata that lends the bytes while it lives, number of frames); ValueError for a partial frame."""
    data = ffi.from_buffer(frames.buffer if isinstance(frames, FrameBatch) else frames)
    if len(data) % FRAME_SIZE:
        raise ValueError(f"{len(data)} bytes are no whole number of {FRAME_SIZE}-byte frames")
    return data, len(data) // FRAME_SIZE
