"""Traffic for the buses: every kind of frame there is, and a full bus. Sent by the native player, none left out.

A full bus is 9,009 frames a second of 8 bytes with 11-bit identifiers: 1 Mbit/s at 111 bits a frame, no stuff bits.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from hil.rig.can import Interface
from outrider.engine import Player, PlayStats
from outrider.model.frame import BRS, EFF, ERR, ESI, FD, FRAME, RTR, FrameBatch
from tests.oracles.can_datagram import CAN_EFF, CAN_ERR, CAN_RTR
from tests.support.can_feed import classic, fd_frame

FULL_BUS: Final = 9_009
FD_LENGTHS: Final = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)
ERROR_CLASSES: Final = tuple(1 << bit for bit in range(10))  # linux/can/error.h
Content = tuple[int, int, bytes]  # identifier, flags of model.frame, data


def every_kind(seed: int) -> list[Content]:
    """Every 11-bit identifier, as many 29-bit ones, every length of classic and FD, remote and error frames."""
    draw = random.Random(seed)
    kinds = [(can_id, 0, draw.randbytes(can_id % 9)) for can_id in range(0x800)]
    kinds += [(draw.randrange(1 << 29), EFF, draw.randbytes(n % 9)) for n in range(0x800)]
    for length in FD_LENGTHS:
        for flags in (FD, FD | BRS, FD | ESI, FD | BRS | ESI):
            kinds.append((draw.randrange(0x800), flags, draw.randbytes(length)))
            kinds.append((draw.randrange(1 << 29), flags | EFF, draw.randbytes(length)))
    kinds += [(draw.randrange(0x800), RTR, bytes(length)) for length in range(9)]
    kinds += [(draw.randrange(1 << 29), RTR | EFF, bytes(length)) for length in range(9)]
    kinds += [(error_class, ERR, bytes(8)) for error_class in ERROR_CLASSES]
    draw.shuffle(kinds)
    return kinds


def datagram(content: Content) -> bytes:
    """As the kernel carries it. A remote frame has a length and no data."""
    can_id, flags, data = content
    word = can_id | CAN_EFF * bool(flags & EFF) | CAN_RTR * bool(flags & RTR) | CAN_ERR * bool(flags & ERR)
    if flags & FD:
        return fd_frame(word, data, 4 | bool(flags & BRS) | 2 * bool(flags & ESI))
    return classic(word, b"" if flags & RTR else data, len(data))


def odd_datagrams() -> list[tuple[bytes, bool]]:
    """What the kernel passes on although it is not as it should be: (datagram, whether it still is a frame)."""
    padded = struct.pack("=IBBBB8s", 0x123, 8, 0xFF, 0xFF, 15, bytes(8))  # reserved bytes set, raw DLC 15
    return [
        (padded, True),
        *((fd_frame(0x200, bytes(length), 4), True) for length in (9, 13, 33, 63)),  # no length of a DLC
        (fd_frame(0x201, bytes(8), 0xFC), True),  # flags that nobody has defined
        (classic(0x7FF | CAN_RTR, b"\1\2\3\4", 4), True),  # a remote frame with data
        (classic(0x800, b"\1"), False),  # more than 11 bits without the flag of 29
        (classic(0x1FFFFFFF, b"\1"), False),
        (fd_frame(0x1000, bytes(12), 4), False),
    ]


def full_bus(seconds: float, buses: int, share: float = 1.0, identifiers: Sequence[int] = range(0x800)) -> FrameBatch:
    """``buses`` buses side by side, each with ``share`` of a full one, evenly spread."""
    rate = FULL_BUS * share
    raw = bytearray()
    for n in range(round(seconds * rate)):
        for bus in range(buses):
            t_us = round((n + bus / buses) * 1e6 / rate)
            raw += FRAME.pack(t_us, identifiers[n % len(identifiers)], bus, 0, 8, 0, n.to_bytes(8, "little"))
    batch = FrameBatch()
    batch.extend_raw(raw)
    return batch


def play(buses: Sequence[Interface], frames: FrameBatch, *, speed: float = math.inf) -> PlayStats:
    """Sends frames on these buses by their numbers; everything was taken by the kernel when it returns."""
    with players(buses, speed=speed) as player:
        stats = player.play(frames)
    assert stats.sent == len(frames), stats
    assert not stats.refused, stats
    return stats


@contextmanager
def players(buses: Sequence[Interface], *, speed: float) -> Iterator[Player]:
    """A player on these buses, numbered in their order."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(bus.sender()) for bus in buses]
        fds = {number: sock.fileno() for number, sock in enumerate(sockets)}
        yield stack.enter_context(Player(fds, speed=speed))
