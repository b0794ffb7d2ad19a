"""``TieredShelf``: records are committed in the table ``records`` beside the register, and moved from there to a far
shelf (ClickHouse, Parquet) in large pieces.

So an acknowledgement never waits for the far shelf, and one that is away for a day costs disk, not data. A piece is
written far first, then taken out of the table: a crash between leaves rows in both places, which reading shows once.
One worker at a time moves, and a thread of its own talks to the far shelf.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from outrider.errors import JournalError
from outrider.ingest.core import StreamKey
from outrider.ingest.sinks.draft import Device
from outrider.ingest.sinks.progress import Progress, runs
from outrider.ingest.sinks.shelf import Row
from outrider.ingest.sinks.shelf_far import Far, FarRow, hex_of
from outrider.ingest.sinks.shelf_table_io import COLUMNS, TableShelf
from outrider.ingest.sinks.sql import Sql, signed, unsigned
from outrider.model.record import Kind, Lane, StoredRecord

_log = logging.getLogger(__name__)
_SILENCE_S: Final = 10.0  # a far shelf that refused is not asked again for so long
_QUICK_S: Final = 0.02  # an answer that took longer is followed by a rest of
_REST: Final = 9  # times as long
_LONG_S: Final = 1.0  # and one batch does not ask for longer
_COUNTED: Final = 1_000_000  # waiting records are counted up to here


@dataclass(frozen=True, slots=True)
class MoveOptions:
    """every_s: between moves, while less than ``rows`` are there to be moved at once. tidy_s: between tidyings."""

    every_s: float = 60.0
    rows: int = 20_000
    tidy_s: float = 3600.0
    backoff_cap_s: float = 60.0


class TieredShelf:
    """See the module."""

    def __init__(self, sql: Sql, far: Far, options: MoveOptions) -> None:
        self._sql = sql
        self._near = TableShelf(sql)
        self._far = far
        self._options = options
        self._thread = ThreadPoolExecutor(1, "shelf")
        self._moving: tuple[Future[None], list[tuple[Any, ...]]] | None = None
        self._due_s = self._tidy_s = time.monotonic()
        self._failed = 0
        self._counters = {"shelf_moved": 0, "shelf_faults": 0, "shelf_waiting": 0, "shelf_unchecked": 0}
        self._ask_s = 0.0

    def counters(self) -> dict[str, int]:
        return self._counters

    # ---- storing ------------------------------------------------------------------------------------

    def put(self, rows: Sequence[tuple[Device, Row]]) -> None:
        self._near.put(rows)

    def held(self, device: Device, stream: StreamKey, ranges: Sequence[tuple[int, int]]) -> dict[int, StoredRecord]:
        """While the far shelf cannot be asked, what may be there counts as new: it is stored a second time, and reading
        shows the first; only a conflict goes unnoticed. So too while asking has taken more than its share of time:
        a terminal that repeats its past must not hold up the others."""
        near = self._near.held(device, stream, ranges)
        asked = [span for span in ranges if any(seq not in near for seq in range(span[0], span[1] + 1))]
        found = dict(near)
        begun = time.monotonic()
        if asked and begun >= self._ask_s:
            try:
                while asked and time.monotonic() - begun < _LONG_S:
                    far = self._far.held(stream, *asked[0])
                    found |= {seq: s for seq, s in far.items() if s.record.kind != Kind.GAP or seq not in near}
                    del asked[0]
                ended = time.monotonic()
                self._ask_s = ended + _REST * max(0.0, ended - begun - _QUICK_S)
            except JournalError as err:
                self._ask_s = time.monotonic() + _SILENCE_S
                _log.warning("receiver: shelf: %s; what may be there already is stored once more", err)
        for first, last in asked:
            self._counters["shelf_unchecked"] += sum(seq not in near for seq in range(first, last + 1))
        return found

    # ---- moving -------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Take out what was moved, and begin to move what waits. JournalError: the register refuses."""
        if self._moving is not None and self._moving[0].done():
            self._finish(*self._moving)
        if self._moving is None and time.monotonic() >= self._due_s and self._sql.elect():
            self._begin()

    def drain(self) -> int:
        """Move everything now, and tidy. JournalError: the far shelf, or the register, refuses."""
        before = self._counters["shelf_moved"]
        while self._moving is not None or self.waiting():
            if self._moving is None:
                self._begin()
            if self._moving is not None:
                future, rows = self._moving
                future.exception()
                self._finish(future, rows)
                if future.exception() is not None:
                    raise JournalError(f"shelf: {future.exception()}")
        self._far.tidy()
        return self._counters["shelf_moved"] - before

    def waiting(self) -> int:
        return int(self._sql.rows(f"SELECT count(*) FROM (SELECT 1 FROM records LIMIT {_COUNTED}) AS counted")[0][0])

    def _begin(self) -> None:
        columns = ", ".join(f"r.{name.strip()}" for name in COLUMNS.split(","))
        query = f"SELECT name, r.device_no, {columns}, received_utc_us FROM records r JOIN devices USING (device_no)"
        order = "ORDER BY r.device_no, r.epoch, r.lane, r.seq LIMIT ?"
        rows = self._sql.rows(f"{query} {order}", self._options.rows)
        now = time.monotonic()
        self._due_s = now if len(rows) == self._options.rows else now + self._options.every_s
        self._counters["shelf_waiting"] = self.waiting()
        if rows:
            self._moving = self._thread.submit(self._far.add, [_far_row(row) for row in rows]), rows
        elif now >= self._tidy_s:
            self._moving = self._thread.submit(self._far.tidy), []
            self._tidy_s = now + self._options.tidy_s

    def _finish(self, future: Future[None], rows: list[tuple[Any, ...]]) -> None:
        """A fault of the far shelf is counted and tried again; ours is shown."""
        self._moving = None
        error = future.exception()
        if error is not None:
            self._failed += 1
            self._counters["shelf_faults"] += 1
            self._due_s = time.monotonic() + min(self._options.backoff_cap_s, 2.0**self._failed)
            _log.warning("receiver: shelf: %s", error, exc_info=None if isinstance(error, JournalError) else error)
            return
        self._failed = 0
        if rows:
            self._take_out(rows)
            self._counters["shelf_moved"] += len(rows)
            self._counters["shelf_waiting"] = max(0, self._counters["shelf_waiting"] - len(rows))

    def _take_out(self, rows: list[tuple[Any, ...]]) -> None:
        """What is far. A gap that a record has replaced meanwhile is no gap any more, and stays."""
        gone = []
        for (number, epoch, lane, is_gap), group in groupby(rows, lambda r: (*r[1:4], r[5] == Kind.GAP)):
            for first, last in runs(row[4] for row in group):
                gone.append((number, epoch, lane, first, last, int(is_gap)))
        self._sql.begin()
        try:
            self._sql.many(
                "DELETE FROM records WHERE device_no = ? AND epoch = ? AND lane = ? AND seq BETWEEN ? AND ?"
                f" AND (CASE WHEN kind = {int(Kind.GAP)} THEN 1 ELSE 0 END) = ?",
                gone,
            )
            self._sql.commit()
        except JournalError:
            self._sql.rollback()
            raise

    # ---- reading ------------------------------------------------------------------------------------

    def records(self, number: int, device: str, epoch: int | None, lane: Lane | None) -> Iterator[StoredRecord]:
        for stream in self._streams(number, device):
            if epoch in (None, stream.epoch) and lane in (None, stream.lane):
                # The near ones first: what is moved meanwhile is then found far as well, never nowhere.
                near = self._near.records(number, device, stream.epoch, stream.lane)
                ranked = ((s, 1) for s in near), ((s, 0) for s in self._far.records(stream))
                yield from _once(heapq.merge(*ranked, key=lambda found: found[0].seq))

    def runs(self, number: int, device: str) -> Iterator[tuple[StreamKey, int, int]]:
        found: dict[StreamKey, list[tuple[int, int]]] = {}
        for stream, first, last in (*self._near.runs(number, device), *self._far.runs(device)):
            found.setdefault(stream, []).append((first, last))
        for stream in sorted(found, key=lambda s: (signed(s.epoch), s.lane)):
            joined = Progress(0, found[stream])
            start = [(1, joined.position)] if joined.position else []
            yield from ((stream, first, last) for first, last in (*start, *joined.ahead))

    def count(self, number: int, device: str) -> int:
        return sum(last - first + 1 for _stream, first, last in self.runs(number, device))

    def close(self) -> None:
        """What is being moved is finished first."""
        self._thread.shutdown(wait=True)
        try:
            if self._moving is not None and not self._sql.in_transaction:
                self._finish(*self._moving)
        except JournalError as err:
            _log.warning("receiver: %s; it is moved again later", err)
        finally:
            self._far.close()

    def _streams(self, number: int, device: str) -> list[StreamKey]:
        rows = self._sql.rows("SELECT epoch, lane FROM positions WHERE device_no = ? ORDER BY epoch, lane", number)
        return [StreamKey(device, unsigned(epoch), Lane(lane)) for epoch, lane in rows]


def _once(records: Iterable[tuple[StoredRecord, int]]) -> Iterator[StoredRecord]:
    """Of several under one number, with their rank (far 0, near 1), the one that is no gap; of two such the far one,
    which was there before."""
    for _seq, group in groupby(records, lambda found: found[0].seq):
        yield min(group, key=lambda found: (found[0].record.kind == Kind.GAP, found[1]))[0]


def _far_row(row: tuple[Any, ...]) -> FarRow:
    name, _number, epoch, *rest = row
    return FarRow(name, hex_of(unsigned(epoch)), *rest)
