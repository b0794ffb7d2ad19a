"""Brokers that lie, babble and flood: nothing is freed, nothing grows without bound, and sending goes on.

Each was seen to succeed first against a build without the defence: ``is_flooded`` always false (the link stayed up, and
the process grew), a second CONNACK taken for a new connection (more than the window in flight), the topic of a
message, the counter and the signature of an acknowledgement not looked at.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from outrider.model.record import Lane
from outrider.uplink.options import SendOptions
from outrider.uplink.session_io import Uplink
from outrider.wire.ack import Ack, LanePosition, sign_ack
from tests.support.chaos_run import HASTY
from tests.support.delivery import DEVICE, KEY, fill, make_uplink, running
from tests.support.memory_log import MemoryLog, opaque
from tests.support.mqtt_hostile import HostileBroker
from tests.support.mqtt_packets import CONNECT, PUBLISH, SUBSCRIBE, connack, packet, publish

_ACK = f"t/{DEVICE}/a"


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Poll a state that nobody announces."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


@contextmanager
def played(
    script: Callable[[int, int], bytes | None] | None = None, send: SendOptions = HASTY
) -> Iterator[tuple[HostileBroker, Uplink, MemoryLog]]:
    """A hostile broker, and an uplink with an event to send."""
    log = MemoryLog()
    broker = HostileBroker(script)
    log.append(opaque(Lane.EVENT, 1, 50, random.Random(1)))
    try:
        with running(
            make_uplink(log, broker.port, send=send, backoff_s=0.02, backoff_cap_s=0.05), flush_s=0.02
        ) as uplink:
            yield broker, uplink, log
            assert uplink.status().alive
    finally:
        broker.close()


def signed(log: MemoryLog, up_to: int, counter: int, key: bytes = KEY, device: str = DEVICE) -> bytes:
    return sign_ack(Ack(device, counter, (LanePosition(log.epoch, Lane.EVENT, up_to),)), key)


BABBLE = {
    "bytes that are no MQTT": b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10,
    "a type that does not exist": packet(0, b"\0" * 4),
    "a length without end": b"\x30\xff\xff\xff\xff\x7f",
    "a topic longer than its packet": packet(PUBLISH, b"\xff\xff" + b"a" * 10),
    "a topic that is no text": packet(PUBLISH, b"\x00\x02\xff\xfe\x00x"),
    "properties longer than the packet": packet(PUBLISH, b"\x00\x01a\x7f"),
    "an empty PUBLISH": packet(PUBLISH, b""),
    "an empty PUBACK": packet(4, b""),
    "a CONNECT of its own": packet(CONNECT, b"\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00"),
    "a second CONNACK": connack(5),
    "a SUBACK without end": packet(9, b"\x00\x01"),
    "DISCONNECT with a reason": packet(14, b"\x8e\x00"),
}


@pytest.mark.parametrize("what", BABBLE)
def test_babble_costs_a_connection_at_most(what: str) -> None:
    """Whatever comes instead of an answer: the link is dropped and made anew, the thread lives, nothing is freed."""
    babble = BABBLE[what]
    with played(lambda number, kind: babble if kind == SUBSCRIBE and number == 1 else None) as (broker, uplink, log):
        wait_for(lambda: broker.connections >= 2 and broker.seen)
        broker.say(publish(_ACK, signed(log, 1, 1)))
        wait_for(lambda: log.streams() == [] or broker.say(publish(_ACK, signed(log, 1, 2))))
        assert uplink.status().counters.get("faults", 0) == 0


def test_a_packet_without_end_is_not_waited_for() -> None:
    """256 MB announced, bytes coming in: the link is dropped after its first few, not when they are all in memory."""
    head = b"\x30\xff\xff\xff\x7f" + b"\x00\x01a\x00" + b"x" * 4096
    with played(lambda number, kind: head if kind == SUBSCRIBE and number == 1 else None) as (broker, uplink, _log):
        wait_for(lambda: broker.connections >= 2)
        assert "more than was asked for" in (uplink.status().last_error or "")


def test_messages_that_are_never_finished_are_not_kept() -> None:
    """QoS 2 without PUBREL: nobody subscribed to that; a few of them end the connection."""
    flood = b"".join(publish("t/x", b"y" * 1000, qos=2, ident=n) for n in range(1, 2000))
    with played(lambda number, kind: flood if kind == SUBSCRIBE and number == 1 else None) as (broker, uplink, _log):
        wait_for(lambda: broker.connections >= 2)
        assert "more than was asked for" in (uplink.status().last_error or "")


def test_messages_on_other_topics_are_no_acknowledgements() -> None:
    """Correctly signed, and on the wrong topic: counted as unasked; on its own topic it counts."""
    with played() as (broker, uplink, log):
        wait_for(lambda: broker.seen)
        for topic in ("t/car-2/a", f"t/{DEVICE}/e", "$SYS/a", f"x/t/{DEVICE}/a"):
            broker.say(publish(topic, signed(log, 1, 1)))
        wait_for(lambda: uplink.status().counters.get("unasked", 0) == 4)
        assert log.streams()[0].acknowledged == 0
        broker.say(publish(_ACK, signed(log, 1, 1)))
        assert log.wait_acknowledged(60)


def test_acknowledgements_of_others_old_and_absurd_ones_free_nothing() -> None:
    """Another key, another device, an old counter, a number that was never sent: refused and counted, each by its
    name; the right one is then believed. (After a time-out old counters are believed again: none here.)"""
    with played(send=SendOptions(ack_timeout_s=600.0)) as (broker, uplink, log):
        wait_for(lambda: broker.seen)
        broker.say(publish(_ACK, signed(log, 1, 50)))
        assert log.wait_acknowledged(60)
        log.append(opaque(Lane.EVENT, 2, 50, random.Random(2)))
        wait_for(lambda: len(broker.seen) >= 3)
        wrong = [
            signed(log, 2, 51, key=b"k" * 32),
            signed(log, 2, 51, device="car-2"),
            signed(log, 2, 49),
            signed(log, 2, 50),
            signed(log, 999, 60),
            b"",
            signed(log, 2, 61)[:-1],
            b"\x10" * 60_000,
        ]
        for payload in wrong:
            broker.say(publish(_ACK, payload))
        wait_for(lambda: uplink.status().counters.get("acks_forged", 0) == 5)
        counters = uplink.status().counters
        assert (counters["acks_replayed"], counters["acks_absurd"]) == (2, 1)
        assert log.streams()[0].acknowledged == 1
        broker.say(publish(_ACK, signed(log, 2, 70)))
        assert log.wait_acknowledged(60)


@pytest.mark.parametrize("code", [1, 5, 0x87, 0x97])
def test_a_refusal_is_told_and_tried_again(code: int) -> None:
    """Codes of CONNACK of both versions: counted, named, answered with back-off and another try."""
    refused = {1, 2}
    script = lambda number, kind: connack(5, code) if kind == CONNECT and number in refused else None  # noqa: E731
    with played(script) as (broker, uplink, log):
        wait_for(lambda: broker.seen)
        counters = uplink.status().counters
        assert counters.get("refused", 0) + counters.get("hang_ups", 0) >= 1
        broker.say(publish(_ACK, signed(log, 1, 1)))


def test_a_refused_subscription_is_no_connection() -> None:
    """Without acknowledgements nothing can be freed: refused, told, tried again."""
    refused = packet(9, b"\x00\x01\x00\x87")
    with played(lambda number, kind: refused if kind == SUBSCRIBE and number <= 2 else None) as (broker, uplink, log):
        wait_for(lambda: broker.connections >= 3 and broker.seen)
        assert uplink.status().counters["refused"] == 2
        assert log.streams()[0].acknowledged == 0


def test_a_broker_that_takes_all_and_confirms_nothing() -> None:
    """No PUBACK: the window stays shut, the link is dropped after the time-out, and nothing is lost."""
    with played() as (broker, uplink, log):
        broker.confirm = False
        fill(log, random.Random(3), telemetry_rows=500, events=50)
        wait_for(lambda: uplink.status().counters.get("puback_timeouts", 0) >= 1)
        assert uplink.status().in_flight_bytes <= 32_768
        broker.confirm = True
        wait_for(lambda: uplink.status().counters.get("pubacks", 0) > 4)


def test_the_brokers_keep_alive_is_kept() -> None:
    """Server Keep Alive of MQTT 5 takes the place of ours: else the broker would end an idle connection."""
    asked = connack(5, 0, b"\x13\x00\x02")
    with played(lambda _number, kind: asked if kind == CONNECT else None) as (broker, uplink, log):
        wait_for(lambda: broker.seen)
        broker.say(publish(_ACK, signed(log, 1, 1)))
        wait_for(lambda: uplink.status().received_bytes.get("ping", 0) >= 2)
        assert broker.connections == 1
