"""Writes a drive into a folder: ``can.log``, ``gnss.nmea``, ``truth.json``.

Files appear complete or not at all: each is written under a temporary name first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider.files_io import naming
from outrider.sim.can import SimFrame
from outrider.sim.drive import Drive

CHANNEL: Final = "can0"
SUFFIXES: Final = {"log": ".log", "blf": ".blf"}
_EVERY: Final = 4096  # frames between two reports of progress
_BRS: Final = 1  # flag nibble of a CAN FD line


@dataclass(frozen=True, slots=True)
class Written:
    """What was written where."""

    can: Path
    nmea: Path
    truth: Path
    frames: int
    sentences: int


def write_drive(
    drive: Drive, folder: Path, log_format: str = "log", progress: Callable[[float], None] | None = None
) -> Written:
    """Write all three files; existing ones are replaced. ``log_format``: log (candump) or blf.

    ``progress`` hears the share of the frames written. OSError if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    can = folder / f"can{SUFFIXES[log_format]}"
    nmea, truth = folder / "gnss.nmea", folder / "truth.json"
    writer = _write_candump if log_format == "log" else _write_blf
    with _replaced(can) as part:
        frames = writer(drive, part, progress)
    sentences = [line for _at, line in drive.sentences()]
    _replace(nmea, b"".join(sentences))
    document = json.dumps(drive.truth(), ensure_ascii=False, allow_nan=False, indent=1)
    _replace(truth, document.encode() + b"\n")
    return Written(can, nmea, truth, frames, len(sentences))


def candump_line(frame: SimFrame) -> str:
    """The frame as ``candump -l`` writes it: ``(seconds.micros) can0 ID#DATA``, ``ID##FLAGSDATA`` for CAN FD."""
    seconds, micros = divmod(frame.t_us, 1_000_000)
    name = f"{frame.frame_id:08X}" if frame.extended else f"{frame.frame_id:03X}"
    mark = f"##{_BRS:X}" if frame.fd else "#"
    return f"({seconds}.{micros:06d}) {CHANNEL} {name}{mark}{frame.data.hex().upper()}\n"


def _write_candump(drive: Drive, path: Path, progress: Callable[[float], None] | None) -> int:
    count = 0
    with path.open("w", encoding="ascii", newline="\n", buffering=1 << 20) as out:
        for frame in drive.frames():
            out.write(candump_line(frame))
            count += 1
            if progress is not None and count % _EVERY == 0:
                progress(_share(drive, frame))
    return count


def _write_blf(drive: Drive, path: Path, progress: Callable[[float], None] | None) -> int:
    """Vector BLF through python-can's writer (its ASC writer stamps the hour of writing: not reproducible)."""
    from can import Message
    from can.io.blf import BLFWriter

    count = 0
    with BLFWriter(str(path), channel=0) as out:
        for frame in drive.frames():
            out.on_message_received(
                Message(
                    timestamp=frame.t_us / 1e6,
                    arbitration_id=frame.frame_id,
                    is_extended_id=frame.extended,
                    is_fd=frame.fd,
                    bitrate_switch=frame.fd,
                    data=frame.data,
                    channel=0,
                )
            )
            count += 1
            if progress is not None and count % _EVERY == 0:
                progress(_share(drive, frame))
    return count


def _share(drive: Drive, frame: SimFrame) -> float:
    return min(1.0, (frame.t_us - drive.start_us) / 1e6 / drive.duration_s)


def _replace(path: Path, data: bytes) -> None:
    with _replaced(path) as part:
        part.write_bytes(data)


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """A file beside ``path`` that takes its place when it is whole, and goes when it cannot be."""
    part = path.with_name(f".part-{path.name}")
    try:
        with naming(path):
            yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
