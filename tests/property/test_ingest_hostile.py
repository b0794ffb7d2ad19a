"""Whatever arrives on whatever topic: content or a dead letter, never an exception."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.ingest.core import DeadLetter, read_message
from outrider.model.record import Category, Kind, Lane, Record, StoredRecord
from outrider.wire.birth import Birth
from outrider.wire.codec import Batch, encode_batch

TOPICS = st.sampled_from(["t/car/d", "t/car/e", "t/car/s", "t/car/a", "t/../d", "t/car", "", "x/y/z", "t/car/d/d"])


def good() -> bytes:
    record = Record(Lane.EVENT, Kind.EVENT, Category.DRIVING, 1, 2, b"body")
    return encode_batch("car", [StoredRecord(3, seq, record) for seq in (1, 2, 3)])


@settings(max_examples=100)
@given(TOPICS, st.binary(max_size=300))
def test_noise_is_a_dead_letter(topic: str, payload: bytes) -> None:
    assert isinstance(read_message(topic, payload, max_bytes=1 << 16), DeadLetter)


@settings(max_examples=100)
@given(st.integers(0, 200), st.integers(0, 255), TOPICS)
def test_a_damaged_batch_is_read_or_refused(index: int, value: int, topic: str) -> None:
    payload = bytearray(good())
    payload[index % len(payload)] = value
    content = read_message(topic, bytes(payload), max_bytes=1 << 16)
    assert isinstance(content, DeadLetter | Batch | Birth)


def test_limits() -> None:
    """Too large, of another device: refused with the reason."""
    large = read_message("t/car/e", good(), max_bytes=10)
    assert isinstance(large, DeadLetter)
    assert "at most 10" in large.reason
    other = read_message("t/bus/e", good(), max_bytes=1000)
    assert isinstance(other, DeadLetter)
    assert "'car'" in other.reason
    assert isinstance(read_message("t/car/e", good(), max_bytes=1000), Batch)
