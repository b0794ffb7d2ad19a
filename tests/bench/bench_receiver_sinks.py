"""Records a second that each sink stores durably, in one worker, beside one row and one commit a record.

Telemetry rows of 26 signals in batches of 60 from 40 terminals, 20 batches a commit; decoding is not counted. The
plain store: the same rows as JSON, one INSERT and one COMMIT each, SQLite in WAL with synchronous = FULL. PostgreSQL: a
server of its own on a Unix socket with fsync, one worker. Shelves: with everything moved and tidied, within the time.
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from outrider.ingest.sinks.sinks_io import open_store  # noqa: E402  path first
from outrider.model.record import Category, Kind, Lane, Record, StoredRecord, TelemetryRow  # noqa: E402
from outrider.wire.bodies import encode_body  # noqa: E402
from outrider.wire.codec import Batch  # noqa: E402
from outrider.wire.rows import split_row  # noqa: E402
from tests.support.postgres import make_server  # noqa: E402

DEVICES, ROUNDS, ROWS, GROUP = 40, 60, 60, 20
NOW = 1_790_000_000_000_000


def batches() -> list[Batch]:
    """Round after round of all terminals; values walk."""
    rng = random.Random(1)
    values = {device: [rng.randrange(1 << 20) for _ in range(26)] for device in range(DEVICES)}
    made = []
    for number in range(ROUNDS):
        for device in range(DEVICES):
            records = []
            for row in range(ROWS):
                seq = number * ROWS + row + 1
                values[device] = [v + rng.randrange(-9, 10) for v in values[device]]
                body = encode_body(TelemetryRow(1, tuple(enumerate(values[device]))))
                record = Record(Lane.TELEMETRY, Kind.TELEMETRY, Category.DRIVING, 7, seq * 1_000_000, body)
                records.append(StoredRecord(5, seq, record))
            made.append(Batch(f"car-{device}", 5, Lane.TELEMETRY, tuple(records), number * ROWS))
    return made


def measure(store: Callable[[], Any], work: list[Batch], folder: Path | None) -> dict[str, float]:
    """Records a second; bytes a record on disk where the folder is known."""
    count = sum(len(batch.records) for batch in work)
    sink = store()
    begun = time.perf_counter()
    for start in range(0, len(work), GROUP):
        group = work[start : start + GROUP]
        sink.reserve(group)
        for batch in group:
            sink.mark()
            sink.accept(batch, NOW)
        sink.commit()
        sink.tend()
    sink.settle()
    seconds = time.perf_counter() - begun
    assert sum(device["records"] for device in sink.devices()) == count
    sink.close()
    told = {"records_per_s": round(count / seconds)}
    if folder is not None:
        told["bytes_per_record"] = round(sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / count, 1)
    return told


def plain(work: list[Batch], folder: Path) -> dict[str, float]:
    """One row, one commit; for a few seconds."""
    db = sqlite3.connect(folder / "plain.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, device TEXT, t_us INTEGER, body TEXT)")
    rows: Iterator[tuple[str, StoredRecord]] = ((b.device, s) for b in work for s in b.records)
    count, begun = 0, time.perf_counter()
    for device, stored in rows:
        text = json.dumps({"signals": split_row(stored.record.body)[2]})
        db.execute("INSERT INTO rows (device, t_us, body) VALUES (?,?,?)", (device, stored.record.t_us, text))
        count += 1
        if time.perf_counter() - begun > 5:
            break
    seconds = time.perf_counter() - begun
    db.close()
    return {"records_per_s": round(count / seconds)}


def main() -> None:
    work = batches()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("plain", "sqlite", "parquet", "register"):
            (folder / part).mkdir()
        found["one_row_one_commit"] = plain(work, folder / "plain")
        url = f"sqlite:{folder / 'sqlite' / 'r.db'}"
        found["sqlite"] = measure(lambda: open_store(url), work, folder / "sqlite")
        parquet = f"parquet:{folder / 'parquet'}?every_s=5"
        found["parquet"] = measure(lambda: open_store(parquet), work, folder / "parquet" / "records")
        with suppress(ImportError):
            import chdb  # type: ignore[import-untyped]  # noqa: F401  a ClickHouse of its own

            click = f"chdb:{folder / 'clickhouse'}"
            register = f"sqlite:{folder / 'register' / 'r.db'}"
            found["clickhouse_embedded"] = measure(lambda: open_store(click, register), work, None)
        server = make_server(fsync=True)
        database = next(server).url("bench")
        try:
            found["postgresql"] = measure(lambda: open_store(database), work, None)
        finally:
            server.close()
    base = found["one_row_one_commit"]["records_per_s"]
    for told in found.values():
        told["times_plain"] = round(told["records_per_s"] / base, 1)
    print(json.dumps({"sinks": found}, indent=1))


if __name__ == "__main__":
    main()
