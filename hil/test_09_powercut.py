"""Power goes at any moment, on a real file system. Promise: each record whose commit had returned is there afterwards,
once; the journal verifies and goes on. ext4 with the mount options of the image, on a disk whose every write is logged.

OUTRIDER_HIL_CUTS sets the number of states that are tried; a failing one is named by its number and seed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.conftest import MakeTerminal
from hil.rig.can import Vcan
from hil.rig.car import Car
from hil.rig.disk_log import choose_cuts
from hil.rig.disk_loop import mapper_missing
from hil.rig.fleet import durable
from hil.rig.journal_cut import LoggedDisk, Work, history_of, hunt, logged_disk
from hil.rig.resources import need
from hil.rig.unix_bus import UnixBus, any_bus, section
from outrider.model.record import Lane, Record
from outrider.record.inspect import inspect
from outrider.record.options import JournalOptions
from outrider.record.storage_io import DirectoryFile, DirectoryStorage, open_flags
from tests.support.powercut_journal import ViolationError
from tests.support.powercut_work import LONG

CUTS = int(os.environ.get("OUTRIDER_HIL_CUTS", "40"))
SEED = int(os.environ.get("OUTRIDER_HIL_SEED", "1"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoggedDisk]:
    """Everything written to it is logged in the order of its promises."""
    need(mapper_missing("log-writes"))
    with logged_disk(tmp_path / "logged") as made:
        yield made


def test_the_writer(disk: LoggedDisk, tmp_path: Path) -> None:
    """Two lives of the journal with all lanes, rolls, acknowledgements, re-used files, packing and thinning, with the
    black-box page and a small state beside it, cut at many moments."""
    work = Work(disk, SEED)
    work.run(120)
    work.run(80, LONG)
    entries = disk.finish()
    history = work.history(entries)
    assert len(history.committed) == 200, "every record was promised"
    assert history.acknowledged
    hunt(disk, entries, history, choose_cuts(entries, CUTS * 2 // 3, SEED), tmp_path)


class _NoSyncFile(DirectoryFile):
    def sync(self) -> None:
        return None


class _NoSyncStorage(DirectoryStorage):
    """A storage whose author forgot fdatasync."""

    def open(self, name: str, *, create: bool = False) -> _NoSyncFile:
        return _NoSyncFile(self.path / name, open_flags(create=create))


def test_a_forgotten_fdatasync_is_found(disk: LoggedDisk, tmp_path: Path) -> None:
    """The test above can fail: the same journal without fdatasync breaks its promises."""
    work = Work(disk, SEED, _NoSyncStorage)
    work.run(60)
    entries = disk.finish()
    with pytest.raises(ViolationError) as found:
        hunt(disk, entries, work.history(entries), choose_cuts(entries, 30, SEED), tmp_path)
    print(found.value)


def test_the_daemon(disk: LoggedDisk, request: pytest.FixtureRequest, terminal: MakeTerminal, tmp_path: Path) -> None:
    """The whole daemon in a drive with an accident; promised is what its status called durable."""
    bus: Vcan | UnixBus = any_bus(request, tmp_path)
    quick = {"telemetry_commit_s": 0.2, "event_commit_s": 0.1, "telemetry_segment_kib": 64}
    data = disk.place / "data"
    box = terminal(can=[section(bus)], config={"terminal": {"data_directory": str(data)}, "journal": quick})
    car = Car(bus)
    car.start()
    try:
        epoch = int(box.status()["journal"]["epoch"], 16)

        def drive(until: dict[str, int]) -> bool:
            promised = durable(box.status())
            for lane, count in promised.items():
                disk.mark(f"d:{int(Lane[lane.upper()])}:{count}:{epoch:x}")
            return all(promised.get(lane, 0) >= count for lane, count in until.items())

        box.wait("it records", lambda: drive({"telemetry": 4}), 60.0)
        car.bags()
        box.wait("the crash is on flash", lambda: drive({"emergency": 1, "telemetry": 8}), 60.0)
        assert box.stop() == 0
    finally:
        car.stop()
    given: dict[Lane, list[Record]] = {lane: [] for lane in Lane}
    for stored in inspect(DirectoryStorage(data / "journal", read_only=True)).records():
        assert stored.seq == len(given[stored.record.lane]) + 1
        given[stored.record.lane].append(stored.record)
    entries = disk.finish()
    history = history_of(entries, epoch, given)
    assert {lane for _at, (_epoch, lane, _seq), _record in history.committed} >= {Lane.EMERGENCY, Lane.TELEMETRY}
    options = JournalOptions.sized(telemetry_segment_bytes=64 * 1024)
    cuts = choose_cuts(entries, CUTS // 3, SEED)
    hunt(disk, entries, history, cuts, tmp_path, options=options, journal="data/journal")
