"""Reads the simulated car's own DBC file, strictly, and packs values into frames.

The DBC is the one place where the layout is written down. This is no general DBC reader (that is ``outrider.profile``):
it knows what the bundled file uses and refuses anything else. Within a message all signals have one byte order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from outrider.errors import BugError

_EXTENDED: Final = 0x80000000
_MESSAGE: Final = re.compile(r"BO_ (\d+) (\w+): (\d+) (\w+)")
_SIGNAL: Final = re.compile(
    r" SG_ (\w+) (?:M |m\d+ )?: (\d+)\|(\d+)@([01])([+-]) \(([-\d.eE]+),([-\d.eE]+)\) \[[^\]]*\] \"[^\"]*\" .*"
)
_CYCLE: Final = re.compile(r'BA_ "GenMsgCycleTime" BO_ (\d+) (\d+);')
_FORMAT: Final = re.compile(r'BA_ "VFrameFormat" BO_ (\d+) (\d+);')


@dataclass(frozen=True, slots=True)
class Signal:
    """``shift``: distance of the lowest bit from the end of the frame read as one integer in its byte order."""

    name: str
    shift: int
    low: int
    high: int
    mask: int
    factor: float
    offset: float
    plain: bool  # factor 1, offset 0: integers stay exact beyond 53 bits


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the layout. ``pack`` takes physical values in the order of ``signals``."""

    name: str
    frame_id: int
    extended: bool
    fd: bool
    length: int
    cycle_s: float
    big_endian: bool
    signals: tuple[Signal, ...]

    def pack(self, values: Sequence[float]) -> bytes:
        """The frame's data; values are rounded to the nearest step and held within the field."""
        word = 0
        for signal, value in zip(self.signals, values, strict=True):
            raw = round(value if signal.plain else (value - signal.offset) / signal.factor)
            raw = max(signal.low, min(signal.high, raw))
            word |= (raw & signal.mask) << signal.shift
        return word.to_bytes(self.length, "big" if self.big_endian else "little")


@cache
def layout() -> dict[str, Message]:
    """The messages of the simulated car by name."""
    text = (resources.files("outrider.sim") / "data" / "simcar.dbc").read_text(encoding="utf-8")
    return parse(text)


def parse(text: str) -> dict[str, Message]:
    """BugError where the file holds what this reader does not know."""
    cycles = {int(number): int(ms) for number, ms in _CYCLE.findall(text)}
    formats = {int(number): int(kind) for number, kind in _FORMAT.findall(text)}
    heads: dict[int, re.Match[str]] = {}
    bodies: dict[int, list[re.Match[str]]] = {}
    current = -1
    for line in text.splitlines():
        if line.startswith("BO_ "):
            head = _MESSAGE.fullmatch(line)
            if head is None:
                raise BugError(f"simcar.dbc: {line!r}")
            current = int(head.group(1))
            heads[current], bodies[current] = head, []
        elif line.startswith(" SG_ "):
            found = _SIGNAL.fullmatch(line)
            if found is None or current < 0:
                raise BugError(f"simcar.dbc: {line!r}")
            bodies[current].append(found)
    return {
        head.group(2): _message(head, bodies[number], cycles[number], formats.get(number, 0))
        for number, head in heads.items()
    }


def _message(head: re.Match[str], body: list[re.Match[str]], cycle_ms: int, frame_format: int) -> Message:
    number, length = int(head.group(1)), int(head.group(3))
    orders = {found.group(4) for found in body}
    if len(orders) != 1:
        raise BugError(f"simcar.dbc: {head.group(2)} mixes byte orders")
    big = orders == {"0"}
    return Message(
        name=head.group(2),
        frame_id=number & ~_EXTENDED,
        extended=bool(number & _EXTENDED),
        fd=frame_format in {14, 15},
        length=length,
        cycle_s=cycle_ms / 1000.0,
        big_endian=big,
        signals=tuple(_signal(found, big, length) for found in body),
    )


def _signal(found: re.Match[str], big: bool, length: int) -> Signal:
    start, bits = int(found.group(2)), int(found.group(3))
    # Motorola: the start bit is the highest one; bytes count from the left, bits within a byte from the right
    shift = 8 * length - (start // 8 * 8 + 7 - start % 8) - bits if big else start
    signed = found.group(5) == "-"
    if shift < 0 or shift + bits > 8 * length:
        raise BugError(f"simcar.dbc: {found.group(1)} lies outside its message")
    return Signal(
        name=found.group(1),
        shift=shift,
        low=-(1 << (bits - 1)) if signed else 0,
        high=(1 << (bits - 1 if signed else bits)) - 1,
        mask=(1 << bits) - 1,
        factor=float(found.group(6)),
        offset=float(found.group(7)),
        plain=float(found.group(6)) == 1.0 and float(found.group(7)) == 0.0,
    )


def _crc_table() -> bytes:
    table = bytearray()
    for byte in range(256):
        crc = byte
        for _bit in range(8):
            crc = ((crc << 1) ^ 0x1D) & 0xFF if crc & 0x80 else crc << 1
        table.append(crc)
    return bytes(table)


_CRC: Final = _crc_table()


def crc8_j1850(data: bytes) -> int:
    """CRC-8 SAE J1850: polynomial 0x1D, initial value and final exclusive-or 0xFF."""
    crc = 0xFF
    for byte in data:
        crc = _CRC[crc ^ byte]
    return crc ^ 0xFF
