"""The thread between the driving side and flash: a bounded queue in front, group commit behind.

``put`` never blocks and never touches the disk. Emergency and ledger records and the evidence of a crash are committed
at once, the others after their lane's time. When the queue fills, bulk is refused first, then telemetry, then event;
each refusal is counted and becomes a GAP record (OVERRUN) in its place. A disk that fails is tried again; the thread
goes on.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from outrider.errors import JournalError
from outrider.model.notice import Notice
from outrider.model.record import GapReason, Lane, Record
from outrider.ports import Clock
from outrider.record.disk_watch import DiskWatch
from outrider.record.evidence_label import is_evidence
from outrider.record.journal import Journal
from outrider.record.options import URGENT

_log = logging.getLogger(__name__)

OnDurable = Callable[[int, Lane, int], None]

# The share of the queue a lane may fill: the rest is for those above it.
SHARE: Final = {Lane.EMERGENCY: 1.0, Lane.LEDGER: 1.0, Lane.EVENT: 0.9, Lane.TELEMETRY: 0.75, Lane.BULK: 0.5}


HANG_US: Final = 5_000_000  # a piece of work on flash that takes longer hangs
FIRST_BURST: Final = 32 * 1024


@dataclass(frozen=True, slots=True)
class WriterOptions:
    """Names and defaults are those of ``[journal]`` in the configuration.

    retry_s: pause after a failed commit. maintain_s: how often the cursor goes to flash while acknowledgements come.
    burst_bytes: what a lane may gather before it is committed early; well below ``JournalOptions.pending_bytes``.
    """

    event_commit_s: float = 1.0
    telemetry_commit_s: float = 10.0
    telemetry_commit_moving_s: float = 1.0
    queue_records: int = 8192
    retry_s: float = 1.0
    maintain_s: float = 60.0
    burst_bytes: int = 1024 * 1024


@dataclass(slots=True)
class WriterStats:
    """put, refused: records by lane, in order of ``Lane``. highest: the fullest the queue has been. alive: the thread
    runs; false while the daemon does is a fault of ours. disk: ok, full, read_only or fault."""

    put: dict[str, int] = field(default_factory=lambda: {lane.name.lower(): 0 for lane in Lane})
    refused: dict[str, int] = field(default_factory=lambda: {lane.name.lower(): 0 for lane in Lane})
    queued: int = 0
    highest: int = 0
    failed_commits: int = 0
    last_fault: str | None = None
    alive: bool = False
    disk: str = "ok"


@dataclass(slots=True)
class _Lost:
    """Records refused between two that were taken."""

    lane: Lane
    count: int
    t_us: int


class JournalWriter:
    """Implements ``ports.RecordSink``. on_durable(epoch, lane, seq): on the writer's thread; may only enqueue.
    save_beside: puts small state on flash that changes with emergencies; likewise, and may raise JournalError."""

    def __init__(
        self,
        journal: Journal,
        options: WriterOptions,
        clock: Clock,
        *,
        on_durable: OnDurable | None = None,
        save_beside: Callable[[], None] = lambda: None,
        on_notice: Callable[[Notice], None] = lambda _notice: None,
    ) -> None:
        self._journal = journal
        self._options = options
        self._clock = clock
        self._on_durable = on_durable
        self._save_beside = save_beside
        self._disk = DiskWatch(on_notice)
        self._wake = threading.Condition()
        self._queue: deque[Record | _Lost] = deque()
        self._lost: dict[Lane, _Lost] = {}  # the lanes whose newest entry is a loss
        self._taken = self._settled = 0  # entries that came into and went through the queue
        self._records = 0
        self._moving = False
        self._stopping = False
        self._flush_to = 0
        self._stats = WriterStats()
        self._due: dict[Lane, int] = {}
        self._hasty: set[Lane] = set()  # evidence is among what waits to be committed
        self._burst = FIRST_BURST  # of evidence, grows while it goes on
        self._gathered: Counter[Lane] = Counter()  # bytes given to the journal since the lane's last commit
        self._retry_us = 0
        self._maintain_us = 0
        self._untidy = True  # the journal may have work ahead of need
        self._begun_us: int | None = None  # what the thread is at, None: it waits
        journal.stuck = self._stuck
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)

    def start(self) -> None:
        found = self._journal.stats()
        unreadable = sum(lane.unreadable for lane in found.lanes.values())
        if unreadable:
            self._disk.damage(found.quarantined, unreadable)
        self._thread.start()

    def put(self, record: Record) -> bool:
        """False: refused, counted, and lost: a GAP names it, so do not offer it again."""
        with self._wake:
            return self._put(record)

    def put_waiting(self, record: Record) -> bool:
        """For those who can wait, as a replay can: blocks while the queue is too full for the lane.

        False only for a record that is too large, or after ``stop``.
        """
        with self._wake:
            self._wake.wait_for(lambda: self._stopping or not self._too_full(record.lane))
            return self._put(record)

    def _too_full(self, lane: Lane) -> bool:
        return self._records >= self._options.queue_records * SHARE[lane]

    def _put(self, record: Record) -> bool:
        lane = record.lane
        name = lane.name.lower()
        if self._too_full(lane) or self._stopping or len(record.body) > self._journal.max_body(lane):
            self._stats.refused[name] += 1
            self._note_refused(record)
            return False
        self._stats.put[name] += 1
        self._enqueue(record)
        self._lost.pop(lane, None)
        self._records += 1
        self._stats.highest = max(self._stats.highest, self._records)
        self._wake.notify_all()
        return True

    def _enqueue(self, entry: Record | _Lost) -> None:
        self._queue.append(entry)
        self._taken += 1

    def _note_refused(self, record: Record) -> None:
        lost = self._lost.get(record.lane)
        if lost is not None:
            lost.count += 1
            lost.t_us = record.t_us
        elif not self._stopping:
            self._lost[record.lane] = lost = _Lost(record.lane, 1, record.t_us)
            self._enqueue(lost)

    def set_moving(self, moving: bool) -> None:
        """Moving: telemetry is committed more often, for what is still waiting too."""
        with self._wake:
            if moving and not self._moving:
                self._wake.notify_all()
            self._moving = moving

    def flush(self, timeout_s: float | None = 30.0) -> bool:
        """Wait until everything put so far is durable. False: not within the time (the disk refuses)."""
        with self._wake:
            self._flush_to = goal = self._taken
            self._wake.notify_all()
            return self._wake.wait_for(lambda: self._settled >= goal or not self._thread.is_alive(), timeout_s)

    def hurry(self) -> None:
        """The supply fails: everything put so far is committed now, the most urgent lane first. Does not wait."""
        self.flush(0.0)

    def stop(self, timeout_s: float | None = 30.0) -> None:
        """Commit everything and end. What the disk refuses even then stays pending in the journal."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def stats(self) -> WriterStats:
        with self._wake:
            return dataclasses.replace(
                self._stats,
                put=dict(self._stats.put),
                refused=dict(self._stats.refused),
                queued=self._records,
                alive=self._thread.is_alive(),
                disk=self._disk.state.name.lower(),
            )

    # -- the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        self._maintain_us = self._now() + round(self._options.maintain_s * 1e6)
        while True:
            with self._wake:
                while not self._has_work():
                    self._wake.wait(self._pause_s())
                entries = list(self._queue)
                self._queue.clear()
                self._lost.clear()
                self._records = 0
                goal, flush_to, stopping = self._taken, self._flush_to, self._stopping
                self._begun_us = self._now()
                self._wake.notify_all()
            flushing = stopping or flush_to > self._settled
            done = self._turn(entries, flushing=flushing)
            with self._wake:
                self._begun_us = None
                if flushing and done and not self._due:
                    self._settled = goal
                self._wake.notify_all()
            if stopping:
                return

    def _turn(self, entries: list[Record | _Lost], *, flushing: bool) -> bool:
        """False: something has to be tried again. A bug in here must not end the thread: it is told, and it goes on."""
        try:
            self._take(entries)
            done = self._commit_due(everything=flushing)
            self._maintain()
            self._tidy()
        except Exception as err:  # noqa: BLE001  the last stop of this thread; without it capture would lose its flash
            self._note_fault(f"{type(err).__name__}: {err}")
            _log.exception("the journal's writer goes on after a fault of its own")
            return False
        return done

    def _stuck(self) -> list[Record] | None:
        """From any thread: the emergencies that wait while the disk does not answer; None: it does."""
        with self._wake:
            if self._begun_us is None or self._now() - self._begun_us < HANG_US:
                return None
            return [each for each in self._queue if isinstance(each, Record) and each.lane is Lane.EMERGENCY]

    def _now(self) -> int:
        return self._clock.boottime_us()

    def _has_work(self) -> bool:
        if self._stopping or self._queue or self._untidy:
            return True
        return self._pause_s() <= 0 or (self._flush_to > self._settled and self._now() >= self._retry_us)

    def _pause_s(self) -> float:
        times = [self._maintain_us]
        if self._due:
            times.append(max(min(self._due_us(lane) for lane in self._due), self._retry_us))
        if self._flush_to > self._settled:
            times.append(self._retry_us)
        return max(0.0, (min(times) - self._now()) / 1e6)

    def _due_us(self, lane: Lane) -> int:
        """When the oldest waiting record of the lane has to be durable."""
        if lane in URGENT or lane in self._hasty:
            wait_s = 0.0
        elif lane is Lane.EVENT:
            wait_s = self._options.event_commit_s
        else:
            moving = self._options.telemetry_commit_moving_s
            wait_s = moving if self._moving else self._options.telemetry_commit_s
        return self._due[lane] + round(wait_s * 1e6)

    def _take(self, entries: list[Record | _Lost]) -> None:
        """One entry that fails takes none of the others with it; a gap names what it was. Urgent ones come first."""
        now = self._now()
        for entry in sorted(entries, key=lambda each: each.lane not in URGENT):
            self._make_room(entry.lane)
            self._due.setdefault(entry.lane, now)
            if isinstance(entry, _Lost):
                self._journal.note_lost(entry.lane, entry.count, GapReason.OVERRUN, entry.t_us)
                continue
            try:
                self._journal.append(entry)
                self._gathered[entry.lane] += len(entry.body)
                if is_evidence(entry):
                    self._hasty.add(entry.lane)
            except Exception as err:  # noqa: BLE001  whatever it is, the records behind it are worth more
                self._note_fault(f"record of lane {entry.lane.name} not taken: {type(err).__name__}: {err}")
                self._journal.note_lost(entry.lane, 1, GapReason.OVERRUN, entry.t_us)

    def _make_room(self, lane: Lane) -> None:
        """A burst (evidence of a crash) is committed in parts: the journal sheds what piles up in memory.

        The first parts of evidence are small: they are worth most, and on a slow card power may go during one sync.
        """
        hasty = lane in self._hasty
        limit = min(self._burst, self._options.burst_bytes) if hasty else self._options.burst_bytes
        if self._gathered[lane] < limit or self._now() < self._retry_us:
            return
        self._burst = min(2 * self._burst, self._options.burst_bytes) if hasty else self._burst
        for each in sorted(due for due in self._due if due in URGENT or due is lane):
            self._commit(each)

    def _commit_due(self, *, everything: bool) -> bool:
        """Most urgent lane first, and each for itself: a lane that fails holds up no other. False: one failed."""
        now = self._now()
        if now < self._retry_us and not self._stopping and not any(lane in URGENT for lane in self._due):
            return False
        done = True
        for lane in sorted(self._due):
            if lane in self._hasty and self._gathered[lane] < FIRST_BURST:
                self._burst = FIRST_BURST
            if everything or self._due_us(lane) <= now:
                done = self._commit(lane) and done
        return done

    def _commit(self, lane: Lane) -> bool:
        try:
            seq = self._journal.commit(lane)
        except JournalError as err:
            self._disk.refused(err, self._now())
            self._note_fault(f"commit of lane {lane.name}: {err}")
            return False
        except Exception as err:  # noqa: BLE001  a fault of ours in one lane must not hold up the others
            self._note_fault(f"commit of lane {lane.name}: {type(err).__name__}: {err}")
            _log.exception("journal: commit of lane %s", lane.name)
            return False
        self._untidy = True
        if self._journal.full:
            self._disk.full(self._now())
        else:
            self._disk.took(self._now())
        del self._due[lane]
        self._hasty.discard(lane)
        self._gathered[lane] = 0
        if self._on_durable is not None:
            self._on_durable(self._journal.epoch, lane, seq)
        if lane is Lane.EMERGENCY:
            self._maintain_us = min(self._maintain_us, self._now() + round(self._options.retry_s * 1e6))
        return True

    def _maintain(self) -> None:
        now = self._now()
        if now < self._maintain_us and not self._stopping:
            return
        self._maintain_us = now + round(self._options.maintain_s * 1e6)
        for work in (self._journal.maintain, self._save_beside):
            try:
                work()
            except JournalError as err:
                self._disk.refused(err, now)
                self._note_fault(f"maintenance: {err}")

    def _tidy(self) -> None:
        """A piece of the work ahead of need, when nothing else is to be done: what comes then waits for one piece."""
        with self._wake:
            if not self._untidy or self._queue or self._stopping:
                return
        self._untidy = False
        try:
            self._untidy = self._journal.tidy()
        except JournalError as err:
            self._disk.refused(err, self._now())
            self._note_fault(f"packing: {err}")

    def _note_fault(self, text: str) -> None:
        self._retry_us = self._now() + round(self._options.retry_s * 1e6)
        with self._wake:
            self._stats.failed_commits += 1
            if text != self._stats.last_fault:
                _log.error("journal: %s", text)
            self._stats.last_fault = text
