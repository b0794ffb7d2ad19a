"""Power cuts under the journal on a real file system: the writer at work on a logged disk, and every state after.

What was promised is written into the log of the disk itself, as marks: ``d:LANE:SEQ:EPOCH`` when the writer says that
a record is durable, ``a:LANE:SEQ:EPOCH`` before the receiver's acknowledgement is taken, ``P:N`` and ``p:N`` before and
after page or small state number N is written. The demands on a state are
those of ``tests/support/powercut_journal.py``, where the disk is a model; here kernel, ext4 and its journal are real.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from hil.rig.disk_log import Cut, Entry, Medium, read_log
from hil.rig.disk_loop import LoopDevice, Mount, make_file_system, mounted
from hil.rig.disk_mapper import LogWrites
from hil.rig.shell import ToolError
from outrider.clock import SystemClock
from outrider.model.record import Category, Kind, Lane, Record
from outrider.ports import Storage
from outrider.record.blackbox_io import BlackBoxFile
from outrider.record.inspect import inspect
from outrider.record.journal import Journal, JournalOptions
from outrider.record.mounting import KeptMounting, MountingFile
from outrider.record.options import SHED_ORDER
from outrider.record.storage_io import DirectoryStorage
from outrider.record.writer_io import JournalWriter, WriterOptions
from tests.support.powercut_history import History
from tests.support.powercut_journal import ViolationError, check_journal, check_states, demand, go_on, promised
from tests.support.powercut_work import OPTIONS, any_mounting, any_page

DISK_BYTES = 12 << 20
LOG_BYTES = 192 << 20  # sparse: costs what is written
QUICK = WriterOptions(event_commit_s=0.01, telemetry_commit_s=0.03, telemetry_commit_moving_s=0.03)


class LoggedDisk:
    """ext4 on a loop device under dm-log-writes, mounted at ``directory / "mnt"``; ``finish`` gives the log."""

    def __init__(self, directory: Path, name: str = "outrider-log") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.place: Final = directory / "mnt"
        with ExitStack() as devices:
            self.base = LoopDevice(directory / "disk.img", DISK_BYTES)
            devices.callback(self.base.close)
            self.log = LoopDevice(directory / "log.img", LOG_BYTES)
            devices.callback(self.log.close)
            make_file_system(self.base.device)
            self.image = self.base.read()
            self._in_use = devices.enter_context(ExitStack())
            self._mapping = LogWrites(name, self.base, self.log)
            self._in_use.callback(self._mapping.close)
            mount = Mount(self._mapping.device, self.place)
            self._in_use.callback(mount.close)
            self._devices = devices.pop_all()

    def mark(self, text: str) -> None:
        self._mapping.mark(text)

    def finish(self) -> list[Entry]:
        """Unmount and close; what was written, in the order of the disk's promises."""
        self._in_use.close()
        return read_log(self.log.read())

    def close(self) -> None:
        self._devices.close()


@contextmanager
def logged_disk(directory: Path) -> Iterator[LoggedDisk]:
    disk = LoggedDisk(directory)
    try:
        yield disk
    finally:
        disk.close()


# -- the writer at work ----------------------------------------------------------------------------------


class Work:
    """Records through the real writer thread on the mounted disk; ``given`` is what each lane got, in order."""

    def __init__(self, disk: LoggedDisk, seed: int, storage: Callable[[Path], Storage] = DirectoryStorage) -> None:
        self._disk = disk
        self._rng = random.Random(seed)
        self._storage = storage
        self.given: dict[Lane, list[Record]] = {lane: [] for lane in Lane}
        self.pages: list[bytes] = []
        self.mountings: list[KeptMounting] = []
        self.epoch = 0

    def run(self, records: int, options: JournalOptions = OPTIONS) -> None:
        """One life of the journal: opened, ``records`` put, with pages and small states beside it, closed in order."""
        storage = self._storage(self._disk.place / "journal")
        journal = Journal.open(storage, options, boot_id=7, rng=self._rng)
        self.epoch = journal.epoch
        beside = _Beside(self, storage, self._disk, self._rng)
        writer = JournalWriter(journal, QUICK, SystemClock(), on_durable=self._durable)
        writer.start()
        try:
            for number in range(records):
                self._put(writer)
                if number % 7 == 6:
                    demand(writer.flush(60.0), "the writer does not flush")
                    beside.write()
                if number % 20 == 19:
                    self._acknowledge(journal)
        finally:
            writer.stop()
            beside.close()
            journal.close()

    def _put(self, writer: JournalWriter) -> None:
        lane = self._rng.choice(list(Lane))
        body = self._rng.randbytes(self._rng.choice((0, 20, 200, 200, 200, 700, 5000)))
        kind = Kind.TELEMETRY if lane is Lane.TELEMETRY else Kind.EVENT
        record = Record(lane, kind, Category.DRIVING, 7, 1_000_000 * len(self.given[lane]), body)
        self.given[lane].append(record)
        demand(writer.put(record), "the writer refused a record of the workload")

    def _durable(self, epoch: int, lane: Lane, seq: int) -> None:
        self._disk.mark(f"d:{int(lane)}:{seq}:{epoch:x}")

    def _acknowledge(self, journal: Journal) -> None:
        lane = self._rng.choice(list(Lane))
        for stream in journal.streams():
            if stream.lane is lane:
                self._disk.mark(f"a:{int(lane)}:{stream.durable}:{stream.epoch:x}")
                demand(journal.acknowledge(stream.epoch, lane, stream.durable), "refused an acknowledgement")

    def history(self, entries: Sequence[Entry]) -> History:
        """What was promised when: positions are numbers of entries of the log."""
        history = history_of(entries, self.epoch, self.given)
        history.tidied = [-1]  # the writer makes room when it has time
        history.evicted = [
            (0, (self.epoch, lane), len(self.given[lane])) for lane in SHED_ORDER
        ]  # when, it does not say
        begun = {entry.mark[2:]: at for at, entry in enumerate(entries, 1) if entry.mark[:2] == "P:"}
        ended = {entry.mark[2:]: at for at, entry in enumerate(entries, 1) if entry.mark[:2] == "p:"}
        for number, (page, mounting) in enumerate(zip(self.pages, self.mountings, strict=True)):
            moments = begun[f"p{number}"], ended[f"p{number}"]
            history.pages.writes.append((*moments, page))
            moments = begun[f"m{number}"], ended[f"m{number}"]
            history.mountings.writes.append((*moments, mounting))
        return history


class _Beside:
    """The black-box page and the sensor's mounting, written in turn and marked."""

    def __init__(self, work: Work, storage: Storage, disk: LoggedDisk, rng: random.Random) -> None:
        self._work = work
        self._disk = disk
        self._rng = rng
        self._box = BlackBoxFile(storage)
        self._mounting = MountingFile(storage)

    def write(self) -> None:
        number = len(self._work.pages)
        page, mounting = any_page(number + 1, self._rng), any_mounting(self._rng)
        self._work.pages.append(page)
        self._work.mountings.append(mounting)
        self._disk.mark(f"P:p{number}")
        self._box.write(page)
        self._disk.mark(f"p:p{number}")
        self._disk.mark(f"P:m{number}")
        self._mounting.write(mounting)
        self._disk.mark(f"p:m{number}")

    def close(self) -> None:
        self._box.close()
        self._mounting.close()


def history_of(entries: Sequence[Entry], epoch: int, given: dict[Lane, list[Record]]) -> History:
    """From the marks of a log and what each lane was given, its first record being number 1."""
    history = History()
    for lane, records in given.items():
        for seq, record in enumerate(records, 1):
            history.appended[epoch, lane, seq].append((0, record))
    promised = dict.fromkeys(Lane, 0)
    for number, entry in enumerate(entries, 1):
        if entry.mark[:2] not in ("d:", "a:"):
            continue
        kind, lane_text, seq_text, _epoch = entry.mark.split(":")
        lane, last = Lane(int(lane_text)), int(seq_text)
        if kind == "a":
            history.acknowledged.append((number, epoch, lane, last))
            continue
        for seq in range(promised[lane] + 1, last + 1):
            history.committed.append((number, (epoch, lane, seq), given[lane][seq - 1]))
        promised[lane] = max(promised[lane], last)
    return history


# -- the states after ------------------------------------------------------------------------------------


class Autopsy:
    """A second disk that is made to hold each state and is mounted as the terminal would at its next start."""

    def __init__(self, directory: Path) -> None:
        self._loop = LoopDevice(directory / "state.img", DISK_BYTES)
        self._place = directory / "state"

    @contextmanager
    def state(self, image: bytearray) -> Iterator[Path]:
        """ext4 recovers its journal while this is mounted."""
        self._loop.write(image)
        with mounted(self._loop.device, self._place) as place:
            yield place

    def close(self) -> None:
        self._loop.close()


def examine(
    directory: Path, history: History, done: int, rng: random.Random, options: JournalOptions = OPTIONS
) -> None:
    """The demands of the promise on a journal directory as it was found after the cut."""
    if not directory.exists():
        demand(not any(at <= done for at, _place, _record in history.committed), "the journal is gone")
        return
    try:
        storage = DirectoryStorage(directory)
        journal = Journal.open(storage, options, boot_id=rng.getrandbits(32), rng=rng)
    except Exception as err:
        raise ViolationError(f"does not open: {type(err).__name__}: {err}") from err
    try:
        promises = promised(history, done)
        check_journal(journal, promises)
        if history.pages.writes:
            check_states(storage, promises)
        go_on(journal, promises, rng)
    finally:
        journal.close()
    found = inspect(DirectoryStorage(directory, read_only=True))
    demand(not found.damage, f"does not verify after recovery: {found.damage}")


def hunt(
    disk: LoggedDisk,
    entries: Sequence[Entry],
    history: History,
    cuts: Sequence[Cut],
    directory: Path,
    *,
    options: JournalOptions = OPTIONS,
    journal: str = "journal",
) -> None:
    """Every cut in turn. ``journal``: its folder on the disk. ViolationError names the cut that broke a promise."""
    medium = Medium(disk.image, entries)
    autopsy = Autopsy(directory)
    try:
        for cut in cuts:
            try:
                with autopsy.state(medium.cut(cut)) as place:
                    examine(place / journal, history, cut.done, random.Random(str(cut)), options)
            except (ViolationError, ToolError) as err:
                raise ViolationError(f"{cut} of {len(entries)}: {err}") from err
    finally:
        autopsy.close()
