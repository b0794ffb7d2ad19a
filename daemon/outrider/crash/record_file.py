"""The very records of a crash in one file, so that each can be checked against the terminal's log later.

::

    8 bytes  "OTRREC1\\n"
    then for each record: u32 little-endian length | canonical bytes (docs/reference/mqtt.md, canonical bytes):
    u64 epoch | u8 lane | u64 seq | u8 kind | u8 category | u8 schema | u32 boot id | i64 time | body
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from outrider.errors import InputError
from outrider.model.record import Category, Kind, Lane, Record, StoredRecord

MAGIC: Final = b"OTRREC1\n"
_LENGTH: Final = struct.Struct("<I")
_HEAD: Final = struct.Struct("<QBQBBBIq")


def encode_records(records: Iterable[StoredRecord]) -> bytes:
    """The file's bytes."""
    out = bytearray(MAGIC)
    for stored in records:
        data = stored.canonical()
        out += _LENGTH.pack(len(data)) + data
    return bytes(out)


def decode_records(data: bytes, where: object = None) -> list[StoredRecord]:
    """InputError for a file that is cut, or none of ours."""
    if not data.startswith(MAGIC):
        raise InputError("no file of records: it does not begin with OTRREC1", path=where)
    found: list[StoredRecord] = []
    at = len(MAGIC)
    while at < len(data):
        if at + _LENGTH.size > len(data):
            raise InputError(f"file of records is cut after record {len(found)}", path=where)
        (size,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if size < _HEAD.size or at + size > len(data):
            raise InputError(f"file of records is cut or damaged at record {len(found) + 1}", path=where)
        found.append(_stored(data[at : at + size], len(found) + 1, where))
        at += size
    return found


def _stored(data: bytes, number: int, where: object) -> StoredRecord:
    epoch, lane, seq, kind, category, schema, boot_id, t_us = _HEAD.unpack_from(data)
    if lane not in {int(one) for one in Lane}:
        raise InputError(f"record {number} of the file of records is of lane {lane}, which there is not", path=where)
    body = data[_HEAD.size :]
    return StoredRecord(epoch, seq, Record(Lane(lane), Kind(kind), Category(category), boot_id, t_us, body, schema))
