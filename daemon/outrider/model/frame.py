"""CAN frames in batches: the byte layout of ``otr_frame`` (native/include/outrider/types.h), no object per frame.

Layout of one frame, native byte order, 80 bytes::

    int64 t_us | uint32 id | uint8 bus | uint8 flags | uint8 len | uint8 0 | 64 bytes data (zero padded)
"""

from __future__ import annotations

import struct
from typing import Final

FRAME: Final = struct.Struct("=qIBBBB64s")
FRAME_SIZE: Final = FRAME.size

EFF: Final = 0x01
RTR: Final = 0x02
ERR: Final = 0x04
FD: Final = 0x08
BRS: Final = 0x10
ESI: Final = 0x20
TX: Final = 0x40


class FrameBatch:
    """A growing buffer of frames in time order of arrival; handed to the engine whole.

    ``t_us`` is engine time (microseconds). Data longer than 64 bytes or an identifier over 29 bits is a ValueError.
    """

    __slots__ = ("_buf",)

    def __init__(self) -> None:
        self._buf = bytearray()

    def append(self, t_us: int, frame_id: int, data: bytes, flags: int = 0, bus: int = 0) -> None:
        if len(data) > 64:
            raise ValueError(f"frame {frame_id:X}: {len(data)} bytes of data, at most 64")
        if not 0 <= frame_id <= (0x1FFFFFFF if flags & (EFF | ERR) else 0x7FF):
            raise ValueError(f"frame identifier {frame_id:X} out of range")
        self._buf += FRAME.pack(t_us, frame_id, bus, flags, len(data), 0, data)

    def extend_raw(self, raw: bytes | bytearray | memoryview) -> None:
        """Append frames already in the native layout; ValueError unless a multiple of 80 bytes."""
        if len(raw) % FRAME_SIZE:
            raise ValueError(f"{len(raw)} bytes are no whole number of {FRAME_SIZE}-byte frames")
        self._buf += raw

    def clear(self) -> None:
        self._buf.clear()

    def __len__(self) -> int:
        return len(self._buf) // FRAME_SIZE

    @property
    def buffer(self) -> bytearray:
        return self._buf

    def t_us_at(self, index: int) -> int:
        """Time of the frame at ``index`` (0-based)."""
        return int(FRAME.unpack_from(self._buf, index * FRAME_SIZE)[0])

    def bus_at(self, index: int) -> int:
        """Bus number of the frame at ``index`` (0-based)."""
        return int(FRAME.unpack_from(self._buf, index * FRAME_SIZE)[2])

    def last_t_us(self) -> int:
        """Time of the last frame; IndexError when empty."""
        if not self._buf:
            raise IndexError("empty batch")
        return int(FRAME.unpack_from(self._buf, len(self._buf) - FRAME_SIZE)[0])
