"""Candump logs (``candump -l``) parsed in C: classic and FD frames, no object per frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from outrider.engine.native import ffi, lib
from outrider.model.frame import FRAME_SIZE

_FRAMES: Final = 16384  # frames per native call


@dataclass(frozen=True, slots=True)
class Candump:
    """frames: ``FrameBatch`` layout, t_us as in the log (UTC). interfaces: names, by bus index.

    bad_lines: lines that are no frame; first_bad_line is the number of the first one, counted from 1, None without.
    """

    frames: bytes
    interfaces: tuple[str, ...]
    lines: int
    bad_lines: int
    first_bad_line: int | None


class CandumpParser:
    """A log that comes in pieces, cut anywhere. Iterate ``feed`` to its end before the next call."""

    def __init__(self) -> None:
        self._state = ffi.new("otr_candump *")
        self._frames = ffi.new("otr_frame[]", _FRAMES)
        self._used = ffi.new("size_t *")
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[memoryview]:
        """Batches of frames of all lines that are whole by now. A batch is lent: valid until the next one."""
        return self._parse(self._rest + chunk if self._rest else chunk, final=False)

    def finish(self) -> Iterator[memoryview]:
        """Takes a last line without line feed."""
        return self._parse(self._rest, final=True)

    @property
    def interfaces(self) -> tuple[str, ...]:
        return tuple(ffi.string(self._state.bus[i], 16).decode("utf-8", "replace") for i in range(self._state.buses))

    @property
    def lines(self) -> int:
        return int(self._state.lines)

    @property
    def bad_lines(self) -> int:
        return int(self._state.bad_lines)

    @property
    def first_bad_line(self) -> int | None:
        return int(self._state.first_bad_line) or None

    def _parse(self, data: bytes, *, final: bool) -> Iterator[memoryview]:
        text, at, end, count = ffi.from_buffer("char[]", data), 0, len(data), _FRAMES
        while at < end and count == _FRAMES:
            count = lib.otr_candump_parse(self._state, text + at, end - at, final, self._frames, _FRAMES, self._used)
            at += self._used[0]
            if count:
                yield memoryview(ffi.buffer(self._frames, count * FRAME_SIZE))
        self._rest = data[at:]


def parse_candump(chunk: bytes) -> Candump:
    """A whole log at once."""
    parser = CandumpParser()
    frames = b"".join(map(bytes, parser.feed(chunk)))
    frames += b"".join(map(bytes, parser.finish()))
    return Candump(frames, parser.interfaces, parser.lines, parser.bad_lines, parser.first_bad_line)
