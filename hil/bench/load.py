"""What the benchmarks put on a bus: frames of a real DBC file, and the senders for vcan and Unix sockets.

A full bus is 9,009 frames a second of 8 bytes with 11-bit identifiers: 1 Mbit/s without stuff bits (111 bits a frame).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import cantools

from outrider.engine import Player, PlayStats, open_can, open_unix
from outrider.model.frame import EFF, FRAME, FRAME_SIZE, FrameBatch
from outrider.model.vehicle import VehicleTables
from tests.oracles.dbc_tables import corpus, tables_from_cantools
from tests.support.can_feed import CAN_EFF, classic

DBC: Final = "vw_mqb.dbc"  # 13 signals a message on average, the denser of the two of `make bench`
FULL_BUS: Final = 9_009
CYCLE: Final = 4096  # frames that are all different, then again


def dbc_file() -> Path:
    """The DBC file of the opendbc wheel; SystemExit when it is not to be had."""
    folder = corpus()
    if folder is None:
        raise SystemExit("the benchmarks need the DBC files of the opendbc wheel (tests/oracles/dbc_tables.py)")
    return folder / DBC


@dataclass(frozen=True)
class Traffic:
    """Frames of 8 random bytes whose identifiers are those of ``db``, by the form that each reader wants."""

    path: Path
    seed: int = 1

    @cached_property
    def db(self) -> Any:
        return cantools.database.load_file(self.path, strict=False)

    @cached_property
    def tables(self) -> VehicleTables:
        return tables_from_cantools(self.db)[0]

    @cached_property
    def frames(self) -> list[tuple[int, bool, bytes]]:
        """(identifier, extended, data)."""
        rng = random.Random(self.seed)
        messages = [m for m in self.db.messages if m.length == 8 and _decodable(m)]
        return [(m.frame_id, m.is_extended_frame, rng.randbytes(8)) for m in rng.choices(messages, k=CYCLE)]

    def datagrams(self, count: int) -> list[bytes]:
        """As the kernel hands them out."""
        made = [classic(i | (CAN_EFF if extended else 0), data) for i, extended, data in self.frames]
        return [made[n % CYCLE] for n in range(count)]

    def batch(self, seconds: float, buses: int, rate: float = FULL_BUS) -> FrameBatch:
        """``buses`` buses side by side, each with ``rate`` frames a second, evenly."""
        cycle = [(i, EFF if extended else 0, data) for i, extended, data in self.frames]
        raw = bytearray()
        for n in range(round(seconds * rate)):
            can_id, flags, data = cycle[n % CYCLE]
            for bus in range(buses):
                t_us = round((n + bus / buses) * 1e6 / rate)
                raw += FRAME.pack(t_us, can_id, bus, flags, 8, 0, data)
        batch = FrameBatch()
        batch.extend_raw(raw)
        return batch


def _decodable(message: Any) -> bool:
    """Whether cantools takes random data: no multiplexer, and no signal beyond the 8 bytes (PLA_01 has one)."""
    if message.is_multiplexed():
        return False
    try:
        message.decode(bytes(8), decode_choices=False)
    except cantools.database.errors.DecodeError:
        return False
    return True


def head(batch: FrameBatch, frames: int) -> FrameBatch:
    """The first frames of a batch."""
    part = FrameBatch()
    part.extend_raw(memoryview(batch.buffer)[: frames * FRAME_SIZE])
    return part


@contextmanager
def senders(channels: Sequence[str]) -> Iterator[dict[int, int]]:
    """Descriptors by bus number: interfaces by name, Unix buses by path."""
    socks = [open_unix(c) if "/" in c else open_can(c) for c in channels]
    try:
        yield {bus: sock.fileno() for bus, sock in enumerate(socks)}
    finally:
        for sock in socks:
            sock.close()


def play(channels: Sequence[str], batch: FrameBatch, speed: float = 1.0) -> PlayStats:
    """Sends a batch at its times; returns when the last frame is out."""
    with senders(channels) as fds, Player(fds, speed=speed) as player:
        return player.play(batch)
