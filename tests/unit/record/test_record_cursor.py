"""The cursor's room: what is kept when not all of it fits, and what that costs."""

from __future__ import annotations

from outrider.model.record import GapReason, Lane
from outrider.record.cursor import (
    MAX_HOLES,
    MAX_STREAMS,
    SLOT_BYTES,
    CursorState,
    Position,
    decode_cursor,
    encode_cursor,
)
from outrider.record.hole import Hole, merged
from outrider.record.state import HEADER_BYTES
from outrider.record.storage_memory import MemoryStorage
from tests.support.records import numbers, open_journal, record


def hole(first: int, last: int, reason: GapReason = GapReason.QUOTA) -> Hole:
    return Hole(first, last, reason, 7, last)


def test_neighbours_for_the_same_reason_are_one_hole() -> None:
    """However often a lane loses something: the cursor holds one hole for what lies together."""
    corrupt = GapReason.CORRUPT
    assert merged([hole(6, 9), hole(1, 5)]) == [hole(1, 9)]
    assert merged([hole(1, 5), hole(6, 9, corrupt), hole(10, 12, corrupt)]) == [hole(1, 5), hole(6, 12, corrupt)]
    assert merged([hole(1, 5), hole(7, 9)]) == [hole(1, 5), hole(7, 9)]


def test_what_does_not_fit_can_be_found_again() -> None:
    """Over the limits: holes of what is unreadable, and streams of old epochs nothing is known of, are left out."""
    state = CursorState(epoch=1)
    for epoch in range(2, 102):
        state.positions[epoch, Lane.LEDGER] = Position(epoch % 2, 9, 3)
        state.positions[epoch, Lane.EVENT] = Position(0, 9, 3)
    for lane in Lane:
        state.positions[1, lane] = Position(5, 9, 3)
    state.holes = [(2, Lane.EVENT, hole(n, n, GapReason.CORRUPT)) for n in range(1, 300)]
    state.holes += [(3, Lane.EVENT, hole(1, 4)), (1, Lane.TELEMETRY, hole(6, 7, GapReason.FULL))]
    payload = encode_cursor(state)
    assert len(payload) <= SLOT_BYTES - HEADER_BYTES
    kept = decode_cursor(payload)
    assert kept is not None
    assert (len(kept.positions), len(kept.holes)) == (MAX_STREAMS, MAX_HOLES)
    assert {(1, lane) for lane in Lane} <= set(kept.positions)
    assert {key for key, position in state.positions.items() if position.acknowledged} <= set(kept.positions)
    assert (3, Lane.EVENT) in kept.positions
    assert {h.reason for _epoch, _lane, h in kept.holes} == {GapReason.CORRUPT, GapReason.QUOTA, GapReason.FULL}


def test_more_epochs_than_the_cursor_holds_end_no_further_ones() -> None:
    """A terminal that lost its tail very often and was never online: it keeps all, and goes on in its epoch."""
    storage = MemoryStorage()
    lanes = (Lane.EMERGENCY, Lane.LEDGER, Lane.EVENT, Lane.TELEMETRY)
    for seed in range(MAX_STREAMS // len(lanes) + 5):
        journal = open_journal(storage, seed=seed)
        for lane in lanes:
            journal.append(record(lane, seed))
            journal.commit(lane)
        journal.close()
        files = storage.files()
        del files["cursor.state"]
        storage = MemoryStorage(files)
    journal = open_journal(storage, seed=1000)
    epoch = journal.epoch
    journal.append(record(Lane.LEDGER, 1))
    journal.close()
    for seed in (1001, 1002):
        journal = open_journal(MemoryStorage(storage.files()), seed=seed)
        assert journal.epoch == epoch
        assert numbers(journal, Lane.LEDGER) == [1]
        assert len(journal.streams()) > MAX_STREAMS
