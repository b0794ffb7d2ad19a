"""Scans of an IIO buffer: from what sysfs says about their layout to numbers. Pure.

A scan is what a buffered device hands out per sample: the enabled channels in order of their index, each at a multiple
of its own size, the whole padded to a multiple of the largest (Documentation/iio/iio_devbuf.rst of Linux).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from outrider.errors import InputError

_TYPE: Final = re.compile(r"(be|le):([su])(\d+)/(\d+)(?:X(\d+))?>>(\d+)")
_STORAGE_BITS: Final = {8, 16, 32, 64}  # 24 and others exist in the grammar, not in the kernel's buffers


@dataclass(frozen=True, slots=True)
class ScanType:
    """``[be|le]:[s|u]bits/storagebits[Xrepeat]>>shift`` of ``scan_elements/*_type``."""

    big_endian: bool
    signed: bool
    bits: int
    storage_bits: int
    repeat: int
    shift: int

    @property
    def size(self) -> int:
        """Bytes in the scan."""
        return self.storage_bits // 8 * self.repeat

    @property
    def limits(self) -> tuple[int, int]:
        """Least and greatest raw value: what a saturated channel holds."""
        return (-(1 << self.bits - 1), (1 << self.bits - 1) - 1) if self.signed else (0, (1 << self.bits) - 1)

    def value(self, data: bytes | memoryview) -> int:
        """The first of its values; the bits around it, which a driver need not clear, do not count."""
        raw = int.from_bytes(data[: self.storage_bits // 8], "big" if self.big_endian else "little")
        raw = raw >> self.shift & (1 << self.bits) - 1
        return raw - (1 << self.bits) if self.signed and raw >> self.bits - 1 else raw


def parse_type(text: str) -> ScanType:
    """InputError for what is no type, or one that no buffer of the kernel has."""
    found = _TYPE.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{text.strip()[:60]!r} is no type of a scan element, such as le:s16/16>>0")
    bits, storage, repeat, shift = (int(found[i] or 1) for i in (3, 4, 5, 6))
    if storage not in _STORAGE_BITS or not 1 <= bits <= storage or bits + shift > storage or not 1 <= repeat <= 64:
        raise InputError(f"{text.strip()[:60]!r}: its bits do not fit into its storage")
    return ScanType(found[1] == "be", found[2] == "s", bits, storage, repeat, shift)


@dataclass(frozen=True, slots=True)
class ScanElement:
    """An enabled channel, such as ``accel_x`` or ``timestamp``."""

    name: str
    index: int
    type: ScanType


class ScanLayout:
    """Where each channel lies in a scan of ``size`` bytes."""

    def __init__(self, elements: Iterable[ScanElement]) -> None:
        self.elements: Sequence[ScanElement] = sorted(elements, key=lambda element: element.index)
        if not self.elements:
            raise InputError("no channel of the buffer is enabled")
        if len({element.index for element in self.elements}) < len(self.elements):
            raise InputError("two channels of the buffer have the same index")
        self._places: list[tuple[int, ScanType]] = []
        end = 0
        for element in self.elements:
            start = _aligned(end, element.type.size)
            self._places.append((start, element.type))
            end = start + element.type.size
        self.size = _aligned(end, max(element.type.size for element in self.elements))

    def decode(self, data: bytes) -> list[tuple[int, ...]]:
        """Raw values of each whole scan in ``data``, in the order of ``elements``; a part of a scan is ignored."""
        view = memoryview(data)
        scans = range(0, len(data) - self.size + 1, self.size)
        return [
            tuple(kind.value(view[scan + start : scan + start + kind.size]) for start, kind in self._places)
            for scan in scans
        ]


def _aligned(offset: int, size: int) -> int:
    return -(-offset // size) * size
