"""Candump logs (``candump -l``) parsed in C: classic and FD frames, no object per frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from outrider.engine.native import ffi, lib
from outrider.model.frame import FRAME_SIZE

_FRAMES: Final = 16384  # frames per native call
_SHORTEST_LINE: Final = 12


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
    """A log that comes in pieces, cut anywhere. Frames are lent: copy what must outlive the next call."""

    def __init__(self) -> None:
        self._state = ffi.new("otr_candump *")
        self._frames = ffi.new("otr_frame[]", _FRAMES)
        self._used = ffi.new("size_t *")
        self._rest = b""

    def feed(self, chunk: bytes) -> list[memoryview]:
        """Frames of all lines that are whole by now, in batches; each batch is valid until the next one is made.

        Since batches share one buffer, a chunk that yields more than one is copied; feed up to 256 KiB to avoid that.
        """
        return self._parse(self._rest + chunk if self._rest else chunk, final=False)

    def finish(self) -> list[memoryview]:
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

    def _parse(self, data: bytes, *, final: bool) -> list[memoryview]:
        batches: list[memoryview] = []
        text, at, end = ffi.from_buffer(data), 0, len(data)
        while at < end:
            count = lib.otr_candump_parse(
                self._state, ffi.cast("const char *", text) + at, end - at, final, self._frames, _FRAMES, self._used
            )
            at += self._used[0]
            if count:
                if batches and isinstance(batches[-1].obj, ffi.buffer):
                    batches[-1] = memoryview(bytes(batches[-1]))
                batches.append(memoryview(ffi.buffer(self._frames, count * FRAME_SIZE)))
            if count < _FRAMES:
                break
        self._rest = data[at:]
        return batches


def parse_candump(chunk: bytes) -> Candump:
    """A whole log at once."""
    parser = CandumpParser()
    frames = b"".join(bytes(batch) for step in (lambda: parser.feed(chunk), parser.finish) for batch in step())
    return Candump(frames, parser.interfaces, parser.lines, parser.bad_lines, parser.first_bad_line)
