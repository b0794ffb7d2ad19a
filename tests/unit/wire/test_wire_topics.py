"""Topic names."""

from __future__ import annotations

import pytest

from outrider.errors import WireError
from outrider.model.record import Lane
from outrider.wire.topics import Topics, parse


def test_names_of_a_device() -> None:
    """The names in docs/reference/mqtt.md."""
    topics = Topics("car_1-A")
    assert (topics.data, topics.event) == ("t/car_1-A/d", "t/car_1-A/e")
    assert (topics.status, topics.ack) == ("t/car_1-A/s", "t/car_1-A/a")
    assert topics.beacon == "t/car_1-A/b"


def test_what_must_arrive_soon_travels_apart_from_bulk() -> None:
    """Emergency, ledger and event on e; telemetry and bulk on d."""
    topics = Topics("x")
    assert {lane: topics.for_lane(lane)[-1] for lane in Lane} == {
        Lane.EMERGENCY: "e",
        Lane.LEDGER: "e",
        Lane.EVENT: "e",
        Lane.TELEMETRY: "d",
        Lane.BULK: "d",
    }


@pytest.mark.parametrize("device", ["", "a" * 65, "a/b", "+", "#", "a b", "ä", "a.b", "a\n", "$share"])
def test_ids_that_would_change_the_topic_are_refused(device: str) -> None:
    """No wildcard, separator or blank gets into a topic."""
    with pytest.raises(WireError, match="device id"):
        Topics(device)


def test_parse_is_the_inverse() -> None:
    """Receivers learn device and leaf from the topic."""
    topics = Topics("a" * 64)
    all_of_them = (topics.data, topics.event, topics.status, topics.ack, topics.beacon)
    assert [parse(t) for t in all_of_them] == [("a" * 64, x) for x in "desab"]


@pytest.mark.parametrize("topic", ["", "t", "t/a", "t/a/x", "t/a/d/d", "u/a/d", "t//d", "t/+/d", "/t/a/d", "t/a/d/"])
def test_other_topics_are_refused(topic: str) -> None:
    """A stray message is named, not guessed at."""
    with pytest.raises(WireError):
        parse(topic)
