"""What the receiver makes of a broker's answers."""

from __future__ import annotations

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from outrider.ingest.options import BrokerOptions
from outrider.ingest.sources.subscriber_io import V5, Subscriber

TOPICS = ("t/+/d", "t/+/b")


def error_after(*refused: str) -> str | None:
    """Of a connection on which these topics were refused."""
    made = Subscriber(BrokerOptions(), TOPICS, V5, optional=("t/+/b",))
    codes = [ReasonCode(PacketTypes.SUBACK, identifier=0x87 if topic in refused else 1) for topic in TOPICS]
    made._client.on_subscribe(made._client, None, 1, codes, None)  # type: ignore[misc, arg-type]  # as paho does
    return made._error


def test_a_broker_that_refuses_beacons_alone_is_received_from(caplog: pytest.LogCaptureFixture) -> None:
    """Access rules of before there were beacons must not stop a fleet's records; the log says what is missing."""
    assert error_after() is None
    assert caplog.text == ""
    assert error_after("t/+/b") is None
    assert "refused the subscription of t/+/b" in caplog.text


def test_a_broker_that_refuses_records_is_an_error() -> None:
    """It names the topic: that is what the access rules have to allow."""
    assert "t/+/d" in (error_after("t/+/d") or "")
    assert "t/+/d" in (error_after(*TOPICS) or "")
