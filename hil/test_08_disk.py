"""The disk is full, read-only, refusing, or lying. Promise: the daemon goes on and says so; the crash is kept;
afterwards it goes on recording; what was on flash before is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hil.conftest import MakeTerminal
from hil.rig.can import Vcan
from hil.rig.car import Car
from hil.rig.disk import GuestDisk
from hil.rig.disk_loop import IMAGE_OPTIONS, mapper_missing
from hil.rig.faults import during
from hil.rig.faults_disk import BadBlock, DiskFull, FlakyDisk, ReadOnly, WritesDropped, WritesRefused
from hil.rig.fleet import durable
from hil.rig.resources import disk_missing, need
from hil.rig.terminal import Terminal
from hil.rig.unix_bus import UnixBus, any_bus, section
from outrider.errors import JournalError
from outrider.model.record import Gap, GapReason, Kind, Lane
from outrider.record.journal import Journal
from outrider.record.storage_io import DirectoryStorage
from outrider.wire.bodies import decode_body
from tests.support.records import SMALL as SMALL_FILES
from tests.support.records import open_journal, record

# Segments of four blocks, and each commit takes one: a new file is needed every few seconds.
SMALL = {"telemetry_commit_s": 0.3, "event_commit_s": 0.1, "telemetry_segment_kib": 16}
IO_ERROR = r"Input/output error|Read-only file system"


@pytest.fixture
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Vcan | UnixBus:
    """Where the car's frames come from."""
    return any_bus(request, tmp_path)


@pytest.fixture
def car(bus: Vcan | UnixBus) -> Iterator[Car]:
    """Driving."""
    made = Car(bus)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[GuestDisk]:
    """16 MiB of ext4, mounted as in the image."""
    need(disk_missing())
    made = GuestDisk(tmp_path, 16, IMAGE_OPTIONS)
    yield made
    made.remove()


@pytest.fixture
def flaky(tmp_path: Path) -> Iterator[FlakyDisk]:
    """A disk that fails on demand."""
    need(mapper_missing("flakey"))
    made = FlakyDisk(tmp_path / "flaky")
    yield made
    made.close()


def on(disk: Path, bus: Vcan | UnixBus) -> dict[str, Any]:
    """Arguments of a terminal whose data lie on the disk."""
    return {"can": [section(bus)], "config": {"terminal": {"data_directory": str(disk / "data")}, "journal": SMALL}}


def rows(box: Terminal) -> int:
    """Telemetry on flash."""
    return durable(box.status()).get("telemetry", 0)


def wait_rows(box: Terminal, what: str, more: int = 3) -> None:
    start = rows(box)
    box.wait(what, lambda: rows(box) >= start + more, 60.0)


def test_full(disk: GuestDisk, terminal: MakeTerminal, bus: Vcan | UnixBus, car: Car) -> None:
    """No space left: telemetry is shed, counted and named as a gap; the crash goes to the reserve; a restart changes
    nothing; space comes back and so does telemetry. Neither emergency nor ledger misses a number."""
    box = terminal(**on(disk.path, bus))
    wait_rows(box, "it records")
    with during(DiskFull(disk.path)):
        box.wait("it says that it is full", lambda: box.status()["journal"]["full"], 60.0)
        box.wait("telemetry is shed", lambda: box.status()["journal"]["lanes"]["telemetry"]["shed"] > 0, 60.0)
        before = durable(box.status()).get("emergency", 0)
        car.bags()
        box.wait("the crash is on flash", lambda: durable(box.status()).get("emergency", 0) > before, 60.0)
        box.wait("it still says so", lambda: box.status()["journal"]["full"])
        box.wait("the status names the trouble", lambda: box.status()["writer"]["disk"] == "full")
        epoch, kept = box.status()["journal"]["epoch"], durable(box.status())
        assert box.stop() == 0
        box.start()
        assert box.status()["journal"]["epoch"] == epoch, "a restart on a full disk ended the epoch"
        assert durable(box.status())["emergency"] >= kept["emergency"]
        box.wait("telemetry is shed again", lambda: box.status()["journal"]["lanes"]["telemetry"]["shed"] > 0, 60.0)
    wait_rows(box, "it records again")
    box.wait("it says that it is over", lambda: box.status()["writer"]["disk"] == "ok", 60.0)
    status = box.status()
    assert not status["journal"]["full"]
    assert status["journal"]["lanes"]["emergency"]["shed"] == 0
    box.tolerate("full", "failed_commits", "trouble: black box")
    box.allow_log(r"No space left|black box|storage_full")
    assert box.stop() == 0
    records = box.records()
    assert any(r["kind"] == "notice" for r in records), "that it was full and is no more is recorded"
    gaps = [r["content"] for r in records if r["kind"] == "gap"]
    assert gaps
    assert {gap["reason"] for gap in gaps} == {"full"}
    assert not {r["lane"] for r in records if r["kind"] == "gap"} & {"emergency", "ledger"}
    for lane in ("emergency", "ledger"):
        numbers = [r["seq"] for r in records if r["lane"] == lane]
        assert numbers == list(range(1, len(numbers) + 1)), lane


def test_read_only(disk: GuestDisk, terminal: MakeTerminal, bus: Vcan | UnixBus, car: Car) -> None:
    """ext4 gives up and turns read-only: the daemon drives on and says why; after a restart it records again."""
    box = terminal(**on(disk.path, bus))
    wait_rows(box, "it records")
    with during(ReadOnly(disk)):
        kept = refused(box, r"Read-only file system|Input/output error")
        car.bags()
        frames = box.status()["engine"]["frames"]
        box.wait("it reads on", lambda: box.status()["engine"]["frames"] > frames)
        assert box.stop() == 74
    again(box, kept)


def refused(box: Terminal, words: str) -> dict[str, int]:
    """Wait until the status says that the disk refuses, and why. What was promised by then."""

    def said() -> bool:
        writer = box.status()["writer"]
        return writer["failed_commits"] > 0 and re.search(words, writer["last_fault"] or "") is not None

    box.wait("the status says that the disk refuses", said, 60.0)
    box.tolerate("failed_commits", "trouble: black box", "descriptors")
    box.expect_log(words)
    box.allow_log(rf"black box|journal|storage_|{words}")
    status = box.status()
    assert status["writer"]["alive"]
    assert status["writer"]["disk"] in ("fault", "read_only")
    return durable(status)


def again(box: Terminal, kept: dict[str, int]) -> None:
    """The machine was restarted: everything promised is there, and it records."""
    box.start()
    now = durable(box.status())
    lost = {lane: count for lane, count in kept.items() if now.get(lane, 0) < count}
    assert not lost, (lost, now)
    wait_rows(box, "it records after the restart")
    assert box.status()["journal"]["quarantined"] == 0


def test_refusing_writes(flaky: FlakyDisk, terminal: MakeTerminal, bus: Vcan | UnixBus, car: Car) -> None:
    """The medium answers writes with I/O errors: counted and said; after a restart all that was promised is there."""
    box = terminal(**on(flaky.place, bus))
    wait_rows(box, "it records")
    with during(WritesRefused(flaky.medium)):
        kept = refused(box, IO_ERROR)
        car.bags()
        frames = box.status()["engine"]["frames"]
        box.wait("it reads on", lambda: box.status()["engine"]["frames"] > frames)
    assert box.stop() in (0, 74)
    flaky.power_cycle(flaky.medium.work)
    again(box, kept)


def test_lying(flaky: FlakyDisk, terminal: MakeTerminal, bus: Vcan | UnixBus) -> None:
    """The medium drops writes and calls them done, then power goes: what came before the lie is there, and nothing that
    was never written; the daemon starts and records."""
    car = Car(bus)
    car.start()
    try:
        box = terminal(**on(flaky.place, bus))
        wait_rows(box, "it records")
        kept = durable(box.status())
        with during(WritesDropped(flaky.medium)):
            wait_rows(box, "it believes what it is told", 4)
            box.kill()
            flaky.power_cycle(flaky.medium.work)
        again(box, kept)
    finally:
        car.stop()


def fill(journal: Journal, numbers: range) -> None:
    """One commit, and so one block, for each record."""
    for number in numbers:
        journal.append(record(Lane.EVENT, number, size=700))
        journal.commit(Lane.EVENT)


def numbers_of(journal: Journal, epoch: int) -> tuple[list[int], list[Gap]]:
    """Records that are there, and gaps, in order."""
    there, gaps, at = [], [], 1
    while batch := journal.read(epoch, Lane.EVENT, at, 100, 1 << 20):
        for stored in batch:
            gap = decode_body(Kind.GAP, stored.record.body) if stored.record.kind == Kind.GAP else None
            if isinstance(gap, Gap):
                gaps.append(gap)
            else:
                there.append(stored.seq)
        at = batch[-1].seq + 1
    return there, gaps


def test_a_bad_block_that_is_read(flaky: FlakyDisk) -> None:
    """A sector in the middle of a segment is gone: that block's record is a gap, every other one is there, the journal
    opens and goes on in its epoch."""
    place = flaky.place / "journal"
    journal = open_journal(DirectoryStorage(place), SMALL_FILES, 1)
    fill(journal, range(1, 11))
    epoch = journal.epoch
    journal.close()
    first = min(path for path in place.glob("2-*.seg"))
    bad = BadBlock(flaky.medium, first, 2 * 4096)
    flaky.power_cycle(bad.inject)
    journal = open_journal(DirectoryStorage(place), SMALL_FILES, 2)
    try:
        there, gaps = numbers_of(journal, epoch)
        assert [(gap.first_seq, gap.last_seq, gap.reason) for gap in gaps] == [(2, 2, GapReason.CORRUPT)]
        assert there == [1, 3, 4, 5, 6, 7, 8, 9, 10]
        assert journal.epoch == epoch
        fill(journal, range(11, 13))
    finally:
        journal.close()
        flaky.power_cycle(bad.heal)


def test_a_bad_block_that_is_written(flaky: FlakyDisk) -> None:
    """The next block of the segment in use is gone: the commit is refused, the next one goes to another file, and
    everything is there, now and after a restart; nobody had to do anything."""
    place = flaky.place / "journal"
    journal = open_journal(DirectoryStorage(place), SMALL_FILES, 1)
    fill(journal, range(1, 6))
    newest = max(path for path in place.glob("2-*.seg"))
    bad = BadBlock(flaky.medium, newest, 3 * 4096)
    try:
        with during(bad):
            journal.append(record(Lane.EVENT, 6, size=700))
            with pytest.raises(JournalError, match="Input/output error"):
                journal.commit(Lane.EVENT)
            fill(journal, range(7, 12))
            assert numbers_of(journal, journal.epoch) == (list(range(1, 12)), [])
    finally:
        journal.close()
    flaky.power_cycle(bad.heal)
    again = open_journal(DirectoryStorage(place), SMALL_FILES, 2)
    assert again.epoch == journal.epoch
    assert numbers_of(again, again.epoch) == (list(range(1, 12)), [])
    again.close()
