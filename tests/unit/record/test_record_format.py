"""Bytes of a segment."""

from __future__ import annotations

import pytest

from outrider.model.record import Lane, StoredRecord
from outrider.record.format import (
    BLOCK,
    COMMIT_HEADER_BYTES,
    CommitHeader,
    SegmentHeader,
    pack_commit,
    pack_segment_header,
    parse_commit_header,
    parse_records,
    parse_segment_header,
)
from outrider.record.segment import find_commits, parse_segment_name, segment_name
from tests.support.records import record

HEADER = SegmentHeader(Lane.EVENT, 7, 0x1122334455667788, 3, 10, 8)
ITEMS = [(10, record(number=1)), (11, record(number=2, size=5000)), (12, record(number=3))]


def parsed(header: SegmentHeader, block: int, data: bytes) -> list[StoredRecord]:
    commit = parse_commit_header(header, block, data)
    return [] if commit is None else list(parse_records(header, commit, data))


def test_a_commit_reads_back() -> None:
    """Records come back with numbers and content; the header accounts for all of them."""
    data = pack_commit(HEADER, 2, 99, 10, ITEMS)
    commit = parse_commit_header(HEADER, 2, data)
    assert commit == CommitHeader(2, 99, 10, 12, 3, len(data) - COMMIT_HEADER_BYTES)
    assert commit.blocks == 2
    assert [(s.seq, s.record) for s in parsed(HEADER, 2, data)] == ITEMS
    assert all(s.epoch == HEADER.epoch for s in parsed(HEADER, 2, data))


def test_the_layout_is_the_documented_one() -> None:
    """Golden bytes, checksums by another implementation: a change of the format needs a new version number."""
    data = pack_commit(HEADER, 2, 99, 10, ITEMS[:1])
    assert pack_segment_header(HEADER)[:48].hex() == (
        "4f54525345470001" "0100" "02" "00" "07000000" "8877665544332211" "0300000000000000" "0a00000000000000"
        "08000000" "4895afdc"
    )  # fmt: skip
    assert data.hex() == (
        "4f545243" "63000000" "0a00000000000000" "0a00000000000000" "01000000" "48000000" "2c7a20de"
        "485caa9e" "28000000" "0a00000000000000" "05" "02" "01" "00" "07000000" "0100000000000000" "0100000000000000"
        + "00" * 32
    )  # fmt: skip


@pytest.mark.parametrize(
    ("place", "block"),
    [
        (SegmentHeader(Lane.BULK, 7, HEADER.epoch, 3, 10, 8), 2),
        (SegmentHeader(Lane.EVENT, 7, HEADER.epoch + 1, 3, 10, 8), 2),
        (SegmentHeader(Lane.EVENT, 7, HEADER.epoch, 4, 10, 8), 2),
        (HEADER, 3),
    ],
    ids=["lane", "epoch", "segment", "block"],
)
def test_a_commit_parses_in_its_own_place_only(place: SegmentHeader, block: int) -> None:
    """A stale block of a recycled file belongs to another lane, epoch, segment or block and is not seen."""
    data = pack_commit(HEADER, 2, 99, 10, ITEMS)
    assert parse_commit_header(place, block, data) is None
    commit = CommitHeader(block, 99, 10, 12, 3, len(data) - COMMIT_HEADER_BYTES)
    assert not list(parse_records(place, commit, data)), "the records alone do not parse either"


def test_records_of_an_unfinished_commit_do_not_mix_with_the_next() -> None:
    """Same place, same numbers, another nonce: nothing of it parses under the other header."""
    first = pack_commit(HEADER, 2, 99, 10, ITEMS)
    second = pack_commit(HEADER, 2, 100, 10, ITEMS)
    assert parsed(HEADER, 2, second[:COMMIT_HEADER_BYTES] + first[COMMIT_HEADER_BYTES:]) == []


def test_each_flipped_bit_is_noticed() -> None:
    """One wrong bit costs its record (or the commit when it hits the header), never yields another content."""
    data = pack_commit(HEADER, 2, 99, 10, ITEMS[:1] + ITEMS[2:])
    good = parsed(HEADER, 2, data)
    for bit in range(len(data) * 8):
        bad = bytearray(data)
        bad[bit // 8] ^= 1 << bit % 8
        left = parsed(HEADER, 2, bytes(bad))
        assert len(left) < len(good)
        assert all(stored in good for stored in left)


def test_a_bad_record_does_not_hide_the_next() -> None:
    """Framing goes on behind a record whose body is damaged."""
    data = bytearray(pack_commit(HEADER, 2, 99, 10, ITEMS))
    data[COMMIT_HEADER_BYTES + 40] ^= 1
    assert [s.seq for s in parsed(HEADER, 2, bytes(data))] == [11, 12]


def test_segment_header_reads_back_or_is_refused() -> None:
    """Whole block, right magic, version and CRC, or nothing."""
    block = pack_segment_header(HEADER)
    assert len(block) == BLOCK
    assert parse_segment_header(block) == HEADER
    for bad in (b"", block[:20], bytes(BLOCK), b"X" + block[1:], block[:44] + bytes(4)):
        assert parse_segment_header(bad) is None


def test_find_commits_skips_what_is_not_one() -> None:
    """Zeros, garbage and stale blocks between commits are passed over."""
    file = bytearray(8 * BLOCK)
    one, two = pack_commit(HEADER, 1, 5, 10, ITEMS[:1]), pack_commit(HEADER, 5, 6, 11, ITEMS[1:])
    stale = pack_commit(HEADER, 3, 6, 11, ITEMS[1:])
    file[BLOCK : BLOCK + len(one)] = one
    file[2 * BLOCK : 2 * BLOCK + len(stale)] = stale
    file[5 * BLOCK : 5 * BLOCK + len(two)] = two
    found = find_commits(HEADER, bytes(file))
    assert [(c.header.block, c.complete, len(c.good)) for c in found] == [(1, True, 1), (5, True, 2)]


def test_names_read_back() -> None:
    """lane-epoch-number.seg, nothing else."""
    name = segment_name(Lane.BULK, 0xAB, 12)
    assert name == "4-00000000000000ab-00000012.seg"
    assert parse_segment_name(name) == (Lane.BULK, 0xAB, 12)
    for other in ("cursor.state", "5-00000000000000ab-00000012.seg", name + ".tmp", "quarantine/" + name):
        assert parse_segment_name(other) is None
