"""Opening a sink by its URL: which database, which shelf, and whether others may write it at the same time.

::

    sqlite:PATH                       register and records in one file; one worker
    postgresql://USER@HOST/DATABASE   register and records; any number of workers
    clickhouse://USER@HOST/DATABASE   records; the register is another database (``register``: sqlite: or postgresql:)
    chdb:DIRECTORY                    the same, with ClickHouse inside of the process; one worker
    parquet:DIRECTORY                 records as files; the register is DIRECTORY/register.db or ``register``

``sqlite:///a/b`` is ``sqlite:/a/b``. Client libraries are imported where a sink needs them.
"""

from __future__ import annotations

from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from outrider.errors import ConfigError, InputError
from outrider.ingest.lock_io import locked
from outrider.ingest.options import ReceiverOptions
from outrider.ingest.sinks.shelf import Shelf
from outrider.ingest.sinks.shelf_far import Far
from outrider.ingest.sinks.shelf_table_io import TableShelf
from outrider.ingest.sinks.shelf_tiered_io import MoveOptions, TieredShelf
from outrider.ingest.sinks.sql import Sql
from outrider.ingest.sinks.sqlite_io import SqliteSql
from outrider.ingest.sinks.store_io import Store


def open_sink(options: ReceiverOptions) -> Store:
    """The sink that the options name, for one worker on the calling thread; close it at the end. ConfigError: no such
    sink. InputError or JournalError: the database cannot be opened. JournalLockedError: it takes one worker, and
    another has it."""
    url = options.sink or f"sqlite:{options.database}"
    return open_store(url, options.register, max_dead_letters=options.max_dead_letters)


def open_store(
    url: str, register: str | None = None, *, read_only: bool = False, max_dead_letters: int = 10_000
) -> Store:
    """A sink for writing (as ``open_sink``) or, beside others, for reading."""
    kind, parameters = _kind(url), _parameters(url)
    _need(kind, "" if register is None else _kind(register))
    with ExitStack() as stack:
        sql = _register(_register_url(url, kind, register), stack, read_only)
        _check_shelf(sql, kind, read_only)
        shelf: Shelf
        if kind in ("sqlite", "postgresql"):
            shelf = TableShelf(sql)
        else:
            shelf = TieredShelf(sql, _far(kind, url, parameters), _moves(kind, parameters))
        store = Store(sql, shelf, max_dead_letters)
        store.at_close(stack.pop_all().close)
        return store


_LIBRARIES: Final = {
    "postgresql": ("asyncpg",),
    "clickhouse": ("clickhouse_connect",),
    "chdb": ("clickhouse_connect", "chdb"),
    "parquet": ("duckdb",),
}


def _need(*kinds: str) -> None:
    """ConfigError where a client library is missing."""
    for name in (name for kind in kinds for name in _LIBRARIES.get(kind, ())):
        if find_spec(name) is None:
            package = "chdb" if name == "chdb" else "'outrider[ingest]'"
            raise ConfigError(f"this sink needs {name}, not installed here: pip install {package}")


def _register_url(url: str, kind: str, register: str | None) -> str:
    if kind in ("sqlite", "postgresql"):
        if register is not None:
            raise ConfigError(f"--register is for shelves; {kind} keeps both in one place")
        return url
    if register is not None:
        if _kind(register) not in ("sqlite", "postgresql"):
            raise ConfigError(f"--register {_bare(register)!r}: sqlite:PATH or postgresql://… are registers")
        return register
    if kind == "clickhouse":
        raise ConfigError("clickhouse keeps records only: name a --register (sqlite:PATH or postgresql://…)")
    return f"sqlite:{_path(url) / 'register.db'}"


def _register(url: str, stack: ExitStack, read_only: bool) -> Sql:
    if _kind(url) == "sqlite":
        path = _path(url)
        if not read_only:
            if path.name == "register.db":
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            stack.enter_context(locked(path))
        sql: Sql = SqliteSql.open(path, read_only=read_only)
    else:
        from outrider.ingest.sinks.postgres_io import PostgresSql

        sql = PostgresSql.open(url, read_only=read_only)
    stack.callback(sql.close)
    return sql


def _far(kind: str, url: str, parameters: dict[str, str]) -> Far:
    if kind == "parquet":
        from outrider.ingest.sinks.parquet_io import ParquetShelf

        return ParquetShelf(_path(url), int(_number(parameters, "buckets", 1, 1, 256)))
    from outrider.ingest.sinks.clickhouse_io import ClickHouseOptions, ClickHouseShelf

    table = parameters.get("table", "outrider_records")
    if not all(part.isidentifier() for part in table.split(".")):
        raise ConfigError(f"table {table!r} is no name")
    if kind == "chdb":
        return ClickHouseShelf(ClickHouseOptions({"interface": "chdb", "path": str(_path(url))}, table))
    is_secure = parameters.get("secure", "0") in ("1", "true")
    try:
        parts = urlsplit(url)
        port = parts.port or (8443 if is_secure else 8123)
    except ValueError:  # its words may hold a part of a password
        raise ConfigError("the URL cannot be read: write clickhouse://USER@HOST:PORT/DATABASE") from None
    connect = {
        "host": parts.hostname or "localhost",
        "port": port,
        "username": unquote(parts.username or "default"),
        "password": unquote(parts.password or ""),
        "database": parts.path.strip("/") or "default",
        "secure": is_secure,
        "connect_timeout": 5,
        "send_receive_timeout": 60,
    }
    return ClickHouseShelf(ClickHouseOptions(connect, table))


def _moves(kind: str, parameters: dict[str, str]) -> MoveOptions:
    default = 60.0 if kind == "parquet" else 2.0
    return MoveOptions(every_s=_number(parameters, "every_s", default, 0, 86_400))


def _check_shelf(sql: Sql, kind: str, read_only: bool) -> None:
    """A register whose records are moved elsewhere is no sink of its own: what was moved would count as new again."""
    rows = sql.rows("SELECT value FROM meta WHERE name = 'shelf'")
    there = rows[0][0] if rows else None
    wanted = None if kind in ("sqlite", "postgresql") else kind
    if there is not None and there != wanted:
        raise InputError(f"this register belongs to a shelf of the kind {there}: name that as --sink")
    if there is None and wanted is not None and not read_only:
        sql.begin()
        sql.many("INSERT INTO meta VALUES ('shelf', ?) ON CONFLICT (name) DO NOTHING", [(wanted,)])
        sql.commit()


# ---- URLs ---------------------------------------------------------------------------------------


def _kind(url: str) -> str:
    kind = url.partition(":")[0].replace("postgres", "postgresql").replace("postgresqlql", "postgresql")
    if ":" not in url or kind not in ("sqlite", "postgresql", "clickhouse", "chdb", "parquet"):
        raise ConfigError(
            f"{_bare(url)!r} is no sink: sqlite:PATH, postgresql://…, clickhouse://… or parquet:DIRECTORY are"
        )
    return kind


def _path(url: str) -> Path:
    """Of a URL that names a file: ``kind:path`` or ``kind:///path``."""
    kind, _colon, rest = url.partition(":")
    rest = rest.partition("?")[0]
    if rest.startswith("//"):
        if not rest.startswith("///"):
            raise ConfigError(f"{url!r} names a host; write {kind}:PATH or {kind}:///PATH")
        rest = rest[2:]
    if not rest:
        raise ConfigError(f"{url!r} names no path")
    return Path(unquote(rest))


def _parameters(url: str) -> dict[str, str]:
    return dict(parse_qsl(url.partition("?")[2]))


def _number(parameters: dict[str, str], name: str, default: float, least: float, most: float) -> float:
    try:
        value = float(parameters.get(name, default))
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise ConfigError(f"{name}={parameters[name]}: a number from {least:g} to {most:g} is expected")
    return value


def _bare(url: str) -> str:
    """Without its password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{url.partition(':')[0]}:…"
    return url if parts.password is None else url.replace(f":{parts.password}@", ":***@")
