"""Power cuts through the storage seam: thousands of states of the disk, and proof that the test can fail.

``OUTRIDER_CUT_STATES=20000`` checks that many states instead of the default.
"""

from __future__ import annotations

import os

import pytest

from outrider.record import format as record_format
from outrider.record import state
from outrider.record.journal import Journal, JournalOptions
from outrider.record.storage_memory import MemoryStorage, Operation
from tests.support.powercut_journal import OPTIONS, READY, TIGHT, ViolationError, hunt, run_workload

STATES = int(os.environ.get("OUTRIDER_CUT_STATES", "2000"))


@pytest.mark.parametrize("options", [OPTIONS, TIGHT, READY], ids=["roomy", "tight quota", "ready for a crash"])
def test_no_power_cut_loses_or_invents_a_record(options: JournalOptions) -> None:
    """Whatever is left of unsynced sectors and directory entries: committed records are there, nothing else is."""
    states, seed = 0, 0
    while states < STATES // 3:
        storage, history = run_workload(seed, 100, options)
        states += hunt(storage, history, options, seed, 1).cuts
        seed += 1
    print(f"{states} states, {seed} workloads")
    assert states >= STATES // 3


def test_the_workload_does_what_it_is_to_cut() -> None:
    """The log holds what the promises are about: rolls, re-use, eviction, release, cursor writes, reopening."""
    kinds: set[str] = set()
    moves: list[tuple[str, str]] = []
    evicted = 0
    for seed in range(4):
        for options in (OPTIONS, TIGHT):
            storage, history = run_workload(seed, 100, options)
            kinds |= {op.kind for op in storage.log}
            moves += [(op.name, op.new) for op in storage.log if op.kind == "rename"]
            evicted += len(history.evicted)
            assert history.committed
            assert history.acknowledged
    assert evicted
    assert kinds == {"create", "write", "sync", "rename", "unlink", "sync_dir"}
    assert any(old.endswith(".seg") and new.endswith(".free") for old, new in moves), "released into the pool"
    assert any(old.endswith(".free") and new.endswith(".seg") for old, new in moves), "taken from the pool"


class ForgetfulStorage(MemoryStorage):
    """A journal on it believes that it syncs."""

    def note(self, operation: Operation) -> None:
        if operation.kind != "sync":
            super().note(operation)


def find_violation(storage: MemoryStorage | None = None, seeds: int = 4) -> str:
    for seed in range(seeds):
        try:
            log, history = run_workload(seed, 100, OPTIONS, storage)
            hunt(log, history, OPTIONS, seed, 1)
        except ViolationError as err:
            return str(err)
    return ""


def test_it_notices_a_missing_fdatasync() -> None:
    """Without syncs committed records are lost, and the test says so."""
    assert find_violation(ForgetfulStorage(), seeds=1)


def test_it_notices_a_missing_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a CRC that is always right torn and stale bytes are taken for records, and the test says so."""
    for module in (record_format, state):
        monkeypatch.setattr(module, "crc32c", lambda data, seed=0: 0)
    assert find_violation()


def test_it_notices_a_segment_released_before_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that go before the cursor is on flash leave numbers nobody accounts for, and the test says so."""

    def release_too_early(self: Journal) -> None:
        gone = self._retention.released()
        if gone:
            self._doomed += [(segment, True) for segment in gone]
            self._bury()
            self._save_cursor()

    monkeypatch.setattr(Journal, "_release", release_too_early)
    assert find_violation()
