"""What the reference pages say about the wire is what the code does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from outrider.model.event import EventFlag, EventKind, Phase, TripEndReason
from outrider.model.record import Category, ClockSource, GapReason, Kind, Lane
from outrider.wire import ack, beacon, codec, columns, framing
from outrider.wire import outrider_pb2 as pb
from outrider.wire.topics import LEAVES, Topics

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


@pytest.fixture(scope="module")
def asyncapi() -> Any:
    return yaml.safe_load((REFERENCE / "asyncapi.yaml").read_text(encoding="utf-8"))


def page(name: str) -> str:
    return " ".join((REFERENCE / name).read_text(encoding="utf-8").split())


def test_asyncapi_names_the_same_topics(asyncapi: Any) -> None:
    """Every topic of the code, and no other, under the same name."""
    assert asyncapi["asyncapi"].startswith("3.")
    topics = Topics("DEVICE")
    addresses = {name: channel["address"].format(device="DEVICE") for name, channel in asyncapi["channels"].items()}
    assert addresses == {name: getattr(topics, name) for name in LEAVES.values()}


def test_asyncapi_names_messages_of_the_proto(asyncapi: Any) -> None:
    """Each protobuf payload is a message that exists; the beacon is the only one of another form."""
    messages = asyncapi["components"]["messages"].values()
    for message in messages:
        if message["contentType"] == "application/x-protobuf":
            assert message["name"] in pb.DESCRIPTOR.message_types_by_name
    assert [m["name"] for m in messages if m["contentType"] != "application/x-protobuf"] == ["Beacon"]


def test_the_beacon_is_described_field_by_field(asyncapi: Any) -> None:
    """Offsets, types and fields of the table are those of the layout, in its order; sizes are the code's."""
    rows = [line.split("|")[1:] for line in (REFERENCE / "mqtt.md").read_text(encoding="utf-8").splitlines()]
    table = [(int(r[0]), r[1].strip(), r[2]) for r in rows if len(r) == 6 and r[0].strip().isdigit() and "`" in r[2]]
    sizes = {"u8": 1, "i8": 1, "u16": 2, "i16": 2, "u32": 4, "i32": 4, "u40": 5, "u48": 6}
    assert [name.split("`")[1] for _at, _type, name in table] == [
        "interval_s", "boot_id", "t_us", "utc_us", "lat_deg", "lon_deg", "hacc_m", "speed_mps", "heading_deg",
        "signal_dbm", "decel_mps2",
    ]  # fmt: skip
    ends = [at + sizes[kind] for at, kind, _name in table]
    assert [at for at, _kind, _name in table] == [1, *ends[:-1]]
    assert ends[-1] == beacon.BEACON_BYTES
    limits = asyncapi["components"]["messages"]["beacon"]["payload"]
    assert (limits["minLength"], limits["maxLength"]) == (beacon.BEACON_BYTES, beacon.MAX_BYTES)


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if "$ref" in node else set()
        return own.union(*(references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(references(value) for value in node))
    return set()


def test_asyncapi_references_resolve(asyncapi: Any) -> None:
    """No dangling $ref; only version-neutral MQTT bindings."""
    found = references(asyncapi)
    assert found
    for reference in found:
        node = asyncapi
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    assert "mqtt5" not in (REFERENCE / "asyncapi.yaml").read_text(encoding="utf-8")


def test_mqtt_page_names_every_topic_and_field() -> None:
    """A field added to a message is a line to add on the page."""
    text = page("mqtt.md")
    for leaf in LEAVES:
        assert f"`t/{{device}}/{leaf}`" in text
    for message in (pb.Batch, pb.SignedAck, pb.Ack):
        for field in message.DESCRIPTOR.fields_by_name:
            assert field in text, f"{message.DESCRIPTOR.name}.{field}"


def test_mqtt_page_states_the_limits_of_the_code() -> None:
    """Numbers in prose go stale: these are held against the constants."""
    text = page("mqtt.md")
    assert f"{codec.MAX_RECORDS:,} records" in text
    assert f"{columns.MAX_COLUMNS:,} columns" in text
    assert f"{columns.MAX_CELLS:,} cells" in text
    assert framing.MAX_MESSAGE_BYTES == 1 << 20
    assert "more than 1 MiB" in text
    assert f"at least {ack.MIN_KEY_BYTES} bytes" in text
    assert f"`{framing.PLAIN:#04x}`" in text
    assert f"`{framing.ZSTD:#04x}`" in text
    assert f"`{beacon.TAG:#04x}`" in text


def test_records_page_names_every_kind_number_and_field() -> None:
    """Kinds with their numbers, every enumerator's number, every field of every body."""
    text = page("records.md")
    for kind in Kind:
        assert f"| {kind.value} | [{kind.name}]" in text
    for lane in Lane:
        assert f"{lane.value} {lane.name.lower()}" in text
    for category in Category:
        assert f"{category.value} {category.name.lower()}" in text
    for enum in (EventKind, Phase, GapReason, ClockSource, TripEndReason):
        for member in enum:
            assert f"{member.value} {member.name.split('_')[0].lower()}" in text.lower(), member
    for flag in EventFlag:
        assert f"0x{flag.value:02x}" in text
    for message in (pb.Boot, pb.Signal, pb.Clock, pb.Event, pb.Trip, pb.Gap, pb.EvidenceChunk):
        for field in message.DESCRIPTOR.fields_by_name:
            if field not in ("start_lon_deg", "end_lat_deg", "data"):
                assert field in text, f"{message.DESCRIPTOR.name}.{field}"
