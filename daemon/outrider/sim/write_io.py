"""Writes a drive into a folder: ``can.log``, ``gnss.nmea``, ``imu.csv`` (what of these is heard) and ``truth.json``.

Files appear complete or not at all: each is written under a temporary name first.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider.files_io import naming
from outrider.sim.can import SimFrame
from outrider.sim.drive import Drive
from outrider.sim.imu import Sample

CHANNEL: Final = "can0"
SUFFIXES: Final = {"log": ".log", "blf": ".blf"}
IMU_HEADER: Final = "utc_us,ax_mps2,ay_mps2,az_mps2,gx_radps,gy_radps,gz_radps,flags\n"
_EVERY: Final = 4096  # frames between two reports of progress
_BRS: Final = 1  # flag nibble of a CAN FD line


@dataclass(frozen=True, slots=True)
class Written:
    """What was written where; None: the terminal does not hear it."""

    can: Path | None
    nmea: Path | None
    imu: Path | None
    truth: Path
    frames: int
    sentences: int
    samples: int

    @property
    def recordings(self) -> tuple[Path, ...]:
        """What a replay takes."""
        return tuple(path for path in (self.can, self.nmea, self.imu) if path is not None)


def write_drive(
    drive: Drive, folder: Path, log_format: str = "log", progress: Callable[[float], None] | None = None
) -> Written:
    """Write what is heard and the truth; existing files of these names are replaced or go.

    ``log_format``: log (candump) or blf. ``progress`` hears the share of the frames written. OSError if the folder
    cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    senses = drive.scenario.car.senses
    can = folder / f"can{SUFFIXES[log_format]}" if drive.on_bus else None
    nmea = folder / "gnss.nmea" if "gnss" in senses else None
    imu = folder / "imu.csv" if drive.imu_apart else None
    truth = folder / "truth.json"
    for name in ("can.log", "can.blf", "gnss.nmea", "imu.csv"):
        if folder / name not in (can, nmea, imu):
            (folder / name).unlink(missing_ok=True)
    writer = _write_candump if log_format == "log" else _write_blf
    frames = 0
    if can is not None:
        with _replaced(can) as part:
            frames = writer(drive, part, progress)
    if can is not None and not frames:  # a scan tool in a car whose ignition is off
        can.unlink()
        can = None
    sentences = [line for _at, line in drive.sentences()]
    if nmea is not None:
        _replace(nmea, b"".join(sentences))
    lines = [imu_line(drive.start_us, sample) for sample in drive.samples()] if imu is not None else []
    if imu is not None:
        _replace(imu, "".join((IMU_HEADER, *lines)).encode("ascii"))
    document = json.dumps(drive.truth(), ensure_ascii=False, allow_nan=False, indent=1)
    _replace(truth, document.encode() + b"\n")
    return Written(can, nmea, imu, truth, frames, len(sentences), len(lines))


def imu_line(start_us: int, sample: Sample) -> str:
    """A sample as a recording of a sensor of the terminal's own (docs/reference/sources.md)."""
    rates = (math.radians(rate) for rate in sample.gyro)
    numbers = ",".join([*(f"{value:.5f}" for value in sample.acc), *(f"{rate:.6f}" for rate in rates)])
    flags = ("" if sample.valid else "v") + ("s" if sample.saturated else "")
    return f"{start_us + round(sample.t * 1e6)},{numbers},{flags}\n"


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
