"""Bytes of a segment. Pure: values in, bytes out, and back. Little-endian throughout.

A segment is a file of whole 4 KiB blocks, written in full (zeros) before its first use::

    block 0   header    0 magic "OTRSEG\\0\\1" | 8 version u16 | 10 lane u8 | 11 form u8 | 12 boot id u32 | 16 epoch u64
                       24 segment no u64 | 32 first seq u64 | 40 blocks u32 | 44 crc u32 of bytes 0..43
    block n   commit    0 magic "OTRC" | 4 nonce u32 | 8 first seq u64 | 16 last seq u64 | 24 records u32
                       28 bytes of records u32 | 32 crc u32 of place and bytes 0..31
                       36 records, one after the other, over as many blocks as they need
    record              0 crc u32 of place, nonce and bytes 4.. | 4 body length u32 | 8 seq u64
                       16 kind u8 | 17 category u8 | 18 schema u8 | 19 zero u8 | 20 boot id u32 | 24 time us i64
                       32 body

Each commit starts a fresh block, so a torn write cannot touch an earlier commit. A CRC (CRC-32C) starts from the place
its bytes belong to (epoch u64, lane u8, segment no u64, block no u32): a stale block of a recycled file, or of a commit
that never finished, does not parse.
A commit accounts for the numbers first..last; where numbers are skipped, a GAP record names them and carries the last.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from outrider.engine import crc32c
from outrider.model.record import Category, Kind, Lane, Record, StoredRecord

BLOCK: Final = 4096
VERSION: Final = 1
MAX_BODY_BYTES: Final = 65_536
SEGMENT_MAGIC: Final = b"OTRSEG\x00\x01"
COMMIT_MAGIC: Final = b"OTRC"

_SEGMENT: Final = struct.Struct("<8sHBBIQQQI")
_COMMIT: Final = struct.Struct("<4sIQQII")
_RECORD: Final = struct.Struct("<IQBBBBIq")
_CRC: Final = struct.Struct("<I")
_PLACE: Final = struct.Struct("<QBQI")

SEGMENT_HEADER_BYTES: Final = _SEGMENT.size + 4

PLAIN: Final = 0  # forms of a segment: as it was committed
PACKED: Final = 1  # several, made one: all records, without the room that each commit left
THINNED: Final = 2  # and one telemetry record of ten
COMMIT_HEADER_BYTES: Final = _COMMIT.size + 4
RECORD_HEADER_BYTES: Final = 4 + _RECORD.size


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """first_seq: the first number this segment may hold. blocks: size of the file in blocks, with this one. form: 0 as
    it was committed; other forms were made of several segments (``rewrite``)."""

    lane: Lane
    boot_id: int
    epoch: int
    segment: int
    first_seq: int
    blocks: int
    form: int = PLAIN


@dataclass(frozen=True, slots=True)
class CommitHeader:
    """A commit that starts at ``block``; ``size`` bytes of ``records`` records follow the header."""

    block: int
    nonce: int
    first_seq: int
    last_seq: int
    records: int
    size: int

    @property
    def blocks(self) -> int:
        return blocks_for(COMMIT_HEADER_BYTES + self.size)


def blocks_for(size: int) -> int:
    return -(-size // BLOCK)


def pack_segment_header(header: SegmentHeader) -> bytes:
    """The whole first block."""
    head = _SEGMENT.pack(
        SEGMENT_MAGIC,
        VERSION,
        header.lane,
        header.form,
        header.boot_id,
        header.epoch,
        header.segment,
        header.first_seq,
        header.blocks,
    )
    return (head + _CRC.pack(crc32c(head))).ljust(BLOCK, b"\x00")


def parse_segment_header(data: bytes) -> SegmentHeader | None:
    """None: not a segment of this version, or damaged."""
    if len(data) < SEGMENT_HEADER_BYTES:
        return None
    head = data[: _SEGMENT.size]
    if _CRC.unpack_from(data, _SEGMENT.size)[0] != crc32c(head):
        return None
    magic, version, lane, form, boot_id, epoch, segment, first_seq, blocks = _SEGMENT.unpack(head)
    if magic != SEGMENT_MAGIC or version != VERSION or lane not in Lane.__members__.values():
        return None
    return SegmentHeader(Lane(lane), boot_id, epoch, segment, first_seq, blocks, form)


def record_bytes(record: Record) -> int:
    return RECORD_HEADER_BYTES + len(record.body)


def _pack_record(seq: int, record: Record, seed: int) -> bytes:
    rest = (
        _RECORD.pack(
            len(record.body),
            seq,
            record.kind,
            record.category,
            record.schema,
            0,
            record.boot_id,
            record.t_us,
        )
        + record.body
    )
    return _CRC.pack(crc32c(rest, seed)) + rest


def _place(header: SegmentHeader, block: int) -> int:
    return crc32c(_PLACE.pack(header.epoch, header.lane, header.segment, block))


def _record_seed(header: SegmentHeader, block: int, nonce: int) -> int:
    return crc32c(_CRC.pack(nonce), _place(header, block))


def pack_commit(
    header: SegmentHeader, block: int, nonce: int, first_seq: int, items: Sequence[tuple[int, Record]]
) -> bytes:
    """A commit for ``block``: items are (seq, record) in ascending order; first_seq accounts for a leading gap."""
    seed = _record_seed(header, block, nonce)
    records = b"".join([_pack_record(seq, record, seed) for seq, record in items])
    head = _COMMIT.pack(COMMIT_MAGIC, nonce, first_seq, items[-1][0], len(items), len(records))
    return head + _CRC.pack(crc32c(head, _place(header, block))) + records


def parse_commit_header(header: SegmentHeader, block: int, data: bytes) -> CommitHeader | None:
    """The commit whose first bytes ``data`` is; None when there is none at this block."""
    if data[:4] != COMMIT_MAGIC or len(data) < COMMIT_HEADER_BYTES:
        return None
    head = data[: _COMMIT.size]
    if _CRC.unpack_from(data, _COMMIT.size)[0] != crc32c(head, _place(header, block)):
        return None
    _magic, nonce, first_seq, last_seq, records, size = _COMMIT.unpack(head)
    return CommitHeader(block, nonce, first_seq, last_seq, records, size)


def parse_records(header: SegmentHeader, commit: CommitHeader, data: bytes) -> Iterator[StoredRecord]:
    """The good records of a commit; ``data`` starts at its header, and may end early.

    Behind a bad record the next one is looked for byte by byte: what lies in the blocks behind a lost one is still
    proved by its CRC.
    """
    seed = _record_seed(header, commit.block, commit.nonce)
    end = min(len(data), COMMIT_HEADER_BYTES + commit.size)
    at, least, found = COMMIT_HEADER_BYTES, commit.first_seq, 0
    while at + RECORD_HEADER_BYTES <= end and found < commit.records:
        length, seq, kind, category, schema, _zero, boot_id, t_us = _RECORD.unpack_from(data, at + 4)
        stop = at + RECORD_HEADER_BYTES + length
        if (
            not least <= seq <= commit.last_seq
            or stop > end
            or _CRC.unpack_from(data, at)[0] != crc32c(data[at + 4 : stop], seed)
        ):
            at += 1
            continue
        record = Record(header.lane, Kind(kind), Category(category), boot_id, t_us, data[stop - length : stop], schema)
        yield StoredRecord(header.epoch, seq, record)
        at, least, found = stop, seq + 1, found + 1
