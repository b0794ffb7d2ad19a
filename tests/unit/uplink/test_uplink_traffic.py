"""Sizes are those of the packets on the wire, and traffic adds up over connections."""

from __future__ import annotations

import pytest

from outrider.uplink.tally import Tally
from outrider.uplink.traffic import TcpCount, publish_bytes
from tests.support.mqtt_packets import publish


@pytest.mark.parametrize("level", [4, 5])
@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("size", [0, 1, 100, 117, 118, 127, 128, 5000, 16_370, 16_384, 2_097_152])
def test_the_size_of_a_publish_is_that_of_the_packet(size: int, qos: int, level: int) -> None:
    packet = publish("t/car/d", bytes(size), level, qos=qos)
    assert publish_bytes("t/car/d", size, qos=qos, v5=level == 5) == len(packet)


def test_traffic_of_connections_adds_up() -> None:
    """What is over, and what is open; asking changes nothing."""
    tally = Tally()
    sent = tally.sent
    tally.sent["telemetry"] += 70
    tally.ended(TcpCount(100, 50, 4, 3), (2, 1))
    for _ in range(2):
        now = tally.traffic(TcpCount(10, 5, 1, 1), (1, 1))
        assert now == (
            {"telemetry": 70, "link": 110, "segments": 5, "ping": 6},
            {"link": 55, "segments": 4, "ping": 4},
        )
    assert tally.sent is sent, "others write into it"
