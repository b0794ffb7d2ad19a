"""The journal under power cuts: a workload that remembers what it was promised, and the demands on any state after.

Demands: the journal opens; each committed record is there with its content unless it was acknowledged or given up for
space; nothing is there that was never appended; every number is a record or named by a gap that has a reason; no file
is set aside and no epoch ends, since a power cut alone damages nothing that was promised; it can append and commit
again; and all of that once more after a second cut during the recovery.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field

from outrider.model.record import Category, Gap, GapReason, Kind, Lane, Record, StoredRecord
from outrider.record.hole import Hole, first_number
from outrider.record.journal import Journal, JournalOptions, LaneOptions
from outrider.record.storage_memory import MemoryStorage
from outrider.wire.bodies import decode_body
from tests.support.powercut import Disk

Place = tuple[int, Lane, int]  # epoch, lane, seq

SMALL = LaneOptions(16 * 1024)
OPTIONS = JournalOptions(lanes=dict.fromkeys(Lane, SMALL), reserve_segments=1, spare_segments=1)
READY = JournalOptions(  # segments and files lie ready for the evidence of a crash
    lanes=dict.fromkeys(Lane, SMALL), reserve_segments=1, spare_segments=1, evidence_segments=2
)
TIGHT = JournalOptions(
    lanes=dict.fromkeys(Lane, SMALL), quota_bytes=10 * 16 * 1024, reserve_segments=1, spare_segments=0
)


class ViolationError(AssertionError):
    """A demand was not met: what, and after which cut."""


def demand(truth: bool, what: str) -> None:
    if not truth:
        raise ViolationError(what)


@dataclass
class History:
    """What happened, each with the number of operations logged when it had happened (or may have begun)."""

    appended: dict[Place, list[tuple[int, Record]]] = field(default_factory=lambda: defaultdict(list))
    committed: list[tuple[int, Place, Record]] = field(default_factory=list)
    acknowledged: list[tuple[int, int, Lane, int]] = field(default_factory=list)
    evicted: list[tuple[int, Lane, int]] = field(default_factory=list)


class Driver:
    """Drives a journal on a storage and writes the history of it."""

    def __init__(self, storage: MemoryStorage, history: History, rng: random.Random, options: JournalOptions) -> None:
        self.storage = storage
        self.history = history
        self.rng = rng
        self.options = options
        self.journal = self._open()
        self.uncommitted: dict[Lane, list[tuple[Place, Record]]] = defaultdict(list)

    def _open(self) -> Journal:
        self.boot_id = self.rng.getrandbits(32)
        return Journal.open(self.storage, self.options, boot_id=self.boot_id, rng=self.rng)

    def append(self, lane: Lane) -> None:
        body = self.rng.randbytes(self.rng.choice((0, 20, 200, 200, 200, 700, 5000)))
        record = Record(lane, Kind.EVENT, Category.DRIVING, 7, self.rng.getrandbits(40), body)
        self._note(lane, self.journal.append(record), record)
        if self.rng.random() < 0.1:
            self._lose(lane)

    def _lose(self, lane: Lane) -> None:
        """Some records are refused before they get here; the gap is promised like a record."""
        count, t_us = self.rng.randint(1, 9), self.rng.getrandbits(40)
        self.journal.note_lost(lane, count, GapReason.OVERRUN, t_us)
        first = self.uncommitted[lane][-1][0][2] + 1
        hole = Hole(first, first + count - 1, GapReason.OVERRUN, self.boot_id, t_us)
        self._note(lane, hole.last, hole.record(self.journal.epoch, lane).record)

    def _note(self, lane: Lane, seq: int, record: Record) -> None:
        place = (self.journal.epoch, lane, seq)
        self.history.appended[place].append((len(self.storage.log), record))
        self.uncommitted[lane].append((place, record))

    def commit(self, lane: Lane | None) -> None:
        begun = len(self.storage.log)
        before = _given_up(self.journal)
        self.journal.commit(lane)
        now = len(self.storage.log)
        for each in Lane if lane is None else (lane,):
            self.history.committed += [(now, place, record) for place, record in self.uncommitted.pop(each, [])]
        for each, last in _given_up(self.journal).items():
            if last != before[each]:
                self.history.evicted.append((begun, each, last))

    def acknowledge(self, lane: Lane) -> None:
        for stream in self.journal.streams():
            if stream.lane is lane and stream.epoch == self.journal.epoch:
                up_to = self.rng.randint(stream.acknowledged, stream.durable)
                self.history.acknowledged.append((len(self.storage.log), stream.epoch, lane, up_to))
                assert self.journal.acknowledge(stream.epoch, lane, up_to)

    def reopen(self, *, clean: bool) -> None:
        if clean:
            begun = len(self.storage.log)
            self.commit(None)
            self.journal.close()
            assert begun <= len(self.storage.log)
        self.uncommitted.clear()
        self.journal = self._open()

    def step(self) -> None:
        roll = self.rng.random()
        lane = self.rng.choice(list(Lane))
        if roll < 0.62:
            for _ in range(self.rng.randint(1, 3)):
                self.append(lane)
        elif roll < 0.88:
            self.commit(self.rng.choice((lane, lane, None)))
        elif roll < 0.95:
            self.acknowledge(lane)
        elif roll < 0.97:
            self.journal.maintain()
        else:
            self.reopen(clean=roll > 0.985)


def run_workload(
    seed: int, steps: int, options: JournalOptions = OPTIONS, storage: MemoryStorage | None = None
) -> tuple[MemoryStorage, History]:
    """The same for the same seed."""
    storage = storage or MemoryStorage()
    history = History()
    driver = Driver(storage, history, random.Random(seed), options)
    for _ in range(steps):
        driver.step()
    driver.commit(None)
    return storage, history


@dataclass
class Hunt:
    """cuts: states checked, second cuts included."""

    cuts: int = 0


def hunt(storage: MemoryStorage, history: History, options: JournalOptions, seed: int, variants: int) -> Hunt:
    """Cut at every operation of the log, ``variants`` states each. ViolationError tells seed, operation and variant."""
    tally = Hunt()
    disk = Disk()
    for done in range(len(storage.log) + 1):
        for variant in range(variants):
            rng = random.Random(f"{seed}/{done}/{variant}")
            try:
                _check_state(disk.crash(rng), history, done, options, rng)
                tally.cuts += 2  # one, and one more in its recovery
            except ViolationError as err:
                raise ViolationError(f"seed {seed}, cut after operation {done}, variant {variant}: {err}") from None
        if done < len(storage.log):
            disk.apply(storage.log[done])
    return tally


def _check_state(
    files: dict[str, bytes],
    history: History,
    done: int,
    options: JournalOptions,
    rng: random.Random,
) -> None:
    storage = MemoryStorage(files)
    disk = Disk.holding(storage.files(), storage.nodes())
    journal = _opened(storage, options, rng)
    check_journal(journal, history, done)
    after = go_on(journal, history, done, rng)
    before = journal
    for op in storage.log[: rng.randint(0, len(storage.log))]:
        disk.apply(op)
    again = MemoryStorage(disk.crash(rng))
    journal = _opened(again, options, rng)
    check_journal(journal, history, done, after, _given_up(before))
    go_on(journal, history, done, rng)


def _opened(storage: MemoryStorage, options: JournalOptions, rng: random.Random) -> Journal:
    try:
        return Journal.open(storage, options, boot_id=rng.getrandbits(32), rng=rng)
    except Exception as err:
        raise ViolationError(f"does not open: {type(err).__name__}: {err}") from err


def _given_up(journal: Journal) -> dict[Lane, int]:
    """The last number of each lane that retention gave up."""
    last = {}
    for lane, position in journal.stats().lanes.items():
        head = journal.read(journal.epoch, lane, position.acknowledged + 1, 1, 1)
        gap = decode_body(Kind.GAP, head[0].record.body) if head and head[0].record.kind == Kind.GAP else None
        last[lane] = gap.last_seq if isinstance(gap, Gap) and gap.reason == GapReason.QUOTA else 0
    return last


def go_on(journal: Journal, history: History, done: int, rng: random.Random) -> dict[Place, Record]:
    """The journal takes more records and shows them. What was appended, for the second cut."""
    after = {}
    for lane in Lane:
        record = Record(lane, Kind.EVENT, Category.DRIVING, 9, done, rng.randbytes(rng.choice((30, 3000))))
        place = (journal.epoch, lane, journal.append(record))
        demand(not _promised(history, done, place), f"{place} is used for a second record")
        after[place] = record
    try:
        journal.commit()
    except Exception as err:
        raise ViolationError(f"does not commit: {type(err).__name__}: {err}") from err
    for place, record in after.items():
        got = journal.read(*place, 1, 1)
        demand(bool(got) and got[0].record == record, f"{place} is not there right after its commit")
    return after


def _promised(history: History, done: int, place: Place) -> bool:
    return any(at <= done and own == place for at, own, _record in history.committed)


def check_journal(
    journal: Journal,
    history: History,
    done: int,
    after: dict[Place, Record] | None = None,
    given_up_since: dict[Lane, int] | None = None,
) -> None:
    """The demands on an opened journal after the cut at ``done``."""
    due = {place: record for at, place, record in history.committed if at <= done}
    stats = journal.stats()
    demand(stats.quarantined == 0, "a file was set aside")
    for epoch, lane in {(place[0], place[1]) for place in due}:
        demand(epoch == journal.epoch, "the epoch ended")
        position = stats.lanes[lane]
        acked = max(
            (n for at, e, own, n in history.acknowledged if at <= done and (e, own) == (epoch, lane)), default=0
        )
        demand(position.acknowledged <= acked, f"{lane.name}: acknowledged {position.acknowledged}, never was")
        held = _everything(journal, epoch, lane, position.acknowledged, position.durable)
        allowed = max((last for begun, own, last in history.evicted if begun <= done and own is lane), default=0)
        allowed = max(allowed, (given_up_since or {}).get(lane, 0))
        given_up = _check_numbers(held, position.acknowledged, position.durable, lane, allowed)
        _check_content(held, history, done, due, after or {})
        for place in due:
            if place[:2] == (epoch, lane) and place[2] > max(position.acknowledged, given_up):
                demand(place[2] in held, f"{lane.name} {place[2]} was committed and is gone")


def _everything(journal: Journal, epoch: int, lane: Lane, after: int, durable: int) -> dict[int, StoredRecord]:
    held = {}
    at = after + 1
    while at <= durable:
        batch = journal.read(epoch, lane, at, 1000, 1 << 30)
        demand(bool(batch), f"{lane.name}: nothing to read from {at}, durable {durable}")
        held.update({stored.seq: stored for stored in batch})
        at = batch[-1].seq + 1
    return held


def _check_numbers(held: dict[int, StoredRecord], acked: int, durable: int, lane: Lane, allowed: int) -> int:
    """Every number is accounted for, and only what retention gave up is missing. The last number given up."""
    at = given_up = acked
    for seq in sorted(held):
        demand(first_number(held[seq]) <= at + 1, f"{lane.name}: {at + 1}..{seq - 1} unaccounted for")
        at = seq
        if held[seq].record.kind == Kind.GAP:
            gap = decode_body(Kind.GAP, held[seq].record.body)
            assert isinstance(gap, Gap)
            if gap.reason == GapReason.OVERRUN:
                continue  # promised as it is, see _check_content
            demand(gap.reason == GapReason.QUOTA and seq <= allowed, f"{lane.name}: {gap}")
            given_up = seq
    demand(at == durable, f"{lane.name}: durable {durable}, readable to {at}")
    return given_up


def _is_given_up(record: Record) -> bool:
    gap = decode_body(Kind.GAP, record.body) if record.kind == Kind.GAP else None
    return isinstance(gap, Gap) and gap.reason == GapReason.QUOTA


def _check_content(
    held: dict[int, StoredRecord],
    history: History,
    done: int,
    due: dict[Place, Record],
    after: dict[Place, Record],
) -> None:
    for stored in held.values():
        if _is_given_up(stored.record):
            continue
        place = (stored.epoch, stored.record.lane, stored.seq)
        known = [record for at, record in history.appended.get(place, []) if at <= done]
        known += [after[place]] if place in after else []
        demand(stored.record in known, f"{place} was never appended like that")
        if place in due:
            demand(stored.record == due[place], f"{place} is not what was committed")
