"""A file of NMEA sentences as a replay source: engine time comes from the UTC in the sentences.

An epoch without a usable time of its own gets that of the epoch before it. Time that goes back is held, and counted.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final

from outrider.errors import RecordingError
from outrider.model.fix import FixType
from outrider.ports import SourceItem
from outrider.sources.fixes import FixAssembler, FixReport
from outrider.sources.gnss_time import RECORDING_FLOOR
from outrider.sources.nmea import NmeaFramer, Sentence, seal
from outrider.sources.stats import NmeaStats, SourceStats
from outrider.sources.timeline import TimeLine, Zone

_BLOCK: Final = 65_536
# Without a fix, a time within an hour of the one before is believed.
NEAR_US: Final = 3_600_000_000
RECORDED_UNCERTAINTY_US: Final = 100_000  # 1 sigma; engine time is the receiver's own here, without serial delay


class NmeaRecording:
    """A ``ReplaySource`` of fixes and clock facts."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.path = path
        self.stats = SourceStats()
        self._before: list[int] = []  # times of the epochs before the first fix
        self.first_file_us, self.zone = self._peek()
        self._line = TimeLine(self.zone, 0)
        self._last_us = 0
        self._had_fix = False
        self._timed = 0

    def place(self, line: TimeLine, *, tells_clock: bool) -> None:
        """Put it on the time line of its zone; a receiver always tells the clock, ``tells_clock`` changes nothing."""
        del tells_clock
        self._line = line

    @property
    def first_us(self) -> int:
        return self.first_file_us + self._line.offset_us

    def items(self) -> Iterator[SourceItem]:
        """Fixes and clock facts in order of time."""
        self._rewind()
        for report in self._reports(self.stats.nmea):
            t_us = self._stamp(report)
            self.stats.items += 1
            self.stats.fixes += report.fix.fix_type is not FixType.NONE
            if report.clock is not None:
                self.stats.items += 1
                yield SourceItem(t_us, clock=(t_us, report.clock[1]))
            yield SourceItem(t_us, fix=replace(report.fix, t_us=t_us))

    def sentences(self) -> Iterator[tuple[int, bytes]]:
        """The sentences themselves, as a receiver writes them, with the time of the epoch they belong to.

        Of those with a right checksum all of a used talker's; what the framer drops (garbage, ``$P...``) is left out.
        """
        self._rewind()
        t_us = self.first_us
        for report, texts in self._epochs(NmeaStats()):
            t_us = t_us if report is None else self._stamp(report)
            for text in texts:
                yield t_us, seal(text[1:])

    def _rewind(self) -> None:
        self.stats = SourceStats()
        self._last_us = self.first_us
        self._had_fix = False
        self._timed = 0

    def _peek(self) -> tuple[int, Zone]:
        """The first UTC on the file's time line; also finds where the epochs before the first fix belong."""
        before: list[int] = []
        epochs = 0
        for report in self._reports(NmeaStats()):
            epochs += 1
            if report.fix.fix_type is not FixType.NONE and report.fix.utc_us is not None:
                self._before = retimed(before, report.fix.utc_us)
                return min([report.fix.utc_us, *self._before]), Zone.UTC
            if report.epoch_utc_us is not None:
                before.append(report.epoch_utc_us)
        if not epochs:
            raise RecordingError("holds no RMC, GGA or GNS sentence with a right checksum", path=self.path)
        return (min(before), Zone.UTC) if before else (0, Zone.RELATIVE)

    def _stamp(self, report: FixReport) -> int:
        self._had_fix = self._had_fix or report.fix.fix_type is not FixType.NONE
        utc = report.epoch_utc_us
        if utc is None:
            return self._last_us
        if not self._had_fix and self._timed < len(self._before):
            utc = self._before[self._timed]
            self._timed += 1
        t_us = utc + self._line.offset_us
        if report.fix.fix_type is FixType.NONE and t_us > self._last_us + NEAR_US:
            self.stats.wild_stamps += 1
            t_us = self._last_us
        if t_us < self._last_us:
            self.stats.clamped += 1
            t_us = self._last_us
        self._last_us = t_us
        return t_us

    def _reports(self, stats: NmeaStats) -> Iterator[FixReport]:
        """Every epoch."""
        return (report for report, _texts in self._epochs(stats) if report is not None)

    def _epochs(self, stats: NmeaStats) -> Iterator[tuple[FixReport | None, list[str]]]:
        """Every epoch with its sentences; ``t_us`` is its UTC where it has one, so that the clock is told by UTC too.

        The last pair may be sentences that no epoch was made of.
        """
        framer = NmeaFramer(stats)
        assembler = FixAssembler(
            stats,
            floor=RECORDING_FLOOR,
            learn=False,
            stamp=lambda arrival_us, utc_us: arrival_us if utc_us is None else utc_us,
            clock_uncertainty_us=RECORDED_UNCERTAINTY_US,
        )
        texts: list[str] = []
        for sentence in chain.from_iterable(self._framed(framer)):
            for report in assembler.feed(sentence):
                yield report, texts  # this sentence ended it: the first of the next one
                texts = []
            texts.append(sentence.text)
        for report in assembler.flush():
            yield report, texts
            texts = []
        if texts:
            yield None, texts

    def _framed(self, framer: NmeaFramer) -> Iterator[list[Sentence]]:
        for block in self._blocks():
            yield framer.feed(block, 0)
        yield framer.close()

    def _blocks(self) -> Iterator[bytes]:
        packed = self.path.suffix == ".gz"
        try:
            with gzip.open(self.path) if packed else self.path.open("rb") as file:
                while block := file.read(_BLOCK):
                    yield block
        except (OSError, EOFError, zlib.error) as err:
            raise RecordingError(f"cannot be read further: {err}", path=self.path) from None


def retimed(before: list[int], first_fix_us: int) -> list[int]:
    """Times of the epochs before the first fix, led back from it.

    Without a fix a receiver goes by a battery-backed clock that may be far off and be corrected on the way; only the
    distance between two epochs is believed, and taken as a second where it is not positive or longer than an hour.
    """
    times: list[int] = []
    later, later_us = first_fix_us, first_fix_us
    for utc in reversed(before):
        step = later - utc
        later_us -= step if 0 < step <= NEAR_US else 1_000_000
        later = utc
        times.append(later_us)
    return times[::-1]
