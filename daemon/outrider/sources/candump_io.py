"""candump logs (``candump -l``) by the native parser: the fast way for the most common format.

A line that is no frame is counted and skipped. Same frames as python-can's reader gives (tested), except that the
class bits of error frames are kept.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from outrider.engine import CandumpParser
from outrider.errors import RecordingError
from outrider.model.frame import ERR, FRAME_SIZE, TX
from outrider.sources.replay_io import BusNumbers
from outrider.sources.stats import SourceStats

BLOCK: Final = 262_144
_BUS_AT: Final = 12  # within a frame
_FLAGS_AT: Final = 13
_ERR_FLAGS: Final = bytes(n for n in range(256) if n & ERR)
_TX_FLAGS: Final = bytes(n for n in range(256) if n & TX)


class CandumpReader:
    """Chunks of raw frames of one candump log."""

    local = False

    def __init__(self, path: Path, buses: BusNumbers) -> None:
        self._path = path
        self._buses = buses

    def chunks(self, stats: SourceStats) -> Iterator[bytes | bytearray]:
        """Frames as they stand in the file. RecordingError when it cannot be read further or is no text."""
        parser = CandumpParser()
        for block in self._blocks():
            if len(block) == BLOCK and b"\n" not in block:
                raise RecordingError(f"{BLOCK} bytes without a line end after line {parser.lines}", path=self._path)
            for batch in parser.feed(block):
                yield self._finished(batch, parser, stats)
        for batch in parser.finish():
            yield self._finished(batch, parser, stats)
        self._note_bad(parser, stats)

    def _finished(self, batch: memoryview, parser: CandumpParser, stats: SourceStats) -> bytearray:
        """A copy with the bus numbers of this replay instead of the parser's own."""
        raw = bytearray(batch)
        table = bytes(self._buses.of(name) for name in parser.interfaces)
        raw[_BUS_AT::FRAME_SIZE] = raw[_BUS_AT::FRAME_SIZE].translate(table.ljust(256, b"\0"))
        flags = raw[_FLAGS_AT::FRAME_SIZE]
        stats.error_frames += len(flags) - len(flags.translate(None, _ERR_FLAGS))
        stats.echoes += len(flags) - len(flags.translate(None, _TX_FLAGS))
        self._note_bad(parser, stats)
        return raw

    @staticmethod
    def _note_bad(parser: CandumpParser, stats: SourceStats) -> None:
        stats.malformed = parser.bad_lines
        stats.first_bad_line = parser.first_bad_line or 0

    def _blocks(self) -> Iterator[bytes]:
        packed = self._path.suffix == ".gz"
        try:
            with gzip.open(self._path) if packed else self._path.open("rb") as file:
                while block := file.read(BLOCK):
                    yield block
        except (OSError, EOFError, zlib.error) as err:
            raise RecordingError(f"cannot be read further: {err}", path=self._path) from None
