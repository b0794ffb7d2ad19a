"""Kinds of network interfaces: what the kernel answers, byte for byte."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from outrider.engine.link_kind_io import kind_in, link_kind


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def newlink(*attributes: bytes) -> bytes:
    body = struct.pack("=BxHiII", 0, 280, 3, 0x10C1, 0) + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), 16, 0, 1, 99) + body


NAME = attribute(3, b"vcan0\0")
INFO = attribute(18 | 0x8000, attribute(2, b"\1") + attribute(1, b"vcan\0"))


def test_the_kind_is_found_behind_other_attributes() -> None:
    """Nested in IFLA_LINKINFO, of which the nested flag may be set."""
    assert kind_in(newlink(NAME, INFO)) == "vcan"
    assert kind_in(newlink(attribute(18, attribute(1, b"can\0")), NAME)) == "can"


def test_no_kind_is_none() -> None:
    """A plain device, an error message, nothing at all, an interface that is not there."""
    assert kind_in(newlink(NAME)) is None
    assert kind_in(newlink(attribute(18, attribute(2, b"\1")))) is None
    assert kind_in(struct.pack("=IHHIIi", 36, 2, 0, 1, 99, -19) + bytes(16)) is None
    assert kind_in(b"") is None
    assert link_kind("no-such-link0") is None
    assert link_kind("lo") is None, "the kernel of this machine answers"


@given(st.binary(max_size=80))
def test_damaged_answers_are_no_kind(noise: bytes) -> None:
    """Lengths that lie end the search."""
    kind_in(newlink(NAME)[:32] + noise)
    whole = newlink(NAME, INFO)
    assert kind_in(whole[: len(noise)]) in {None, "vcan", "vca", "vc", "v", ""}
