"""Bytes per telemetry record on the wire, beside JSON, JSON + gzip and xz by column. Prints one JSON document.

    PYTHONPATH=daemon python tests/bench/bench_bytes.py [JOURNAL...]

Data: both files of telemetry-hour (``OUTRIDER_DATA``, default ../shared/data): 3,600 records of 16 fields. The time is
CLOCK_BOOTTIME in microseconds (the file's milliseconds times 1000), the other 15 fields are signals as they stand.
A figure is the mean over both files of the whole MQTT payload, header included, divided by its records. Sequences
start at 100,000 and the device id has 10 characters, as in the middle of a terminal's life.

JSON is an array of objects with the same names and physical values; xz by column is ``xz -9e`` over the columns of a
batch, byte planes apart, each column as the shorter of values, differences and second differences, without any header
(dictionary of 64 KiB, more than a column has). CPU is process time a record, and its ratio to JSON + gzip in this run.

Each JOURNAL is a journal directory, such as ``outrider replay FILES --journal DIR`` leaves: all records of its
telemetry lane are measured, too, signal tables and gaps included.
"""

from __future__ import annotations

import csv
import gzip
import json
import lzma
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from outrider.model.record import Category, Kind, Lane, Record, StoredRecord, TelemetryRow
from outrider.wire.bodies import encode_body
from outrider.wire.codec import MAX_RECORDS, decode_batch, encode_batch

DATA = Path(os.environ.get("OUTRIDER_DATA", Path(__file__).parents[3] / "shared" / "data")) / "telemetry-hour"
SIZES = (1, 10, 60, 300)
FIRST_SEQ = 100_000
Table = tuple[list[str], list[float], list[list[int]]]  # names, steps, rows


def load(path: Path) -> Table:
    with path.open(newline="", encoding="ascii") as file:
        names, steps, *rows = list(csv.reader(file))
    return names, [float(s) for s in steps], [[int(v) for v in row] for row in rows]


def records(rows: Sequence[Sequence[int]]) -> list[StoredRecord]:
    """What the journal would hold: boot time counted from an hour before the first row."""
    start = rows[0][0] - 3_600_000
    out = []
    for index, (ts, *values) in enumerate(rows):
        body = encode_body(TelemetryRow(0x5EED1234, tuple(enumerate(values))))
        record = Record(Lane.TELEMETRY, Kind.TELEMETRY, Category.LOCATION, 0xB0071D42, 1000 * (ts - start), body)
        out.append(StoredRecord(0xC0FFEE1234567890, FIRST_SEQ + index, record))
    return out


def as_json(table: Table, rows: Sequence[Sequence[int]]) -> bytes:
    names, steps, _ = table
    objects = [{n: round(v * s, 7) if s != 1 else v for n, v, s in zip(names, row, steps, strict=True)} for row in rows]
    return json.dumps(objects, separators=(",", ":")).encode()


def xz_columns(rows: Sequence[Sequence[int]]) -> int:
    """Bytes of the best of three orders per column, LZMA without container."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 65536}]
    total = 0
    for column in zip(*rows, strict=True):
        series, best = list(column), None
        for _ in range(3):
            zigzag = [v << 1 if v >= 0 else ~(v << 1) for v in series]
            width = max(1, (max(zigzag).bit_length() + 7) // 8)
            planes = b"".join(bytes(v >> 8 * plane & 255 for v in zigzag) for plane in range(width))
            size = len(lzma.compress(planes, lzma.FORMAT_RAW, filters=filters))
            best = size if best is None else min(best, size)
            series = [series[0], *(b - a for a, b in pairwise(series))]
        total += best or 0
    return total


def timed(call: Callable[[], Any], repeat: int = 1) -> tuple[Any, float]:
    started = time.process_time()
    for _ in range(repeat):
        result = call()
    return result, (time.process_time() - started) / repeat


def measure(size: int, tables: Sequence[Table]) -> dict[str, float]:
    """Bytes and microseconds per record at one batch size, checked to be lossless."""
    sums = dict.fromkeys(("outrider", "json", "json_gzip", "xz_columns", "encode", "decode", "json_gzip_encode"), 0.0)
    count = 0
    for table in tables:
        stored = records(table[2])
        for at in range(0, len(stored), size):
            chunk, rows = stored[at : at + size], table[2][at : at + size]
            payload, encode = timed(lambda chunk=chunk: encode_batch("veh-000123", chunk))  # type: ignore[misc]  # bound
            batch, decode = timed(lambda payload=payload: decode_batch(payload))  # type: ignore[misc]  # bound
            if list(batch.records) != chunk:
                raise SystemExit(f"records {at}..{at + size} of a file did not survive")
            text = as_json(table, rows)
            packed, gzip_s = timed(lambda rows=rows, table=table: gzip.compress(as_json(table, rows), 6))  # type: ignore[misc]  # bound
            sums["outrider"] += len(payload)
            sums["json"] += len(text)
            sums["json_gzip"] += len(packed)
            sums["xz_columns"] += xz_columns(rows) if size >= 60 else 0
            sums["encode"] += encode
            sums["decode"] += decode
            sums["json_gzip_encode"] += gzip_s
            count += len(chunk)
    return {key: value / count for key, value in sums.items()}


def measure_journal(path: Path) -> dict[str, Any]:
    """Bytes per record of the telemetry lane of a journal, as the uplink would cut it."""
    from outrider.record.journal import Journal
    from outrider.record.storage_io import DirectoryStorage

    journal = Journal.open(DirectoryStorage(path), boot_id=0, rng=random.Random(0))
    out: dict[str, Any] = {"records": 0}
    try:
        stored: list[StoredRecord] = []
        for stream in journal.streams():
            at = stream.acknowledged + 1
            while stream.lane == Lane.TELEMETRY and at <= stream.durable:
                stored += journal.read(stream.epoch, stream.lane, at, MAX_RECORDS, 1 << 20)
                at = stored[-1].seq + 1
    finally:
        journal.close()
    out["records"] = len(stored)
    for size in SIZES:
        chunks = [stored[at : at + size] for at in range(0, len(stored), size)]
        payloads = [encode_batch("veh-000123", chunk) for chunk in chunks]
        if [list(decode_batch(payload).records) for payload in payloads] != chunks:
            raise SystemExit(f"{path}: records did not survive")
        out[f"bytes_per_record_{size}"] = round(sum(map(len, payloads)) / max(1, len(stored)), 2)
    return out


def main() -> int:
    paths = sorted(DATA.glob("*.csv"))
    if not paths:
        print(f"{DATA}/*.csv is missing: set OUTRIDER_DATA to the folder with the recordings", file=sys.stderr)
        return 2
    tables = [load(path) for path in paths]
    out: dict[str, Any] = {"files": [path.name for path in paths], "fields": len(tables[0][0]), "batch": {}}
    for size in SIZES:
        m = measure(size, tables)
        out["batch"][str(size)] = {
            "bytes_per_record": round(m["outrider"], 2),
            "json_bytes_per_record": round(m["json"], 2),
            "json_gzip_bytes_per_record": round(m["json_gzip"], 2),
            "xz_columns_bytes_per_record": round(m["xz_columns"], 2) or None,
            "encode_us_per_record": round(1e6 * m["encode"], 1),
            "decode_us_per_record": round(1e6 * m["decode"], 1),
            "encode_time_to_json_gzip": round(m["encode"] / m["json_gzip_encode"], 2),
        }
    whole = sum(xz_columns(table[2]) for table in tables) / sum(len(table[2]) for table in tables)
    out["xz_columns_whole_hour_bytes_per_record"] = round(whole, 2)
    out["journals"] = {path: measure_journal(Path(path)) for path in sys.argv[1:]}
    print(json.dumps(out, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
