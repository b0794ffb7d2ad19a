"""Beacons name their topic once on each connection; what arrives, and what is counted, is the same."""

from __future__ import annotations

import threading
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from outrider.uplink.traffic import publish_bytes
from tests.support.broker import Broker
from tests.support.delivery import DEVICE, make_uplink, running
from tests.support.memory_log import MemoryLog
from tests.support.terminal import wait_until

TOPIC = f"t/{DEVICE}/b"
BEACON = bytes(34)


@pytest.mark.parametrize(("setting", "saved"), [("max_topic_alias 10", len(TOPIC)), ("max_topic_alias 0", 0)])
def test_beacons_arrive_with_and_without_an_alias(tmp_path: Path, setting: str, saved: int) -> None:
    """A broker that knows no aliases gets the topic each time; after a new connection it is named anew."""
    # max_topic_alias belongs to its listener in mosquitto
    broker = Broker(tmp_path, listener=setting)
    heard: list[tuple[str, bytes]] = []
    came = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _c, _u, message: heard.append((message.topic, bytes(message.payload)))
    client.on_subscribe = lambda *_a: came.set()
    client.connect("127.0.0.1", broker.port)
    client.subscribe("t/+/b")
    client.loop_start()
    try:
        assert came.wait(30)
        for turn in (1, 2):
            with running(make_uplink(MemoryLog(), broker.port)) as uplink:
                wait_until("a connection", lambda u=uplink: u.status().connected)  # type: ignore[misc]
                for number in range(3):
                    assert uplink.send_beacon(BEACON)
                    due = 3 * (turn - 1) + number + 1
                    wait_until("the beacon", lambda due=due: len(heard) == due)  # type: ignore[misc]
                first = publish_bytes(TOPIC, 34 + (3 if saved else 0), qos=0, v5=True)
                wait_until("its count", lambda u=uplink: u.status().counters["beacons"] == 3)  # type: ignore[misc]
                assert uplink.status().sent_bytes["beacon"] == 3 * first - 2 * saved
    finally:
        client.disconnect()
        client.loop_stop()
        broker.kill()
    assert heard == [(TOPIC, BEACON)] * 6
