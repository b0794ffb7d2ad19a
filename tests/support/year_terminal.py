"""The terminal of the simulated year: the real journal on a disk that forgets what was not synced, group commit as the
writer's thread does it, and an account of what was promised.

Independent of the journal: numbers and digests are noted here when a commit has returned, or when a start after a power
cut shows that it had.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from outrider.errors import JournalError
from outrider.model.notice import Notice
from outrider.model.record import Lane, Record, StoredRecord
from outrider.record.capped_sink_io import CappedSink
from outrider.record.emergency_cap import CapOptions
from outrider.record.journal import Journal
from outrider.record.options import URGENT, JournalOptions
from outrider.record.storage_memory import MemoryStorage, Operation
from tests.support.powercut import Disk

Stream = tuple[int, Lane]
TIDY_STEPS: Final = 20  # pieces of work a second: more than a slow card does
MAINTAIN_S: Final = 60


class PowerCutError(BaseException):
    """The supply is gone in the middle of what is being done."""


class CutStorage(MemoryStorage):
    """A medium that keeps for sure what was synced. cut_after: so many operations from now the power goes."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        super().__init__(files)
        self.disk = Disk.holding(self.files(), self.nodes())
        self.cut_after: int | None = None
        self.operations = 0
        self.written = 0

    def note(self, operation: Operation) -> None:
        if self.cut_after is not None:
            if self.cut_after <= 0:
                raise PowerCutError
            self.cut_after -= 1
        self.operations += 1
        self.written += len(operation.data)
        self.disk.apply(operation)
        if operation.kind == "sync_dir":
            self._forget_removed()

    def _forget_removed(self) -> None:
        alive = {*self.disk.names.values(), *self.nodes().values()}
        for node in [node for node in self.disk.durable if node not in alive]:
            del self.disk.durable[node]
            self.disk.written.pop(node, None)


class Account:
    """What was promised: for each stream the digest of each number that became durable."""

    def __init__(self) -> None:
        self.promised: dict[Stream, dict[int, bytes]] = defaultdict(dict)
        self.made: Counter[str] = Counter()
        self.cut_off: Counter[str] = Counter()  # in memory when the power went, never committed
        self.notices: list[Notice] = []

    def promise(self, stream: Stream, numbers: Iterable[tuple[int, bytes]]) -> None:
        self.promised[stream].update(numbers)


class Terminal:
    """``on`` with each start, ``put`` and ``second`` while it runs, then ``off`` or ``cut``."""

    def __init__(self, options: JournalOptions, cap: CapOptions, rng: Random) -> None:
        self._options = options
        self._cap = cap
        self._rng = rng
        self.account = Account()
        self.storage = CutStorage()
        self.counters: Counter[str] = Counter()
        self._waiting: dict[Lane, list[tuple[int, bytes]]] = defaultdict(list)
        self._clock_s = 0
        self._epoch = 0
        self._running = False

    def on(self, boot_id: int) -> None:
        self.journal = Journal.open(self.storage, self._options, boot_id=boot_id, rng=Random(self._rng.getrandbits(64)))
        for lane, waiting in self._waiting.items():  # what a cut left of the last commits
            durable = self.journal.stats().lanes[lane].durable
            self.account.promise((self._epoch, lane), [each for each in waiting if each[0] <= durable])
            self.account.cut_off[lane.name.lower()] += sum(seq > durable for seq, _digest in waiting)
        if self._waiting:
            self.counters["epochs_ended"] += self.journal.epoch != self._epoch
        self._waiting.clear()
        self._epoch = self.journal.epoch
        self.storage.cut_after = None
        self._running = True
        self.capped = CappedSink(self, self._cap, self.storage, boot_id, self.account.notices.append)

    def give(self, records: Iterable[Record]) -> None:
        """As the pipeline does."""
        for record in records:
            self.account.made[record.lane.name.lower()] += 1
            self.capped.put(record)
        self._commit(URGENT)

    def put(self, record: Record) -> bool:
        """Behind the cap: a ``ports.RecordSink``."""
        seq = self.journal.append(record)
        self._waiting[record.lane].append((seq, StoredRecord(self.journal.epoch, seq, record).digest()))
        return True

    def second(self, *, moving: bool) -> None:
        """Group commit, and the work that is done when nothing else is."""
        self._clock_s += 1
        if moving or self._clock_s % 10 == 0:
            self._commit(Lane)
        for _ in range(TIDY_STEPS):
            if not self._try(self.journal.tidy):
                break
        if self._clock_s % MAINTAIN_S == 0:
            self._try(self.journal.maintain)
            self._try(self.capped.save)

    def _commit(self, lanes: Iterable[Lane]) -> None:
        for lane in sorted(lanes):
            if self._waiting[lane]:
                self._try(lambda lane=lane: self._commit_lane(lane))  # type: ignore[misc]

    def _commit_lane(self, lane: Lane) -> bool:
        durable = self.journal.commit(lane)
        waiting = self._waiting[lane]
        self.account.promise((self._epoch, lane), [each for each in waiting if each[0] <= durable])
        self._waiting[lane] = [each for each in waiting if each[0] > durable]
        return True

    def _try(self, work: Callable[[], object]) -> object:
        try:
            return work()
        except JournalError:
            self.counters["refused"] += 1
            return None

    def off(self) -> None:
        """In order."""
        self.capped.finish()
        self._commit(Lane)
        self._try(self.capped.save)
        self.counters["held_back_and_stopped"] += self.capped.held
        self._count()
        self._try(self.journal.close)
        self.counters["stops"] += 1

    def cut(self) -> None:
        """At once: what was not synced is old, new or garbage."""
        self._count()
        self.counters["power cuts"] += 1
        capacity = self.storage.capacity
        operations, written = self.storage.operations, self.storage.written
        self.storage = CutStorage(self.storage.disk.crash(self._rng))
        self.storage.capacity = capacity
        self.storage.operations, self.storage.written = operations, written
        if self._rng.random() < 0.3:
            self.storage.cut_after = self._rng.randrange(30)  # once more, while it recovers

    def _count(self) -> None:
        """Once for each run."""
        if not self._running:
            return
        self._running = False
        stats = self.journal.stats()
        self.counters["segments_rewritten"] += stats.rewritten
        self.counters["quarantined"] += stats.quarantined
        self.counters["held_back"] += self.capped.held
        for lane in stats.lanes.values():
            self.counters["thinned"] += lane.thinned
            self.counters["evicted"] += lane.evicted
            self.counters["shed"] += lane.shed
