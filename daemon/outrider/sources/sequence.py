"""Frames of a recording into order of time and into items. Pure; the result does not depend on how input was chunked.

Rule: a frame that is out of order by no more than ``WINDOW`` frames is put where it belongs; one that comes later
still takes the time of what was handed on before it, and is counted. When a whole run of frames lies seconds before the
window, the logger's clock was set back: from there on the file's time is shifted, so that the drive goes on (counted).
Nothing is dropped but stamps that cannot be.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

from outrider.errors import RecordingError
from outrider.model.frame import FRAME_SIZE, FrameBatch
from outrider.ports import SourceItem
from outrider.sources.stats import SourceStats

WINDOW: Final = 256  # frames
MAX_ITEM_FRAMES: Final = 1024
MAX_ITEM_SPAN_US: Final = 100_000  # one tick of the engine
# A jump of a year ahead at the end of a file is a broken stamp, not a gap.
WILD_JUMP_US: Final = 366 * 86_400_000_000
STEP_BACK_US: Final = 2_000_000
STEP_CONFIRM: Final = 64  # frames in a row that far back: a step of the clock, not strays
_WORDS: Final = FRAME_SIZE // 8  # the time is the first of ten 64-bit words


def items_of(
    chunks: Iterable[bytes | bytearray], stats: SourceStats, *, offset_us: int = 0, floor_us: int = 0
) -> Iterator[SourceItem]:
    """Items from chunks of raw frames in file time; ``offset_us`` makes it engine time, never below ``floor_us``."""
    sequencer = FrameSequencer(stats, offset_us, floor_us)
    try:
        for chunk in chunks:
            yield from sequencer.push(chunk)
    except RecordingError:
        yield from sequencer.finish()  # what was good comes out first
        raise
    yield from sequencer.finish()


class FrameSequencer:
    """A sliding window over raw frames: ``push`` hands on what nothing still to come can precede."""

    def __init__(self, stats: SourceStats, offset_us: int, floor_us: int) -> None:
        self._stats = stats
        self._offset_us = offset_us
        self._last_us = floor_us
        self._raw = bytearray()  # the window, in order of time
        self._times: list[int] = []
        self._behind = 0

    def push(self, chunk: bytes | bytearray) -> Iterator[SourceItem]:
        """Items that are ready after ``chunk``, whole raw frames in file time."""
        fresh = [t + self._offset_us for t in times_of(chunk)]
        times = self._times + fresh
        raw = self._raw + chunk
        ordered = sorted(times)
        if times == ordered:
            self._behind = 0
        else:
            times, raw = self._slide(fresh, chunk)
        ready = max(0, len(times) - WINDOW)
        yield from self._hand_on(times[:ready], raw[: ready * FRAME_SIZE])
        self._times, self._raw = times[ready:], raw[ready * FRAME_SIZE :]

    def finish(self) -> Iterator[SourceItem]:
        """What the window still holds."""
        keep = self._sane(self._times)
        yield from self._hand_on(self._times[:keep], self._raw[: keep * FRAME_SIZE])
        self._times, self._raw = [], bytearray()

    def _sane(self, times: list[int]) -> int:
        """How many of the window's stamps are before a jump that cannot be; the rest is counted as wild."""
        for n in range(1, len(times)):
            if times[n] - times[n - 1] > WILD_JUMP_US:
                self._stats.wild_stamps += len(times) - n
                return n
        return len(times)

    def _slide(self, fresh: list[int], chunk: bytes | bytearray) -> tuple[list[int], bytearray]:
        """The window and ``chunk`` through a heap of ``WINDOW`` frames: all in the order they leave it."""
        heap = [(t, n, bytes(self._frame(self._raw, n))) for n, t in enumerate(self._times)]
        out: list[tuple[int, int, bytes]] = []
        newest = self._times[-1] if self._times else 0
        base, shift = len(heap), 0
        for n, stamp in enumerate(fresh):
            t = stamp + shift
            if heap and t < newest:
                self._stats.reordered += 1
            if self._is_step(t, heap):
                window = sorted(heap)
                out += window[: self._sane([entry[0] for entry in window])]
                shift += out[-1][0] - t
                t, newest, heap = out[-1][0], out[-1][0], []
            newest = max(newest, t) if heap else t
            entry = (t, base + n, bytes(self._frame(chunk, n)))
            if len(heap) < WINDOW:
                heapq.heappush(heap, entry)
            else:
                out.append(heapq.heappushpop(heap, entry))
        self._offset_us += shift
        out += sorted(heap)
        return [entry[0] for entry in out], bytearray().join(entry[2] for entry in out)

    def _is_step(self, t_us: int, heap: list[tuple[int, int, bytes]]) -> bool:
        """True for the frame that proves that the clock was set back."""
        far = len(heap) == WINDOW and t_us < heap[0][0] - STEP_BACK_US
        self._behind = self._behind + 1 if far else 0
        if self._behind < STEP_CONFIRM:
            return False
        self._behind = 0
        self._stats.clock_steps += 1
        return True

    @staticmethod
    def _frame(raw: bytes | bytearray, n: int) -> bytes | bytearray:
        return raw[n * FRAME_SIZE : (n + 1) * FRAME_SIZE]

    def _hand_on(self, times: list[int], raw: bytearray) -> Iterator[SourceItem]:
        if not times:
            return
        for n, t in enumerate(times):
            if t < self._last_us:
                times[n] = self._last_us
                self._stats.clamped += 1
            else:
                self._last_us = t
        if self._offset_us or self._stats.clamped or self._stats.clock_steps:
            words = memoryview(raw).cast("q")
            words[::_WORDS] = memoryview(array("q", times))
            words.release()
        self._stats.frames += len(times)
        yield from self._cut(times, memoryview(raw))

    def _cut(self, times: list[int], raw: memoryview) -> Iterator[SourceItem]:
        start = 0
        while start < len(times):
            within = bisect_right(times, times[start] + MAX_ITEM_SPAN_US, start)
            end = min(within, start + MAX_ITEM_FRAMES)
            batch = FrameBatch()
            batch.extend_raw(raw[start * FRAME_SIZE : end * FRAME_SIZE])
            self._stats.items += 1
            yield SourceItem(times[end - 1], frames=batch)
            start = end


def times_of(raw: bytes | bytearray | memoryview) -> list[int]:
    """Time stamps of raw frames."""
    return memoryview(raw).cast("B").cast("q")[::_WORDS].tolist()
