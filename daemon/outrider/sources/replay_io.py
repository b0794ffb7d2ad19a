"""Recordings of CAN frames as replay sources: every log format python-can reads. Owns the file and its errors.

Formats whose reader is elsewhere: MDF4 (``mf4_io``), candump text (``candump_io``). python-can is imported when a file
is opened, never before: with asammdf installed its import takes more than a second.
"""

from __future__ import annotations

import gzip
import io
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from outrider.errors import RecordingError
from outrider.model.frame import FRAME_SIZE
from outrider.model.record import ClockFix, ClockSource
from outrider.ports import SourceItem
from outrider.sources.packing import pack_message
from outrider.sources.sequence import items_of, times_of
from outrider.sources.stats import SourceStats
from outrider.sources.timeline import RECORDING_UNCERTAINTY_US, TimeLine, Zone, zone_of

if TYPE_CHECKING:
    import can

CHUNK_FRAMES: Final = 1024


class BusNumbers:
    """Bus numbers for channel names, shared by all recordings of a replay: ``can0`` is 0, ``vcan1`` is 1; a name
    without a number, or whose number is taken by another name, gets the lowest free one."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, channel: Any) -> int:
        """0..255; integers are taken as they are."""
        if channel is None:
            return 0
        if isinstance(channel, int):
            return channel if 0 <= channel <= 255 else 0
        known = self._numbers.get(channel)
        return self._assign(str(channel)) if known is None else known

    def _assign(self, name: str) -> int:
        digits = re.search(r"(\d{1,3})$", name)
        wanted = int(digits[1]) if digits else -1
        taken = set(self._numbers.values())
        if not 0 <= wanted <= 255 or wanted in taken:
            wanted = next((n for n in range(256) if n not in taken), 255)
        self._numbers[name] = wanted
        return wanted


class FrameReader(Protocol):
    """Reads one file: chunks of raw frames stamped in file time [us]. RecordingError after the good ones."""

    local: bool  # stamps are dates in a time zone the file does not name

    def chunks(self, stats: SourceStats) -> Iterator[bytes | bytearray]: ...


class FrameRecording:
    """A ``ReplaySource`` of CAN frames. ``first_us``: engine time of its first frame, once ``place`` was called."""

    def __init__(self, path: Path, reader: FrameReader) -> None:
        self.name = path.name
        self.path = path
        self.stats = SourceStats()
        self._reader = reader
        self.first_file_us = self._peek()
        self.zone = zone_of(self.first_file_us, local=reader.local)
        self._line = TimeLine(self.zone, 0)
        self._tells_clock = False

    def _peek(self) -> int:
        chunks = self._reader.chunks(SourceStats())
        for chunk in chunks:
            if chunk:
                return min(times_of(chunk))
        raise RecordingError("holds no CAN frames", path=self.path)

    def place(self, line: TimeLine, *, tells_clock: bool) -> None:
        """Put it on the time line of its zone; ``tells_clock``: its first item says what UTC it is."""
        self._line = line
        self._tells_clock = tells_clock and line.zone is Zone.UTC

    @property
    def first_us(self) -> int:
        return self.first_file_us + self._line.offset_us

    def items(self) -> Iterator[SourceItem]:
        """Items in order of time. RecordingError (file and place) after the good ones of a broken file."""
        self.stats = SourceStats()
        if self._tells_clock:
            fix = ClockFix(self.first_file_us, RECORDING_UNCERTAINTY_US, ClockSource.RECORDING)
            yield SourceItem(self.first_us, clock=(self.first_us, fix))
        yield from items_of(
            self._reader.chunks(self.stats), self.stats, offset_us=self._line.offset_us, floor_us=self.first_us
        )


class CanLogReader:
    """Any format of ``can.LogReader`` but MDF4. ``kind``: its suffix, such as ``.asc``; ``.log`` too, though
    ``candump_io`` reads that faster."""

    def __init__(self, path: Path, kind: str, buses: BusNumbers) -> None:
        self.local = kind in {".asc", ".trc"}
        self._path = path
        self._kind = kind
        self._buses = buses

    def chunks(self, stats: SourceStats) -> Iterator[bytes | bytearray]:
        """Raw frames; what python-can cannot read ends the file with a RecordingError that says where."""
        place = _Place(self._path)
        chunk = bytearray()
        count = 0
        try:
            for message in _counted(self._messages(place), stats, place):
                count += 1
                frame = pack_message(message, round(message.timestamp * 1e6), self._bus(message))
                if frame is None:
                    stats.malformed += 1
                    continue
                stats.error_frames += message.is_error_frame
                stats.echoes += not message.is_rx
                chunk += frame
                if len(chunk) >= CHUNK_FRAMES * FRAME_SIZE:
                    yield chunk
                    chunk = bytearray()
        except RecordingError:
            raise
        except Exception as err:  # noqa: BLE001 - the readers raise anything on hostile input
            yield chunk
            stats.truncated = 1
            raise _unreadable(self._path, place, count, err) from None
        yield chunk
        self._check_complete(stats)

    def _bus(self, message: can.Message) -> int:
        if self._kind == ".trc" and isinstance(message.channel, int):
            return self._buses.of(max(0, message.channel - 1))  # TRC counts from 1
        return self._buses.of(message.channel)

    def _messages(self, place: _Place) -> Iterator[can.Message]:
        from can.io.player import MESSAGE_READERS

        reader_type: Any = MESSAGE_READERS[self._kind]
        if self._kind == ".db":
            reader = reader_type(str(self._path))
        elif self._kind == ".blf":
            reader = reader_type(place.open_binary())
        elif self._kind == ".asc":
            reader = reader_type(place.open_text(), relative_timestamp=False)
            reader._datetime_to_timestamp = _asc_date
        else:
            reader = reader_type(place.open_text())
        try:
            yield from reader
        finally:
            reader.stop()

    def _check_complete(self, stats: SourceStats) -> None:
        """BLF tells its length: python-can reads a cut file to the cut without a word."""
        if self._kind != ".blf" or self._path.suffix == ".gz":
            return
        with self._path.open("rb") as file:
            promised = int.from_bytes(file.read(24)[16:24], "little")
        size = self._path.stat().st_size
        if size < promised:
            stats.truncated = 1
            raise RecordingError(
                f"cut short: {size} bytes of {promised}; all frames up to there were read", path=self._path
            )


class _Skipped(logging.Filter):
    """python-can's TRC reader skips lines it cannot read and only logs them: counted here instead."""

    def __init__(self, stats: SourceStats, place: _Place) -> None:
        super().__init__()
        self._stats = stats
        self._place = place

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        self._stats.malformed += 1
        self._stats.first_bad_line = self._stats.first_bad_line or self._place.line or 0
        return False


def _counted(messages: Iterator[can.Message], stats: SourceStats, place: _Place) -> Iterator[can.Message]:
    """The same messages; lines skipped on the way are in ``stats``."""
    log, skipped = logging.getLogger("can.io.trc"), _Skipped(stats, place)
    while True:
        log.addFilter(skipped)
        try:
            message = next(messages, None)
        finally:
            log.removeFilter(skipped)
        if message is None:
            return
        yield message


class _Place:
    """The open file, and how far a reader has come in it."""

    def __init__(self, path: Path) -> None:
        self.line: int | None = None
        self._path = path
        self._binary: Any = None

    def open_binary(self) -> Any:
        packed = self._path.suffix == ".gz"
        self._binary = gzip.open(self._path) if packed else self._path.open("rb")  # noqa: SIM115 - the reader closes it
        return self._binary

    def open_text(self) -> _Lines:
        return _Lines(io.TextIOWrapper(self.open_binary(), encoding="utf-8", errors="replace"), self)

    def offset(self) -> int | None:
        if self._binary is None or self._binary.closed:
            return None
        position: int = self._binary.tell()
        return position


class _Lines:
    """What python-can's text readers need of a file, counting lines."""

    def __init__(self, file: io.TextIOWrapper, place: _Place) -> None:
        self._file = file
        self._place = place
        place.line = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._file)
        self._place.line = (self._place.line or 0) + 1
        return line

    def read(self, size: int = -1) -> str:
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()


def _unreadable(path: Path, place: _Place, count: int, err: Exception) -> RecordingError:
    offset = place.offset() if place.line is None else None
    where = "" if offset is None else f" near byte {offset}"
    reason = f"{type(err).__name__}: {err}" if str(err) else type(err).__name__
    return RecordingError(
        f"unreadable{where} after {count} frames ({reason}); cut the file there or repair it",
        path=path,
        line=place.line or None,
    )


def _asc_date(text: str) -> float:
    """The date of an ASC header as if it were UTC: the same on every machine. ValueError as python-can's."""
    from can import ASCReader

    local = ASCReader._datetime_to_timestamp(text)
    return datetime.fromtimestamp(local).replace(tzinfo=UTC).timestamp()
