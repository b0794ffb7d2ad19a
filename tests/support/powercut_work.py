"""A workload for power cuts: a journal with its state files and the black-box page, and the history of what it did.

It does what a terminal does in years, in random order: records of all lanes, evidence in bursts, gaps, commits,
acknowledgements, eviction, clean and unclean restarts, a process killed in the middle of a commit, a disk whose sync
fails, a cursor that is lost. Positions are numbers of operations in the storage's log.
"""

from __future__ import annotations

import errno
import random
import struct
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from outrider.engine import crc32c
from outrider.errors import JournalError
from outrider.model.evidence import EvidenceChunk, EvidencePart
from outrider.model.record import Category, Gap, GapReason, Kind, Lane, Record
from outrider.record.blackbox_io import BlackBoxFile
from outrider.record.hole import Hole
from outrider.record.journal import Journal, JournalOptions, LaneOptions
from outrider.record.mounting import KeptMounting, MountingFile
from outrider.record.storage_memory import MemoryStorage, Operation, refusal
from outrider.wire.bodies import decode_body, encode_body
from tests.support.powercut import FAILED_SYNC
from tests.support.powercut_history import History, Place, StreamKey

SMALL: Final = LaneOptions(16 * 1024)
OPTIONS: Final = JournalOptions(lanes=dict.fromkeys(Lane, SMALL), reserve_segments=1, spare_segments=1)
READY: Final = JournalOptions(  # segments and files lie ready for the evidence of a crash
    lanes=dict.fromkeys(Lane, SMALL), reserve_segments=1, spare_segments=1, evidence_segments=2
)
LONG: Final = JournalOptions(  # months without a link: telemetry is packed and thinned
    lanes=dict.fromkeys(Lane, SMALL), quota_bytes=10 * 16 * 1024, reserve_segments=1, spare_segments=1
)
TIGHT: Final = JournalOptions(
    lanes=dict.fromkeys(Lane, SMALL), quota_bytes=10 * 16 * 1024, reserve_segments=1, spare_segments=0
)


class KilledError(BaseException):
    """The process ends here; what it had written is in the kernel's cache."""


class Driver:
    """Drives a journal on a storage and writes the history of it."""

    def __init__(
        self,
        storage: MemoryStorage,
        history: History,
        rng: random.Random,
        options: JournalOptions,
        *,
        favourite: str | None = None,
        often: float = 0.4,
    ) -> None:
        self.favourite, self.often = favourite, often
        self.storage = storage
        self.history = history
        self.rng = rng
        self.options = options
        self.events = 0
        self.clock_us = 0
        self.uncommitted: dict[Lane, list[tuple[Place, Record]]] = defaultdict(list)
        self.mounting = MountingFile(storage)
        self.black_box = BlackBoxFile(storage)
        self.given_up: dict[StreamKey, int] = {}
        self.open()

    @property
    def now(self) -> int:
        return len(self.storage.log)

    def open(self) -> None:
        begun = self.now
        self.uncommitted.clear()
        self.boot_id = self.rng.getrandbits(32)
        self.journal = Journal.open(self.storage, self.options, boot_id=self.boot_id, rng=self.rng)
        self.history.epochs.append((self.now, self.journal.epoch))
        self._note_eviction(begun)

    # -- records -------------------------------------------------------------------------------------

    def append(self, lane: Lane, size: int | None = None) -> None:
        body = self.rng.randbytes(self.rng.choice((0, 20, 200, 200, 200, 700, 5000)) if size is None else size)
        self.clock_us += 1_000_000
        kind = Kind.TELEMETRY if lane is Lane.TELEMETRY and self.rng.random() < 0.9 else Kind.EVENT
        self._append(Record(lane, kind, Category.DRIVING, self.boot_id, self.clock_us, body))
        if self.rng.random() < 0.1:
            self._lose(lane)

    def evidence(self) -> None:
        """A crash: its state, then pieces of evidence, each burst committed at once."""
        self.append(Lane.EMERGENCY)
        self.commit(Lane.EMERGENCY)
        self.events += 1
        for index in range(self.rng.randint(1, 4)):
            data = self.rng.randbytes(self.rng.choice((300, 3000, 8000)))
            body = encode_body(EvidenceChunk(self.events, EvidencePart.FRAMES, index, 9, 1, 2, data))
            self._append(Record(Lane.BULK, Kind.EVIDENCE, Category.EMERGENCY, 7, self.rng.getrandbits(40), body))
            if self.rng.random() < 0.5:
                self.commit(Lane.BULK)
        self.commit(Lane.BULK)

    def _append(self, record: Record) -> None:
        self._note(record.lane, self.journal.append(record), record)

    def _lose(self, lane: Lane) -> None:
        """Some records are refused before they get here; the gap is promised like a record."""
        count, t_us = self.rng.randint(1, 9), self.rng.getrandbits(40)
        self.journal.note_lost(lane, count, GapReason.OVERRUN, t_us)
        first = self.uncommitted[lane][-1][0][2] + 1
        hole = Hole(first, first + count - 1, GapReason.OVERRUN, self.boot_id, t_us)
        self._note(lane, hole.last, hole.record(self.journal.epoch, lane).record)

    def _note(self, lane: Lane, seq: int, record: Record) -> None:
        place = (self.journal.epoch, lane, seq)
        self.history.appended[place].append((self.now, record))
        self.uncommitted[lane].append((place, record))

    # -- promises ------------------------------------------------------------------------------------

    def commit(self, lane: Lane | None) -> None:
        begun = self.now
        self.journal.commit(lane)
        self._committed(lane, begun)

    def _committed(self, lane: Lane | None, begun: int) -> None:
        for each in Lane if lane is None else (lane,):
            self.history.committed += [(self.now, place, record) for place, record in self.uncommitted.pop(each, [])]
        self._note_eviction(begun)

    def _note_eviction(self, begun: int) -> None:
        now = given_up(self.journal)
        for key, last in now.items():
            if last > self.given_up.get(key, 0):
                self.history.evicted.append((begun, key, last))
        self.given_up |= now

    def acknowledge(self, lane: Lane) -> None:
        for stream in self.journal.streams():
            if stream.lane is lane:
                up_to = self.rng.randint(stream.acknowledged, stream.durable)
                self.history.acknowledged.append((self.now, stream.epoch, lane, up_to))
                assert self.journal.acknowledge(stream.epoch, lane, up_to)

    def maintain(self) -> None:
        begun = self.now
        self.history.tidied.append(begun)
        self.journal.maintain()
        self._note_eviction(begun)

    def tidy(self) -> None:
        """Room ahead of need, in as many pieces as it takes, or not to its end."""
        begun = self.now
        self.history.tidied.append(begun)
        for _ in range(self.rng.choice((3, 60, 300, 300))):
            if not self.journal.tidy():
                break
        self._note_eviction(begun)

    # -- states beside it ----------------------------------------------------------------------------

    def write_mounting(self) -> None:
        kept = any_mounting(self.rng)
        begun = self.now
        self.mounting.write(kept)
        self.history.mountings.writes.append((begun, self.now, kept))

    def write_page(self) -> None:
        page = any_page(len(self.history.pages.writes) + 1, self.rng)
        begun = self.now
        self.black_box.write(page)
        self.history.pages.writes.append((begun, self.now, page))

    # -- trouble -------------------------------------------------------------------------------------

    def restart(self, *, clean: bool) -> None:
        if clean:
            self.commit(None)
            self.journal.close()
        self.open()

    def kill(self) -> None:
        """The process dies at one of the next operations. What it had written can be read, and so may be sent."""
        begun = self.now
        with self._after(self.rng.randint(0, 3), None, _die):
            try:
                self.journal.commit()
            except KilledError:
                self.history.kills += 1
        waiting = dict(self.uncommitted)
        self._note_eviction(begun)
        self.open()
        for place, record in (each for own in waiting.values() for each in own):
            got = self.journal.read(*place, 1, 1) if place[0] == self.journal.epoch else []
            if got and got[0].seq == place[2] and got[0].record == record:
                self.history.committed.append((self.now, place, record))

    def fail(self) -> None:
        """A sync is refused, and what it should have written is partly gone; the writer tries again."""
        begun = self.now
        with self._after(0, "sync", self._refuse):
            for _ in range(3):
                try:
                    self.journal.commit()
                    break
                except JournalError:
                    continue
        self.journal.commit()
        self._committed(None, begun)

    def _refuse(self, operation: Operation) -> None:
        self.storage.log.append(Operation(FAILED_SYNC, operation.node))
        self.history.failed_syncs += 1
        raise refusal(errno.EIO, "Input/output error")

    @contextmanager
    def _after(self, count: int, kind: str | None, action: object) -> Iterator[None]:
        """``action`` in place of one operation of this kind, after ``count`` others."""
        left = [count]

        def ask(operation: Operation) -> None:
            if kind in (None, operation.kind):
                left[0] -= 1
                if left[0] == -1:
                    assert callable(action)
                    action(operation)

        self.storage.fail = ask
        try:
            yield
        finally:
            self.storage.fail = None

    def lose_cursor(self) -> None:
        """Not by a power cut: the medium gives it no more. The epoch ends; everything that is held is sent again."""
        self.history.cursor_lost.append(self.now)
        self.storage.unlink("cursor.state")
        self.storage.sync_dir()
        self.open()

    def drive(self) -> None:
        """Telemetry for a while, then room is made."""
        for _ in range(self.rng.randint(4, 16)):
            self.append(Lane.TELEMETRY, self.rng.choice((200, 900, 1200)))
            if self.rng.random() < 0.7:
                self.commit(Lane.TELEMETRY)
                self.tidy()
        self.commit(Lane.TELEMETRY)
        self.tidy()

    def trouble(self) -> None:
        self.rng.choice((self.kill, self.fail, self.lose_cursor, self.restart_unclean))()

    def restart_unclean(self) -> None:
        self.restart(clean=False)

    def acknowledge_all(self) -> None:
        for lane in Lane:
            self.acknowledge(lane)
        self.maintain()

    def step(self) -> None:
        if self.favourite is not None and self.rng.random() < self.often:
            getattr(self, self.favourite)()
            return
        roll = self.rng.random()
        lane = self.rng.choice(list(Lane))
        if roll < 0.58:
            for _ in range(self.rng.randint(1, 3)):
                self.append(lane)
        elif roll < 0.82:
            self.commit(self.rng.choice((lane, lane, None)))
        elif roll < 0.88:
            self.acknowledge(lane)
        else:
            self._rarely(roll)

    def _rarely(self, roll: float) -> None:
        if roll < 0.89:
            self.maintain()
        elif roll < 0.90:
            self.tidy()
        elif roll < 0.915:
            self.evidence()
        elif roll < 0.93:
            self.write_mounting()
        elif roll < 0.955:
            self.write_page()
        elif roll < 0.97:
            self.kill()
        elif roll < 0.98:
            self.fail()
        elif roll < 0.985:
            self.lose_cursor()
        else:
            self.restart(clean=roll > 0.993)


def _die(_operation: Operation) -> None:
    raise KilledError


def given_up(journal: Journal) -> dict[StreamKey, int]:
    """The last number of each stream that retention gave up."""
    last = {}
    for stream in journal.streams():
        head = journal.read(stream.epoch, stream.lane, stream.acknowledged + 1, 1, 1)
        gap = decode_body(Kind.GAP, head[0].record.body) if head and head[0].record.kind == Kind.GAP else None
        last[stream.epoch, stream.lane] = gap.last_seq if isinstance(gap, Gap) and gap.reason == GapReason.QUOTA else 0
    return last


def any_mounting(rng: random.Random) -> KeptMounting:
    return KeptMounting(profile="car", sensor="imu", up=(0, 0, 1), forward=(1, 0, 0), rho=0.5, age_s=rng.random() * 1e6)


def any_page(counter: int, rng: random.Random) -> bytes:
    body = b"OTRB" + struct.pack("<IQ", 1, counter) + rng.randbytes(4076)
    return body + struct.pack("<I", crc32c(body))


def run_workload(
    seed: int,
    steps: int,
    options: JournalOptions = OPTIONS,
    storage: MemoryStorage | None = None,
    *,
    favourite: str | None = None,
    often: float = 0.4,
) -> tuple[MemoryStorage, History]:
    """The same for the same seed. favourite: a step of ``Driver`` that is taken so often."""
    storage = storage or MemoryStorage()
    history = History()
    driver = Driver(storage, history, random.Random(seed), options, favourite=favourite, often=often)
    for _ in range(steps):
        driver.step()
    driver.commit(None)
    return storage, history


@dataclass(frozen=True)
class Setup:
    """A kind of workload."""

    options: JournalOptions
    favourite: str | None = None
    steps: int = 100
    often: float = 0.4

    def run(self, seed: int) -> tuple[MemoryStorage, History]:
        return run_workload(seed, self.steps, self.options, favourite=self.favourite, often=self.often)


SETUPS: Final = {
    "roomy": Setup(OPTIONS),
    "tight quota": Setup(TIGHT),
    "ready for a crash": Setup(READY, "evidence", 50),
    "long without a link": Setup(LONG, "drive", 14, 0.8),
    "faults": Setup(OPTIONS, "trouble", 60),
}
