"""``TableShelf``: records in the table ``records`` beside the register, written in its transactions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from outrider.ingest.core import StreamKey
from outrider.ingest.sinks.draft import Device
from outrider.ingest.sinks.shelf import Row
from outrider.ingest.sinks.sql import Sql, signed, unsigned
from outrider.model.record import Category, Kind, Lane, Record, StoredRecord

COLUMNS: Final = "epoch, lane, seq, kind, category, schema, boot_id, t_us, body"
_RUNS: Final = """
SELECT epoch, lane, min(seq), max(seq) FROM (
  SELECT epoch, lane, seq, seq - row_number() OVER (PARTITION BY epoch, lane ORDER BY seq) AS island
  FROM records WHERE device_no = ?
) AS numbered GROUP BY epoch, lane, island ORDER BY epoch, lane, min(seq)"""


class TableShelf:
    """See the module."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def put(self, rows: Sequence[tuple[Device, Row]]) -> None:
        if rows:
            self._sql.put_records([record_row(device.number, stored, utc_us) for device, (stored, utc_us) in rows])

    def held(self, device: Device, stream: StreamKey, ranges: Sequence[tuple[int, int]]) -> dict[int, StoredRecord]:
        query = f"SELECT {COLUMNS} FROM records WHERE device_no=? AND epoch=? AND lane=? AND seq BETWEEN ? AND ?"
        place = (device.number, signed(stream.epoch), int(stream.lane))
        return {row[2]: stored_of(row) for span in ranges for row in self._sql.rows(query, *place, *span)}

    def records(self, number: int, device: str, epoch: int | None, lane: Lane | None) -> Iterator[StoredRecord]:
        query = f"SELECT {COLUMNS} FROM records WHERE device_no = ?"
        values = [number]
        if epoch is not None:
            query += " AND epoch = ?"
            values.append(signed(epoch))
        if lane is not None:
            query += " AND lane = ?"
            values.append(int(lane))
        return map(stored_of, self._sql.stream(query + " ORDER BY epoch, lane, seq", *values))

    def runs(self, number: int, device: str) -> Iterator[tuple[StreamKey, int, int]]:
        for epoch, lane, first, last in self._sql.stream(_RUNS, number):
            yield StreamKey(device, unsigned(epoch), Lane(lane)), first, last

    def count(self, number: int, device: str) -> int:
        return int(self._sql.rows("SELECT count(*) FROM records WHERE device_no = ?", number)[0][0])

    def turn(self) -> None:
        """Nothing to be done: they stay where they are."""

    def waiting(self) -> int:
        return 0

    def drain(self) -> int:
        return 0

    def counters(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        """The connection is the register's."""


def record_row(number: int, stored: StoredRecord, utc_us: int) -> tuple[Any, ...]:
    """A row of ``records``."""
    r = stored.record
    place = (number, signed(stored.epoch), int(r.lane), stored.seq)
    return (*place, int(r.kind), int(r.category), r.schema, r.boot_id, r.t_us, r.body, utc_us)


def stored_of(row: Sequence[Any]) -> StoredRecord:
    """The record in a row of ``COLUMNS``."""
    epoch, lane, seq, kind, category, schema, boot_id, t_us, body = row
    record = Record(Lane(lane), Kind(kind), Category(category), boot_id, t_us, body, schema)
    return StoredRecord(unsigned(epoch), seq, record)
