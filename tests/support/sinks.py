"""Every kind of sink under one handle, so that the same test body runs on all."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from outrider.ingest.sinks.sink import Accepted
from outrider.ingest.sinks.sinks_io import open_store
from outrider.ingest.sinks.store_io import Store
from outrider.wire.codec import Batch
from tests.support.postgres import PostgresServer

KINDS = ("sqlite", "postgresql", "parquet-far", "clickhouse-far")


@dataclass
class SinkKit:
    """url, register: of one sink of a test's own. A kind ``-far``: what was accepted is committed and moved to the far
    shelf before the next batch is accepted, so that every rule meets records that are there."""

    kind: str
    url: str
    register: str | None = None
    opened: list[Store] = field(default_factory=list)

    def open(self, *, read_only: bool = False, max_dead_letters: int = 10_000) -> Store:
        store = open_store(self.url, self.register, read_only=read_only, max_dead_letters=max_dead_letters)
        self.opened.append(store)
        if self.kind.endswith("-far") and not read_only:
            _move_before_accepting(store)
        return store

    def close(self) -> None:
        for store in self.opened:
            store.close()


def _move_before_accepting(store: Store) -> None:
    accept = store.accept

    def moved_first(batch: Batch, utc_us: int) -> Accepted:
        store.commit()
        store.settle()
        store.shelf._ask_s = 0.0  # type: ignore[attr-defined]  # of the far kinds: a slow machine is asked all the same
        return accept(batch, utc_us)

    store.accept = moved_first  # type: ignore[method-assign]  # of this one object


def make_kit(kind: str, directory: Path, request: pytest.FixtureRequest) -> SinkKit:
    """kind: of ``KINDS``. Skips the test where its engine is not installed."""
    if kind == "sqlite":
        return SinkKit(kind, f"sqlite:{directory / 'r.db'}")
    if kind == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        return SinkKit(kind, server.url(f"s{uuid.uuid4().hex[:12]}"))
    if kind.startswith("parquet"):
        pytest.importorskip("duckdb", reason="needs duckdb: pip install outrider[ingest]")
        register = None  # its own; far from it, in PostgreSQL
        if kind.endswith("-far"):
            register = request.getfixturevalue("postgres").url(f"s{uuid.uuid4().hex[:12]}")
        return SinkKit(kind, f"parquet:{directory / 'shelf'}?buckets=3", register)
    pytest.importorskip("chdb", reason="needs ClickHouse in a process: pip install chdb")
    table = f"t{uuid.uuid4().hex[:12]}"  # one engine and directory for the process
    engine: Path = request.getfixturevalue("clickhouse_directory")
    return SinkKit(kind, f"chdb:{engine}?table={table}", f"sqlite:{directory / 'register.db'}")


@pytest.fixture(scope="session")
def clickhouse_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clickhouse")
