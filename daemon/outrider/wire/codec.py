"""A batch of records <-> a payload, lossless to the byte.

Records of one (epoch, lane) in order, without a hole: each follows the one before, or is a GAP record that names what
lies between. Heads (kind, category, schema, boot, table) travel once per
run, times and the values of telemetry rows as columns, all other bodies as they are. A telemetry body that is not a
canonical row travels as it is, too. What comes in is bounded: bytes after decompression, records, cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from google.protobuf.message import DecodeError

from outrider.errors import WireError
from outrider.model.record import Category, Gap, Kind, Lane, Record, StoredRecord, TelemetryRow
from outrider.wire import outrider_pb2 as pb
from outrider.wire.bodies import decode_body
from outrider.wire.columns import MAX_CELLS, MAX_COLUMNS, Column, decode_columns, encode_columns
from outrider.wire.framing import MAX_MESSAGE_BYTES, frame, unframe
from outrider.wire.rows import MAX_VALUE, MIN_VALUE, encode_row, split_row
from outrider.wire.topics import check_device

MAX_RECORDS: Final = 10_000
_MAX_U64: Final = (1 << 64) - 1
_Head = tuple[int, int, int, int, int | None]
_Row = tuple[int, tuple[int, ...], tuple[int, ...]]  # table id, ids, values


@dataclass(frozen=True, slots=True)
class Batch:
    """What a payload held: records in order, all of one (epoch, lane); every number from the first to the last is a
    record or named by a GAP record that stands at the last number it names.

    behind: the terminal holds no unacknowledged record of this stream below first - behind any more, so a receiver
    that misses some of those (a new receiver, a lost database) must not wait for them. historical: newer records of
    this lane were sent before, or wait: its last row is not the present.
    """

    device: str
    epoch: int
    lane: Lane
    records: tuple[StoredRecord, ...]
    behind: int = 0
    historical: bool = False


def encode_batch(
    device: str, records: Sequence[StoredRecord], *, behind: int = 0, plain: bool = False, historical: bool = False
) -> bytes:
    """Payload for ``Topics.for_lane``. behind, historical: see ``Batch``; 0 <= behind < first sequence. plain:
    telemetry rows travel as they are, not in columns; larger, the same records.

    WireError: no records or more than MAX_RECORDS, several (epoch, lane), a hole in the sequence, a number out of
    range. The same records give the same bytes with the same library versions.
    """
    _check_range(records)
    if not 0 <= behind < records[0].seq:
        raise WireError(f"batch: {behind} records behind sequence {records[0].seq}")
    message = pb.Batch(
        device=check_device(device),
        epoch=records[0].epoch,
        lane=records[0].record.lane,
        count=len(records),
        behind=behind,
        historical=historical,
    )
    _put_numbers(message, records)
    rows: Sequence[_Row | None] = [None] * len(records) if plain else _rows(records)
    heads = [
        (r.kind, r.category, r.schema, r.boot_id, None if row is None else row[0])
        for r, row in zip((s.record for s in records), rows, strict=True)
    ]
    _put_heads(message, heads)
    message.columns = encode_columns(
        [s.record.t_us for s in records], _columns([row for row in rows if row is not None])
    )
    message.bodies.extend(s.record.body for s, row in zip(records, rows, strict=True) if row is None)
    return frame(message.SerializeToString(deterministic=True))


def decode_batch(payload: bytes, *, max_bytes: int = MAX_MESSAGE_BYTES) -> Batch:
    """The records of a payload. max_bytes bounds the message after decompression. WireError for anything else."""
    message = pb.Batch()
    try:
        message.ParseFromString(unframe(payload, max_bytes))
    except DecodeError:
        raise WireError("batch: not a readable message") from None
    count = message.count
    if not 1 <= count <= MAX_RECORDS:
        raise WireError(f"batch of {count} records, 1 to {MAX_RECORDS} are allowed")
    numbers = _get_numbers(message)
    if message.behind >= numbers[0]:
        raise WireError(f"batch: {message.behind} records behind sequence {numbers[0]}")
    if message.lane not in Lane.__members__.values():
        raise WireError(f"batch: lane {message.lane} is not known")
    lane = Lane(message.lane)
    heads = _get_heads(message)
    row_count = sum(head[4] is not None for head in heads)
    if len(message.bodies) != count - row_count:
        raise WireError(f"batch: {len(message.bodies)} bodies for {count - row_count} records")
    bodies = iter(message.bodies)
    times, columns = decode_columns(message.columns, count, row_count)
    rows = iter(_row_bodies([head[4] for head in heads if head[4] is not None], columns))
    stored: list[StoredRecord] = []
    for seq, (kind, category, schema, boot_id, table), t_us in zip(numbers, heads, times, strict=True):
        body = next(bodies) if table is None else next(rows)
        record = Record(lane, Kind(kind), Category(category), boot_id, t_us, body, schema)
        stored.append(StoredRecord(message.epoch, seq, record))
    if message.seq_runs:
        _check_order(stored)
    return Batch(check_device(message.device), message.epoch, lane, tuple(stored), message.behind, message.historical)


def _check_range(records: Sequence[StoredRecord]) -> None:
    if not 1 <= len(records) <= MAX_RECORDS:
        raise WireError(f"batch of {len(records)} records, 1 to {MAX_RECORDS} are allowed")
    epoch, first, last = records[0].epoch, records[0].seq, records[-1].seq
    if not (0 <= epoch <= _MAX_U64 and 1 <= first <= last <= _MAX_U64):
        raise WireError(f"batch: epoch {epoch} or sequence {first} is out of range")
    _check_order(records)
    for stored in records:
        r = stored.record
        if not (0 <= r.boot_id <= 0xFFFFFFFF and MIN_VALUE <= r.t_us <= MAX_VALUE and 0 <= r.schema <= 255):
            raise WireError(f"batch: record {stored.seq}: boot id, time or schema is out of range")


def _check_order(records: Sequence[StoredRecord]) -> None:
    """One stream, and no number skipped without a GAP record that says so."""
    for before, stored in pairwise(records):
        same = stored.epoch == before.epoch and stored.record.lane == before.record.lane
        if not (same and before.seq < stored.seq and _named_from(stored) <= before.seq + 1):
            raise WireError(f"batch: record {stored.seq} does not follow {before.seq} in the same epoch and lane")


def _named_from(stored: StoredRecord) -> int:
    """The first number that a record accounts for: its own, or where the gap begins whose last number it carries."""
    if stored.record.kind != Kind.GAP:
        return stored.seq
    with suppress(WireError):
        gap = decode_body(Kind.GAP, stored.record.body)
        if isinstance(gap, Gap) and (gap.epoch, gap.last_seq) == (stored.epoch, stored.seq):
            return min(gap.first_seq, stored.seq)
    return stored.seq


def _put_numbers(message: pb.Batch, records: Sequence[StoredRecord]) -> None:
    """first_seq when they are contiguous. Else it stays out, so that a reader that knows no runs refuses the batch
    instead of giving the records other numbers; a single record has no jump, and every reader takes it."""
    if records[-1].seq - records[0].seq == len(records) - 1:
        message.first_seq = records[0].seq
        return
    runs = [records[0].seq, 1]
    for before, stored in pairwise(records):
        if stored.seq == before.seq + 1:
            runs[-1] += 1
        else:
            runs += [stored.seq - before.seq - 1, 1]
    message.seq_runs.extend(runs)


def _get_numbers(message: pb.Batch) -> Sequence[int]:
    """One sequence per record."""
    runs = list(message.seq_runs) or [message.first_seq, message.count]
    if message.seq_runs and message.first_seq:
        raise WireError("batch: both first_seq and seq_runs")
    if len(runs) % 2 or len(runs) > 2 * message.count or sum(runs[1::2]) != message.count or 0 in runs[1::2]:
        raise WireError("batch: runs of sequences do not add up to the records")
    numbers: list[int] = []
    at = 0
    for skipped, length in zip(runs[::2], runs[1::2], strict=True):
        at += skipped + bool(numbers)
        if not 1 <= at <= _MAX_U64 - length + 1:
            raise WireError(f"batch: sequence {at} is out of range")
        numbers += range(at, at + length)
        at += length - 1
    return numbers


def _rows(records: Sequence[StoredRecord]) -> list[_Row | None]:
    """The row of each record that can travel in columns."""
    rows: list[_Row | None] = []
    ids: set[int] = set()
    last: tuple[int, ...] = ()
    for stored in records:
        row = None
        if stored.record.kind == Kind.TELEMETRY:
            with suppress(WireError):  # not a canonical row: travels as it is
                row = split_row(stored.record.body)
                if row[1] != last:
                    last = row[1]
                    ids.update(last)
        rows.append(row)
    if len(ids) > MAX_COLUMNS or len(ids) * len(rows) > MAX_CELLS:
        return [None] * len(rows)
    return rows


def _columns(rows: Sequence[_Row]) -> list[Column]:
    if not rows:
        return []
    ids = rows[0][1]
    if all(row[1] == ids for row in rows):
        return [
            Column(signal, values) for signal, values in zip(ids, zip(*(r[2] for r in rows), strict=True), strict=True)
        ]
    by_row = [dict(zip(row[1], row[2], strict=True)) for row in rows]
    every = sorted(set().union(*by_row))
    return [Column(signal, [row.get(signal) for row in by_row]) for signal in every]


def _row_bodies(tables: Sequence[int], columns: Sequence[Column]) -> list[bytes]:
    bodies = []
    for index, table in enumerate(tables):
        values = tuple((c.id, v) for c in columns if (v := c.values[index]) is not None)
        bodies.append(encode_row(TelemetryRow(table, values)))
    return bodies


def _put_heads(message: pb.Batch, heads: Sequence[_Head]) -> None:
    index: dict[_Head, int] = {}
    runs: list[int] = []
    for head, group in groupby(heads):
        runs += (index.setdefault(head, len(index)), sum(1 for _ in group))
    for kind, category, schema, boot_id, table in index:
        item = message.heads.add(kind=kind, category=category, schema=schema, boot_id=boot_id)
        if table is not None:
            item.table_id = table
    if len(index) > 1:
        message.head_runs.extend(runs)


def _get_heads(message: pb.Batch) -> list[_Head]:
    """One head per record."""
    distinct: list[_Head] = []
    for head in message.heads:
        if max(head.kind, head.category, head.schema) > 255:
            raise WireError("batch: kind, category or schema is no byte")
        distinct.append(
            (head.kind, head.category, head.schema, head.boot_id, head.table_id if head.HasField("table_id") else None)
        )
        if len(distinct) > message.count:
            raise WireError("batch: more heads than records")
    runs = list(message.head_runs) or [0, message.count]
    if len(runs) % 2 or len(runs) > 2 * message.count or sum(runs[1::2]) != message.count:
        raise WireError("batch: runs of heads do not add up to the records")
    heads: list[_Head] = []
    for index, length in zip(runs[::2], runs[1::2], strict=True):
        if index >= len(distinct):
            raise WireError(f"batch: head {index} is missing")
        heads += [distinct[index]] * length
    return heads
