"""Load and controller losses between two reports of a link."""

from __future__ import annotations

import dataclasses

import pytest

from outrider.link.load import LoadMeter
from outrider.link.report import LinkReport
from tests.support.links import recorded_report

S = 1_000_000
LINK = recorded_report("sja1000_listen_only")


def later(report: LinkReport, packets: int, octets: int, **more: int) -> LinkReport:
    return dataclasses.replace(
        report, rx_packets=report.rx_packets + packets, rx_bytes=report.rx_bytes + octets, **more
    )


def test_a_full_bus() -> None:
    """4,505 frames of 8 bytes fill 500 kbit/s without stuffing: the figure of the CAN literature."""
    meter = LoadMeter()
    meter.note(0, LINK)
    assert (meter.load, meter.frames_per_s) == (None, None)
    meter.note(2 * S, later(LINK, 9010, 9010 * 8))
    assert meter.frames_per_s == 4505
    assert meter.load == pytest.approx(1.0, abs=0.001)


def test_what_is_sent_counts_as_well_but_not_twice_on_a_virtual_bus() -> None:
    """A controller's own frames fill the bus; vcan counts one frame on both sides."""
    meter = LoadMeter()
    meter.note(0, LINK)
    meter.note(S, dataclasses.replace(LINK, rx_packets=100, tx_packets=50))
    assert meter.frames_per_s == 150
    vcan = recorded_report("vcan_up")
    meter = LoadMeter()
    meter.note(0, vcan, 1_000_000)
    meter.note(S, dataclasses.replace(vcan, rx_packets=1000, tx_packets=1000), 1_000_000)
    assert meter.frames_per_s == 1000
    assert meter.load == pytest.approx(0.047)


def test_fd_frames_take_less_time() -> None:
    """The data phase runs at its own rate."""
    fast = dataclasses.replace(LINK, data_bitrate=2_000_000)
    slow, quick = LoadMeter(), LoadMeter()
    for meter, link in ((slow, LINK), (quick, fast)):
        meter.note(0, link)
        meter.note(S, later(link, 500, 500 * 64))
    assert slow.load is not None
    assert quick.load is not None
    assert quick.load < slow.load / 2


def test_losses_of_the_controller_survive_a_new_interface() -> None:
    """What was lost before the first look does not count; an interface made anew begins at 0 again."""
    meter = LoadMeter()
    meter.note(0, dataclasses.replace(LINK, rx_over_errors=70))
    meter.note(S, dataclasses.replace(LINK, rx_over_errors=72, rx_dropped=3))
    assert meter.controller_lost == 5
    meter.note(2 * S, dataclasses.replace(LINK, rx_over_errors=2, ifindex=99))
    assert meter.controller_lost == 7
    assert meter.frames_per_s is None
    meter.note(3 * S, None)
    meter.note(4 * S, dataclasses.replace(LINK, rx_over_errors=9, ifindex=99))
    assert meter.controller_lost == 14
