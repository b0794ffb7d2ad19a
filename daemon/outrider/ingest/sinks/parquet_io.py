"""``ParquetShelf``: records as Parquet files, ``DIR/records/day=YYYY-MM-DD/bucket=NN/*.parquet``, through DuckDB.

day: UTC day on which the receiver got them. bucket: of the device, by its name. A file is written under a temporary
name, synced and renamed, so that what has its name is whole. Tidying makes one file of the many of a past day, sorted
by device, epoch, lane and sequence, without repetitions. Readers hold a shared lock on ``DIR/.lock`` while they read,
tidying an exclusive one when nobody reads.
"""

from __future__ import annotations

import fcntl
import os
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import duckdb

from outrider.errors import JournalError
from outrider.ingest.core import StreamKey
from outrider.ingest.sinks.shelf_far import FarRow, hex_of, record_of, stream_of
from outrider.model.record import Kind, StoredRecord

_TYPES: Final = (
    "varchar", "varchar", "utinyint", "bigint", "utinyint", "utinyint", "utinyint", "uinteger", "bigint", "blob",
    "bigint",
)  # fmt: skip
_SORTED: Final = "ORDER BY device, epoch, lane, seq"
# Of several rows under one number: the first that is no gap.
_ONCE: Final = (
    "QUALIFY row_number() OVER (PARTITION BY device, epoch, lane, seq"
    f" ORDER BY kind = {int(Kind.GAP)}, received_utc_us) = 1"
)
_RECORD: Final = "epoch, lane, seq, kind, category, schema, boot_id, t_us, body"
_PAGE: Final = 10_000
_ROW_GROUP: Final = 20_480  # rows; small, so that looking up a few numbers reads little


class ParquetShelf:
    """See the module. buckets: 1 to 256, for fleets 16 or so; a directory may hold files of several counts."""

    def __init__(self, directory: Path, buckets: int = 1) -> None:
        self._root = directory / "records"
        self._buckets = buckets
        self._lock = directory / ".lock"
        try:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._lock.touch(mode=0o640)
            _sync(directory)
            with suppress(PermissionError):  # a parent that we may enter only
                _sync(directory.parent)
        except OSError as err:
            raise JournalError(f"{directory}: {err.strerror}") from None
        self._db = _connect()

    # ---- on the mover's thread ----------------------------------------------------------------------

    def add(self, rows: Sequence[FarRow]) -> None:
        with _refusals(), _connect() as db:
            for place, group in groupby(sorted(rows, key=lambda row: (self._place(row), row[:4])), self._place):
                columns = [list(column) for column in zip(*group, strict=True)]
                values = ",".join(
                    f"unnest(${n}::{kind}[]) AS {name}"
                    for n, (name, kind) in enumerate(zip(FarRow._fields, _TYPES, strict=True), 1)
                )
                self._write(db, f"SELECT {values}", columns, self._root / place)

    def tidy(self) -> None:
        """Past days of more than one file. What a reader has open waits for the next time."""
        today = _day(datetime.now(UTC).timestamp() * 1e6)
        for day in sorted(self._root.glob("day=*")):
            for bucket in sorted(day.iterdir()):
                _remove_unfinished(bucket)
                if day.name < today and len(list(bucket.glob("*.parquet"))) > 1:
                    self._merge(bucket)

    def _merge(self, bucket: Path) -> None:
        with _refusals(), _locked(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB) as got:
            if not got:
                return
            files = sorted(bucket.glob("*.parquet"))
            with _connect(self._lock.parent) as db:
                names = [str(file) for file in files]
                source = f"SELECT {', '.join(FarRow._fields)} FROM read_parquet($1, hive_partitioning = false) {_ONCE}"
                self._write(db, source, [names], bucket)
            for file in files:
                file.unlink()
            _sync(bucket)

    def _write(self, db: Any, source: str, values: list[Any], folder: Path) -> None:
        """A file that is whole and on disk, with its name, or none."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        for parent in (folder.parent, folder.parent.parent):  # also where a crash came between: what has its name stays
            _sync(parent)
        name = uuid.uuid4().hex
        unfinished = folder / f"{name}.tmp"
        try:
            db.execute(f"CREATE OR REPLACE TEMP TABLE piece AS {source}", values)
            db.execute(
                f"COPY (FROM piece {_SORTED}) TO '{_quoted(unfinished)}'"
                f" (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"
            )
            unfinished.chmod(0o640)
            _sync(unfinished)
            unfinished.rename(folder / f"{name}.parquet")
            _sync(folder)
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)

    def _place(self, row: FarRow) -> str:
        bucket = zlib.crc32(row.device.encode()) % self._buckets
        return f"{_day(row.received_utc_us)}/bucket={bucket:02}"

    # ---- on the sink's thread -----------------------------------------------------------------------

    def held(self, stream: StreamKey, first: int, last: int) -> dict[int, StoredRecord]:
        where = "device = ? AND epoch = ? AND lane = ? AND seq BETWEEN ? AND ?"
        values = (stream.device, hex_of(stream.epoch), int(stream.lane), first, last)
        rows = self._rows(f"SELECT {_RECORD} FROM found WHERE {where} {_ONCE}", values)
        return {stored.seq: stored for stored in map(record_of, rows)}

    def records(self, stream: StreamKey) -> Iterator[StoredRecord]:
        where = "device = ? AND epoch = ? AND lane = ?"
        values = (stream.device, hex_of(stream.epoch), int(stream.lane))
        return map(record_of, self._rows(f"SELECT {_RECORD} FROM found WHERE {where} {_ONCE} ORDER BY seq", values))

    def runs(self, device: str) -> Iterator[tuple[StreamKey, int, int]]:
        query = """
            SELECT epoch, lane, min(seq), max(seq) FROM (
              SELECT epoch, lane, seq, seq - row_number() OVER (PARTITION BY epoch, lane ORDER BY seq) AS island
              FROM (SELECT DISTINCT epoch, lane, seq FROM found WHERE device = ?)
            ) GROUP BY epoch, lane, island ORDER BY epoch, lane, min(seq)"""
        for epoch, lane, first, last in self._rows(query, (device,)):
            yield stream_of(device, epoch, lane), first, last

    def close(self) -> None:
        self._db.close()

    def _rows(self, query: str, values: Sequence[object]) -> Iterator[tuple[Any, ...]]:
        """Rows of a query on ``found``, all files that are there when it begins."""
        with _refusals(), _locked(self._lock, fcntl.LOCK_SH):
            files = sorted(str(file) for file in self._root.glob("day=*/bucket=*/*.parquet"))
            if not files:
                return
            listed = ",".join(f"'{_quoted(file)}'" for file in files)
            found = f"WITH found AS (SELECT * FROM read_parquet([{listed}], hive_partitioning = false)) "
            with closing(self._db.cursor()) as cursor:
                cursor.execute(found + query, list(values))
                while page := cursor.fetchmany(_PAGE):
                    yield from page


def _connect(spill: Path | None = None) -> Any:
    """One thread and 1 GB at most, what is more goes to ``spill``: the receiver shares its machine."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "autoinstall_known_extensions": False,
        "memory_limit": "1GB",
    }
    if spill is not None:
        config["temp_directory"] = str(spill / ".spill")
    return duckdb.connect(config=config)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, OSError) as err:
        words = str(err).splitlines()[0] if str(err) else type(err).__name__
        raise JournalError(f"parquet: {words}") from None


@contextmanager
def _locked(path: Path, how: int) -> Iterator[bool]:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        try:
            fcntl.flock(file, how)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(file)


def _remove_unfinished(folder: Path) -> None:
    """Files that a crash left without their name; only this thread writes some."""
    for file in folder.glob("*.tmp"):
        with suppress(OSError):
            if file.stat().st_mtime < datetime.now(UTC).timestamp() - 86_400:  # of another worker, perhaps
                file.unlink()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _day(utc_us: float) -> str:
    return f"day={datetime.fromtimestamp(utc_us / 1e6, UTC):%Y-%m-%d}"


def _quoted(path: object) -> str:
    return str(path).replace("'", "''")
