"""A recorded drive to be played back onto buses: all its frames and NMEA sentences in memory, on one time line.

Zero is the first stamp of all its files, by the rule of every replay (``timeline``), so that what happens at t seconds
of the drive is what ``outrider replay`` of the same files gives at t plus the base of its time line. Who plays it is in
``playback_io``.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider.errors import RecordingError
from outrider.files_io import naming
from outrider.model.frame import BRS, EFF, ERR, ESI, FD, FRAME, FRAME_SIZE, RTR
from outrider.ports import ReplaySource
from outrider.sources.nmea_replay_io import NmeaRecording
from outrider.sources.open_io import open_recordings
from outrider.sources.sequence import times_of
from outrider.sources.timeline import YEAR_2000_US, Zone

_BUS_AT: Final = 12  # within a frame


@dataclass(frozen=True, slots=True)
class Drive:
    """frames: 80 bytes each (``model.frame``), in order of time, ``t_us`` from the drive's zero.

    sentences: (time from zero, what the receiver wrote), in order of time. zero_utc_us: UTC of the zero, 0 when the
    recording has no dates. duration_us: to the last frame or sentence.
    """

    name: str
    frames: bytes
    sentences: tuple[tuple[int, bytes], ...]
    zero_utc_us: int
    duration_us: int

    @property
    def frame_count(self) -> int:
        return len(self.frames) // FRAME_SIZE

    @property
    def buses(self) -> tuple[int, ...]:
        """Numbers of the buses that have frames."""
        return tuple(sorted(set(self.frames[_BUS_AT::FRAME_SIZE])))

    def part(self, begin_s: float, end_s: float) -> Drive:
        """What lies from ``begin_s`` up to before ``end_s``; the first of it is its zero. RecordingError when empty."""
        begin_us, end_us = round(begin_s * 1e6), round(end_s * 1e6)
        times = times_of(self.frames)
        first, last = bisect_left(times, begin_us), bisect_left(times, end_us)
        times = times[first:last]
        kept = [(t, text) for t, text in self.sentences if begin_us <= t < end_us]
        if not times and not kept:
            raise RecordingError(f"{self.name}: nothing lies between {begin_s} s and {end_s} s")
        zero_us = min(times[:1] + [t for t, _text in kept[:1]])
        frames = bytearray(self.frames[first * FRAME_SIZE : last * FRAME_SIZE])
        shifted = [t - zero_us for t in times]
        _put_times(frames, shifted)
        sentences = tuple((t - zero_us, text) for t, text in kept)
        zero_utc_us = self.zero_utc_us + zero_us if self.zero_utc_us else 0
        return Drive(self.name, bytes(frames), sentences, zero_utc_us, _last(shifted, sentences))

    def write(self, folder: Path) -> list[Path]:
        """Writes it as a candump log and an NMEA file: other tools, ``outrider replay`` among them, then see the same.

        Without dates in the recording, times count from the beginning of 2020. Which of them are there is returned.
        """
        made = []
        if self.frames:
            made.append(folder / "drive.log")
            with naming(made[-1]), made[-1].open("w", encoding="ascii") as file:
                file.writelines(self._candump_lines())
        if self.sentences:
            made.append(folder / "drive.nmea")
            with naming(made[-1]):
                made[-1].write_bytes(b"".join(text for _t, text in self.sentences))
        return made

    def _candump_lines(self) -> Iterator[str]:
        zero_us = self.zero_utc_us or _DATE_US
        for t_us, can_id, bus, flags, size, _zero, data in FRAME.iter_unpack(self.frames):
            stamp = zero_us + t_us
            yield (
                f"({stamp // 1_000_000}.{stamp % 1_000_000:06}) can{bus} "
                f"{_identifier(can_id, flags)}#{_content(flags, size, data)}\n"
            )


_DATE_US: Final = YEAR_2000_US + 20 * 365 * 86_400_000_000 + 5 * 86_400_000_000


def _identifier(can_id: int, flags: int) -> str:
    if flags & ERR:
        return f"{can_id | 0x20000000:08X}"
    return f"{can_id:08X}" if flags & EFF else f"{can_id:03X}"


def _content(flags: int, size: int, data: bytes) -> str:
    """What stands after the ``#`` of a candump line."""
    if flags & RTR:
        return f"R{size}" if size else "R"
    if flags & FD:
        return f"#{(1 if flags & BRS else 0) | (2 if flags & ESI else 0):X}{data[:size].hex().upper()}"
    return data[:size].hex().upper()


def load_drive(files: Sequence[Path]) -> Drive:
    """A drive from its files: any CAN log that ``outrider replay`` takes, and NMEA. 80 bytes of memory a frame.

    RecordingError names the file that cannot be played on a bus (a tape, NMEA without any time) or cannot be read.
    """
    for file in files:
        if file.suffix == ".tape":
            raise RecordingError("a tape holds no frames of a bus in their order; play the recordings", path=file)
    sources = open_recordings(files, base_us=0)
    sentences: list[tuple[int, bytes]] = []
    parts: list[bytes | bytearray] = []
    utc: list[int] = []
    for source in sources:
        if isinstance(source, NmeaRecording):
            sentences += _sentences(source)
        else:
            parts += [item.frames.buffer for item in source.items() if item.frames is not None]
        utc += _utc_of_zero(source)
    frames, times = _in_order(b"".join(parts))
    sentences.sort(key=lambda each: each[0])
    name = files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more"
    return Drive(name, frames, tuple(sentences), utc[0] if utc else 0, _last(times, sentences))


def _sentences(source: NmeaRecording) -> list[tuple[int, bytes]]:
    if source.zone is Zone.RELATIVE:
        raise RecordingError("no sentence tells the time: it cannot be played in time", path=source.path)
    return list(source.sentences())


def _utc_of_zero(source: ReplaySource) -> list[int]:
    """UTC of the zero of the time line, where the recording's stamps are UTC. All such recordings agree."""
    zone, first_us, file_us = (getattr(source, name) for name in ("zone", "first_us", "first_file_us"))
    return [file_us - first_us] if zone is Zone.UTC else []


def _in_order(raw: bytes) -> tuple[bytes, list[int]]:
    """Frames of several recordings in order of time; equal times keep the order of the files."""
    times = times_of(raw)
    ordered = sorted(times)
    if ordered == times:
        return raw, times
    order = sorted(range(len(times)), key=times.__getitem__)
    return b"".join(raw[n * FRAME_SIZE : (n + 1) * FRAME_SIZE] for n in order), ordered


def _put_times(raw: bytearray, times: list[int]) -> None:
    words = memoryview(raw).cast("q")
    words[:: FRAME_SIZE // 8] = memoryview(array("q", times))
    words.release()


def _last(times: list[int], sentences: Sequence[tuple[int, bytes]]) -> int:
    return max(times[-1] if times else 0, sentences[-1][0] if sentences else 0)
