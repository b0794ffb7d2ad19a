"""One segment: a pre-written file, where its commits are, and how records come back out of it.

Its index holds 12 bytes a commit. What is torn or rotten is judged in ``recovery``; here a damaged record is simply not
there.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from outrider.model.record import Lane, Record, StoredRecord
from outrider.ports import Storage, StorageFile
from outrider.record.evidence_label import EvidenceLabel, evidence_label
from outrider.record.format import (
    BLOCK,
    COMMIT_HEADER_BYTES,
    CommitHeader,
    SegmentHeader,
    pack_commit,
    parse_commit_header,
    parse_records,
    record_bytes,
)
from outrider.record.salvage import read_around

_NAME: Final = re.compile(r"([0-4])-([0-9a-f]{16})-([0-9]{8,})\.seg")


def segment_name(lane: Lane, epoch: int, segment: int) -> str:
    return f"{lane.value}-{epoch:016x}-{segment:08d}.seg"


def parse_segment_name(name: str) -> tuple[Lane, int, int] | None:
    """(lane, epoch, segment no), None for any other file."""
    match = _NAME.fullmatch(name)
    return None if match is None else (Lane(int(match[1])), int(match[2], 16), int(match[3]))


@dataclass(frozen=True, slots=True)
class FoundCommit:
    """A commit as it lies in the file. good: its readable records; complete: all of them are."""

    header: CommitHeader
    good: tuple[StoredRecord, ...]

    @property
    def complete(self) -> bool:
        return len(self.good) == self.header.records


class Segment:
    """``file`` is open while the segment is written; readers open it for as long as they read.

    last_seq, boot_id, t_us: of its last accounted number. dense: bytes of its records, without the room between
    commits. stubborn: to write it anew saves nothing. events: whose evidence it holds, in order.
    """

    def __init__(self, storage: Storage, name: str, header: SegmentHeader, file: StorageFile | None = None) -> None:
        self._storage = storage
        self.name = name
        self.file = file
        self.header = header
        self.last_seq = header.first_seq - 1
        self.boot_id = header.boot_id
        self.t_us = 0
        self.records = 0
        self.dense = 0
        self.stubborn = False
        self.next_block = 1
        self.events: list[EvidenceLabel] = []
        self._firsts = array("Q")
        self._blocks = array("I")

    @property
    def form(self) -> int:
        return self.header.form

    @property
    def bytes(self) -> int:
        return self.header.blocks * BLOCK

    def room(self) -> int:
        """Bytes the records of one more commit may have."""
        return max(0, (self.header.blocks - self.next_block) * BLOCK - COMMIT_HEADER_BYTES)

    def fitting(self, items: list[tuple[int, Record]]) -> int:
        """How many of the items, from the first on, fit into one commit here."""
        room = self.room()
        for count, (_seq, record) in enumerate(items):
            room -= record_bytes(record)
            if room < 0:
                return count
        return len(items)

    def write(self, nonce: int, first_seq: int, items: list[tuple[int, Record]]) -> CommitHeader:
        """Write a commit at the next block; it counts only after ``file.sync`` and ``adopt``."""
        assert self.file is not None, "only an open segment is written"
        block = self.next_block
        data = pack_commit(self.header, block, nonce, first_seq, items)
        self.file.pwrite(data, block * BLOCK)
        return CommitHeader(block, nonce, first_seq, items[-1][0], len(items), len(data) - COMMIT_HEADER_BYTES)

    def adopt(self, commit: CommitHeader, records: int, stamp: Record | None) -> None:
        """Take a commit into the index; new ones go behind it."""
        self._firsts.append(commit.first_seq)
        self._blocks.append(commit.block)
        self.last_seq = commit.last_seq
        self.next_block = commit.block + commit.blocks
        self.records += records
        self.dense += commit.size
        if stamp is not None:
            self.boot_id, self.t_us = stamp.boot_id, stamp.t_us

    def note_evidence(self, records: Iterable[Record]) -> None:
        """Look through records of a commit that was adopted."""
        for record in records:
            label = evidence_label(record)
            if label is not None and label not in self.events[-4:]:
                self.events.append(label)

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    def records_from(self, first_seq: int) -> Iterator[StoredRecord]:
        """Readable records with these numbers or higher, ascending. JournalError when the file cannot be opened."""
        start = max(0, bisect_right(self._firsts, first_seq) - 1)
        file = self._storage.open(self.name)
        try:
            for block in self._blocks[start:]:
                for stored in self._records_at(file, block):
                    if stored.seq >= first_seq:
                        yield stored
        finally:
            file.close()

    def _records_at(self, file: StorageFile, block: int) -> Iterator[StoredRecord]:
        data, _bad = read_around(file, BLOCK, block * BLOCK)
        commit = parse_commit_header(self.header, block, data)
        if commit is None:
            return iter(())
        if commit.blocks > 1:
            data += read_around(file, (commit.blocks - 1) * BLOCK, (block + 1) * BLOCK)[0]
        return parse_records(self.header, commit, data)


def find_commits(header: SegmentHeader, data: bytes) -> list[FoundCommit]:
    """All commits in the bytes of a segment. After a damaged one the search goes on at the next block."""
    found = []
    block = 1
    while block * BLOCK < len(data):
        at = block * BLOCK
        commit = parse_commit_header(header, block, data[at : at + COMMIT_HEADER_BYTES])
        if commit is None:
            block += 1
            continue
        records = data[at : at + COMMIT_HEADER_BYTES + commit.size]
        found.append(FoundCommit(commit, tuple(parse_records(header, commit, records))))
        block += commit.blocks if found[-1].complete else 1
    return found
