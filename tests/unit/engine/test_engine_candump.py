"""Candump logs."""

from __future__ import annotations

import random

import pytest

from outrider.engine import CandumpParser, parse_candump
from outrider.model.frame import BRS, EFF, ERR, ESI, FD, FRAME, RTR, TX, FrameBatch


def frames(data: bytes) -> list[tuple[int, int, int, int, bytes]]:
    return [(t, i, bus, flags, d[:n]) for t, i, bus, flags, n, _r, d in FRAME.iter_unpack(data)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("(1436509052.249713) vcan0 044#2A366C2BBA", (1436509052249713, 0x44, 0, 0, b"\x2a\x36\x6c\x2b\xba")),
        ("(0.000001) can0 18FEF100#", (1, 0x18FEF100, 0, EFF, b"")),
        ("(1.5) can0 00000123#11", (1500000, 0x123, 0, EFF, b"\x11")),
        ("(2.000000) can0 123#R", (2000000, 0x123, 0, RTR, b"")),
        ("(2.000000) can0 123#R5", (2000000, 0x123, 0, RTR, bytes(5))),
        ("(2.000000) can0 123##1aabb", (2000000, 0x123, 0, FD | BRS, b"\xaa\xbb")),
        ("(2.000000) can0 123##3" + "00" * 64, (2000000, 0x123, 0, FD | BRS | ESI, bytes(64))),
        ("(2.000000) can0 20000088#0000000000000000", (2000000, 0x88, 0, ERR, bytes(8))),
        ("(2.000000) can0 123#11.22.33", (2000000, 0x123, 0, 0, b"\x11\x22\x33")),
        ("(2.000000) can0 123#1122334455667788_E", (2000000, 0x123, 0, 0, bytes.fromhex("1122334455667788"))),
        ("(2.000000) can0 123#11 T", (2000000, 0x123, 0, TX, b"\x11")),
        ("(2.000000) can0 123#11 R", (2000000, 0x123, 0, 0, b"\x11")),
        ("(2.000000) can0 123#11\r", (2000000, 0x123, 0, 0, b"\x11")),
    ],
)
def test_lines_of_can_utils(line: str, expected: tuple[int, int, int, int, bytes]) -> None:
    """Each kind of line candump -l writes becomes its frame."""
    log = parse_candump(line.encode() + b"\n")
    assert frames(log.frames) == [expected]
    assert log.bad_lines == 0


@pytest.mark.parametrize(
    "line",
    [
        "garbage",
        "(1.0 can0 123#11",
        "(x) can0 123#11",
        "(1.0) can0 123",
        "(1.0) can0 #11",
        "(1.0) can0 800#11",
        "(1.0) can0 FFFFFFFFF#11",
        "(1.0) can0 123#1",
        "(1.0) can0 123#112233445566778899",
        "(1.0) can0 123#GG",
        "(1.0) can0 123##",
        "(1.0) can0 123##1" + "00" * 65,
        "(1.0) a-name-beyond-ifnamsiz 123#11",
        "(1.0)",
        "(99999999999999999999.0) can0 123#11",
        "\x00\xff",
    ],
)
def test_a_malformed_line_is_counted_and_left_out(line: str) -> None:
    """A bad line costs itself only; the first one is named."""
    text = f"(1.0) can0 123#11\n\n# comment\n{line}\n(2.0) can0 124#22\n"
    log = parse_candump(text.encode("latin-1"))
    assert [f[1] for f in frames(log.frames)] == [0x123, 0x124]
    assert (log.bad_lines, log.first_bad_line, log.lines) == (1, 4, 5)


def test_interfaces_become_bus_numbers_in_order_of_appearance() -> None:
    """The map from interface to bus index is told, a bad line registers nothing."""
    log = parse_candump(b"(1.0) can1 123#\n(1.0) bad0 xyz\n(1.0) vcan0 123#\n(1.0) can1 124#\n")
    assert log.interfaces == ("can1", "vcan0")
    assert [f[2] for f in frames(log.frames)] == [0, 1, 0]


def test_pieces_cut_anywhere_give_the_same_frames() -> None:
    """A log may be fed in any pieces; the last line needs no line feed."""
    rng = random.Random(5)
    text = b"\n".join(
        b"(%d.%06d) can%d %03X#%s" % (i, i * 7, i % 3, rng.randrange(0x800), rng.randbytes(i % 9).hex().encode())
        for i in range(300)
    )
    whole = parse_candump(text)
    assert len(frames(whole.frames)) == 300
    for _ in range(20):
        parser, got, at = CandumpParser(), b"", 0
        while at < len(text):
            size = rng.choice((1, 3, 50, 1000))
            got += b"".join(map(bytes, parser.feed(text[at : at + size])))
            at += size
        got += b"".join(map(bytes, parser.finish()))
        assert got == whole.frames
        assert parser.interfaces == whole.interfaces


def test_more_frames_than_one_batch() -> None:
    """A chunk of any size is parsed to its end."""
    text = b"".join(b"(1.%06d) can0 123#%02X\n" % (i, i & 255) for i in range(40000))
    log = parse_candump(text)
    assert [f[0] for f in frames(log.frames)] == [1000000 + i for i in range(40000)]


def test_frames_are_the_layout_of_a_batch() -> None:
    """What comes out can go straight into the engine: data zero-padded, reserved byte zero."""
    expected = FrameBatch()
    expected.append(1000000, 0x123, b"\x11\x22")
    assert parse_candump(b"(1.0) can0 123#1122\n").frames == bytes(expected.buffer)
