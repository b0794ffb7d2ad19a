"""Pings cost money: none in the middle of traffic."""

from __future__ import annotations

import random
from pathlib import Path

import paho.mqtt.client
import pytest

from outrider.model.record import Lane
from outrider.uplink.options import AckMode, SendOptions
from tests.support.broker import Broker
from tests.support.delivery import make_uplink, running
from tests.support.memory_log import MemoryLog, opaque
from tests.support.terminal import wait_until

KEEPALIVE_S = 200


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock that paho's pings go by, moved by hand."""
    moment = [1000.0]
    monkeypatch.setattr(paho.mqtt.client, "time_func", lambda: moment[0])
    return moment


def test_a_connection_that_is_used_is_not_pinged(broker: Broker, tmp_path: Path, moment: list[float]) -> None:
    """While something is sent more often than the keep-alive asks for, nothing else is; in silence there are pings.

    Without ``_Client._packet_write`` paho pings here every keep-alive, whatever is sent.
    """
    log, rng = MemoryLog(), random.Random(1)
    send = SendOptions(batch_age_s=0.01)
    with running(make_uplink(log, broker.port, ack=AckMode.BROKER, send=send, keepalive_s=KEEPALIVE_S)) as uplink:
        wait_until("the greeting", lambda: uplink.status().counters.get("pubacks", 0) == 1)
        for number in range(8):
            log.append(opaque(Lane.EVENT, number, 50, rng))
            wait_until("its PUBACK", lambda n=number: uplink.status().counters["pubacks"] == n + 2)  # type: ignore[misc]
            moment[0] += 0.6 * KEEPALIVE_S
        assert uplink.status().sent_bytes.get("ping", 0) == 0
        moment[0] += KEEPALIVE_S
        wait_until("a ping in silence", lambda: uplink.status().sent_bytes.get("ping", 0) > 0)
