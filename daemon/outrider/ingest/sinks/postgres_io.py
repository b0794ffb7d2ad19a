"""``PostgresSql``: the receiver's database in PostgreSQL 13 or newer, through asyncpg; any number of workers.

The loop that asyncpg needs is the connection's own and runs only inside a call. A connection that is lost is opened
again by the next transaction; what was in the last one is not stored, and whoever sent it sends it again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode

import asyncpg
from asyncpg.exceptions import InternalClientError

from outrider.errors import ConfigError, InputError, JournalError
from outrider.ingest.sinks.schema_postgres import MIGRATIONS, TABLES, VERSION
from outrider.ingest.sinks.sql import FOR_UPDATE

_T = TypeVar("_T")
_FAULTS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, InternalClientError, OSError, EOFError)
_COMMAND_S: Final = 60.0  # a server that does not answer for so long is taken for lost
_AT_A_TIME: Final = 10_000
_LOCK: Final = 0x6F757472  # "outr": of the advisory lock under which tables are made
_TYPES: Final = "bigint bigint smallint bigint smallint smallint smallint bigint bigint bytea bigint"  # of records
_PUT: Final = (
    "INSERT INTO records SELECT * FROM unnest("
    + ",".join(f"${n}::{kind}[]" for n, kind in enumerate(_TYPES.split(), 1))
    + ") ON CONFLICT (device_no, epoch, lane, seq) DO UPDATE SET kind = excluded.kind, category = excluded.category,"
    " schema = excluded.schema, boot_id = excluded.boot_id, t_us = excluded.t_us, body = excluded.body,"
    " received_utc_us = excluded.received_utc_us WHERE records.kind = 7"
)
_SETTINGS: Final = {
    "application_name": "outrider-ingest",
    "default_transaction_isolation": "read committed",  # what is read after a lock was waited for must be of then
    "lock_timeout": "30s",  # a worker that hangs must not hang the others for ever
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "10",  # nor one whose machine is gone
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


class PostgresSql:
    """See the module and ``Sql``. url: as for libpq; ``schema=NAME`` among its parameters (default ``outrider``)."""

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self._url, self._schema = _split(url)
        self._read_only = read_only
        self._loop = asyncio.new_event_loop()
        self._connection: Any = None
        self._in_transaction = False
        self._elected: Any = None

    @classmethod
    def open(cls, url: str, *, read_only: bool = False) -> PostgresSql:
        """Connect, and make the tables when writing. ConfigError: no such URL; InputError: not ours, or of another
        version; JournalError: cannot be reached."""
        made = cls(url, read_only=read_only)
        try:
            made._run(made._prepare)
        except BaseException:
            made.close()
            raise
        return made

    @property
    def in_transaction(self) -> bool:
        return self._in_transaction

    def begin(self) -> None:
        if not self._in_transaction:
            self._run(self._begin)
            self._in_transaction = True

    def commit(self) -> None:
        if self._in_transaction:
            self._run(self._commit)
            self._in_transaction = False

    def rollback(self) -> None:
        if self._in_transaction:
            self._in_transaction = False
            try:
                self._run(lambda: self._connection.execute("ROLLBACK"))
            except JournalError:
                self._drop()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._run(lambda: self._fetch(query, values))]

    def stream(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Pages of a cursor, in a transaction: one is opened for reading when none is open."""
        own = not self._in_transaction
        self._run(self._ready)
        if own:
            self._run(lambda: self._connection.execute("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ"))
        try:
            cursor = self._run(lambda: _cursor(self._connection, _dollars(query), values))
            while page := self._run(lambda: cursor.fetch(_AT_A_TIME)):
                yield from map(tuple, page)
        finally:
            if own:
                with suppress(JournalError):
                    self._run(lambda: self._connection.execute("ROLLBACK"))

    def many(self, query: str, rows: Iterable[Sequence[object]]) -> None:
        clean = [[_clean(value) for value in row] for row in rows]
        self._run(lambda: self._connection.executemany(_dollars(query), clean))

    def elect(self) -> bool:
        """By a lock that PostgreSQL frees with the connection."""
        if self._elected is None or self._elected is not self._connection:
            got = self.rows("SELECT pg_try_advisory_lock(?, hashtext(?))", _LOCK, self._schema)[0][0]
            self._elected = self._connection if got else None
        return self._elected is not None

    def put_records(self, rows: Sequence[Sequence[object]]) -> None:
        for start in range(0, len(rows), _AT_A_TIME):
            columns = [list(column) for column in zip(*rows[start : start + _AT_A_TIME], strict=True)]
            self._run(lambda columns=columns: self._connection.execute(_PUT, *columns))  # type: ignore[misc]  # bound now

    def close(self) -> None:
        if not self._loop.is_closed():
            self._drop()
            self._loop.close()

    # ---- leaves -----------------------------------------------------------------------------------

    def _run(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        if self._loop.is_closed():
            raise JournalError("database: the connection is closed")
        try:
            return self._loop.run_until_complete(work())
        except (asyncpg.PostgresError, asyncpg.DataError) as err:
            raise JournalError(f"database: {_words(err)}") from None
        except _FAULTS as err:  # it hangs, or asyncpg lost its way when it was lost in the middle of a call
            if self._connection is not None:
                self._connection.terminate()
            raise JournalError(f"database: {_words(err)}") from None

    async def _fetch(self, query: str, values: Sequence[object]) -> list[Any]:
        await self._ready()
        values = [_clean(value) for value in values]
        found: list[Any] = await self._connection.fetch(_dollars(query), *values)
        return found

    async def _begin(self) -> None:
        await self._ready()
        await self._connection.execute("BEGIN")

    async def _commit(self) -> None:
        if (done := await self._connection.execute("COMMIT")) != "COMMIT":
            raise JournalError(f"database: the transaction had failed and was ended by {done}")

    async def _ready(self) -> None:
        if self._connection is None or self._connection.is_closed():
            if self._in_transaction:
                raise JournalError("database: the connection was lost")
            self._connection = None
            self._connection = await self._connect()

    async def _connect(self) -> Any:
        settings = {**_SETTINGS, "search_path": f'"{self._schema}"'}
        if self._read_only:
            settings["default_transaction_read_only"] = "on"
        try:
            connection = await asyncpg.connect(
                self._url, timeout=10, command_timeout=_COMMAND_S, server_settings=settings
            )
        except asyncpg.InterfaceError:
            raise
        except ValueError:  # its words may hold a part of a password
            raise ConfigError("the URL cannot be read: write postgresql://USER@HOST:PORT/DATABASE") from None
        if await connection.fetchval("SHOW synchronous_commit") in ("off", "local"):
            await connection.execute("SET synchronous_commit = on")  # an acknowledgement frees a terminal's flash
        return connection

    async def _prepare(self) -> None:
        await self._ready()
        c = self._connection
        if self._read_only:
            self._check(await self._version())
            return
        async with c.transaction():
            await c.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            await c.execute(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"')
            version = await self._version()
            if version == 0:
                await c.execute(TABLES)
                version = VERSION
            while version in MIGRATIONS:
                await c.execute(MIGRATIONS[version])
                version += 1
            self._check(version)
            await c.execute(
                "INSERT INTO meta VALUES ('version', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                str(version),
            )

    async def _version(self) -> int:
        """0: nothing is there yet."""
        c = self._connection
        names = "SELECT count(*) FROM information_schema.tables WHERE table_schema = $1"
        if not await c.fetchval(names, self._schema):
            return 0
        if not await c.fetchval(f"{names} AND table_name = 'meta'", self._schema):
            raise InputError(f'schema "{self._schema}" holds tables of others; name another one (?schema=NAME)')
        return int(await c.fetchval("SELECT value FROM meta WHERE name = 'version'") or 0)

    def _check(self, version: int) -> None:
        if version != VERSION:
            raise InputError(f'schema "{self._schema}" is no receiver\'s of version {VERSION} (found {version})')

    def _drop(self) -> None:
        connection, self._connection, self._in_transaction = self._connection, None, False
        if connection is not None:
            with suppress(JournalError):
                self._run(lambda: _end(connection))


async def _end(connection: Any) -> None:
    try:
        await connection.close(timeout=2)
    except _FAULTS:
        connection.terminate()


async def _cursor(connection: Any, query: str, values: Sequence[object]) -> Any:
    return await connection.cursor(query, *values)


def _split(url: str) -> tuple[str, str]:
    """The URL for the driver, and the schema."""
    base, _mark, query = url.partition("?")
    given = dict(parse_qsl(query))
    schema = given.pop("schema", "outrider")
    if not re.fullmatch("[a-z_][a-z0-9_]{0,62}", schema):
        raise ConfigError(f"{schema!r} is no name of a schema: lower case letters, digits and underscores")
    return f"{base}?{urlencode(given)}" if given else base, schema


@lru_cache(maxsize=512)
def _dollars(query: str) -> str:
    """PostgreSQL numbers its values."""
    parts = query.replace(FOR_UPDATE, "FOR UPDATE").split("?")
    return "".join(part if n == 0 else f"${n}{part}" for n, part in enumerate(parts))


def _clean(value: object) -> object:
    """PostgreSQL has no NUL in texts; one from outside must not stop a transaction."""
    return value.replace("\x00", "\ufffd") if isinstance(value, str) else value


def _words(err: BaseException) -> str:
    return str(err).splitlines()[0] if str(err) else type(err).__name__
