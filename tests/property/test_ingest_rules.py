"""The rules of storing against a naive model: whatever comes in whatever order, is taken back, moved or interrupted."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.ingest.core import StreamKey
from outrider.ingest.sinks.proof import Verdict, prove
from outrider.ingest.sinks.shelf_table_io import TableShelf
from outrider.ingest.sinks.shelf_tiered_io import MoveOptions, TieredShelf
from outrider.ingest.sinks.sqlite_io import SqliteSql
from outrider.ingest.sinks.store_io import Store
from outrider.model.record import Category, Gap, GapReason, Kind, Lane, Record, StoredRecord
from outrider.wire.bodies import encode_body
from outrider.wire.codec import Batch
from tests.unit.ingest.sinks.test_ingest_tiers import FakeFar, turn

EPOCH = 1 << 63
KEY = StreamKey("car", EPOCH, Lane.EVENT)
UNKNOWN = Kind(200)


def plain(seq: int, version: int) -> StoredRecord:
    return StoredRecord(EPOCH, seq, Record(Lane.EVENT, UNKNOWN, Category.DRIVING, 7, seq, bytes((seq, version))))


def gap(first: int, last: int) -> StoredRecord:
    body = encode_body(Gap(EPOCH, first, last, GapReason.QUOTA))
    return StoredRecord(EPOCH, last, Record(Lane.EVENT, Kind.GAP, Category.SYSTEM, 7, 0, body))


@dataclass
class Model:
    """What must be there, by the letter of the rules."""

    records: dict[int, StoredRecord] = field(default_factory=dict)
    accounted: set[int] = field(default_factory=set)

    def copy(self) -> Model:
        return Model(dict(self.records), set(self.accounted))

    def accept(self, batch: Batch) -> None:
        for stored in batch.records:
            held = self.records.get(stored.seq)
            if held is None or (held.record.kind == Kind.GAP and stored.record.kind != Kind.GAP):
                self.records[stored.seq] = stored
            elif stored.record.kind != Kind.GAP and held != stored:
                continue  # a conflict: the first stays, and tells nothing
            if stored.record.kind == Kind.GAP and (held is None or held != stored):
                self.accounted |= _range_of(stored)
        self.accounted |= set(range(1, batch.records[0].seq - batch.behind))
        self.accounted |= {stored.seq for stored in batch.records}

    @property
    def position(self) -> int:
        position = 0
        while position + 1 in self.accounted:
            position += 1
        return position


GAPS = {last: gap(first, last) for first, last in [(2, 4), (6, 9), (3, 12), (10, 15)]}


def _range_of(stored: StoredRecord) -> set[int]:
    first = next(f for f, n in [(2, 4), (6, 9), (3, 12), (10, 15)] if n == stored.seq)
    return set(range(first, stored.seq + 1))


batches = st.builds(
    lambda first, count, version, behind: Batch(
        "car",
        EPOCH,
        Lane.EVENT,
        tuple(plain(seq, version) for seq in range(first, first + count)),
        min(behind, first - 1),
    ),
    st.integers(1, 16),
    st.integers(1, 5),
    st.sampled_from([0, 0, 0, 1]),
    st.integers(0, 16),
)
gaps = st.sampled_from(sorted(GAPS)).map(lambda last: Batch("car", EPOCH, Lane.EVENT, (GAPS[last],), last - 1))
steps = st.lists(
    st.one_of(batches, gaps, st.sampled_from(["undo", "commit", "rollback", "move", "reopen"])), min_size=1, max_size=14
)


@settings(max_examples=60)
@given(steps=steps, tiered=st.booleans())
def test_what_is_stored_is_what_the_rules_say(steps: list[Batch | str], tiered: bool) -> None:
    """Batches, gaps and conflicts in any order and overlap; taken back, committed, rolled back, moved far, opened anew.
    In the end each number up to the position is stored or declared."""
    far = FakeFar()
    with tempfile.TemporaryDirectory() as folder:

        def opened() -> Store:
            sql = SqliteSql.open(Path(folder) / "r.db")
            return Store(sql, TieredShelf(sql, far, MoveOptions(every_s=0)) if tiered else TableShelf(sql))

        store, committed, now = opened(), Model(), Model()
        for step in [*steps, "commit"]:
            before = now.copy()
            match step:
                case Batch():
                    store.mark()
                    store.accept(step, 5)
                    now.accept(step)
                case "undo":
                    batch = Batch("car", EPOCH, Lane.EVENT, (plain(17, 0), plain(18, 0)), 3)
                    store.mark()
                    store.accept(batch, 5)
                    store.undo()
                    now = before
                case "commit":
                    store.commit()
                    committed = now.copy()
                case "rollback":
                    store.rollback()
                    now = committed.copy()
                case "move" if tiered and not store.sql.in_transaction:
                    turn(store.shelf)  # type: ignore[arg-type]  # it is tiered
                case "reopen":
                    store.close()
                    store, now = opened(), committed.copy()
            assert store.position(KEY) == now.position
        assert list(store.records("car")) == [now.records[seq] for seq in sorted(now.records)]
        for proof in prove(store.runs("car"), store.gaps("car"), store.positions("car")):
            assert proof.verdict != Verdict.LOST
        store.close()
