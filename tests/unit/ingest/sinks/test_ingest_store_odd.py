"""What a database, a clock or a hostile terminal does that nobody expects: nothing is taken for stored that is not, no
content changes, no batch costs more than it holds."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from outrider.errors import ConfigError, JournalError
from outrider.ingest.core import StreamKey
from outrider.ingest.sinks.letters import replay
from outrider.ingest.sinks.shelf_tiered_io import MoveOptions, TieredShelf
from outrider.ingest.sinks.sinks_io import open_store
from outrider.ingest.sinks.sqlite_io import SqliteSql
from outrider.ingest.sinks.store_io import Store
from outrider.model.record import Category, Gap, GapReason, Kind, Lane, Record, StoredRecord
from outrider.wire.birth import Birth, encode_birth
from outrider.wire.bodies import encode_body
from outrider.wire.codec import Batch, encode_batch
from tests.support.sinks import KINDS, make_kit
from tests.unit.ingest.sinks.test_ingest_store import EPOCH, KEY, UNKNOWN, batch, span, stored
from tests.unit.ingest.sinks.test_ingest_tiers import FakeFar, turn

NOW = 1_790_000_000_000_000


def other(seq: int) -> Batch:
    """A record with another content than ``span`` gives it."""
    return batch(stored(seq, b"other"), behind=seq - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_jump_over_a_thousand_years_costs_nothing(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """One gap record of a few bytes names nearly all numbers there are, and comes twice: only what the batch holds is
    looked up. (Looking up every number between kept a receiver busy for ever, again after each restart.)"""
    kit = make_kit(kind, tmp_path, request)
    store = kit.open()
    last = (1 << 62) + 1
    jump = batch(stored(1), stored(last, encode_body(Gap(EPOCH, 2, last, GapReason.THINNED)), Kind.GAP))
    assert store.accept(jump, 1).new == 2
    assert store.accept(jump, 2).duplicates == 2
    store.commit()
    assert store.accept(jump, 3).duplicates == 2
    assert store.position(KEY) == last
    kit.close()


def test_thousands_of_holes_are_told_without_a_copy_of_all_for_each(tmp_path: Path) -> None:
    """A batch of gap records that name ranges far apart, and one that releases them all. (A copy of what is known for
    each of them took gigabytes.)"""
    gaps = [stored(seq, encode_body(Gap(77, 2 * seq, 2 * seq, GapReason.QUOTA)), Kind.GAP) for seq in range(1, 5001)]
    with Store.open(tmp_path / "r.db") as store:
        tracemalloc.start()
        try:
            store.mark()
            store.accept(batch(*gaps), 1)
            store.mark()
            far = StoredRecord(77, 20_000, Record(Lane.EVENT, UNKNOWN, Category.DRIVING, 7, 0, b""))
            store.accept(Batch("car", 77, Lane.EVENT, (far,), 0), 1)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 50 << 20
        assert store.position(StreamKey("car", 77, Lane.EVENT)) == 20_000
        store.undo()
        assert store.position(StreamKey("car", 77, Lane.EVENT)) == 0
        store.commit()
        assert not [gap for gap in store.gaps() if gap.reason == "released"]


def test_a_transaction_that_the_database_ended_is_never_taken_for_committed(tmp_path: Path) -> None:
    """SQLite ends one by itself when the disk fails in the middle of it."""
    with Store.open(tmp_path / "r.db") as store:
        store.accept(span(1, 3), 1)
        store.sql.rollback()
        with pytest.raises(JournalError, match="nothing of it is stored"):
            store.commit()
        assert store.position(KEY) == 0
        assert store.accept(span(1, 3), 1).new == 3
        store.commit()


def test_rows_of_devices_that_are_gone_are_made_again(tmp_path: Path) -> None:
    """The server was put back from a backup beside the running receiver: refused once, and then it goes on."""
    with Store.open(tmp_path / "r.db") as store:
        store.accept(span(1, 3), 1)
        store.commit()
        for table in ("devices", "records", "positions"):
            store.sql.rows(f"DELETE FROM {table}")
        with pytest.raises(JournalError, match="backup"):
            store.accept(span(1, 3), 2)
        store.rollback()
        assert store.accept(span(1, 3), 2).new == 3
        store.commit()


def test_letters_read_again_say_nothing_of_the_present(tmp_path: Path) -> None:
    """A status document and a batch of last week, of use since an upgrade: the terminal's state of today stays."""
    last = Birth("car", 2, "2.0", None, online=True, boot_id=8, epoch=EPOCH)
    first = Birth("car", 1, "1.0", None, online=False, boot_id=7, epoch=77)
    with Store.open(tmp_path / "r.db") as store:
        store.accept_birth(last, 900)
        store.dead_letter("t/car/s", "of old", encode_birth(first), 5)
        store.dead_letter("t/car/e", "of old", encode_batch("car", span(1, 3).records), 5)
        store.commit()
        assert replay(store, list(store.letters())).letters == 2
        [told] = store.devices()
        assert (told["software"], told["online"], told["seen_utc_us"], told["records"]) == ("2.0", True, 900, 3)


def test_a_conflict_that_nobody_could_see_changes_nothing(tmp_path: Path) -> None:
    """The far shelf is away when another content comes under a number that it holds: the first stays what is read, near
    and far, and when the second is far too it is a conflict again."""
    far, sql = FakeFar(), SqliteSql.open(tmp_path / "r.db")
    tiers = TieredShelf(sql, far, MoveOptions(every_s=0, backoff_cap_s=0))
    store = Store(sql, tiers)
    store.accept(span(1, 3), 1)
    store.commit()
    turn(tiers)
    far.away = True
    assert store.accept(other(2), NOW + 1).new == 1
    store.commit()
    far.away = False
    tiers._ask_s = 0.0
    assert [s.record.body for s in store.records("car")] == [b"1", b"2", b"3"]
    turn(tiers)
    assert store.waiting() == 0
    assert [s.record.body for s in store.records("car")] == [b"1", b"2", b"3"]
    assert store.accept(other(2), NOW + 2).conflicts == 1
    assert store.accept(span(2, 2), NOW + 2).duplicates == 1
    store.close()


def away(*_asked: object) -> dict[int, StoredRecord]:
    raise JournalError("away")


@pytest.mark.parametrize("kind", ["parquet-far", "clickhouse-far"])
def test_of_two_contents_the_first_is_read_and_kept(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The far shelf takes records and cannot be asked. Also when the files, or parts, are made one. (Any of the two, in
    ClickHouse the second, without the time in the order.)"""
    kit = make_kit(kind, tmp_path, request)
    try:
        with kit.open() as store:
            monkeypatch.setattr(store.shelf._far, "held", away)  # type: ignore[attr-defined]  # it is tiered
            for at, batch in enumerate((span(1, 40), *map(other, range(1, 41)))):
                assert store.accept(batch, NOW + at).new == len(batch.records)
            store.commit()
            for _ in range(2):
                store.settle()
                assert [s.record.body for s in store.records("car")] == [str(n).encode() for n in range(1, 41)]
    finally:
        kit.close()


@pytest.mark.parametrize(
    "url",
    [
        "foo://u:s3cret@[bad", "clickhouse://u:s3cret@h:99999/x", "clickhouse://u:s3cret@h:s3cret/x",
        "clickhouse://u:s3cret@[h/x", "postgresql://u:s3cret@h:s3cret/x", "postgresql://u:s3cret@[h/x",
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_read_is_said_without_its_password(url: str, tmp_path: Path) -> None:
    """One line, no fault of ours."""
    register = f"sqlite:{tmp_path / 'r.db'}" if url.startswith("clickhouse") else None
    with pytest.raises(ConfigError) as said:
        open_store(url, register)
    assert "s3cret" not in str(said.value)
