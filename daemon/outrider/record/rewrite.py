"""Several closed segments of a stream become one: packed (every record stays) or thinned (telemetry 1 Hz to 0.1 Hz).

Each commit took a block of its own, so that power could fail behind it; what is closed can lie close. Thinning keeps,
of telemetry, the first record of each ten seconds of a boot, and everything else; a GAP record (THINNED) names each run
of numbers between. Holes of the cursor that lie within become GAP records, so that the cursor has room again.

Work is done in bounded steps on the writer's thread. The file is whole and durable before ``journal`` gives it the
name of its last source; power may fail at any step (``superseded``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Final

from outrider.errors import JournalError
from outrider.model.record import Gap, GapReason, Kind, Record, StoredRecord
from outrider.ports import Guard, Storage
from outrider.record.format import (
    BLOCK,
    COMMIT_HEADER_BYTES,
    THINNED,
    CommitHeader,
    SegmentHeader,
    pack_commit,
    pack_segment_header,
    record_bytes,
)
from outrider.record.hole import first_number, gap_record
from outrider.record.options import URGENT
from outrider.record.repair import Random
from outrider.record.segment import Segment, find_commits, segment_name
from outrider.record.stream import LogStream

TMP: Final = "rewrite.tmp"
SLOT_US: Final = 10_000_000  # of which one telemetry record stays
STEP_RECORDS: Final = 128
STEP_BYTES: Final = 64 * 1024
SYNC_BYTES: Final = 256 * 1024  # so much may wait for its fdatasync: the last one must not take long
_ROOM: Final = BLOCK - COMMIT_HEADER_BYTES


class Sieve:
    """Which records stay in a file of this form, and the GAP records between."""

    def __init__(self, stream: LogStream, form: int) -> None:
        self._stream = stream
        self._thins = form == THINNED
        self._slot: tuple[int, int] | None = None
        self._first = 0
        self._last: StoredRecord | None = None
        self.dropped = 0

    def pass_on(self, stored: StoredRecord) -> list[StoredRecord]:
        """What is to be written now that this one, the next in order, has been seen."""
        record = stored.record
        if self._thins and record.kind == Kind.TELEMETRY:
            slot = (record.boot_id, record.t_us // SLOT_US)
            if slot == self._slot:
                self._drop(stored)
                return []
            self._slot = slot
        return [*self.close(), stored]

    def _drop(self, stored: StoredRecord) -> None:
        if self._last is None:
            self._first = stored.seq
        self._last = stored
        self.dropped += stored.seq > self._stream.acknowledged

    def close(self) -> list[StoredRecord]:
        """The GAP record for what was dropped and not yet named."""
        last, self._last = self._last, None
        if last is None:
            return []
        gap = Gap(last.epoch, self._first, last.seq, GapReason.THINNED)
        return [StoredRecord(last.epoch, last.seq, gap_record(last.record.lane, gap, last.record))]


class Rewriter:
    """``step`` until it says True, then ``finish`` or, when it has ``failed``, ``abandon``.

    sources: neighbouring closed segments. taken: how many of them fit into ``limit_bytes``; fewer than all: begin anew
    with as many, since the name is part of each checksum.
    """

    def __init__(
        self,
        storage: Storage,
        stream: LogStream,
        sources: Sequence[Segment],
        *,
        form: int,
        limit_bytes: int,
        rng: Random,
    ) -> None:
        self.stream = stream
        self.sources = list(sources)
        self.form = form
        self.taken = 0
        self.failed = False
        self._storage = storage
        self._rng = rng
        self._limit = limit_bytes // BLOCK
        first, last = sources[0].header, sources[-1].header
        self._header = SegmentHeader(
            stream.lane, last.boot_id, stream.epoch, last.segment, first.first_seq, self._limit, form
        )
        self._at = first.first_seq
        self._sieve = Sieve(stream, form)
        self._held: list[StoredRecord] = []  # read and not yet written
        self._commits: list[tuple[CommitHeader, int, Record]] = []
        self._blocks = 1
        self._unsynced = 0
        self._file = storage.open(TMP, create=True)

    @property
    def dropped(self) -> int:
        """Records that were not acknowledged and are not in the new file."""
        return self._sieve.dropped

    @property
    def is_current(self) -> bool:
        """Its sources are still in the stream: nothing was released or evicted meanwhile."""
        segments = self.stream.segments
        return self.sources[0] in segments and segments[segments.index(self.sources[0]) :][: len(self.sources)] == (
            self.sources
        )

    def step(self, guard: Guard) -> bool:
        """Some records more. True: the end. JournalError: the disk refuses; ``abandon``."""
        source = self.sources[self.taken]
        if self._at <= source.last_seq:
            with guard:
                got = self.stream.read(self._at, min(STEP_RECORDS, source.last_seq - self._at + 1), STEP_BYTES)
            if not got:
                self.failed = True
                return True
            self._take(got, source.last_seq)
        if self._at > source.last_seq:
            self._end_source(last=self.taken == len(self.sources) - 1)
        return self.failed or self.taken == len(self.sources)

    def _end_source(self, *, last: bool) -> None:
        """Write what fills its blocks, at the end the rest too."""
        if last:
            self._held += self._sieve.close()
        groups = list(_blocks_of(self._held))
        if self._blocks + sum(blocks for _items, blocks in groups) > self._limit:
            self.failed = True
            return
        self._held = [] if last or not groups else groups.pop()[0]
        for items, blocks in groups:
            self._write(items, blocks)
        self.taken += 1

    def _take(self, got: Sequence[StoredRecord], last_seq: int) -> None:
        for stored in got:
            if first_number(stored) > last_seq:
                return
            self._at = stored.seq + 1
            if stored.seq > last_seq:  # a hole that goes on in the next segment stays in the cursor
                self._held += self._sieve.close()
                return
            self._held += self._sieve.pass_on(stored)

    def _write(self, items: Sequence[StoredRecord], blocks: int) -> None:
        pairs = [(stored.seq, stored.record) for stored in items]
        first = first_number(items[0])
        nonce = self._rng.getrandbits(32)
        data = pack_commit(self._header, self._blocks, nonce, first, pairs)
        self._file.pwrite(data.ljust(blocks * BLOCK, b"\x00"), self._blocks * BLOCK)
        size = len(data) - COMMIT_HEADER_BYTES
        commit = CommitHeader(self._blocks, nonce, first, pairs[-1][0], len(pairs), size)
        self._commits.append((commit, len(pairs), pairs[-1][1]))
        self._blocks += blocks
        self._unsynced += blocks * BLOCK
        if self._unsynced >= SYNC_BYTES:
            self._file.sync()
            self._unsynced = 0

    def finish(self) -> Segment:
        """The new segment, durable under ``TMP``; it reads under its final name."""
        fields = self._header
        header = SegmentHeader(
            fields.lane, fields.boot_id, fields.epoch, fields.segment, fields.first_seq, self._blocks, fields.form
        )
        self._file.pwrite(pack_segment_header(header), 0)
        self._file.sync()
        if fields.lane in URGENT:
            self._prove(header)
        self._file.close()
        made = Segment(self._storage, segment_name(header.lane, header.epoch, header.segment), header)
        for commit, count, stamp in self._commits:
            made.adopt(commit, count, stamp)
        made.last_seq = max(made.last_seq, self.sources[-1].last_seq)
        return made

    def _prove(self, header: SegmentHeader) -> None:
        """Emergency and ledger records go from their old place only when the new file reads. JournalError: not."""
        found = find_commits(header, self._file.pread(header.blocks * BLOCK, 0))
        if [each.header for each in found if each.complete] != [commit for commit, _count, _stamp in self._commits]:
            raise JournalError(f"{TMP}: does not read as it was written; the medium may be failing")

    def abandon(self) -> None:
        """Nothing happened. What cannot be removed now goes on the next opening."""
        self._file.close()
        with contextlib.suppress(JournalError):
            self._storage.unlink(TMP)


def _blocks_of(items: Sequence[StoredRecord]) -> Iterator[tuple[list[StoredRecord], int]]:
    """Cut into commits of one block each, so that a bad block costs what lies in it; a larger record has its own."""
    group: list[StoredRecord] = []
    size = 0
    for stored in items:
        need = record_bytes(stored.record)
        if group and size + need > _ROOM:
            yield group, -(-(size + COMMIT_HEADER_BYTES) // BLOCK)
            group, size = [], 0
        group.append(stored)
        size += need
    if group:
        yield group, -(-(size + COMMIT_HEADER_BYTES) // BLOCK)
