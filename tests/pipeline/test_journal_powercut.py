"""Power cuts through the storage seam: thousands of states of the disk, and proof that the test can fail.

``OUTRIDER_CUT_STATES=20000`` checks that many states instead of the default.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from outrider.model.record import Lane, Record
from outrider.record import format as record_format
from outrider.record import journal, options, pool, recovery, repair, salvage, segment, space, state
from outrider.record.format import CommitHeader, SegmentHeader
from outrider.record.journal import Journal, JournalOptions
from outrider.record.recovery import Survey
from outrider.record.storage_memory import MemoryStorage, Operation
from tests.support.powercut import FAILED_SYNC, SHAPES, Entries, Shape
from tests.support.powercut_journal import ViolationError, hunt
from tests.support.powercut_work import LONG, OPTIONS, SETUPS, TIGHT, run_workload

STATES = int(os.environ.get("OUTRIDER_CUT_STATES", "1500"))


@pytest.mark.parametrize("setup", SETUPS)
def test_no_power_cut_loses_or_invents_a_record(setup: str) -> None:
    """Whatever is left of unsynced sectors and directory entries: committed records are there, nothing else is."""
    states, seed = 0, 0
    work = SETUPS[setup]
    while states < STATES // len(SETUPS):
        storage, history = work.run(seed)
        share = max(
            1, len(storage.log) * len(SETUPS) // STATES
        )  # of the operations, so that a short run sees all kinds
        within = range(seed % share, len(storage.log) + 1, share)
        states += hunt(storage, history, work.options, seed, 1, within=within).cuts
        seed += 1
    print(f"{states} states, {seed} workloads")
    assert states >= STATES // len(SETUPS)


def test_the_workload_does_what_it_is_to_cut() -> None:
    """The log holds what the promises are about: rolls, re-use, eviction, release, cursor writes, reopening."""
    kinds: set[str] = set()
    moves: list[tuple[str, str]] = []
    evicted = 0
    for seed in range(4):
        for setup in (OPTIONS, TIGHT):
            storage, history = run_workload(seed, 100, setup)
            kinds |= {op.kind for op in storage.log}
            moves += [(op.name, op.new) for op in storage.log if op.kind == "rename"]
            evicted += len(history.evicted)
            assert history.committed
            assert history.acknowledged
    assert evicted
    assert kinds == {"create", "write", "sync", "rename", "unlink", "sync_dir", FAILED_SYNC}
    assert any(old.endswith(".seg") and new.endswith(".free") for old, new in moves), "released into the pool"
    assert any(old.endswith(".free") and new.endswith(".seg") for old, new in moves), "taken from the pool"


# -- mutants: each rule taken away is found -----------------------------------------------------------


class ForgetfulStorage(MemoryStorage):
    """A journal on it believes that it does one kind of operation."""

    forgotten = "sync"

    def note(self, operation: Operation) -> None:
        if operation.kind != self.forgotten:
            super().note(operation)


class ForgetfulOfNames(ForgetfulStorage):
    forgotten = "sync_dir"


@dataclass(frozen=True)
class Quarry:
    """Where to look for what a rule taken away breaks: a setup, a step that is taken often, and, where it is known, the
    operations behind each renaming of such a file, in states of these shapes. first: seed to begin with."""

    setup: JournalOptions = OPTIONS
    favourite: str | None = None
    steps: int = 40
    behind: str = ""
    shapes: tuple[Shape, ...] = SHAPES
    first: int = 0

    def places(self, log: list[Operation]) -> set[int] | None:
        renamed = [at for at, op in enumerate(log) if op.kind == "rename" and op.name.endswith(self.behind)]
        return {at + more for at in renamed for more in range(1, 9)} if self.behind else None


def find_violation(quarry: Quarry, make: type[MemoryStorage] = MemoryStorage) -> str:
    """The first broken promise, "" without one."""
    for seed in range(quarry.first, quarry.first + 30):
        try:
            log, history = run_workload(seed, quarry.steps, quarry.setup, make(), favourite=quarry.favourite)
            hunt(log, history, quarry.setup, seed, 1, within=quarry.places(log.log), shapes=quarry.shapes)
        except ViolationError as err:
            print(err)
            return str(err)
    return ""


@pytest.mark.parametrize("storage", [ForgetfulStorage, ForgetfulOfNames])
def test_it_notices_a_missing_sync(storage: type[MemoryStorage]) -> None:
    """Without fdatasync, and without fsync of the directory, committed records are lost, and the test says so."""
    assert find_violation(Quarry(), storage)


def no_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CRC that is always right: torn and stale bytes are taken for records."""
    for module in (record_format, state):
        monkeypatch.setattr(module, "crc32c", lambda data, seed=0: 0)


def no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checksums that do not start from epoch, lane, segment and block: blocks of another life of the file come back."""
    monkeypatch.setattr(record_format, "_place", lambda header, block: 0)


def release_before_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that go before the cursor is on flash leave numbers nobody accounts for."""

    def too_early(self: space.Space) -> None:
        self._bury()
        self._save_cursor()

    monkeypatch.setattr(space.Space, "_discard", too_early)


def one_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    """State written over itself instead of in turn: a torn write takes the old one with it."""
    monkeypatch.setattr(state.TwoSlotFile, "write", write_in_place)


def write_in_place(self: state.TwoSlotFile, payload: bytes) -> None:
    self.read()
    self._counter += 1
    self._opened().pwrite(state.pack_slot(self._counter, payload), 0)
    self._opened().sync()


def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits that share a sector of 4 KiB: a torn write takes the commit before it along."""
    for module in (record_format, segment, journal, options, pool, recovery, repair, salvage, state):
        if hasattr(module, "BLOCK"):
            monkeypatch.setattr(module, "BLOCK", 512)


def keep_after_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose sync failed is written on: the next sync that succeeds says nothing of what was dropped."""

    def go_on(self: Journal, lane: Lane) -> None:
        self._stats.faults += 1

    def again(self: segment.Segment, nonce: int, first_seq: int, items: list[tuple[int, Record]]) -> CommitHeader:
        assert self.file is not None
        written = getattr(self, "_written", None)
        if written is not None and written.first_seq == first_seq and written.block == self.next_block:
            return written  # it was handed to the kernel already
        data = record_format.pack_commit(self.header, self.next_block, nonce, first_seq, items)
        self.file.pwrite(data, self.next_block * record_format.BLOCK)
        self._written = CommitHeader(
            self.next_block, nonce, first_seq, items[-1][0], len(items), len(data) - record_format.COMMIT_HEADER_BYTES
        )
        return self._written

    monkeypatch.setattr(Journal, "_abandon", go_on)
    monkeypatch.setattr(segment.Segment, "write", again)


def trust_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process left in the cache counts as durable without being synced."""
    monkeypatch.setattr(journal, "settle", lambda storage, found: None)


def header_after_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has the name of a segment before its header is on flash."""

    def begin(self: pool.FilePool, name: str, header: SegmentHeader) -> segment.Segment:
        final = segment.segment_name(header.lane, header.epoch, header.segment)
        file = self._storage.open(name)
        file.pwrite(record_format.pack_segment_header(header), 0)
        self._storage.rename(name, final)
        self._storage.sync_dir()
        return segment.Segment(self._storage, final, header, file)

    monkeypatch.setattr(pool.FilePool, "_begin", begin)


def number_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart numbers go on from the last one that was acknowledged."""
    begin = Journal._begin

    def wrong(self: Journal, found: Survey) -> None:
        begin(self, found)
        for lane, stream in self._current.items():
            self._pending[lane].first = self._pending[lane].next_seq = max(1, stream.durable)

    monkeypatch.setattr(Journal, "_begin", wrong)


def names_unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file written anew is called in place before its name is on flash, and what it stands for goes."""
    monkeypatch.setattr(space.Space, "_settle_names", lambda self: None)


def nothing_superseded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a file written anew stands for is read beside it."""
    monkeypatch.setattr(recovery, "superseded", lambda storage, files: [])


SOME = tuple(shape for shape in SHAPES if shape.entries is Entries.SOME)
MUTANTS = [
    (no_checksum, Quarry()),
    (no_place, Quarry(favourite="acknowledge_all", steps=100)),
    (release_before_cursor, Quarry(favourite="acknowledge_all", behind=".seg")),
    (one_slot, Quarry()),
    (small_blocks, Quarry()),
    (keep_after_failure, Quarry(favourite="fail")),
    (trust_the_cache, Quarry(favourite="kill")),
    (header_after_name, Quarry()),
    (number_used_again, Quarry()),
    (names_unsynced, Quarry(LONG, "drive", 14, "rewrite.tmp", SOME)),
    (nothing_superseded, Quarry(LONG, "drive", 14, "rewrite.tmp")),
]


@pytest.mark.parametrize(("mutate", "quarry"), MUTANTS, ids=[mutate.__name__ for mutate, _quarry in MUTANTS])
def test_it_notices_a_rule_taken_away(
    mutate: Callable[[pytest.MonkeyPatch], None], quarry: Quarry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cut test can fail: a journal without one of its rules breaks a promise in one of the states."""
    mutate(monkeypatch)
    assert find_violation(quarry)
