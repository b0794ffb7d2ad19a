"""One datagram of a CAN_RAW socket, against a reading of it in plain Python."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outrider.engine.native import ffi, lib
from outrider.model.frame import BRS, EFF, ERR, ESI, FD, FRAME, RTR, TX
from tests.oracles.can_datagram import Frame, oracle
from tests.support.can_feed import CAN_EFF, CAN_ERR, CAN_RTR, classic, fd_frame


def read(datagram: bytes, origin: int = 0) -> Frame | None:
    out = ffi.new("otr_frame *")
    exact = ffi.from_buffer(bytearray(datagram))  # so that a sanitizer sees one byte too far
    if lib.otr_capture_frame(ffi.cast("uint8_t *", exact), len(datagram), origin, out) < 0:
        return None
    _t, can_id, _bus, flags, length, rest, data = FRAME.unpack(bytes(ffi.buffer(out)))
    assert rest == 0
    return can_id, flags, length, data


@pytest.mark.parametrize("length", range(9))
def test_every_length_of_a_classic_frame(length: int) -> None:
    """0 to 8 bytes; what lies beyond the length is not taken along."""
    data = bytes(range(1, length + 1))
    assert read(classic(0x7FF, data + b"\xee" * (8 - length), length)) == (0x7FF, 0, length, data.ljust(64, b"\0"))


@pytest.mark.parametrize("length", [*range(9), 12, 16, 20, 24, 32, 48, 64])
def test_every_length_of_an_fd_frame(length: int) -> None:
    """All of CAN FD's lengths, with bit-rate switch and error state."""
    data = bytes(range(length))
    got = read(fd_frame(0x1ABCDEF0 | CAN_EFF, data, flags=3))
    assert got == (0x1ABCDEF0, EFF | FD | BRS | ESI, length, data.ljust(64, b"\0"))


def test_remote_error_and_echoed_frames_are_marked() -> None:
    """A remote frame keeps its length without data, an error frame its class bits, both kinds of echo are TX."""
    assert read(classic(0x123 | CAN_RTR, b"\1\2\3\4")) == (0x123, RTR, 4, b"\0" * 64)
    got = read(classic(0x44 | CAN_ERR, b"\0\1\2\3\4\5\6\7"))
    assert got is not None
    assert got[:3] == (0x44, ERR, 8)
    for origin in (lib.OTR_MSG_LOCAL, lib.OTR_MSG_OWN, lib.OTR_MSG_LOCAL | lib.OTR_MSG_OWN):
        echoed = read(classic(0x123), origin)
        assert echoed is not None
        assert echoed[1] == TX


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        classic(1)[:15],
        classic(1) + b"\0",
        fd_frame(1)[:71],
        fd_frame(1) + b"\0" * 8,
        classic(1, length=9),
        classic(1, length=255),
        fd_frame(1, length=65),
        classic(0x800),
        fd_frame(0x1FFFFFFF),
    ],
)
def test_what_is_no_frame_is_refused(datagram: bytes) -> None:
    """Other sizes, lengths above the data field, 29 bits without the extended flag."""
    assert read(datagram) is None


@given(
    st.one_of(st.binary(max_size=80), st.binary(min_size=16, max_size=16), st.binary(min_size=72, max_size=72)),
    st.integers(0, 3),
)
@example(classic(0x7FF, b"x" * 8), 0)
def test_any_datagram_is_read_as_the_oracle_reads_it(datagram: bytes, origin: int) -> None:
    """Random bytes: the same frame, or refused by both."""
    assert read(datagram, origin) == oracle(datagram, origin)
