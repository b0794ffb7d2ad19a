"""A file of inertial samples as a replay source, such as an evidence package holds.

CSV with the header ``HEADER`` (``flags`` may be missing): UTC in microseconds, specific force and angular rate in the
sensor's own axes, empty cells for rates that nobody measured, flags ``v`` (invalid) and ``s`` (saturated).
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from outrider.errors import RecordingError
from outrider.model.fix import ImuSample
from outrider.ports import SourceItem
from outrider.sources.stats import SourceStats
from outrider.sources.timeline import TimeLine, Zone, zone_of

COLUMNS: Final = ("utc_us", "ax_mps2", "ay_mps2", "az_mps2", "gx_radps", "gy_radps", "gz_radps")
FLAGS: Final = "flags"
MAX_ITEM_SPAN_US: Final = 100_000  # one tick of the engine
MAX_LINE: Final = 512


class ImuRecording:
    """A ``ReplaySource`` of inertial samples. A line that is none is counted and skipped; so is one that goes back."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.path = path
        self.stats = SourceStats()
        self._line = TimeLine(Zone.RELATIVE, 0)
        first = next(self._samples(SourceStats()), None)
        if first is None:
            raise RecordingError("holds no inertial samples", path=path)
        self.first_file_us = first.t_us
        self.zone = zone_of(first.t_us)

    def place(self, line: TimeLine, *, tells_clock: bool) -> None:
        """Put it on the time line of its zone; it never tells the clock."""
        del tells_clock
        self._line = line

    @property
    def first_us(self) -> int:
        return self.first_file_us + self._line.offset_us

    def items(self) -> Iterator[SourceItem]:
        """Samples in order of time."""
        self.stats = SourceStats()
        chunk: list[ImuSample] = []
        for sample in self._samples(self.stats):
            if chunk and sample.t_us - chunk[0].t_us >= MAX_ITEM_SPAN_US:
                yield self._item(chunk)
                chunk = []
            chunk.append(sample)
        if chunk:
            yield self._item(chunk)

    def _item(self, chunk: list[ImuSample]) -> SourceItem:
        self.stats.items += 1
        return SourceItem(chunk[-1].t_us, imu=tuple(chunk))

    def _samples(self, stats: SourceStats) -> Iterator[ImuSample]:
        last_us: int | None = None
        for number, row in self._rows():
            sample = _sample(row, self._line.offset_us)
            if sample is None:
                stats.malformed += 1
                stats.first_bad_line = stats.first_bad_line or number
            elif last_us is not None and sample.t_us < last_us:
                stats.wild_stamps += 1
            else:
                last_us = sample.t_us
                stats.samples += 1
                yield sample

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        try:
            opened = gzip.open if self.path.suffix == ".gz" else open
            with opened(self.path, "rb") as file:
                text = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="")
                lines = iter(lambda: text.readline(MAX_LINE), "")
                next(lines, "")
                for number, line in enumerate(lines, 2):
                    yield number, next(csv.reader([line]), [])
        except (OSError, EOFError, zlib.error) as err:
            reason = err.strerror if isinstance(err, OSError) and err.strerror else str(err)
            raise RecordingError(f"cannot be read: {reason}", path=self.path) from None


def _sample(row: list[str], offset_us: int) -> ImuSample | None:
    if len(row) not in {len(COLUMNS), len(COLUMNS) + 1}:
        return None
    try:
        t_us = int(row[0])
        ax, ay, az = (float(cell) for cell in row[1:4])
        gx, gy, gz = (float(cell) if cell.strip() else math.nan for cell in row[4:7])
    except ValueError:
        return None
    if abs(t_us) >= 1 << 60:
        return None
    flags = row[7] if len(row) > len(COLUMNS) else ""
    gyro = None if math.isnan(gx + gy + gz) else (gx, gy, gz)
    return ImuSample(t_us + offset_us, (ax, ay, az), gyro, valid="v" not in flags, saturated="s" in flags)
