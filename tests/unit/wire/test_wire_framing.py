"""The format byte and bounded decompression."""

from __future__ import annotations

import io
import tracemalloc

import pytest
import zstandard

from outrider.errors import WireError
from outrider.wire.framing import PLAIN, ZSTD, frame, unframe

MAGIC = bytes.fromhex("28b52ffd")


def test_short_messages_stay_plain_and_long_repetitive_ones_are_compressed() -> None:
    """Compression only where it pays."""
    assert frame(b"abc") == bytes((PLAIN,)) + b"abc"
    packed = frame(b"abc" * 1000)
    assert packed[0] == ZSTD
    assert len(packed) < 40
    assert unframe(packed) == b"abc" * 1000
    assert unframe(frame(b"")) == b""


def test_a_stock_zstd_decoder_reads_it_with_the_magic_in_front() -> None:
    """What docs/reference/mqtt.md tells receivers in other languages."""
    packed = frame(b"abc" * 1000)
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(MAGIC + packed[1:])) as reader:
        assert reader.read() == b"abc" * 1000


@pytest.mark.parametrize("content_size", [False, True])
def test_a_bomb_is_stopped_at_the_limit(content_size: bool) -> None:
    """A few bytes that expand to 64 MiB are refused, whether or not the header admits it."""
    packer = zstandard.ZstdCompressor(level=3, write_content_size=content_size)
    bomb = bytes((ZSTD,)) + packer.compress(bytes(64 << 20))[4:]
    assert len(bomb) < 10_000
    tracemalloc.start()
    with pytest.raises(WireError, match="1048576 bytes"):
        unframe(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_the_limit_is_exact() -> None:
    """A message of the limit passes, one byte more does not, compressed or not."""
    for message in (b"x" * 100, bytes(range(100))):
        assert unframe(frame(message), 100) == message
        with pytest.raises(WireError, match="99 bytes"):
            unframe(frame(message), 99)


def test_headers_that_promise_gigabytes_allocate_nothing() -> None:
    """A declared window or content size of many gigabytes is refused before memory is taken."""
    for header in ("00f8", "c0f8ffffffffffffff7f"):
        tracemalloc.start()
        with pytest.raises(WireError):
            unframe(bytes((ZSTD,)) + bytes.fromhex(header) + bytes(20))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 << 20


def test_truncated_frames_are_refused() -> None:
    """Half a frame is no message, wherever it was cut."""
    packed = frame(bytes(range(200)) * 20)
    assert packed[0] == ZSTD
    for end in range(1, len(packed)):
        with pytest.raises(WireError):
            unframe(packed[:end])


@pytest.mark.parametrize("payload", [b"", b"\x00abc", b"\x20abc", b"\xffabc"])
def test_other_formats_are_named(payload: bytes) -> None:
    """A newer version is not misread as this one."""
    with pytest.raises(WireError):
        unframe(payload)
