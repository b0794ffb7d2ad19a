"""The receiver's database: once each, complete or not, what is missing, when it was."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from outrider.errors import InputError, JournalError
from outrider.ingest.clock import FixPoint, resolve
from outrider.ingest.core import StreamKey
from outrider.ingest.sinks import draft
from outrider.ingest.sinks.letters import replay
from outrider.ingest.sinks.store_io import Store
from outrider.model.record import (
    Category,
    ClockFix,
    ClockSource,
    Gap,
    GapReason,
    Kind,
    Lane,
    Record,
    SignalSpec,
    SignalTable,
    StoredRecord,
)
from outrider.wire.birth import Birth
from outrider.wire.bodies import encode_body, table_id
from outrider.wire.codec import Batch, decode_batch
from tests.support.sinks import KINDS, SinkKit, make_kit

UNKNOWN = Kind(200)
EPOCH = 0xFEDCBA9876543210
KEY = StreamKey("car", EPOCH, Lane.EVENT)


@pytest.fixture(params=KINDS)
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SinkKit]:
    """Every sink keeps the same promises."""
    made = make_kit(request.param, tmp_path, request)
    yield made
    made.close()


@pytest.fixture
def store(kit: SinkKit) -> Store:
    return kit.open()


def stored(seq: int, body: bytes = b"", kind: Kind = UNKNOWN, t_us: int = 0, lane: Lane = Lane.EVENT) -> StoredRecord:
    return StoredRecord(EPOCH, seq, Record(lane, kind, Category.DRIVING, 7, t_us, body or str(seq).encode()))


def batch(*records: StoredRecord, behind: int = 0) -> Batch:
    return Batch("car", EPOCH, records[0].record.lane, records, behind)


def span(first: int, last: int) -> Batch:
    return batch(*(stored(seq) for seq in range(first, last + 1)), behind=first - 1)


def test_a_new_database_is_not_for_everybody(tmp_path: Path) -> None:
    """It holds where people were; the write-ahead log beside it too. One that is there keeps what it has."""
    path = tmp_path / "fleet.db"
    before = os.umask(0)
    try:
        with Store.open(path) as store:
            store.dead_letter("t", "r", b"", 1)
            store.commit()
            assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o640}
        path.chmod(0o644)
        Store.open(path).close()
        assert path.stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)


def test_a_record_is_stored_once(store: Store) -> None:
    """The same again is a duplicate; whatever way it is cut."""
    assert store.accept(span(1, 10), 5).new == 10
    again = store.accept(span(6, 15), 6)
    assert (again.new, again.duplicates, again.conflicts) == (5, 5, 0)
    store.commit()
    assert [s.seq for s in store.records("car")] == list(range(1, 16))
    assert next(iter(store.records("car", EPOCH, Lane.EVENT))) == stored(1)
    assert store.positions() == {KEY: 15}
    assert store.digest("car").keys() == {(EPOCH, Lane.EVENT)}


def test_the_same_key_with_other_content_is_a_conflict(store: Store) -> None:
    """The first is kept, the second goes to the dead letters, whole."""
    store.accept(span(1, 3), 5)
    result = store.accept(batch(stored(1), stored(2, b"other"), stored(3)), 6)
    assert (result.new, result.duplicates, result.conflicts) == (0, 2, 1)
    ((topic, reason, payload),) = store.dead_letters()
    assert topic == "t/car"
    assert "conflict: record 2" in reason
    assert payload == stored(2, b"other").canonical()
    assert [s.record.body for s in store.records("car")] == [b"1", b"2", b"3"]


def test_nothing_is_acknowledged_beyond_a_hole_also_after_a_restart(store: Store, kit: SinkKit) -> None:
    store.accept(span(1, 5), 1)
    store.accept(span(9, 12), 1)
    store.accept(span(20, 20), 1)
    assert store.position(KEY) == 5
    store.commit()
    store.close()
    with kit.open() as again:
        assert again.position(KEY) == 5
        again.accept(span(6, 8), 2)
        assert again.position(KEY) == 12
        again.accept(span(13, 19), 2)
        assert again.position(KEY) == 20


def test_a_gap_record_fills_its_range_also_in_another_epoch(store: Store) -> None:
    body = encode_body(Gap(EPOCH, 4, 8, GapReason.QUOTA))
    old = encode_body(Gap(77, 1, 3, GapReason.CORRUPT))
    store.accept(span(1, 3), 1)
    result = store.accept(batch(stored(9, body, Kind.GAP), stored(10, old, Kind.GAP), behind=8), 1)
    assert result.touched == {KEY, StreamKey("car", 77, Lane.EVENT)}
    assert store.position(KEY) == 10
    assert store.position(StreamKey("car", 77, Lane.EVENT)) == 3
    assert {(g.stream.epoch, g.first_seq, g.last_seq, g.reason) for g in store.gaps()} == {
        (77, 1, 3, "corrupt"),
        (EPOCH, 4, 8, "quota"),
    }


def test_what_the_terminal_does_not_hold_any_more_is_not_waited_for(store: Store) -> None:
    """``behind``: holes below the terminal's oldest record become gaps, others stay holes."""
    store.accept(batch(stored(101), behind=10), 1)
    assert store.position(KEY) == 90
    store.accept(batch(*(stored(seq) for seq in range(91, 101))), 1)
    assert store.position(KEY) == 101
    assert [(g.first_seq, g.last_seq, g.reason) for g in store.gaps()] == [(1, 90, "released")]


def test_a_senseless_gap_is_kept_and_reported(store: Store) -> None:
    result = store.accept(batch(stored(1, encode_body(Gap(EPOCH, 9, 3, GapReason.QUOTA)), Kind.GAP)), 1)
    assert result.new == 1
    assert store.position(KEY) == 1
    assert "is kept, but" in store.dead_letters()[0][1]


def test_a_rollback_forgets_everything_since_the_commit(store: Store) -> None:
    store.accept(span(1, 5), 1)
    store.commit()
    store.accept(span(6, 9), 1)
    store.rollback()
    assert store.position(KEY) == 5
    assert len(list(store.records("car"))) == 5


def test_late_clock_fixes_date_old_records(store: Store, kit: SinkKit) -> None:
    """UTC comes from the fix that knows best; the view in SQL says the same as the function."""
    assert store.utc_of("car", 7, 0) is None
    fixes = [FixPoint(10_000_000, 1_700_000_000_000_000, 5_000_000), FixPoint(900_000_000, 1_700_000_890_000_500, 100)]
    store.accept(span(1, 1), 1)
    store.accept(batch(stored(2, t_us=20_000_000), stored(3, t_us=905_000_000), behind=1), 1)
    for seq, fix in enumerate(fixes, 4):
        body = encode_body(ClockFix(fix.utc_us, fix.uncertainty_us, ClockSource.GNSS))
        store.accept(batch(stored(seq, body, Kind.CLOCK, fix.t_us), behind=seq - 1), 1)
    store.commit()
    view = "SELECT t_us, utc_us, uncertainty_us FROM records_utc ORDER BY seq"
    rows = store.sql.rows(view)  # of what is still beside the register
    assert len(rows) == (1 if kit.kind.endswith("-far") else 5)
    for t_us, utc_us, uncertainty_us in rows:
        expected = resolve(fixes, t_us)
        assert store.utc_of("car", 7, t_us) == expected
        assert expected is not None
        assert (utc_us, uncertainty_us) == (expected.utc_us, expected.uncertainty_us)
    assert len(rows) == 1 or rows[1][1] == 1_700_000_010_000_500, (
        "the GNSS fix 15 minutes later is still the better one"
    )
    assert store.utc_of("car", 8, 0) is None, "another boot"


def test_an_absurd_clock_spoils_the_view_for_nobody(store: Store) -> None:
    """A fix at the end of the numbers, of one terminal."""
    far = encode_body(ClockFix((1 << 63) - 1, (1 << 63) - 1, ClockSource.GNSS))
    store.accept(batch(stored(1, far, Kind.CLOCK, -(1 << 62)), stored(2, t_us=1 << 62)), 1)
    store.commit()
    assert len(store.sql.rows("SELECT utc_us, uncertainty_us FROM records_utc")) == 2


def test_births_and_wills(store: Store) -> None:
    """A will speaks for its own session only; the signal table of the birth is kept."""
    table = SignalTable((SignalSpec(1, "Vehicle.Speed", "km/h", 0.01),))
    birth = Birth("car", 1 << 63, "1.0", table, online=True, boot_id=7, epoch=EPOCH)
    store.accept(span(1, 2), 1)
    assert store.accept_birth(birth, 10) == (KEY,)
    store.accept_birth(Birth("car", 5, "1.0", None, online=False, boot_id=7, epoch=EPOCH), 11)
    assert store.devices()[0]["online"] is True, "the will of an older session comes late"
    store.accept_birth(Birth("car", 1 << 63, "1.0", None, online=False, boot_id=7, epoch=EPOCH), 12)
    assert store.devices()[0]["online"] is False
    assert store.signal_table("car", table_id(table)) == table
    assert store.signal_table("car", 1) is None


def test_ack_counters_grow_whatever_the_clock_does(store: Store, kit: SinkKit) -> None:
    assert store.next_ack_counter("car", 1000) == 1000
    assert store.next_ack_counter("car", 500) == 1001
    store.commit()
    store.close()
    with kit.open() as again:
        assert again.next_ack_counter("car", 0) == 1002


def test_dead_letters_are_bounded(kit: SinkKit) -> None:
    with kit.open(max_dead_letters=3) as store:
        for index in range(10):
            store.dead_letter("t", str(index), bytes(100_000), index)
        assert [reason for _topic, reason, _payload in store.dead_letters()] == ["7", "8", "9"]
        assert len(store.dead_letters()[0][2]) == 65_536


def test_files_that_are_no_database_are_refused(tmp_path: Path) -> None:
    """One clear error that names the file; the file is not touched."""
    text = tmp_path / "text.db"
    text.write_text("not a database, but long enough to be read as one" * 10, encoding="ascii")
    with pytest.raises(InputError, match=r"text\.db"):
        Store.open(text)
    foreign = tmp_path / "foreign.db"
    other = sqlite3.connect(foreign)
    other.execute("CREATE TABLE mine (x)")
    other.close()
    with pytest.raises(InputError, match="no receiver's database"):
        Store.open(foreign)
    with pytest.raises((InputError, JournalError), match=r"none\.db"):
        Store.open(tmp_path / "none.db", read_only=True)
    with pytest.raises(JournalError, match="folder"):
        Store.open(tmp_path / "no" / "folder.db")


def gap_at(first: int, last: int, reason: GapReason = GapReason.QUOTA) -> StoredRecord:
    return stored(last, encode_body(Gap(EPOCH, first, last, reason)), Kind.GAP)


def test_a_gap_over_a_record_that_arrived_is_no_conflict(store: Store) -> None:
    """1..3 are lost, 4 and 5 arrive, then the terminal gives up 1..5: what arrived stays, the rest is a known gap."""
    store.accept(batch(stored(4), stored(5), behind=3), 5)
    result = store.accept(batch(gap_at(1, 5)), 6)
    assert (result.new, result.duplicates, result.conflicts) == (0, 1, 0)
    assert list(store.records("car")) == [stored(4), stored(5)]
    assert [(g.first_seq, g.last_seq, g.reason) for g in store.gaps()] == [(1, 5, "quota")]
    assert store.position(KEY) == 5
    assert not store.dead_letters()


def test_a_record_that_a_broker_kept_replaces_the_gap(store: Store) -> None:
    """The terminal gave up 1..5 and said so first; the records come later all the same, and none is thrown away."""
    store.accept(batch(gap_at(1, 5)), 5)
    result = store.accept(span(3, 5), 6)
    assert (result.new, result.duplicates, result.conflicts) == (3, 0, 0)
    assert [s.record.kind for s in store.records("car")] == [UNKNOWN] * 3
    assert store.position(KEY) == 5
    assert not store.dead_letters()


def test_a_wider_gap_at_the_same_number_counts_too(store: Store) -> None:
    """Damage first, then the quota: two gaps end at one number, and both are heard."""
    store.accept(batch(stored(1)), 5)
    store.accept(batch(gap_at(4, 5, GapReason.CORRUPT), behind=4), 5)
    assert store.position(KEY) == 1
    store.accept(batch(gap_at(2, 5), behind=4), 6)
    assert store.position(KEY) == 5
    assert not store.dead_letters()


@pytest.mark.parametrize("kind", ["sqlite", "parquet"])
def test_a_full_disk_refuses_the_transaction_and_nothing_else(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The database has no page left: one error, nothing of the transaction, everything of the ones before; and when
    there is room again the same batch is new."""
    kit = make_kit(kind, tmp_path, request)
    store = kit.open()
    store.accept(span(1, 10), 1)
    store.commit()
    [(pages,)] = store.sql.rows("PRAGMA page_count")
    store.sql.rows(f"PRAGMA max_page_count = {pages + 2}")
    large = batch(*(stored(seq, bytes(4000)) for seq in range(11, 60)), behind=10)
    for _ in range(2):
        store.accept(large, 2)
        with pytest.raises(JournalError, match="full"):
            store.commit()
        assert store.position(KEY) == 10
    store.sql.rows("PRAGMA max_page_count = 100000")
    assert store.accept(large, 3).new == 49
    store.commit()
    kit.close()
    with kit.open(read_only=True) as reader:
        assert [s.seq for s in reader.records("car")] == list(range(1, 60))


def test_what_tripped_is_taken_back_alone(store: Store) -> None:
    """``undo`` takes the whole of one message back, in every table, and nothing of the others."""
    store.mark()
    store.accept(span(1, 3), 1)
    store.mark()
    fix = encode_body(ClockFix(5, 5, ClockSource.GNSS))
    gap = encode_body(Gap(77, 1, 3, GapReason.CORRUPT))
    table = SignalTable((SignalSpec(1, "Vehicle.Speed", "km/h", 0.01),))
    birth = Birth("van", 5, "1.0", table, online=True, boot_id=7, epoch=EPOCH)
    store.accept(batch(stored(4, fix, Kind.CLOCK), stored(5, gap, Kind.GAP), stored(9), behind=3), 2)
    store.accept_birth(birth, 2)
    store.dead_letter("t", "r", b"", 2)
    store.next_ack_counter("car", 99)
    store.undo()
    store.mark()
    store.accept(span(4, 4), 3)
    store.commit()
    assert [s.seq for s in store.records("car")] == [1, 2, 3, 4]
    assert store.positions() == {KEY: 4}
    assert (store.gaps(), store.dead_letters()) == ([], [])
    assert store.utc_of("car", 7, 0) is None
    assert store.signal_table("van", table_id(table)) is None
    assert store.next_ack_counter("car", 0) == 1


def test_a_batch_that_conflicts_throughout_pushes_nobody_out(store: Store) -> None:
    """They are acknowledged, so all are kept, in one letter. Of senseless records ten are told at most, and the last of
    these letters says so; all are counted."""
    store.accept(span(1, 50), 1)
    other = batch(*(stored(seq, b"other") for seq in range(1, 51)))
    assert store.accept(other, 2).conflicts == 50
    [(topic, reason, payload)] = store.dead_letters()
    assert topic == "t/car/e"
    assert "conflict: records 1 to 50" in reason
    kept = decode_batch(payload)
    assert kept.records == other.records
    assert kept.behind == 0
    store.commit()
    assert replay(store, list(store.letters())).still == 1, "it stays one"
    gaps = [stored(seq, encode_body(Gap(EPOCH, 9, 3, GapReason.QUOTA)), Kind.GAP) for seq in range(101, 151)]
    store.accept(batch(*gaps), 3)
    letters = store.dead_letters()
    assert len(letters) == 11
    assert "is not told" in letters[-1][1]


def test_a_device_that_leaves_holes_without_end_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """No honest terminal does; its batch becomes a letter, and is not acknowledged."""
    monkeypatch.setattr(draft, "MAX_HOLES", 3)
    for seq in (10, 20, 30):
        assert store.accept(batch(stored(seq), behind=seq - 1), 1).new == 1
    assert store.accept(batch(stored(40), behind=39), 1).touched == frozenset()
    assert "more than 3 holes" in store.dead_letters()[0][1]
    assert store.accept(span(1, 9), 1).new == 9
    assert store.position(KEY) == 10


def test_batches_may_jump_where_a_gap_record_says_so(store: Store) -> None:
    """A thinned stream: what lies between two records of one batch is named by the gap at its last number."""
    gap = stored(8, encode_body(Gap(EPOCH, 3, 8, GapReason.THINNED)), Kind.GAP)
    assert store.accept(batch(stored(1), stored(2), gap, stored(9)), 1).new == 4
    assert store.position(KEY) == 9
    assert [s.seq for s in store.records("car")] == [1, 2, 8, 9]
    assert store.accept(batch(stored(2), gap, stored(9), behind=1), 1).duplicates == 3
