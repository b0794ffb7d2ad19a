"""Small state that changes in place: a file of two slots, written in turn, each with a counter and a CRC::

    slot   0 magic "OTRS" | 4 length u32 | 8 counter u64 | 16 crc u32 of bytes 4..15 and the payload | 20 payload

A torn write can only touch the older slot, so the previous state is always readable. What belongs here is state whose
loss costs a resend or a relearning, never records.
"""

from __future__ import annotations

import struct
from typing import Final, Self

from outrider.engine import crc32c
from outrider.errors import JournalError
from outrider.ports import Storage, StorageFile
from outrider.record.format import BLOCK, blocks_for
from outrider.record.salvage import read_around

MAGIC: Final = b"OTRS"
_HEAD: Final = struct.Struct("<IQ")
HEADER_BYTES: Final = 4 + _HEAD.size + 4


def pack_slot(counter: int, payload: bytes) -> bytes:
    head = _HEAD.pack(len(payload), counter)
    return MAGIC + head + struct.pack("<I", crc32c(payload, crc32c(head))) + payload


def parse_slot(data: bytes) -> tuple[int, bytes] | None:
    """(counter, payload), None when empty or damaged."""
    if data[:4] != MAGIC or len(data) < HEADER_BYTES:
        return None
    head = data[4:16]
    length, counter = _HEAD.unpack(head)
    payload = data[HEADER_BYTES : HEADER_BYTES + length]
    if len(payload) != length or struct.unpack_from("<I", data, 16)[0] != crc32c(payload, crc32c(head)):
        return None
    return counter, payload


class TwoSlotFile:
    """``read`` gives what the last ``write`` that returned wrote, whatever happened since, or None.

    slot_bytes: room for one state with its 20 bytes of header, whole 4 KiB blocks.
    """

    def __init__(self, storage: Storage, name: str, slot_bytes: int = BLOCK) -> None:
        self._storage = storage
        self._name = name
        self._slot_bytes = blocks_for(slot_bytes) * BLOCK
        self._file: StorageFile | None = None
        self._counter = 0

    @classmethod
    def open(cls, storage: Storage, name: str, slot_bytes: int = BLOCK) -> Self:
        """Opens the file, creating it durably (tmp, zeros, sync, rename, sync_dir) when missing or too short."""
        state = cls(storage, name, slot_bytes)
        state._open()
        return state

    @property
    def capacity(self) -> int:
        return self._slot_bytes - HEADER_BYTES

    def _open(self) -> None:
        size = 2 * self._slot_bytes
        if self._name in self._storage.names():
            self._file = self._storage.open(self._name)
            if self._file.size() >= size:
                self._file.sync()  # what a killed process left in the cache must not be the only good slot
                return
            self._file.close()
        tmp = self._name + ".tmp"
        file = self._storage.open(tmp, create=True)
        file.pwrite(bytes(size), 0)
        file.sync()
        self._storage.rename(tmp, self._name)
        self._storage.sync_dir()
        self._file = file

    def _opened(self) -> StorageFile:
        if self._file is None:
            raise JournalError(f"{self._name} is closed")
        return self._file

    def read(self) -> bytes | None:
        """The newest state, None when there is none."""
        newest = read_newest(self._opened(), self._slot_bytes)
        if newest is None:
            return None
        self._counter = newest[0]
        return newest[1]

    def write(self, payload: bytes) -> None:
        """Durable when it returns. JournalError when it does not fit or the disk refuses; the older state stays."""
        if len(payload) > self.capacity:
            raise JournalError(f"{self._name}: {len(payload)} bytes of state, room for {self.capacity}")
        file = self._opened()
        if not self._counter:
            self.read()
        counter = self._counter + 1
        file.pwrite(pack_slot(counter, payload), counter % 2 * self._slot_bytes)
        file.sync()
        self._counter = counter

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def read_newest(file: StorageFile, slot_bytes: int) -> tuple[int, bytes] | None:
    """(counter, payload) of the newest good slot; for readers that must not write."""
    slots = [parse_slot(read_around(file, slot_bytes, slot * slot_bytes)[0]) for slot in (0, 1)]
    return max((slot for slot in slots if slot is not None), key=lambda slot: slot[0], default=None)
