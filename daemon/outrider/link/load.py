"""How busy a bus is, and what its controller lost, from two reports of its link. Pure; estimates, and said to be.

Counting bits: 47 for a classic frame around its data (11-bit identifier, interframe space included, ISO 11898-1), and
8 a byte. Stuff bits (up to a fifth more) and the 20 bits more of a 29-bit identifier are not known here: the bus is
busier than this, never less. CAN FD: 30 bits at the arbitration rate, the rest at the data rate.
"""

from __future__ import annotations

from typing import Final

from outrider.link.report import LinkReport

FRAME_BITS: Final = 47
FD_SLOW_BITS: Final = 30
FD_FAST_BITS: Final = 25


class LoadMeter:
    """``note`` takes reports in order of time (us). Values are of the last interval; None before there is one."""

    def __init__(self) -> None:
        self._last: tuple[int, LinkReport] | None = None
        self._overflows: tuple[int, int] | None = None  # interface, its count
        self.frames_per_s: float | None = None
        self.load: float | None = None  # 0..1, None without a bit rate
        self.controller_lost = 0  # frames, since the first report; goes on when the interface is made anew

    def note(self, now_us: int, report: LinkReport | None, bitrate: int | None = None) -> None:
        """report: None while there is no interface. bitrate: of a bus whose link knows none (virtual ones)."""
        before, self._last = self._last, None if report is None else (now_us, report)
        self.frames_per_s = self.load = None
        if report is None:
            return
        self._note_overflows(report)
        if before is not None and before[1].ifindex == report.ifindex:
            self._note_traffic((now_us - before[0]) / 1e6, before[1], report, report.bitrate or bitrate)

    def _note_overflows(self, report: LinkReport) -> None:
        lost = report.rx_over_errors + report.rx_dropped
        ifindex, count = self._overflows or (report.ifindex, lost)
        anew = ifindex != report.ifindex or lost < count
        self.controller_lost += lost - (0 if anew else count)
        self._overflows = report.ifindex, lost

    def _note_traffic(self, seconds: float, last: LinkReport, report: LinkReport, rate: int | None) -> None:
        packets = _traffic(report)[0] - _traffic(last)[0]
        octets = _traffic(report)[1] - _traffic(last)[1]
        if seconds <= 0 or packets < 0 or octets < 0:
            return
        self.frames_per_s = packets / seconds
        if rate:
            self.load = min(1.0, _busy_s(packets, octets, rate, report.data_bitrate) / seconds)


def _traffic(report: LinkReport) -> tuple[int, int]:
    """Packets and bytes of data; a virtual bus counts what is sent on both sides."""
    if report.mode == "virtual":
        return report.rx_packets, report.rx_bytes
    return report.rx_packets + report.tx_packets, report.rx_bytes + report.tx_bytes


def _busy_s(packets: int, octets: int, bitrate: int, data_bitrate: int | None) -> float:
    if data_bitrate is None:
        return (packets * FRAME_BITS + octets * 8) / bitrate
    return packets * FD_SLOW_BITS / bitrate + (packets * FD_FAST_BITS + octets * 8) / data_bitrate
