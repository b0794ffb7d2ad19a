"""The journal: records go in by lane, become durable by commit, and leave when the receiver has them.

One thread appends, commits and maintains; any thread may read, acknowledge and wait. Only the first one changes files.
Rules: nothing is sent beyond the durable number; the cursor is on flash before a segment goes; a number, once it could
have been sent, never means anything else within its epoch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Final, Self

from outrider.errors import JournalError
from outrider.model.record import GapReason, Lane, Record, StoredRecord
from outrider.ports import Storage, Stream
from outrider.record import cursor as cursors
from outrider.record.cursor import CursorState, Position, StreamKey, encode_cursor
from outrider.record.evidence_label import is_evidence
from outrider.record.format import BLOCK, SegmentHeader
from outrider.record.hole import Hole, merged
from outrider.record.options import SHED_ORDER, URGENT, JournalOptions, LaneOptions
from outrider.record.pending import Pending
from outrider.record.pool import FilePool, is_full
from outrider.record.recovery import Survey, survey
from outrider.record.repair import QUARANTINE, Random, choose_epoch, set_aside, settle
from outrider.record.retention import Retention
from outrider.record.segment import Segment
from outrider.record.space import Space
from outrider.record.state import TwoSlotFile
from outrider.record.stats import JournalStats, LaneStats
from outrider.record.stream import LogStream
from outrider.record.tidy import Tidy
from outrider.record.volatile import Volatile

__all__ = ["Journal", "JournalOptions", "LaneOptions"]

MAX_DECLARED: Final = 150  # holes of all streams; the rest of the cursor's room is for what retention gives up
NEWEST_BYTES: Final = 1 << 22


class Journal:
    """Implements ``ports.RecordLog``. Made by ``open``; close it to give the directory back.

    stuck: whether the writer's thread hangs in the disk (None: no), and the emergencies that wait for it.
    """

    def __init__(self, storage: Storage, options: JournalOptions, boot_id: int, rng: Random, found: Survey) -> None:
        self._storage = storage
        self._options = options
        self._boot_id = boot_id
        self._rng = rng
        self._guard = storage.guard()
        self._cursor_dirty = False
        self._generation = self._seen = 0
        self._untidy = True  # a segment was begun since everything was tidy
        self._pool = FilePool(storage, options)
        self._streams: dict[StreamKey, LogStream] = found.streams
        self._active: dict[Lane, Segment] = {}
        self.epoch = choose_epoch(found, rng)
        self._stats = JournalStats(self.epoch, {lane: LaneStats() for lane in Lane})
        self._current = {lane: self._stream(lane) for lane in Lane}
        self._pending = {lane: Pending(self.epoch, lane, s.durable + 1) for lane, s in self._current.items()}
        self._retention = Retention(options, self._streams, self.epoch)
        tidy = Tidy(storage, options, self._retention, rng)
        self._volatile = Volatile(rng, boot_id, self.epoch)
        self.stuck: Callable[[], Sequence[Record] | None] = lambda: None
        self._space = Space(
            storage, self._pool, self._retention, tidy, stats=self._stats, save_cursor=self._save_cursor
        )

    def _stream(self, lane: Lane) -> LogStream:
        return self._streams.setdefault((self.epoch, lane), LogStream(self.epoch, lane))

    @classmethod
    def open(cls, storage: Storage, options: JournalOptions | None = None, *, boot_id: int, rng: Random) -> Self:
        """Recover what is there and go on with it. JournalError when the storage refuses."""
        try:
            found = survey(storage)
            settle(storage, found)
            journal = cls(storage, options or JournalOptions(), boot_id, rng, found)
            journal._begin(found)
        except JournalError:
            storage.close()
            raise
        return journal

    def _begin(self, found: Survey) -> None:
        self._cursor = TwoSlotFile.open(self._storage, cursors.FILE_NAME, cursors.SLOT_BYTES)
        self._cursor.read()
        self._save_cursor()
        set_aside(self._storage, found)
        self._forget(found.superseded)
        for damage in found.damage:
            if damage.lane is not None and damage.last:
                self._stats.lanes[damage.lane].unreadable += damage.last - damage.first + 1
        names = self._storage.names()
        self._stats.quarantined = sum(1 for name in names if name.startswith(QUARANTINE))
        self._pool.load(names)
        damaged = {damage.name for damage in found.damage}
        for lane, stream in self._current.items():
            if stream.segments and stream.segments[-1].name not in damaged:
                segment = stream.segments[-1]
                segment.file = self._storage.open(segment.name)
                self._active[lane] = segment
        self._space.release()
        while self._pool.replenish() or self._pool.replenish_evidence():
            pass
        if self._options.evidence_segments:
            self._stand_ready()

    def _forget(self, superseded: Sequence[str]) -> None:
        """Power failed before they could go; the one that stands for them is durable (``settle``)."""
        for name in superseded:
            self._storage.unlink(name)
        if superseded:
            self._storage.sync_dir()

    def _stand_ready(self) -> None:
        """A crash finds open segments: making one takes several syncs, and power may not last so long."""
        for lane in (Lane.EMERGENCY, Lane.BULK):
            if lane in self._active:
                continue
            try:
                self._roll(lane, self._options.lanes[lane].segment_bytes, evidence=lane is Lane.BULK)
            except JournalError as err:
                if not is_full(err):
                    raise

    # -- the writer's side ---------------------------------------------------------------------------

    def append(self, record: Record) -> int:
        """Give the record its number; it is durable after the next ``commit`` of its lane that returns.

        JournalError only for a body larger than ``JournalOptions.max_body_bytes``. A low lane that may hold no more is
        shed: what it held becomes a gap.
        """
        lane = record.lane
        if len(record.body) > self._options.max_body_bytes(lane):
            raise JournalError(f"record of {len(record.body)} bytes; lane {lane.name} takes {self.max_body(lane)}")
        pending = self._pending[lane]
        if lane not in URGENT and pending.bytes > self._options.pending_bytes:
            self._shed(lane)
        self._stats.lanes[lane].appended += 1
        return pending.add(record)

    @property
    def full(self) -> bool:
        """A lane got no segment when it last tried, or one of the reserve."""
        return self._stats.full

    def max_body(self, lane: Lane) -> int:
        return self._options.max_body_bytes(lane)

    def note_lost(self, lane: Lane, count: int, reason: GapReason, t_us: int) -> None:
        """``count`` records were lost before they could be appended: a GAP record takes their place."""
        if count > 0:
            self._pending[lane].lose(count, reason, self._boot_id, t_us)
            self._stats.lanes[lane].overrun += count

    def commit(self, lane: Lane | None = None) -> int:
        """Write what is pending in the lane (None: in all) with one fdatasync each, and make it durable.

        Returns the lane's durable number (for None the sum over the lanes). JournalError: the disk refused; what is
        pending stays pending and the next commit tries it again elsewhere. A full device raises for urgent lanes only.
        """
        lanes = list(Lane) if lane is None else [lane]
        for each in lanes:
            try:
                self._commit_lane(each)
            except JournalError:
                if each is Lane.EMERGENCY:
                    self._send_from_memory()
                raise
            if each is Lane.EMERGENCY:
                self._volatile.settled()
        try:
            self._space.release()
        except JournalError:
            self._stats.faults += 1  # the records are durable all the same; ``maintain`` tries again
        return sum(self._current[each].durable for each in lanes)

    def _commit_lane(self, lane: Lane) -> None:
        pending, stream = self._pending[lane], self._current[lane]
        while pending.items:
            segment = self._writable(lane)
            if segment is None:
                self._shed(lane)
                return
            items = pending.items[: segment.fitting(pending.items)]
            try:
                assert segment.file is not None
                commit = segment.write(self._rng.getrandbits(32), pending.first, items)
                segment.file.sync()
            except JournalError:
                self._abandon(lane)
                raise
            self._stats.commits += 1
            with self._guard:
                segment.adopt(commit, len(items), items[-1][1])
                segment.note_evidence(record for _seq, record in items)
                pending.done(len(items))
                stream.durable = commit.last_seq
                self._generation += 1
                self._guard.notify_all()

    def _send_from_memory(self, queued: Sequence[Record] = ()) -> None:
        """Emergencies that flash does not take leave all the same, under an epoch of their own."""
        waiting = [record for _seq, record in tuple(self._pending[Lane.EMERGENCY].items)]
        with self._guard:
            if self._volatile.add([*waiting, *queued]):
                self._generation += 1
                self._guard.notify_all()

    def _abandon(self, lane: Lane) -> None:
        """After a failed write or sync nobody knows what the file holds: its successor starts at the same number."""
        self._stats.faults += 1
        self._active.pop(lane).close()

    def _shed(self, lane: Lane) -> None:
        self._stats.lanes[lane].shed += self._pending[lane].shed(GapReason.FULL)

    def _writable(self, lane: Lane) -> Segment | None:
        """A segment with room for the next record; None when the device is full and the lane has to wait."""
        segment = self._active.get(lane)
        if segment is not None and segment.fitting(self._pending[lane].items[:1]):
            return segment
        if segment is not None:
            self._active.pop(lane).close()
        size = self._options.lanes[lane].segment_bytes
        evidence = any(is_evidence(record) for _seq, record in self._pending[lane].items[:1])
        while (lanes := self._retention.over_quota(lane, size)) and self._space.evict(lanes, GapReason.QUOTA):
            pass
        while True:
            try:
                return self._roll(lane, size, evidence=evidence)
            except JournalError as err:
                self._stats.full = is_full(err)
                if not is_full(err):
                    raise
                if not self._space.evict(self._retention.below(lane, evidence=evidence), GapReason.FULL):
                    if lane in URGENT:
                        raise
                    return None

    def _roll(self, lane: Lane, size: int, *, evidence: bool) -> Segment:
        stream = self._current[lane]
        header = SegmentHeader(lane, self._boot_id, self.epoch, stream.next_segment, stream.durable + 1, size // BLOCK)
        segment = self._pool.create(header, evidence=evidence)
        stream.next_segment += 1  # a number in the cursor says that its file is there: recovery looks for it
        self._stats.full = self._pool.reserve_used
        with self._guard:
            stream.segments.append(segment)
        self._active[lane] = segment
        self._untidy = True
        self._save_cursor()
        return segment

    # -- space ---------------------------------------------------------------------------------------

    def tidy(self) -> bool:
        """One bounded piece of work ahead of need: pack, give up, thin. True: call again when nothing else waits.

        JournalError: the disk refused; nothing is lost by it.
        """
        self._untidy = self._untidy and self._space.tidy()
        return self._untidy

    def _declare_shed(self) -> None:
        """What low lanes shed on a full device is named by the cursor, which needs no room: it survives a power cut."""
        for lane in SHED_ORDER:
            pending, stream = self._pending[lane], self._current[lane]
            gap = pending.shed_first
            if gap is None or lane in self._active or sum(len(s.holes) for s in self._streams.values()) >= MAX_DECLARED:
                continue
            hole = Hole(pending.first, pending.items[0][0], GapReason.FULL, gap.boot_id, gap.t_us)
            self._save_cursor((stream, hole))  # nobody may read it before it is on flash
            with self._guard:
                stream.holes = merged([*stream.holes, hole])
                stream.durable = hole.last
                pending.done(1)
                self._generation += 1
                self._guard.notify_all()

    def maintain(self) -> None:
        """Now and then: free what was acknowledged, refill the reserves, put the cursor on flash."""
        self._space.release()
        self._space.retry()
        while self._pool.replenish():
            pass
        self._pool.replenish_evidence()  # one file at a time: it takes longer than the others
        self._declare_shed()
        if self._cursor_dirty:
            self._save_cursor()
        self._untidy = True
        self.tidy()

    def _save_cursor(self, more: tuple[LogStream, Hole] | None = None) -> None:
        """more: a hole at the end of a stream, which counts once it is on flash."""
        with self._guard:
            self._cursor_dirty = False
            state = CursorState(self.epoch)
            for key, s in self._streams.items():
                if s.epoch != self.epoch and s.acknowledged >= s.durable and not s.segments:
                    continue  # an old epoch that is done with
                own = [more[1]] if more is not None and more[0] is s else []
                durable = max([s.durable, *(hole.last for hole in own)])
                state.positions[key] = Position(s.acknowledged, durable, s.next_segment)
                state.holes += [(*key, hole) for hole in merged([*s.holes, *own])]
        try:
            self._cursor.write(encode_cursor(state))
        except JournalError:
            self._cursor_dirty = True
            raise
        self._stats.cursor_writes += 1

    # -- the sending side ----------------------------------------------------------------------------

    def streams(self) -> list[Stream]:
        queued = self.stuck()
        if queued is not None:
            self._send_from_memory(queued)
        with self._guard:
            waiting = [s for s in self._streams.values() if s.acknowledged < s.durable]
            waiting.sort(key=lambda s: (s.lane, s.epoch == self.epoch))  # old ones may have been found after this
            return self._volatile.streams() + [Stream(s.epoch, s.lane, s.acknowledged, s.durable) for s in waiting]

    def read(self, epoch: int, lane: Lane, first_seq: int, max_records: int, max_bytes: int) -> list[StoredRecord]:
        with self._guard:
            if (epoch, lane) == (self._volatile.epoch, Lane.EMERGENCY):
                return self._volatile.read(first_seq, max_records, max_bytes)
            stream = self._streams.get((epoch, lane))
            return [] if stream is None else stream.read(first_seq, max_records, max_bytes)

    def newest(self, lane: Lane, count: int) -> list[StoredRecord]:
        """The newest durable records of a lane that are still held, acknowledged or not, oldest first."""
        with self._guard:
            own = [stream for (_epoch, each), stream in self._streams.items() if each is lane]
            own.sort(key=lambda stream: stream.epoch == self.epoch)
            found: list[StoredRecord] = []
            for stream in own:
                at = max(1, stream.durable - count + 1)
                while got := stream.read(at, count, NEWEST_BYTES):
                    found += got
                    at = got[-1].seq + 1
            return found[-count:]

    def acknowledge(self, epoch: int, lane: Lane, up_to_seq: int) -> bool:
        with self._guard:
            if (epoch, lane) == (self._volatile.epoch, Lane.EMERGENCY):
                return self._volatile.acknowledge(up_to_seq)
            stream = self._streams.get((epoch, lane))
            if stream is None or not 0 <= up_to_seq <= stream.durable:
                return False
            if up_to_seq > stream.acknowledged:
                stream.acknowledge(up_to_seq)
                self._cursor_dirty = True
            return True

    def wait_durable(self, timeout_s: float) -> bool:
        """True as soon as anything became durable since the last call that said so. For one waiting thread."""
        with self._guard:
            news = self._guard.wait_for(lambda: self._generation != self._seen, timeout_s)
            self._seen = self._generation
            return news

    def stats(self) -> JournalStats:
        """A copy."""
        with self._guard:
            stats = dataclasses.replace(
                self._stats, segments_written=self._pool.written, segments_reused=self._pool.reused
            )
            stats.from_memory = self._volatile.durable
            stats.lanes = {lane: dataclasses.replace(own) for lane, own in self._stats.lanes.items()}
            for lane, own in stats.lanes.items():
                stream = self._current[lane]
                own.durable, own.acknowledged = stream.durable, stream.acknowledged
                own.pending = len(self._pending[lane].items)
                own.bytes = sum(s.bytes for key, s in self._streams.items() if key[1] is lane)
            return stats

    def close(self) -> None:
        """Commit, put the cursor on flash, close. What cannot be written any more is an error after closing."""
        try:
            self._space.close()
            self.commit()
            self._declare_shed()
            self._save_cursor()
        finally:
            for segment in self._active.values():
                segment.close()
            self._cursor.close()
            self._storage.close()
