"""Telemetry of a terminal as a table for people: a row a record, a column a signal, values in their units.

Column names are ``Vehicle.Speed (km/h)``; a column whose numbers have names has another one ``… (text)``. Before them:
``time`` (UTC, as far as clock fixes tell; else empty), ``uncertainty_s``, ``epoch``, ``seq``, ``boot_id``, ``boot_s``.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from outrider.errors import JournalError, WireError
from outrider.ingest.clock import FixPoint, resolve
from outrider.ingest.sinks.store_io import Store
from outrider.model.record import Kind, Lane, SignalSpec, SignalTable
from outrider.wire.bodies import table_id
from outrider.wire.describe import physical
from outrider.wire.rows import decode_row

_FIXED: Final = ("time", "uncertainty_s", "epoch", "seq", "boot_id", "boot_s")
_PAGE: Final = 10_000
_Cell = str | int | float | None


class SignalSheet:
    """The columns are those of all signal tables that the terminal has sent. skipped: rows whose table is not known or
    that are damaged, so far."""

    def __init__(self, store: Store, device: str) -> None:
        self._store = store
        self._device = device
        self._tables = {table_id(table): table for table in store.signal_tables(device)}
        self.columns = _columns(self._tables.values())
        self._fixes: dict[int, list[FixPoint]] = {}
        self.skipped = 0

    def rows(self) -> Iterator[list[_Cell]]:
        """In the order of ``columns``; by epoch and sequence."""
        place = {name: index for index, (name, _kind) in enumerate(self.columns)}
        for stored in self._store.records(self._device, lane=Lane.TELEMETRY):
            r = stored.record
            if r.kind != Kind.TELEMETRY:
                continue
            row: list[_Cell] = [None] * len(self.columns)
            if r.boot_id not in self._fixes:
                self._fixes[r.boot_id] = self._store.clock_fixes(self._device, r.boot_id)
            utc = resolve(self._fixes[r.boot_id], r.t_us)
            if utc is not None:
                row[:2] = [_stamp(utc.utc_us), utc.uncertainty_us / 1e6]
            row[2:6] = [f"{stored.epoch:016x}", stored.seq, r.boot_id, r.t_us / 1e6]
            try:
                told = decode_row(r.body)
                specs = {spec.id: spec for spec in self._tables[told.table_id].signals}
            except (WireError, KeyError):
                self.skipped += 1
                continue
            for signal, value in told.values:
                if (spec := specs.get(signal)) is not None:
                    row[place[_name(spec)]] = physical(spec, value)
                    if (text := dict(spec.labels).get(value)) is not None:
                        row[place[_text_name(spec)]] = text
            yield row


class _Out:
    """What ``csv`` takes for a file."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.write = write


def write_csv(sheet: SignalSheet, write: Callable[[str], object]) -> int:
    """Rows written, as RFC 4180 has it."""
    writer = csv.writer(_Out(write))
    writer.writerow([name for name, _kind in sheet.columns])
    count = 0
    for row in sheet.rows():
        writer.writerow(["" if cell is None else cell for cell in row])
        count += 1
    return count


def write_parquet(sheet: SignalSheet, path: Path) -> int:
    """Rows written. JournalError: the file cannot be written."""
    import duckdb

    unfinished = path.with_name(path.name + ".tmp")
    try:
        with duckdb.connect(config={"threads": 1}) as db:
            named = ", ".join(f'"{name}" {kind}' for name, kind in sheet.columns)
            db.execute(f"CREATE TABLE sheet ({named})")
            values = ", ".join(f"unnest(${n}::{kind}[])" for n, (_name, kind) in enumerate(sheet.columns, 1))
            count = 0
            for page in _pages(sheet.rows()):
                db.execute(f"INSERT INTO sheet SELECT {values}", [list(c) for c in zip(*page, strict=True)])
                count += len(page)
            quoted = str(unfinished).replace("'", "''")
            db.execute(f"COPY sheet TO '{quoted}' (FORMAT parquet, COMPRESSION zstd)")
        unfinished.replace(path)
        return count
    except (duckdb.Error, OSError) as err:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise JournalError(f"{path}: {err}") from None


def _pages(rows: Iterable[list[_Cell]]) -> Iterator[list[list[_Cell]]]:
    page: list[list[_Cell]] = []
    for row in rows:
        page.append(row)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


def _columns(tables: Iterable[SignalTable]) -> list[tuple[str, str]]:
    """(name, type for DuckDB) of each."""
    found: dict[str, str] = {}
    for table in tables:
        for spec in table.signals:
            found[_name(spec)] = "double"
            if spec.labels:
                found[_text_name(spec)] = "varchar"
    kinds: dict[str, Any] = {"time": "timestamp", "epoch": "varchar", "uncertainty_s": "double", "boot_s": "double"}
    return [(name, kinds.get(name, "bigint")) for name in _FIXED] + sorted(found.items())


def _name(spec: SignalSpec) -> str:
    return f"{spec.path} ({spec.unit})".replace('"', "'") if spec.unit else spec.path.replace('"', "'")


def _text_name(spec: SignalSpec) -> str:
    return f"{spec.path} (text)".replace('"', "'")


def _stamp(utc_us: int) -> str | None:
    """ISO 8601, UTC; None where a clock is absurd."""
    try:
        return datetime.fromtimestamp(utc_us / 1e6, UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return None
