"""Bytes at the block device per record: the journal and SQLite (WAL, synchronous=FULL), on ext4 as the image mounts it.

``python tests/bench/bench_flash.py [SECONDS] [SPEED]`` prints one JSON document. A drive of so many seconds with all
lanes, acknowledgements each minute and the cursor, ``SPEED`` times as fast as time; the file system's own timer
(``commit=``) runs as much faster, since it decides how often ext4 writes its journal for a changed time stamp.

Every store has an ext4 of its own on a loop device, and all run at once. What is counted is what arrived at the block
device, by the kernel's statistics of it: data, ext4's journal, everything, from opening the store to its close and a
sync. Before that each store lived through an hour, so that a first start is not in the numbers.

Needs root and loop devices; says so where they are missing.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from outrider.model.record import Category, Kind, Lane, Record
from outrider.record.blackbox_io import PAGE_BYTES, BlackBoxFile
from outrider.record.journal import Journal
from outrider.record.storage_io import DirectoryStorage

BODY = 200
OPTIONS = "noatime,lazytime,data=ordered"  # with commit=60: as the image mounts its data (docs/internals/power-loss.md)
IMAGE = "image: noatime,lazytime,commit=60"
COMMIT_S = {IMAGE: 60, "Linux by itself: commit=5": 5}
DISK_BYTES = 96 << 20
WARM_UP_S = 3600
ACKNOWLEDGE_S = 60
EVENT_S = 45
LEDGER_S = 300


class Store(Protocol):
    """What is measured. ``second`` puts one second of driving into it and makes durable what is due."""

    records: int

    def open(self) -> None: ...

    def second(self, now: int) -> None: ...

    def close(self) -> None: ...


def traffic(now: int, rng: random.Random) -> Iterator[Record]:
    """Of one second: a telemetry row, now and then an event, the end of a trip."""
    lanes = [Lane.TELEMETRY]
    lanes += [Lane.EVENT] if now % EVENT_S == 0 else []
    lanes += [Lane.LEDGER] if now % LEDGER_S == 0 else []
    for lane in lanes:
        kind = Kind.TELEMETRY if lane is Lane.TELEMETRY else Kind.EVENT
        yield Record(lane, kind, Category.DRIVING, 1, now * 1_000_000, rng.randbytes(BODY))


@dataclass
class JournalStore:
    """As the writer commits: telemetry each ``every`` seconds, the rest within its second."""

    place: Path
    every: int
    online: bool = True
    records: int = 0
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    def open(self) -> None:
        self.journal = Journal.open(DirectoryStorage(self.place / "journal"), boot_id=1, rng=self.rng)

    def second(self, now: int) -> None:
        due = {Lane.TELEMETRY} if now % self.every == 0 else set()
        for record in traffic(now, self.rng):
            self.journal.append(record)
            self.records += 1
            due |= {record.lane} - {Lane.TELEMETRY}
        for lane in sorted(due):
            self.journal.commit(lane)
        if now % ACKNOWLEDGE_S == 0:
            for stream in self.journal.streams() if self.online else ():
                self.journal.acknowledge(stream.epoch, stream.lane, stream.durable)
            self.journal.maintain()

    def close(self) -> None:
        self.journal.close()


@dataclass
class SqliteStore:
    """One table; the same records made durable at the same moments, the acknowledged ones deleted."""

    place: Path
    every: int
    online: bool = True
    records: int = 0
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    def open(self) -> None:
        self.db = sqlite3.connect(self.place / "log.db", isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=FULL")
        self.db.execute("CREATE TABLE IF NOT EXISTS r (seq INTEGER PRIMARY KEY, lane INTEGER, t_us INTEGER, body BLOB)")
        self.db.execute("BEGIN")

    def second(self, now: int) -> None:
        due = now % self.every == 0
        for record in traffic(now, self.rng):
            row = (record.lane, record.t_us, record.body)
            self.db.execute("INSERT INTO r (lane, t_us, body) VALUES (?, ?, ?)", row)
            self.records += 1
            due = due or record.lane is not Lane.TELEMETRY
        if now % ACKNOWLEDGE_S == 0 and self.online:
            self.db.execute("DELETE FROM r WHERE t_us <= ?", ((now - self.every) * 1_000_000,))
        if due:
            self.db.execute("COMMIT")
            self.db.execute("BEGIN")

    def close(self) -> None:
        self.db.execute("COMMIT")
        self.db.close()


@dataclass
class PageStore:
    """The black-box page alone, rewritten each second as while moving; a "record" is a page."""

    place: Path
    every: int = 1
    records: int = 0

    def open(self) -> None:
        self.file = BlackBoxFile(self.place)

    def second(self, now: int) -> None:
        self.file.write(random.Random(now).randbytes(PAGE_BYTES))
        self.records += 1

    def close(self) -> None:
        assert not self.file.faults
        self.file.close()


# -- disks -----------------------------------------------------------------------------------------------


def missing() -> str | None:
    """Why it cannot be measured here."""
    if os.geteuid():
        return "needs root, for loop devices and mounts"
    for tool in ("losetup", "mkfs.ext4", "mount"):
        if shutil.which(tool) is None:
            return f"needs {tool}"
    return None if Path("/dev/loop-control").exists() else "this kernel has no loop devices"


def _run(*words: str | Path) -> str:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def disk(folder: Path, options: str) -> Iterator[tuple[Path, Path]]:
    """(mount point, statistics of the device)."""
    folder.mkdir()
    image, place = folder / "disk.img", folder / "mnt"
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    place.mkdir()
    device = _run("losetup", "--find", "--show", image)
    try:
        _run("mkfs.ext4", "-q", "-b", "4096", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", device)
        _run("mount", "-t", "ext4", "-o", options, device, place)
        try:
            yield place, Path("/sys/block") / Path(device).name / "stat"
        finally:
            _run("umount", place)
    finally:
        _run("losetup", "--detach", device)
        image.unlink()


def written(statistics: Path, place: Path) -> int:
    """Bytes that have arrived at the device when nothing waits any more."""
    _run("sync", "--file-system", place)
    return int(statistics.read_text(encoding="ascii").split()[6]) * 512


# -- the run ---------------------------------------------------------------------------------------------


@dataclass
class Track:
    """One store on one disk."""

    name: tuple[str, str, str]
    store: Store
    place: Path
    statistics: Path
    bytes: int = 0

    def warm_up(self) -> None:
        self.store.open()
        for now in range(1, WARM_UP_S + 1):
            self.store.second(now)
        self.store.close()
        self.store.records = 0

    def drive(self, seconds: int, speed: float) -> None:
        before = written(self.statistics, self.place)
        self.store.open()
        begun = time.monotonic()
        for now in range(1, seconds + 1):
            time.sleep(max(0.0, begun + now / speed - time.monotonic()))
            self.store.second(WARM_UP_S + now)
        self.store.close()
        self.bytes = written(self.statistics, self.place) - before

    @property
    def per_record(self) -> float:
        return round(self.bytes / self.store.records, 1)


def tracks(stack: ExitStack, folder: Path, speed: float) -> list[Track]:
    """Everything that is compared, each on a disk of its own."""
    plans: list[tuple[tuple[str, str, str], int, Callable[[Path], Store]]] = []
    for mount, timer_s in COMMIT_S.items():
        for every in (1, 10):
            when = f"records made durable each {every} s"
            plans.append(((mount, when, "journal"), timer_s, partial(JournalStore, every=every)))
            plans.append(((mount, when, "sqlite"), timer_s, partial(SqliteStore, every=every)))
        plans.append(((mount, "black-box page each second", "page"), timer_s, PageStore))
    for every in (1, 10):
        name = (f"{IMAGE}, without a link", f"records made durable each {every} s")
        plans.append(((*name, "journal"), 60, partial(JournalStore, every=every, online=False)))
        plans.append(((*name, "sqlite"), 60, partial(SqliteStore, every=every, online=False)))
    made = []
    for number, (name, timer_s, store) in enumerate(plans):
        options = f"{OPTIONS},commit={max(1, round(timer_s / speed))}"
        place, statistics = stack.enter_context(disk(folder / str(number), options))
        made.append(Track(name, store(place), place, statistics))
    return made


def measure(seconds: int, speed: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        running = tracks(stack, Path(name), speed)
        for track in running:
            track.warm_up()
        threads = [threading.Thread(target=track.drive, args=(seconds, speed)) for track in running]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return report(running)


def report(done: list[Track]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for track in done:
        mount, when, store = track.name
        group = out.setdefault(mount, {}).setdefault(when, {})
        group[f"{store}, bytes a {'page' if store == 'page' else 'record'}"] = track.per_record
    for groups in out.values():
        for group in groups.values():
            ours, theirs = (group.get(f"{store}, bytes a record") for store in ("journal", "sqlite"))
            if ours and theirs:
                group["journal to sqlite"] = round(ours / theirs, 3)
    return out


def main(seconds: int, speed: float) -> dict[str, Any]:
    reason = missing()
    if reason is not None:
        return {"skipped": f"{reason}; run it as root on a machine with loop devices"}
    about = {"seconds of driving": seconds, "times as fast": speed, "body_bytes": BODY, "where": "loop device, ext4"}
    return about | measure(seconds, speed)


if __name__ == "__main__":
    given = [float(text) for text in sys.argv[1:3]]
    chosen = given + [600.0, 5.0][len(given) :]
    print(json.dumps(main(int(chosen[0]), chosen[1]), indent=2))
