"""A GNSS receiver on a serial port: bytes to fixes, live. Owns the port and its thread; knows no sentence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import serial

from outrider.errors import ConfigError
from outrider.model.fix import FixType
from outrider.ports import Clock, SourceItem
from outrider.sources.fixes import FixAssembler, FixReport
from outrider.sources.live_io import (
    BACK_OFF_FIRST_S,
    BACK_OFF_MAX_S,
    SILENT_AFTER_US,
    DeviceThread,
    LostError,
)
from outrider.sources.nmea import NmeaFramer

IDLE_S: Final = 0.2  # a pause this long ends an epoch
MAX_READ: Final = 4096


@dataclass(frozen=True, slots=True)
class GnssOptions:
    """``device``: path of the serial port, best one that survives re-plugging (/dev/serial/by-id/...)."""

    device: str
    baud_rate: int = 9600
    back_off_s: tuple[float, float] = (BACK_OFF_FIRST_S, BACK_OFF_MAX_S)


class GnssSource(DeviceThread):
    """A ``LiveSource`` of fixes and clock facts."""

    def __init__(self, options: GnssOptions, clock: Clock) -> None:
        super().__init__(f"gnss:{options.device}", clock, options.back_off_s)
        self._options = options
        self._framer = NmeaFramer(self.stats.nmea)
        self._assembler = FixAssembler(self.stats.nmea)
        self._last_us = 0

    def _check(self) -> None:
        if self._options.baud_rate <= 0:
            raise ConfigError(f"baud rate {self._options.baud_rate} must be above zero, often 9600 or 115200")

    def _session(self) -> None:
        with serial.Serial(self._options.device, self._options.baud_rate, timeout=IDLE_S, exclusive=True) as port:
            self._framer.reset()
            self._up()
            try:
                self._read(port)
            finally:
                self._deliver_all(self._assembler.flush())

    def _read(self, port: serial.Serial) -> None:
        """Bytes until told to stop; raises when the port is gone."""
        heard_us = self._clock.boottime_us()
        silent = False
        while not self._stop.is_set():
            data = port.read(1)
            now_us = self._clock.boottime_us()
            if data:
                data += port.read(min(port.in_waiting, MAX_READ))
                self._take(data, now_us)
                heard_us, silent = now_us, False
                continue
            self._deliver_all(self._assembler.flush())
            if not silent and now_us - heard_us > SILENT_AFTER_US:
                silent = True
                self.stats.silences += 1
            if not Path(self._options.device).exists():
                raise LostError(f"{self._options.device} is gone")

    def _take(self, data: bytes, now_us: int) -> None:
        self._heard(now_us)
        for sentence in self._framer.feed(data, now_us):
            self._deliver_all(self._assembler.feed(sentence))

    def _deliver_all(self, reports: Iterable[FixReport]) -> None:
        for report in reports:
            t_us = max(report.fix.t_us, self._last_us)
            self._last_us = t_us
            self.stats.fixes += report.fix.fix_type is not FixType.NONE
            if report.clock is not None:
                self._hand_over(SourceItem(t_us, clock=report.clock))
            self._hand_over(SourceItem(t_us, fix=replace(report.fix, t_us=t_us)))
