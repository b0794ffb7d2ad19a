"""Bytes a record in the payload, beside the layouts of others, and what coarser steps save. Prints one JSON document.

    PYTHONPATH=daemon python tests/bench/bench_uplink_bytes.py

Outrider's payloads are decoded and compared; those of others are read back (``layouts.check``). A figure is all bytes
of all payloads over all rows, so signal tables and gaps of a journal count too.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from drives import Drive, canedge, coarser, etios, specs_of, telemetry_hour, truck
from layouts import CODEC8E_MOST, LAYOUTS, check

from outrider.drive.precision import with_precision
from outrider.model.record import StoredRecord
from outrider.wire.codec import decode_batch, encode_batch

SIZES = (1, 10, 60, 300)
DEVICE = "veh-000123"
LAYOUT_NAMES = {
    "json": "JSON",
    "json_gzip": "JSON, gzip",
    "teltonika_codec8e": "Codec 8E",
    "jt808": "JT/T 808",
    "fleetwise": "FleetWise",
    "fleetwise_snappy": "FleetWise, snappy",
}
COARSE = {"position": 1e-6, "altitude": 1.0, "accuracy": 1.0, "heading": 1.0, "speed": 1.0, "engine_speed": 10.0}
COARSE |= {"acceleration": 0.1, "voltage": 0.1, "percent": 1.0, "fuel_rate": 0.1}
COARSE_HOUR = {"lat": 1e-6, "lon": 1e-6, "alt": 1.0, "hdg": 1.0, "gspd": 1.0, "rpm": 10.0, "vbat": 0.1, "thr": 1.0}
COARSE_HOUR |= {"fuel_lvl": 1.0, "fuel_rate": 0.1}


def outrider_bytes(stored: Sequence[StoredRecord], size: int) -> int:
    total = 0
    for at in range(0, len(stored), size):
        chunk = list(stored[at : at + size])
        payload = encode_batch(DEVICE, chunk)
        if list(decode_batch(payload).records) != chunk:
            raise SystemExit(f"records {at}..{at + size} did not survive")
        total += len(payload)
    return total


def layout_bytes(name: str, drive: Drive, size: int) -> int | None:
    """None where the layout has no packet of that size."""
    if name == "teltonika_codec8e" and size > CODEC8E_MOST:
        return None
    total = 0
    for begin, end in drive.chunks(size):
        payload = LAYOUTS[name](drive, begin, end)
        check(name, payload, drive, begin, end)
        total += len(payload)
    return total


def measure(drives: Sequence[Drive], steps: Sequence[Sequence[float]] | None) -> list[dict[str, Any]]:
    """A row for each size of a batch. steps: coarser ones, of each drive."""
    rows = sum(len(drive.rows) for drive in drives)
    out = []
    for size in SIZES:
        row: dict[str, Any] = {"records in a batch": size}
        row["Outrider"] = round(sum(outrider_bytes(drive.stored, size) for drive in drives) / rows, 2)
        if steps is not None:
            chunks = [coarser(drive, new) for drive, new in zip(drives, steps, strict=True)]
            row["with coarser steps"] = round(sum(outrider_bytes(chunk, size) for chunk in chunks) / rows, 2)
        for name, words in LAYOUT_NAMES.items():
            sums = [layout_bytes(name, drive, size) for drive in drives]
            row[words] = None if None in sums else round(sum(filter(None, sums)) / rows, 1)
        out.append(row)
    return out


def sets(folder: Path) -> Iterator[tuple[str, list[Drive]]]:
    for name, drives in (
        ("telemetry_hour", telemetry_hour()),
        ("canedge_drive", [canedge(folder)]),
        ("truck_j1939", [truck(folder)]),
        ("obd_etios", etios()),
    ):
        found = [drive for drive in drives if drive is not None]
        if found:
            yield name, found


def coarse_steps(name: str, drives: Sequence[Drive]) -> list[list[float]] | None:
    if name == "telemetry_hour":
        return [[max(s, COARSE_HOUR.get(n, s)) for n, s in zip(d.names, d.steps, strict=True)] for d in drives]
    if name == "canedge_drive":
        return [[with_precision(spec, COARSE).step for spec in specs_of(drive)] for drive in drives]
    return None


def main() -> int:
    tables: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, drives in sets(Path(folder)):
            rows, signals = sum(len(drive.rows) for drive in drives), max(used(drive) for drive in drives)
            tables[f"{name}: {rows} rows of up to {signals} values, bytes a row"] = measure(
                drives, coarse_steps(name, drives)
            )
    if not tables:
        print("no recordings: set OUTRIDER_DATA to the folder with them", file=sys.stderr)
        return 2
    print(json.dumps({"tables": tables}, indent=1))
    return 0


def used(drive: Drive) -> int:
    """Values in the fullest row."""
    return max(sum(value is not None for value in row) for row in drive.rows)


if __name__ == "__main__":
    sys.exit(main())
