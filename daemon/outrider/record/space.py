"""Making room: segments that are done with go, others are given up, or written anew to take less.

Rules: the cursor is on flash before a segment goes, and so is the name of a segment that stands for others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from outrider.errors import JournalError
from outrider.model.record import GapReason, Lane
from outrider.ports import Storage
from outrider.record.options import MARGIN_BYTES
from outrider.record.pool import FilePool, is_full
from outrider.record.retention import Retention
from outrider.record.rewrite import TMP, Rewriter
from outrider.record.segment import Segment
from outrider.record.stats import JournalStats
from outrider.record.tidy import Tidy


class Space:
    """Belongs to the writer's thread. save_cursor: puts the cursor on flash, or raises."""

    def __init__(
        self,
        storage: Storage,
        pool: FilePool,
        retention: Retention,
        tidy: Tidy,
        *,
        stats: JournalStats,
        save_cursor: Callable[[], None],
    ) -> None:
        self._storage = storage
        self._guard = storage.guard()
        self._pool = pool
        self._retention = retention
        self._tidy = tidy
        self._stats = stats
        self._save_cursor = save_cursor
        self._renamed = False  # a segment has taken the name of another, and the directory is not synced yet
        self._doomed: list[tuple[Segment, bool]] = []  # out of the streams, still on the disk; (segment, keep the file)

    def evict(self, lanes: Sequence[Lane], reason: GapReason) -> bool:
        """Give up the oldest closed segment of the first of these lanes that has one. False: none has."""
        stream = self._retention.victim(lanes)
        if stream is None:
            return False
        with self._guard:
            segment, lost = stream.evict_oldest(reason)
        self._stats.lanes[stream.lane].evicted += lost
        self._doomed.append((segment, reason is GapReason.QUOTA))
        self._discard()
        return True

    def release(self) -> None:
        """Let go of segments that the receiver has whole."""
        with self._guard:
            gone = self._retention.released()
        self._doomed += [(segment, True) for segment in gone]
        if gone:
            self._discard()

    def retry(self) -> None:
        """What the disk refused to remove."""
        if self._doomed or self._renamed:
            self._discard()

    def _discard(self) -> None:
        """The cursor goes to flash first. What the disk refuses stays doomed for the next time."""
        self._save_cursor()
        self._bury()

    def _bury(self) -> None:
        self._settle_names()
        doomed, self._doomed = self._doomed, []
        fault: JournalError | None = None
        for segment, keep in doomed:
            segment.close()
            try:
                if keep:
                    self._pool.give_back(segment.name, segment.bytes)
                else:
                    self._storage.unlink(segment.name)
            except JournalError as err:
                fault = err
                self._doomed.append((segment, keep))
        self._storage.sync_dir()
        if fault is not None:
            raise fault

    def _settle_names(self) -> None:
        if self._renamed:
            self._storage.sync_dir()
            self._renamed = False

    # -- ahead of need -------------------------------------------------------------------------------

    def tidy(self) -> bool:
        """One bounded piece of work. True: there is more. JournalError: the disk refused; nothing is lost by it."""
        try:
            return self._go_on() if self._tidy.busy else self._begin()
        except JournalError as err:
            if not is_full(err):
                raise
            return False

    def _begin(self) -> bool:
        free = self._storage.free_bytes()
        lanes = self._retention.pressed(free)
        if not lanes:
            return False
        plan = self._tidy.plan(lanes)
        if plan is not None:
            self._tidy.begin(plan)
            return True
        if self._retention.patience(free) or not self._retention.may_give_up(Lane.BULK, lanes):
            return False
        return self.evict([Lane.BULK], GapReason.FULL if free < MARGIN_BYTES else GapReason.QUOTA)

    def _go_on(self) -> bool:
        done = self._tidy.step(self._guard)
        if done is not None:
            self._put_in_place(done)
        return True

    def _put_in_place(self, work: Rewriter) -> None:
        """The new segment takes the name of its last source; when that is durable, the other sources go."""
        stream, sources = work.stream, work.sources
        try:
            made = work.finish()
            with self._guard:  # a reader must not find the new file with the index of the old one
                self._storage.rename(TMP, made.name)
                at = stream.segments.index(sources[0])
                stream.segments[at : at + len(sources)] = [made]
                stream.drop_holes(made.header.first_seq, made.last_seq)
        except JournalError:
            work.abandon()
            raise
        self._renamed = True
        self._stats.rewritten += len(sources)
        self._stats.lanes[stream.lane].thinned += work.dropped
        self._doomed += [(segment, True) for segment in sources[:-1]]
        self._settle_names()
        self._discard()

    def close(self) -> None:
        self._tidy.abandon()
