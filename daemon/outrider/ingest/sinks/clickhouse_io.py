"""``ClickHouseShelf``: records in one ClickHouse table, through clickhouse-connect.

ReplacingMergeTree by (device, epoch, lane, seq): rows that come again, and gaps that a record replaced, go when parts
are merged; until then ``FINAL`` leaves them out. Parts are synced to disk before an insert is answered. A table that
is there is used as it is, so that a cluster may have a replicated one. Connections are made when first needed: one
that is refused is asked again with the next piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError

from outrider.errors import JournalError
from outrider.ingest.core import StreamKey
from outrider.ingest.sinks.shelf_far import FarRow, hex_of, record_of, stream_of
from outrider.model.record import Kind, StoredRecord

# precedence: a gap gives way to the record that arrived after all, and what comes again to what was there.
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS {table} (
  device          LowCardinality(String),
  epoch           LowCardinality(String),
  lane            UInt8,
  seq             Int64,
  kind            UInt8,
  category        UInt8,
  schema          UInt8,
  boot_id         UInt32,
  t_us            Int64 CODEC(Delta, ZSTD),
  body            String CODEC(ZSTD(3)),
  received_utc_us Int64 CODEC(Delta, ZSTD),
  precedence      UInt64 DEFAULT if(kind = {gap}, 0, toUInt64(9223372036854775807 - received_utc_us))
) ENGINE = ReplacingMergeTree(precedence)
PARTITION BY toYYYYMM(fromUnixTimestamp64Micro(received_utc_us))
ORDER BY (device, epoch, lane, seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"""
_RECORD: Final = "epoch, lane, seq, kind, category, schema, boot_id, t_us, body"
_STREAM: Final = "device = {device:String} AND epoch = {epoch:String} AND lane = {lane:UInt8}"
_PAGE: Final = 20_000


@dataclass(frozen=True, slots=True)
class ClickHouseOptions:
    """connect: arguments of ``clickhouse_connect.get_client``. table: a name, with its database where needed."""

    connect: dict[str, Any] = field(default_factory=dict)
    table: str = "outrider_records"


class ClickHouseShelf:
    """See the module."""

    def __init__(self, options: ClickHouseOptions) -> None:
        self._options = options
        self._writer: Any = None  # of the mover's thread
        self._reader: Any = None

    # ---- on the mover's thread ----------------------------------------------------------------------

    def add(self, rows: Sequence[FarRow]) -> None:
        with _refusals():
            if self._writer is None:
                self._writer = self._connect()
            settings = {"async_insert": 0, "max_partitions_per_insert_block": 0}
            self._writer.insert(self._options.table, rows, column_names=FarRow._fields, settings=settings)

    def tidy(self) -> None:
        """ClickHouse merges by itself."""

    # ---- on the sink's thread -----------------------------------------------------------------------

    def held(self, stream: StreamKey, first: int, last: int) -> dict[int, StoredRecord]:
        rows = self._rows(
            f"SELECT {_RECORD} FROM {self._options.table} FINAL"
            f" WHERE {_STREAM} AND seq BETWEEN {{first:Int64}} AND {{last:Int64}}",
            {**_place(stream), "first": first, "last": last},
        )
        return {stored.seq: stored for stored in map(record_of, rows)}

    def records(self, stream: StreamKey) -> Iterator[StoredRecord]:
        """Page by page: no answer of the server is held open."""
        last = 0
        while True:
            page = self._rows(
                f"SELECT {_RECORD} FROM {self._options.table} FINAL"
                f" WHERE {_STREAM} AND seq > {{last:Int64}} ORDER BY seq LIMIT {_PAGE}",
                {**_place(stream), "last": last},
            )
            yield from map(record_of, page)
            if len(page) < _PAGE:
                return
            last = page[-1][2]

    def runs(self, device: str) -> Iterator[tuple[StreamKey, int, int]]:
        query = f"""
            SELECT epoch, lane, min(seq), max(seq) FROM (
              SELECT epoch, lane, seq, seq - row_number() OVER (PARTITION BY epoch, lane ORDER BY seq) AS island
              FROM (SELECT DISTINCT epoch, lane, seq FROM {self._options.table} WHERE device = {{device:String}})
            ) GROUP BY epoch, lane, island ORDER BY epoch, lane, min(seq)"""
        for epoch, lane, first, last in self._rows(query, {"device": device}):
            yield stream_of(device, epoch, lane), first, last

    def close(self) -> None:
        for client in (self._writer, self._reader):
            if client is not None:
                client.close()

    # ---- leaves -------------------------------------------------------------------------------------

    def _rows(self, query: str, values: dict[str, Any]) -> list[Any]:
        with _refusals():
            if self._reader is None:
                self._reader = self._connect()
            rows: list[Any] = self._reader.query(query, parameters=values, column_formats={"body": "bytes"}).result_rows
            return rows

    def _connect(self) -> Any:
        client = clickhouse_connect.get_client(**self._options.connect)
        try:
            client.command(_TABLE.format(table=self._options.table, gap=int(Kind.GAP)))
        except BaseException:
            client.close()
            raise
        return client


def _place(stream: StreamKey) -> dict[str, Any]:
    return {"device": stream.device, "epoch": hex_of(stream.epoch), "lane": int(stream.lane)}


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (ClickHouseError, OSError) as err:
        words = str(err).splitlines()[0] if str(err) else type(err).__name__
        raise JournalError(f"clickhouse: {words[:500]}") from None
