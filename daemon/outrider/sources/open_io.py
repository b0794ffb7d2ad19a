"""From files to replay sources: finds out what each file is, by content first, and puts all on one time line."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from outrider.errors import RecordingError
from outrider.files_io import require_regular
from outrider.ports import ReplaySource
from outrider.sources.candump_io import CandumpReader
from outrider.sources.imu_csv_io import COLUMNS as IMU_COLUMNS
from outrider.sources.imu_csv_io import ImuRecording
from outrider.sources.mf4_io import Mf4Reader
from outrider.sources.nmea_replay_io import NmeaRecording
from outrider.sources.replay_io import BusNumbers, CanLogReader, FrameReader, FrameRecording
from outrider.sources.timeline import Zone, time_lines

BASE_US: Final = 1_000_000
IMU_KIND: Final = "imu"
_HEAD_BYTES: Final = 65_536
KNOWN: Final = "candump .log, .asc, .blf, .trc, .csv and .db of python-can (text also .gz), .mf4, NMEA 0183, IMU as CSV"
_MAGIC: Final = ((b"MDF", ".mf4"), (b"UnFinMF", ".mf4"), (b"LOGG", ".blf"), (b"SQLite format 3\0", ".db"))
_TEXT: Final[tuple[tuple[re.Pattern[bytes], str], ...]] = (
    (re.compile(rb"^[^\S\n]*\(\d+\.\d+\)[^\S\n]+\S+[^\S\n]+[0-9A-Fa-f]{1,8}#", re.M), ".log"),
    (re.compile(rb"^;\$FILEVERSION", re.M), ".trc"),
    (re.compile(rb"^date\s+\w+\s.*\n\s*base\s+(hex|dec)", re.M | re.I), ".asc"),
    (re.compile(rb"\Atimestamp,arbitration_id,"), ".csv"),
    (re.compile(rb"\A" + ",".join(IMU_COLUMNS).encode() + rb"[,\s]"), IMU_KIND),
    (re.compile(rb"[$](?!P)[A-Z]{2}(GGA|RMC|GSA|GLL|VTG|ZDA|GNS|GSV),[ -~]*\*[0-9A-Fa-f]{2}"), ".nmea"),
)
_SUFFIXES: Final = {".log", ".asc", ".blf", ".trc", ".csv", ".db", ".mf4", ".nmea"}

Recording = FrameRecording | NmeaRecording | ImuRecording


def open_recordings(paths: Sequence[Path], *, base_us: int = BASE_US) -> list[ReplaySource]:
    """Replay sources in order of their first stamps, on common time lines that start at ``base_us``.

    RecordingError names the file that is missing, empty, unknown or without content.
    """
    buses = BusNumbers()
    recordings: list[Recording] = [_open(Path(path), buses) for path in paths]
    lines = time_lines([(r.zone, r.first_file_us) for r in recordings], base_us)
    recordings.sort(key=lambda r: r.first_file_us + lines[r.zone].offset_us)  # stable: ties as given
    clock_told = False
    for recording in recordings:
        frames = isinstance(recording, FrameRecording)
        recording.place(lines[recording.zone], tells_clock=frames and not clock_told)
        clock_told = clock_told or (frames and recording.zone is Zone.UTC)
    return list(recordings)


def kind_of(path: Path) -> str:
    """What a file is: a key of python-can's readers, ``.mf4``, ``.nmea``, ``imu``. RecordingError for anything else."""
    head = _head(path)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    text = head if b"\r" not in head else head.replace(b"\r\n", b"\n")
    for pattern, kind in _TEXT:
        if pattern.search(text):
            return kind
    suffixes = [s.lower() for s in path.suffixes]
    suffix = suffixes[-2] if len(suffixes) > 1 and suffixes[-1] == ".gz" else "".join(suffixes[-1:])
    if suffix in _SUFFIXES - {".mf4", ".blf", ".db"}:  # a text format without anything telling at its beginning
        return suffix
    if suffix in _SUFFIXES:
        raise RecordingError(f"is named {suffix} but does not begin like one: cut or damaged", path=path)
    raise RecordingError(f"not a recording of a known kind; known: {KNOWN}", path=path)


def _head(path: Path) -> bytes:
    try:
        require_regular(path)
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if head.startswith(b"\x1f\x8b"):
            with gzip.open(path) as unpacked:
                head = unpacked.read(_HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as err:
        reason = err.strerror if isinstance(err, OSError) and err.strerror else str(err)
        raise RecordingError(f"cannot be read: {reason}", path=path) from None
    if not head:
        raise RecordingError("is empty", path=path)
    return head


def _open(path: Path, buses: BusNumbers) -> Recording:
    kind = kind_of(path)
    if kind == ".nmea":
        return NmeaRecording(path)
    if kind == IMU_KIND:
        return ImuRecording(path)
    readers: dict[str, Callable[[], FrameReader]] = {
        ".mf4": lambda: Mf4Reader(path),
        ".log": lambda: CandumpReader(path, buses),
    }
    reader = readers.get(kind, lambda: CanLogReader(path, kind, buses))
    return FrameRecording(path, reader())
