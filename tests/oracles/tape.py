"""Reads a tape in plain Python (native/include/outrider/tape.h): what the engine processed, in its order."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

BLOCK = struct.Struct("<IHHIIQII")
HEAD = struct.Struct("<BBq")
KINDS = {1: "frame", 2: "fix", 3: "imu", 4: "power", 5: "tick"}


@dataclass(frozen=True)
class Entry:
    kind: str
    t_us: int
    late: bool
    body: bytes


def payloads(tape: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(tape):
        size = BLOCK.unpack_from(tape, at)[4]
        yield tape[at + BLOCK.size : at + BLOCK.size + size]
        at += BLOCK.size + size


def entries(tape: bytes) -> list[Entry]:
    found = []
    for data in payloads(tape):
        at = 0
        while at < len(data):
            kind, late, t_us = HEAD.unpack_from(data, at)
            at += HEAD.size
            size = {1: 7 + data[at + 6] if kind == 1 else 0, 2: 48, 3: 31, 4: 11, 5: 1}[kind]
            found.append(Entry(KINDS[kind], t_us, bool(late), data[at : at + size]))
            at += size
    return found
