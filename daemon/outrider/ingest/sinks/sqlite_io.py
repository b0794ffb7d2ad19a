"""``SqliteSql``: a receiver's database in one SQLite file, WAL, synchronous = FULL. It has one writer at a time.

Other processes may read it while it is written (``read_only``); they must never write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from outrider.errors import InputError, JournalError
from outrider.files_io import make_private
from outrider.ingest.sinks.schema import LATEST, MIGRATIONS, VERSION
from outrider.ingest.sinks.sql import FOR_UPDATE

_PUT: Final = (
    "INSERT INTO records VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (device_no, epoch, lane, seq) DO UPDATE SET"
    " kind = excluded.kind, category = excluded.category, schema = excluded.schema, boot_id = excluded.boot_id,"
    " t_us = excluded.t_us, body = excluded.body, received_utc_us = excluded.received_utc_us WHERE records.kind = 7"
)


@contextmanager
def refusals() -> Iterator[None]:
    """What the database refuses, as a JournalError."""
    try:
        yield
    except sqlite3.Error as err:
        raise JournalError(f"database: {err}") from None


class SqliteSql:
    """See the module and ``Sql``."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> SqliteSql:
        """Open, and create when writing. InputError: no receiver's database; JournalError: cannot be opened."""
        try:
            if read_only:
                db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            else:
                make_private(path)  # it holds places of people
                db = sqlite3.connect(path, isolation_level=None)
        except sqlite3.Error as err:
            raise JournalError(f"{path}: {err}") from None
        try:
            _prepare(db, path, read_only)
        except sqlite3.DatabaseError as err:
            db.close()
            raise InputError(f"cannot be used as the receiver's database: {err}", path=path) from None
        except InputError:
            db.close()
            raise
        return cls(db)

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def begin(self) -> None:
        with refusals():
            if not self._db.in_transaction:
                self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        with refusals():
            if self._db.in_transaction:
                self._db.execute("COMMIT")

    def rollback(self) -> None:
        with suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with refusals():
            return self._db.execute(query.replace(FOR_UPDATE, ""), values).fetchall()

    def stream(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        with refusals():
            yield from self._db.execute(query, values)

    def many(self, query: str, rows: Iterable[Sequence[object]]) -> None:
        with refusals():
            self._db.executemany(query, rows)

    def elect(self) -> bool:
        return True  # one process writes

    def put_records(self, rows: Sequence[Sequence[object]]) -> None:
        self.many(_PUT, rows)

    def close(self) -> None:
        self._db.close()


def _prepare(db: sqlite3.Connection, path: Path, read_only: bool) -> None:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    is_empty = version == 0 and not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if read_only and version in MIGRATIONS:
        raise InputError(f"is of version {version}: `outrider ingest` brings it to version {VERSION}", path=path)
    if version != VERSION and version not in MIGRATIONS and (read_only or not is_empty):
        raise InputError(f"is no receiver's database of version {VERSION} (found {version})", path=path)
    if read_only:
        return
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    if is_empty:
        db.executescript(f"BEGIN;{LATEST}PRAGMA user_version = {VERSION};COMMIT;")
    for older in range(version, VERSION if version else 0):
        db.executescript(f"BEGIN;{MIGRATIONS[older]}PRAGMA user_version = {older + 1};COMMIT;")
