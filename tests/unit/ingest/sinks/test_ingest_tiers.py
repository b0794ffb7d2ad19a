"""Records that are moved to a far shelf: never nowhere, shown once, and the receiver does not wait for it."""

from __future__ import annotations

import socket
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from outrider.errors import JournalError
from outrider.ingest.core import StreamKey
from outrider.ingest.sinks import shelf_tiered_io
from outrider.ingest.sinks.shelf_far import FarRow, hex_of, record_of, stream_of
from outrider.ingest.sinks.shelf_tiered_io import MoveOptions, TieredShelf
from outrider.ingest.sinks.sinks_io import open_store
from outrider.ingest.sinks.sqlite_io import SqliteSql
from outrider.ingest.sinks.store_io import Store
from outrider.model.record import Category, Gap, GapReason, Kind, Lane, Record, StoredRecord
from outrider.wire.bodies import encode_body
from outrider.wire.codec import Batch
from tests.support.clickhouse_http import interface

EPOCH = 0xFEDCBA9876543210
DAY_US = 86_400_000_000
NOW = 1_790_000_000_000_000


UNKNOWN = Kind(200)


def stored(seq: int, body: bytes = b"", kind: Kind = UNKNOWN) -> StoredRecord:
    return StoredRecord(EPOCH, seq, Record(Lane.EVENT, kind, Category.DRIVING, 7, seq, body or str(seq).encode()))


def span(first: int, last: int, device: str = "car") -> Batch:
    return Batch(device, EPOCH, Lane.EVENT, tuple(stored(seq) for seq in range(first, last + 1)), first - 1)


class FakeFar:
    """A far shelf in memory that can be away."""

    def __init__(self) -> None:
        self.rows: list[FarRow] = []
        self.away = False

    def _answer(self) -> None:
        if self.away:
            raise JournalError("far away")

    def add(self, rows: Sequence[FarRow]) -> None:
        self._answer()
        self.rows += rows

    def tidy(self) -> None:
        self._answer()

    def held(self, stream: StreamKey, first: int, last: int) -> dict[int, StoredRecord]:
        self._answer()
        return {s.seq: s for s in self.records(stream) if first <= s.seq <= last}

    def records(self, stream: StreamKey) -> Iterator[StoredRecord]:
        self._answer()
        mine = [
            r for r in self.rows if (r.device, r.epoch, r.lane) == (stream.device, hex_of(stream.epoch), stream.lane)
        ]
        best: dict[int, FarRow] = {}
        for row in sorted(mine, key=lambda r: (r.kind != Kind.GAP, -r.received_utc_us)):
            best[row.seq] = row
        return (record_of(best[seq][1:10]) for seq in sorted(best))

    def runs(self, device: str) -> Iterator[tuple[StreamKey, int, int]]:
        for row in sorted({r[:4] for r in self.rows if r.device == device}):
            yield stream_of(*row[:3]), row[3], row[3]

    def close(self) -> None:
        pass


@pytest.fixture
def far() -> FakeFar:
    return FakeFar()


@pytest.fixture
def shelf(far: FakeFar, tmp_path: Path) -> Iterator[tuple[Store, TieredShelf]]:
    """Every turn moves."""
    sql = SqliteSql.open(tmp_path / "r.db")
    made = TieredShelf(sql, far, MoveOptions(every_s=0, backoff_cap_s=0))
    with Store(sql, made) as store:
        yield store, made


def turn(shelf: TieredShelf) -> None:
    """One move from beginning to end."""
    shelf.turn()
    if shelf._moving is not None:
        shelf._moving[0].exception(60)
    shelf.turn()


def put(store: Store, *batches: Batch) -> None:
    for batch in batches:
        store.accept(batch, NOW)
    store.commit()


def test_what_is_moved_is_far_and_no_longer_near(shelf: tuple[Store, TieredShelf], far: FakeFar) -> None:
    """And reads the same."""
    store, tiers = shelf
    put(store, span(1, 50))
    before = store.digest("car")
    assert store.counters()["shelf_moved"] == 0
    turn(tiers)
    assert len(far.rows) == 50
    assert store.sql.rows("SELECT count(*) FROM records") == [(0,)]
    put(store, span(51, 60))
    assert store.digest("car") != before
    assert [s.seq for s in store.records("car")] == list(range(1, 61))
    assert list(store.runs("car")) == [(StreamKey("car", EPOCH, Lane.EVENT), 1, 60)]
    assert store.devices()[0]["records"] == 60
    assert store.counters()["shelf_moved"] == 50


def test_a_crash_between_far_and_near_shows_nothing_twice(shelf: tuple[Store, TieredShelf], far: FakeFar) -> None:
    """The piece was written far, the process ended before it was taken out: it is moved once more."""
    store, tiers = shelf
    put(store, span(1, 20))
    tiers.turn()
    assert tiers._moving is not None
    tiers._moving[0].result(60)
    tiers._moving = None  # the process ends here
    assert len(far.rows) == 20
    assert [s.seq for s in store.records("car")] == list(range(1, 21))
    turn(tiers)
    assert len(far.rows) == 40
    assert [s.seq for s in store.records("car")] == list(range(1, 21))
    assert store.accept(span(1, 25), NOW).new == 5


def test_a_record_that_replaces_a_gap_while_it_moves_stays(shelf: tuple[Store, TieredShelf], far: FakeFar) -> None:
    """With a plain delete by number it would be nowhere."""
    store, tiers = shelf
    gap = stored(5, encode_body(Gap(EPOCH, 1, 5, GapReason.QUOTA)), Kind.GAP)
    put(store, Batch("car", EPOCH, Lane.EVENT, (gap,)))
    tiers.turn()
    assert tiers._moving is not None
    tiers._moving[0].result(60)
    put(store, span(3, 5))
    tiers.turn()
    assert store.sql.rows("SELECT seq FROM records ORDER BY seq") == [(3,), (4,), (5,)]
    assert [s.record.kind for s in store.records("car")] == [UNKNOWN] * 3
    turn(tiers)
    turn(tiers)
    assert [row.kind for row in far.rows if row.seq == 5] == [Kind.GAP, 200]
    assert [s.record.kind for s in store.records("car")] == [UNKNOWN] * 3


def test_while_the_far_shelf_is_away_everything_is_received(shelf: tuple[Store, TieredShelf], far: FakeFar) -> None:
    """Counted, kept near, moved when it is back. What may be there already is stored once more and shown once."""
    store, tiers = shelf
    put(store, span(1, 20))
    turn(tiers)
    far.away = True
    put(store, span(11, 30))
    assert store.counters()["shelf_unchecked"] == 10
    assert store.position(StreamKey("car", EPOCH, Lane.EVENT)) == 30
    for _ in range(3):
        turn(tiers)
    assert store.counters()["shelf_faults"] >= 1
    assert store.waiting() == 20
    far.away = False
    tiers._due_s = 0.0  # the back-off is over
    turn(tiers)
    assert store.waiting() == 0
    assert [s.seq for s in store.records("car")] == list(range(1, 31))


def test_a_terminal_that_repeats_its_past_holds_up_nobody(
    shelf: tuple[Store, TieredShelf], far: FakeFar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking up is slow: after an answer of a second nobody is asked for nine; what comes again is stored once more,
    and shown once."""
    store, tiers = shelf
    put(store, span(1, 20))
    turn(tiers)
    now = [1000.0]
    asked: list[int] = []
    held = far.held

    def slow(stream: StreamKey, first: int, last: int) -> dict[int, StoredRecord]:
        now[0] += 1.0
        asked.append(first)
        return held(stream, first, last)

    monkeypatch.setattr(far, "held", slow)
    monkeypatch.setattr(shelf_tiered_io, "time", SimpleNamespace(monotonic=lambda: now[0]))
    assert store.accept(span(1, 5), NOW).duplicates == 5
    assert store.accept(span(6, 9), NOW).new == 4
    now[0] += 9.0
    assert store.accept(span(10, 12), NOW).duplicates == 3
    assert asked == [1, 10]
    store.commit()
    assert [s.seq for s in store.records("car")] == list(range(1, 21))


def test_draining_says_what_the_shelf_refuses(shelf: tuple[Store, TieredShelf], far: FakeFar) -> None:
    store, _tiers = shelf
    put(store, span(1, 20))
    far.away = True
    with pytest.raises(JournalError, match="far away"):
        store.settle()
    assert store.waiting() == 20


# ---- Parquet --------------------------------------------------------------------------------------


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    pytest.importorskip("duckdb")
    return tmp_path / "shelf"


def files(directory: Path) -> list[Path]:
    return sorted(directory.glob("records/day=*/bucket=*/*.parquet"))


def fill(directory: Path, pieces: int, utc_us: int) -> None:
    """One file a piece, of ten records."""
    with open_store(f"parquet:{directory}") as store:
        for piece in range(pieces):
            store.accept(span(10 * piece + 1, 10 * piece + 10), utc_us)
            store.commit()
            shelf = store.shelf
            assert isinstance(shelf, TieredShelf)
            turn(shelf)
            shelf._due_s = 0.0


def test_small_files_of_past_days_become_one(directory: Path) -> None:
    """With the same content, without what was there twice; a day that is not over is left."""
    fill(directory, 4, NOW)
    assert len(files(directory)) == 4
    twice = files(directory)[0]
    twice.with_name("again.parquet").write_bytes(twice.read_bytes())
    with open_store(f"parquet:{directory}") as store:
        before = store.digest("car")
        store.settle()
        assert store.digest("car") == before
    [one] = files(directory)
    import duckdb

    with duckdb.connect() as db:
        assert db.execute(f"SELECT seq FROM '{one}'").fetchall() == [(n,) for n in range(1, 41)]
    assert one.stat().st_mode & 0o777 == 0o640


def test_files_are_not_taken_from_a_reader(directory: Path) -> None:
    """Tidying waits for the next time while somebody reads."""
    fill(directory, 3, NOW)
    with open_store(f"parquet:{directory}", read_only=True) as reader:
        records = reader.records("car")
        next(records)
        with open_store(f"parquet:{directory}") as store:
            store.settle()
        assert len(files(directory)) == 3
        assert len(list(records)) == 29
    with open_store(f"parquet:{directory}") as store:
        store.settle()
    assert len(files(directory)) == 1


def test_a_file_that_a_crash_left_unfinished_is_not_read(directory: Path) -> None:
    """It has no name yet; it goes after a day."""
    fill(directory, 2, NOW)
    unfinished = files(directory)[0].with_name("half.tmp")
    unfinished.write_bytes(b"PAR1 and no more")
    import os

    with open_store(f"parquet:{directory}") as store:
        assert len(list(store.records("car"))) == 20
        store.settle()
        assert unfinished.exists()
        os.utime(unfinished, (1, 1))
        store.settle()
    assert not unfinished.exists()


def test_a_disk_that_refuses_loses_nothing(directory: Path) -> None:
    """No file can be written: what is acknowledged stays beside the register."""
    with open_store(f"parquet:{directory}") as store:
        put(store, span(1, 10))
        (directory / "records").rmdir()
        (directory / "records").write_text("in the way", encoding="ascii")
        with pytest.raises(JournalError):
            store.settle()
        assert store.waiting() == 10
        (directory / "records").unlink()
        (directory / "records").mkdir()
        assert store.settle() == 10
        assert len(list(store.records("car"))) == 10


def test_a_damaged_file_is_named(directory: Path) -> None:
    """One error that says which; others go on being received."""
    fill(directory, 1, NOW)
    files(directory)[0].write_bytes(b"PAR1" + bytes(40) + b"PAR1")
    with open_store(f"parquet:{directory}") as store:
        with pytest.raises(JournalError, match=files(directory)[0].name):
            list(store.records("car"))
        put(store, span(11, 12))
        assert store.position(StreamKey("car", EPOCH, Lane.EVENT)) == 12


def test_other_programs_read_the_files(directory: Path) -> None:
    """The query of docs/reference/receiver.md: each record once, days and buckets as columns."""
    fill(directory, 2, NOW)
    fill(directory, 2, NOW + DAY_US)
    import duckdb

    page = (Path(__file__).parents[4] / "docs" / "reference" / "receiver.md").read_text(encoding="utf-8")
    query = page.split("```sql\n-- Parquet\n")[1].split("```")[0].replace("/srv/fleet", str(directory))
    with duckdb.connect() as db:
        db.execute(query)
        assert db.execute("SELECT count(*), min(seq), max(seq) FROM records").fetchall() == [(20, 1, 20)]


# ---- ClickHouse -----------------------------------------------------------------------------------


def test_a_clickhouse_that_is_not_there_stops_nothing(tmp_path: Path) -> None:
    """The receiver begins, stores and acknowledges; what waits is counted."""
    pytest.importorskip("clickhouse_connect")
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    with open_store(f"clickhouse://127.0.0.1:{port}/fleet", f"sqlite:{tmp_path / 'r.db'}") as store:
        put(store, span(1, 10))
        shelf = store.shelf
        assert isinstance(shelf, TieredShelf)
        turn(shelf)
        assert store.counters()["shelf_faults"] == 1
        assert store.position(StreamKey("car", EPOCH, Lane.EVENT)) == 10
        assert store.accept(span(1, 12), NOW).new == 2, "what is near is known without asking"
    with closing(sqlite3.connect(tmp_path / "r.db")) as db:
        assert db.execute("SELECT count(*) FROM records").fetchone() == (10,)


def test_clickhouse_is_spoken_to_over_http(clickhouse_directory: Path, tmp_path: Path) -> None:
    """The URL's user, password, database and table; values apart from the query; a wrong password is told."""
    pytest.importorskip("chdb", reason="needs ClickHouse in a process: pip install chdb")
    with interface(clickhouse_directory, "se:cret") as server:
        table = f"h{uuid.uuid4().hex[:12]}"
        url = f"clickhouse://fleet:se%3Acret@127.0.0.1:{server.port}/default?table={table}"
        register = f"sqlite:{tmp_path / 'r.db'}"
        with open_store(url, register) as store:
            put(store, span(1, 30), span(1, 3, "o'car"))
            assert store.settle() == 33
            assert store.accept(span(21, 40), NOW).duplicates == 10
            store.commit()
            store.settle()
            assert [s.seq for s in store.records("car")] == list(range(1, 41))
            assert [s.record.body for s in store.records("o'car")] == [b"1", b"2", b"3"]
            assert list(store.runs("car")) == [(StreamKey("car", EPOCH, Lane.EVENT), 1, 40)]
        assert any(query.startswith("INSERT") for query in server.seen)
        assert not any("o'car" in query for query in server.seen)
        with (
            open_store(url.replace("se%3Acret", "wrong"), register, read_only=True) as store,
            pytest.raises(JournalError, match="Authentication failed"),
        ):
            list(store.records("car"))
