"""Batches: lossless to the byte, bounded, and refusing what they cannot carry."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from outrider.errors import WireError
from outrider.model.record import Category, Gap, GapReason, Kind, Lane, Record, StoredRecord, TelemetryRow
from outrider.wire import outrider_pb2 as pb
from outrider.wire.bodies import encode_body
from outrider.wire.codec import MAX_RECORDS, decode_batch, encode_batch
from outrider.wire.columns import MAX_CELLS
from outrider.wire.framing import PLAIN, frame, unframe

EPOCH = 0xFEDCBA9876543210


def row(
    seq: int, values: dict[int, int], *, table: int = 0xABCD0001, boot: int = 7, t_us: int | None = None
) -> StoredRecord:
    body = encode_body(TelemetryRow(table, tuple(sorted(values.items()))))
    time = 1_000_000 * seq if t_us is None else t_us
    return StoredRecord(EPOCH, seq, Record(Lane.TELEMETRY, Kind.TELEMETRY, Category.DRIVING, boot, time, body))


def other(seq: int, kind: Kind, body: bytes, *, lane: Lane = Lane.TELEMETRY, schema: int = 1) -> StoredRecord:
    return StoredRecord(EPOCH, seq, Record(lane, kind, Category.SYSTEM, 7, 5 * seq, body, schema))


def check(records: list[StoredRecord]) -> bytes:
    """Asserts the round trip down to the canonical bytes and that encoding is repeatable; returns the payload."""
    payload = encode_batch("car-1", records)
    batch = decode_batch(payload)
    assert (batch.device, batch.epoch, batch.lane) == ("car-1", records[0].epoch, records[0].record.lane)
    assert list(batch.records) == records
    assert [r.canonical() for r in batch.records] == [r.canonical() for r in records]
    assert encode_batch("car-1", records) == payload
    return payload


def test_plain_telemetry() -> None:
    """Sixty rows of the same signals."""
    payload = check([row(100 + i, {0: 3 * i, 5: 1000 - i, 77: 0}) for i in range(60)])
    assert len(payload) < 120


def test_a_lane_with_all_that_can_happen_in_it() -> None:
    """Gap and clock records between rows, a reboot, a new signal table, absent signals, a newer schema, time going
    back, an empty row, a row that is not canonical, an unknown kind."""
    records = [
        row(1, {0: 1, 1: -5}),
        row(2, {1: -6}),
        other(3, Kind.GAP, encode_body(Gap(EPOCH, 1, 2, GapReason.QUOTA))),
        row(4, {0: 9, 9: 1 << 60}, table=2, boot=8, t_us=-5),
        row(5, {}, boot=8, t_us=0),
        dataclasses.replace(row(6, {0: 1}), record=dataclasses.replace(row(6, {0: 1}).record, body=b"\x01")),
        dataclasses.replace(row(7, {0: 1}), record=dataclasses.replace(row(7, {0: 1}).record, schema=255)),
        other(8, Kind(200), b"", schema=0),
        other(9, Kind(200), bytes(300)),
        row(10, {0: 2, 1: -7}, t_us=(1 << 63) - 1),
        row(11, {0: 2, 1: -7}, t_us=-(1 << 63)),
    ]
    check(records)
    for index in range(len(records)):
        check(records[index:])


@pytest.mark.parametrize("lane", list(Lane))
def test_single_records_of_every_lane_and_kind(lane: Lane) -> None:
    """Events travel alone."""
    for kind in Kind:
        check([other(1, kind, b"\x08\x01", lane=lane)])


def test_the_largest_numbers() -> None:
    """Last sequence, largest epoch, boot id and category."""
    record = Record(Lane.BULK, Kind(255), Category(255), 0xFFFFFFFF, 0, b"x", 255)
    check([StoredRecord((1 << 64) - 1, (1 << 64) - 1, record)])
    check([StoredRecord(0, 1, record)])


def test_more_cells_than_the_format_allows_travel_as_bodies() -> None:
    """A row of very many signals loses compression, never data."""
    wide = {i: i for i in range(MAX_CELLS // 8)}
    check([row(i, wide) for i in range(1, 10)])


def test_how_far_back_the_terminal_still_holds_records() -> None:
    """behind survives, costs nothing when 0, and cannot reach below sequence 1."""
    records = [row(9, {0: 1})]
    assert decode_batch(encode_batch("car-1", records, behind=8)).behind == 8
    assert decode_batch(encode_batch("car-1", records)).behind == 0
    assert encode_batch("car-1", records, behind=0) == encode_batch("car-1", records)
    for behind in (-1, 9):
        with pytest.raises(WireError, match="behind"):
            encode_batch("car-1", records, behind=behind)


def gap(seq: int, first: int, *, last: int | None = None) -> StoredRecord:
    """A GAP record at ``seq``."""
    named = Gap(EPOCH, first, seq if last is None else last, GapReason.THINNED)
    return other(seq, Kind.GAP, encode_body(named))


def thinned(count: int) -> list[StoredRecord]:
    """One row of ten, and what names the nine between."""
    starts = range(1, 10 * count, 10)
    return [each for i in starts for each in (row(i, {0: 500 + i, 1: -i}), gap(i + 9, i + 1))]


def test_numbers_that_a_gap_names_are_passed_over() -> None:
    """Thinned telemetry travels in one batch, wherever it is cut, and costs little more than its rows."""
    records = thinned(30)
    check(records)
    for start in (1, 7):
        check(records[start:])
    rows = len(encode_batch("car-1", [row(i, {0: 500 + i, 1: -i}) for i in range(1, 31)]))
    assert len(encode_batch("car-1", records)) < rows + 30 * 14


def test_a_single_gap_reads_for_who_knows_no_jumps() -> None:
    """A reader of before takes each record alone; several with a jump it refuses instead of giving other numbers."""
    message = pb.Batch.FromString(unframe(encode_batch("car-1", thinned(1)[1:])))
    assert (message.first_seq, list(message.seq_runs)) == (10, [])
    message = pb.Batch.FromString(unframe(encode_batch("car-1", thinned(2))))
    assert (message.first_seq, list(message.seq_runs)) == (0, [1, 1, 8, 2, 8, 1])


@pytest.mark.parametrize(
    "runs",
    [[1, 1, 7, 2, 8, 1], [1, 2, 8, 2, 8, 1], [0, 1, 8, 2, 8, 1], [1, 0, 0, 4], [1, 1, 8, 2, 8], [1, 1]],
)
def test_jumps_that_no_gap_names_are_refused(runs: list[int]) -> None:
    """Else a receiver would take numbers for accounted that nobody ever named."""
    message = pb.Batch.FromString(unframe(encode_batch("car-1", thinned(2))))
    del message.seq_runs[:]
    message.seq_runs.extend(runs)
    with pytest.raises(WireError, match="batch"):
        decode_batch(frame(message.SerializeToString()))


def test_both_ways_to_number_are_refused() -> None:
    """Whoever reads the one and whoever reads the other must mean the same records."""
    message = pb.Batch.FromString(unframe(encode_batch("car-1", thinned(2))))
    message.first_seq = 1
    with pytest.raises(WireError, match="both"):
        decode_batch(frame(message.SerializeToString()))


def bad_batches() -> dict[str, list[StoredRecord]]:
    good = [row(i, {0: i}) for i in range(1, 4)]
    record = good[0].record
    return {
        "0 records": [],
        "10001 records": [row(i, {}) for i in range(1, MAX_RECORDS + 2)],
        "does not follow": [good[0], good[2]],
        "5 does not follow 1": [good[0], gap(5, 3)],
        "7 does not follow 1": [good[0], gap(7, 2, last=6)],
        "same epoch": [good[0], dataclasses.replace(good[1], epoch=1)],
        "epoch and lane": [good[0], other(2, Kind.GAP, b"", lane=Lane.BULK)],
        "sequence 0": [dataclasses.replace(good[0], seq=0)],
        "epoch -1": [dataclasses.replace(good[0], epoch=-1)],
        "boot id": [dataclasses.replace(good[0], record=dataclasses.replace(record, boot_id=1 << 32))],
        "time": [dataclasses.replace(good[0], record=dataclasses.replace(record, t_us=1 << 63))],
        "schema": [dataclasses.replace(good[0], record=dataclasses.replace(record, schema=256))],
    }


@pytest.mark.parametrize("what", bad_batches())
def test_records_that_make_no_batch_are_refused(what: str) -> None:
    """One (epoch, lane), no hole, every number in range."""
    with pytest.raises(WireError, match=what):
        encode_batch("car-1", bad_batches()[what])


def test_a_bad_device_id_is_refused() -> None:
    """On both ends."""
    with pytest.raises(WireError, match="device id"):
        encode_batch("car/1", [row(1, {0: 1})])


def edit(change: Callable[[pb.Batch], object]) -> bytes:
    """A good payload with one thing changed."""
    records = [row(1, {0: 1}), other(2, Kind.GAP, b""), row(3, {0: 2})]
    message = pb.Batch.FromString(unframe(encode_batch("car-1", records)))
    change(message)
    return bytes((PLAIN,)) + message.SerializeToString()


HOSTILE: dict[str, Callable[[pb.Batch], object]] = {
    "batch of 0 records": lambda m: setattr(m, "count", 0),
    "batch of 4294967295 records": lambda m: setattr(m, "count", 0xFFFFFFFF),
    "sequence 0": lambda m: setattr(m, "first_seq", 0),
    "sequence 18446744073709551615": lambda m: setattr(m, "first_seq", (1 << 64) - 1),
    "1 records behind sequence 1": lambda m: setattr(m, "behind", 1),
    "lane 5": lambda m: setattr(m, "lane", 5),
    "device id": lambda m: setattr(m, "device", "#"),
    "no byte": lambda m: setattr(m.heads[0], "kind", 256),
    "runs of heads": lambda m: m.head_runs.extend([0, 1]),
    "do not add up": lambda m: m.head_runs.pop(),
    "head 9 is missing": lambda m: m.head_runs.__setitem__(0, 9),
    "more heads": lambda m: m.heads.extend([pb.Head()] * 4),
    "1 bodies for 3 records": lambda m: [h.ClearField("table_id") for h in m.heads],
    "2 bodies for 1 records": lambda m: m.bodies.append(b""),
    "columns": lambda m: setattr(m, "columns", b"\xff" * 40),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_inconsistent_messages_are_refused_with_the_reason(what: str) -> None:
    """Each rule of the format is checked."""
    with pytest.raises(WireError, match=what):
        decode_batch(edit(HOSTILE[what]))


def test_max_bytes_bounds_the_expanded_message() -> None:
    """The caller's limit holds for what a payload expands to."""
    payload = encode_batch("car-1", [other(1, Kind.EVIDENCE, bytes(100_000), lane=Lane.BULK)])
    assert len(payload) < 200
    assert len(decode_batch(payload).records[0].record.body) == 100_000
    with pytest.raises(WireError, match="10000 bytes"):
        decode_batch(payload, max_bytes=10_000)


def test_fields_of_a_newer_version_are_passed_over() -> None:
    """A reader of today survives a field added tomorrow."""
    records = [row(1, {0: 1})]
    message = unframe(encode_batch("car-1", records)) + b"\xf8\x3f\x05"
    assert list(decode_batch(frame(message)).records) == records
