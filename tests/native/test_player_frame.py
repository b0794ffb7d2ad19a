"""A frame as a datagram: what the capture reads from it is the frame again; what no layout holds gives none."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from outrider.engine.native import ffi, lib
from outrider.model.frame import BRS, EFF, ERR, ESI, FD, FRAME, RTR
from tests.oracles.can_datagram import oracle


def datagram(frame_id: int, flags: int, length: int, data: bytes) -> bytes:
    """What a socket carries for a frame."""
    frame = ffi.from_buffer(FRAME.pack(5, frame_id, 3, flags, length, 0, data))
    out = ffi.new("uint8_t[72]", b"\xaa" * 72)
    size = lib.otr_player_datagram(ffi.cast("const otr_frame *", frame), out)
    return bytes(ffi.buffer(out, size))


def possible(frame_id: int, flags: int, length: int) -> bool:
    limit = 0x1FFFFFFF if flags & (EFF | ERR) else 0x7FF
    return frame_id <= limit and length <= (64 if flags & FD else 8)


@given(
    st.integers(0, 0x3FFFFFFF),
    st.sampled_from([0, EFF, RTR, ERR, EFF | RTR, FD, FD | BRS, FD | ESI | EFF, FD | BRS | ESI]),
    st.integers(0, 70),
    st.binary(min_size=64, max_size=64),
)
def test_the_capture_reads_what_the_player_writes(frame_id: int, flags: int, length: int, data: bytes) -> None:
    """Identifier, flags, length and data come back; impossible frames become no datagram."""
    sent = datagram(frame_id, flags, length, data)
    if not possible(frame_id, flags, length):
        assert sent == b""
        return
    assert len(sent) == (72 if flags & FD else 16)
    kept = b"" if flags & RTR else data[:length]
    assert oracle(sent, 0) == (frame_id, flags, length, kept.ljust(64, b"\0"))


def test_what_the_frame_does_not_hold_is_zero() -> None:
    """Nothing of the buffer's former content goes out: padding, reserved bytes, data beyond the length."""
    assert datagram(0x123, 0, 2, b"\1\2\3\4") == struct.pack("=IB3x2s6x", 0x123, 2, b"\1\2")
    assert datagram(0x123, FD | BRS, 1, b"\7" * 64) == struct.pack("=IBB2x1s63x", 0x123, 1, 1, b"\7")
    assert datagram(0x123, RTR, 8, b"\7" * 8) == struct.pack("=IB3x8x", 0x40000123, 8)
