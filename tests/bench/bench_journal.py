"""Bytes and syncs per record: the journal and SQLite (WAL, synchronous=FULL), same records, same process.

``python tests/bench/bench_journal.py [RECORDS]`` prints one JSON document. 200-byte bodies at 1 Hz, committed each
second or each ten; nothing is paced, so latency is that of a burst.

What is counted, by record:

- ``written``: what the program hands to the file system. The journal: the 4 KiB pages that its pwrites touch, counted
  at its storage seam, with the fill of new segments (``of_that_fill``). SQLite: wchar of /proc/self/io, which does not
  count that its frames of 4,120 bytes touch two pages each: a lower bound, in its favour.
- ``device``: sectors written on the block device below, the file system's own journal included, but also whatever else
  writes there: only meaningful when OUTRIDER_BENCH_DIR is a file system of its own. null where there is no such device.

write_bytes of /proc/self/io is of no use here: the kernel charges it by the folio (64 KiB and more in a large file)
each time a byte of it gets dirty.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from outrider.model.record import Category, Kind, Lane, Record
from outrider.ports import StorageFile
from outrider.record.format import BLOCK
from outrider.record.journal import Journal
from outrider.record.storage_io import DirectoryStorage

BODY = 200


class CountedFile:
    """A file that counts what passes."""

    def __init__(self, inner: StorageFile, tally: dict[str, int]) -> None:
        self._inner = inner
        self._tally = tally

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int:
        pages = (offset + len(data) - 1) // BLOCK - offset // BLOCK + 1
        self._tally["page_bytes"] += pages * BLOCK
        self._tally["fill_bytes"] += len(data) if not any(data) else 0
        return self._inner.pwrite(data, offset)

    def sync(self) -> None:
        self._tally["syncs"] += 1
        self._inner.sync()

    def pread(self, size: int, offset: int) -> bytes:
        return self._inner.pread(size, offset)

    def size(self) -> int:
        return self._inner.size()

    def close(self) -> None:
        self._inner.close()


class CountedStorage(DirectoryStorage):
    def __init__(self, path: Path, tally: dict[str, int]) -> None:
        super().__init__(path)
        self._tally = tally

    def open(self, name: str, *, create: bool = False) -> StorageFile:
        return CountedFile(super().open(name, create=create), self._tally)

    def sync_dir(self) -> None:
        self._tally["syncs"] += 2
        super().sync_dir()


class Meter:
    """What was written since it was made: by this process, and on the device under the directory."""

    def __init__(self, directory: Path) -> None:
        device = directory.stat().st_dev
        self._stat = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
        self._start = self._read()

    def _read(self) -> tuple[int, int | None]:
        os.sync()
        text = Path("/proc/self/io").read_text(encoding="ascii")
        handed = int(dict(line.split(": ") for line in text.splitlines())["wchar"])
        return handed, int(self._stat.read_text(encoding="ascii").split()[6]) * 512 if self._stat.exists() else None

    def per_record(self, count: int) -> tuple[float, float | None]:
        handed, device = self._read()
        first = self._start[1]
        spread = None if device is None or first is None else round((device - first) / count, 1)
        return round((handed - self._start[0]) / count, 1), spread


def percentiles(times: list[float]) -> dict[str, float]:
    times.sort()
    return {"p50_ms": round(times[len(times) // 2] * 1e3, 3), "p99_ms": round(times[len(times) * 99 // 100] * 1e3, 3)}


def journal_run(directory: Path, bodies: list[bytes], every: int) -> dict[str, object]:
    tally = dict.fromkeys(("page_bytes", "fill_bytes", "syncs"), 0)
    journal = Journal.open(CountedStorage(directory, tally), boot_id=1, rng=random.SystemRandom())
    tally.update(dict.fromkeys(tally, 0))
    meter, times, started = Meter(directory), [], time.process_time()
    for n, body in enumerate(bodies, 1):
        journal.append(Record(Lane.TELEMETRY, Kind.TELEMETRY, Category.DRIVING, 1, n, body))
        if n % every == 0:
            begun = time.perf_counter()
            journal.commit(Lane.TELEMETRY)
            times.append(time.perf_counter() - begun)
        if n % 600 == 0:
            journal.acknowledge(journal.epoch, Lane.TELEMETRY, n - 300)
            journal.maintain()
    cpu = time.process_time() - started
    count = len(bodies)
    _handed, device = meter.per_record(count)
    journal.close()
    return {
        "written": round(tally["page_bytes"] / count, 1),
        "of_that_fill": round(tally["fill_bytes"] / count, 1),
        "device": device,
        "syncs_per_record": round(tally["syncs"] / count, 4),
        "cpu_us_per_record": round(cpu / count * 1e6, 1),
        "commit": percentiles(times),
    }


def sqlite_run(path: Path, bodies: list[bytes], every: int) -> dict[str, object]:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE r (seq INTEGER PRIMARY KEY, t_us INTEGER, body BLOB)")
    meter, times, started = Meter(path.parent), [], time.process_time()
    db.execute("BEGIN")
    for n, body in enumerate(bodies, 1):
        db.execute("INSERT INTO r VALUES (?, ?, ?)", (n, n, body))
        if n % every == 0:
            begun = time.perf_counter()
            db.execute("COMMIT")
            times.append(time.perf_counter() - begun)
            db.execute("BEGIN")
        if n % 600 == 0:
            db.execute("DELETE FROM r WHERE seq <= ?", (n - 300,))
    db.execute("COMMIT")
    cpu = time.process_time() - started
    count = len(bodies)
    handed, device = meter.per_record(count)
    db.close()
    return {
        "written": handed,
        "device": device,
        "cpu_us_per_record": round(cpu / count * 1e6, 1),
        "commit": percentiles(times),
    }


def ratios(ours: dict[str, object], theirs: dict[str, object]) -> dict[str, float]:
    """How many times what the journal writes SQLite writes."""
    out = {}
    for key in ("written", "device"):
        a, b = ours[key], theirs[key]
        if isinstance(a, float) and isinstance(b, float) and a:
            out[key] = round(b / a, 2)
    return out


def recovery_run(directory: Path, bodies: list[bytes]) -> dict[str, object]:
    journal = Journal.open(DirectoryStorage(directory), boot_id=1, rng=random.SystemRandom())
    for n, body in enumerate(bodies, 1):
        journal.append(Record(Lane.TELEMETRY, Kind.TELEMETRY, Category.DRIVING, 1, n, body))
        if n % 10 == 0:
            journal.commit(Lane.TELEMETRY)
    journal.close()
    begun = time.perf_counter()
    journal = Journal.open(DirectoryStorage(directory), boot_id=1, rng=random.SystemRandom())
    opened = time.perf_counter() - begun
    begun, at, read = time.perf_counter(), 1, 0
    while batch := journal.read(journal.epoch, Lane.TELEMETRY, at, 60, 1 << 20):
        at, read = batch[-1].seq + 1, read + len(batch)
    seconds = time.perf_counter() - begun
    held = journal.stats().lanes[Lane.TELEMETRY].bytes
    journal.close()
    return {
        "records": read,
        "segment_bytes": held,
        "open_ms": round(opened * 1e3, 1),
        "open_us_per_record": round(opened / read * 1e6, 2),
        "read_us_per_record_in_batches_of_60": round(seconds / read * 1e6, 2),
    }


def main(count: int) -> dict[str, object]:
    rng = random.Random(1)
    bodies = [rng.randbytes(BODY) for _ in range(count)]
    out: dict[str, object] = {"records": count, "body_bytes": BODY}
    base = os.environ.get("OUTRIDER_BENCH_DIR")  # a file system on the card to be measured
    with tempfile.TemporaryDirectory(dir=base) as name:
        root = Path(name)
        for every in (1, 10):
            ours = journal_run(root / f"journal-{every}", bodies, every)
            theirs = sqlite_run(root / f"sqlite-{every}.db", bodies, every)
            out[f"commit_{every}_s"] = {
                "journal": ours,
                "sqlite_wal_full": theirs,
                "sqlite_to_journal": ratios(ours, theirs),
            }
        out["recovery"] = recovery_run(root / "recovery", bodies)
    return out


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 7200), indent=2))
