"""How good a signal is, by the limits that makers of cellular routers publish (docs/operate/cellular.md).

A value on a limit belongs to the better grade. No standard sets such limits; 3GPP only defines what is measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from outrider.network.modem import Signal


class Grade(IntEnum):
    POOR = 0
    FAIR = 1
    GOOD = 2
    EXCELLENT = 3

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Scale:
    """Lowest value that is still excellent, good, fair."""

    name: str
    unit: str
    excellent: float
    good: float
    fair: float

    def grade(self, value: float) -> Grade:
        if value >= self.excellent:
            return Grade.EXCELLENT
        if value >= self.good:
            return Grade.GOOD
        return Grade.FAIR if value >= self.fair else Grade.POOR


RSRP: Final = Scale("RSRP", "dBm", -80.0, -90.0, -100.0)
RSRQ: Final = Scale("RSRQ", "dB", -10.0, -15.0, -20.0)
SINR: Final = Scale("SINR", "dB", 20.0, 13.0, 0.0)
RSSI: Final = Scale("RSSI", "dBm", -70.0, -85.0, -100.0)
RSCP: Final = Scale("RSCP", "dBm", -75.0, -85.0, -95.0)
ECIO: Final = Scale("Ec/Io", "dB", -6.0, -10.0, -15.0)


@dataclass(frozen=True, slots=True)
class Measure:
    """One measured value with its scale."""

    scale: Scale
    value: float

    @property
    def grade(self) -> Grade:
        return self.scale.grade(self.value)


def measures(signal: Signal) -> tuple[Measure, ...]:
    """What was measured. RSSI only where nothing better is: on LTE it counts the neighbours' noise as signal."""
    newer = [(RSRP, signal.rsrp_dbm), (RSRQ, signal.rsrq_db), (SINR, signal.sinr_db)]
    older = [(RSCP, signal.rscp_dbm), (ECIO, signal.ecio_db), (RSSI, signal.rssi_dbm)]
    chosen = newer if signal.rsrp_dbm is not None else older
    return tuple(Measure(scale, value) for scale, value in chosen if value is not None)


def overall(signal: Signal) -> Grade | None:
    """The worst of them: a strong signal full of noise carries nothing. None: nothing was measured."""
    return min((measure.grade for measure in measures(signal)), default=None)
