"""Alarms, last beacons and the coverage map in the receiver's database; and the way there from version 1."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from outrider.errors import InputError, JournalError, WireError
from outrider.ingest.sinks.schema import TABLES, VERSION
from outrider.ingest.sinks.store_io import Store
from outrider.ingest.watch.deadman import Cleared, CoverageMap, Vanished
from outrider.ingest.watch.deadman_place import Spot
from outrider.ingest.watch.vigil import HeardBeacon
from outrider.model.beacon import Beacon
from outrider.wire.birth import Birth
from tests.support.sinks import make_kit

ALARM = Vanished("car", 1000.25, 1011.5, 48.25, 11.5, 93.5, 34.0, 4.5, ("2 beacons missed", "clean ground"), 2.5, 999.0)
BEACON = Beacon(7, 5_000_000, None, 48.25, 11.5, 2.5, 34.0, 93.5, -87, 0.0, 5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "r.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """In each database that holds alarms."""
    kit = make_kit(request.param, tmp_path, request)
    yield kit.open()
    kit.close()


def test_an_alarm_comes_back_as_it_was(store: Store, path: Path) -> None:
    """To another process, with its reasons and the beacons that justify showing the place."""
    store.alarms.put(ALARM, [HeardBeacon(1000.25, BEACON)])
    store.commit()
    with Store.open(path, read_only=True) as reader:
        [row] = reader.alarms.listing()
        assert reader.alarms.standing() == [ALARM]
    assert (row.vanished, row.cleared_utc_us, row.cleared_reason) == (ALARM, None, None)
    [beacon] = row.beacons
    assert (beacon["received_utc_us"], beacon["lat_deg"], beacon["utc_us"]) == (1_000_250_000, 48.25, None)


def test_programs_find_the_likely_place_in_the_table(store: Store, path: Path) -> None:
    """SQL users need not know how it is reckoned."""
    store.alarms.put(ALARM)
    store.commit()
    with closing(sqlite3.connect(path)) as db:
        row = db.execute("SELECT place_lat_deg, place_lon_deg, place_radius_m, kind FROM alarms").fetchone()
    assert row == (*(ALARM.place() or ()), ALARM.place_radius_m(), "vanished")


def test_clearing_ends_the_standing_alarm_of_that_car_only(anywhere: Store) -> None:
    """And leaves on record what it was and why it ended."""
    other = replace(ALARM, device="other")
    for alarm in (ALARM, other):
        anywhere.alarms.put(alarm)
    anywhere.alarms.put(Cleared("car", 1060.0, "it drives on"))
    anywhere.alarms.put(replace(ALARM, raised_utc_s=2000.0))
    assert anywhere.alarms.standing() == [replace(ALARM, raised_utc_s=2000.0), other]
    again, _other, first = anywhere.alarms.listing()
    assert (first.cleared_utc_us, first.cleared_reason) == (1_060_000_000, "it drives on")
    assert again.cleared_utc_us is None
    assert [a.number for a in anywhere.alarms.listing("car", limit=1)] == [again.number]
    assert [a.number for a in anywhere.alarms.newer_than(2, cleared_after_us=1_059_999_999)] == [1, 3]


def test_an_alarm_without_a_place_is_still_one(anywhere: Store) -> None:
    """A car without satellites vanishes as well."""
    nowhere = replace(ALARM, lat_deg=None, lon_deg=None, heading_deg=None, hacc_m=None)
    anywhere.alarms.put(nowhere)
    assert anywhere.alarms.standing() == [nowhere]


def test_the_last_beacon_of_each_terminal_is_kept(anywhere: Store) -> None:
    """One row each."""
    anywhere.alarms.keep_beacons({"car": HeardBeacon(1.0, BEACON), "other": HeardBeacon(2.0, BEACON)})
    newer = HeardBeacon(3.0, replace(BEACON, t_us=6_000_000))
    anywhere.alarms.keep_beacons({"car": newer})
    assert anywhere.alarms.last_beacons() == {"car": newer, "other": HeardBeacon(2.0, BEACON)}


def test_writing_an_alarm_down_is_no_sign_of_life(anywhere: Store) -> None:
    """A car was last heard when it was heard: not when its alarm was raised, nor earlier when its beacon is kept."""

    def seen() -> int:
        return int(anywhere.devices()[0]["seen_utc_us"])

    anywhere.alarms.keep_beacons({"car": HeardBeacon(1000.25, BEACON)})
    anywhere.alarms.put(ALARM)
    assert seen() == 1_000_250_000
    assert list(anywhere.alarms.unheard(2_000_000_000)) == ["car"]
    anywhere.accept_birth(Birth("car", 1, "0", None, online=True, boot_id=7, epoch=1), 1_003_000_000)
    anywhere.alarms.keep_beacons({"car": HeardBeacon(1001.0, BEACON)})
    assert seen() == 1_003_000_000
    assert anywhere.alarms.unheard(2_000_000_000) == {}, "it sent something since"


def test_alarms_are_there_for_another_process(anywhere: Store) -> None:
    """As they were, with what was learnt of coverage."""
    anywhere.alarms.put(ALARM, [HeardBeacon(1000.25, BEACON)])
    coverage = CoverageMap(100)
    coverage.passed(Spot(48.0, 11.0, 90.0), 0)
    anywhere.alarms.keep_coverage(coverage, 77)
    anywhere.alarms.keep_coverage(coverage, 78)
    anywhere.commit()
    [row] = anywhere.alarms.listing("car", standing=True, limit=5)
    assert (row.vanished, row.beacons[0]["lat_deg"]) == (ALARM, 48.25)
    assert anywhere.alarms.listing("other") == []
    assert anywhere.alarms.coverage(100).to_bytes() == coverage.to_bytes()
    anywhere.alarms.put(Cleared("car", 1060.0, "it drives on"))
    anywhere.rollback()
    assert anywhere.alarms.standing() == [ALARM]


def test_what_the_database_refuses_is_one_clear_error(store: Store, path: Path) -> None:
    """Also for what is kept on the side, and for reading."""
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript("DROP TABLE last_beacons; DROP TABLE coverage; DROP TABLE alarms;")
    for refused in (
        lambda: store.alarms.keep_beacons({"car": HeardBeacon(1.0, BEACON)}),
        lambda: store.alarms.keep_coverage(CoverageMap(16), 1),
        lambda: store.alarms.put(ALARM),
        lambda: store.alarms.coverage(16),
        store.alarms.standing,
        store.alarms.last_beacons,
    ):
        with pytest.raises(JournalError, match="database: no such table"):
            refused()
        store.rollback()


def test_the_coverage_map_comes_back(store: Store, path: Path) -> None:
    """What the fleet taught outlives the receiver; a damaged map is told, not used."""
    coverage = store.alarms.coverage(1000)
    assert len(coverage) == 0
    for _ in range(5):
        coverage.passed(Spot(48.0, 11.0, 90.0), 0)
    store.alarms.keep_coverage(coverage, 77)
    assert store.alarms.coverage(1000).to_bytes() == coverage.to_bytes()
    store.commit()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE coverage SET map = x'00'")
    with pytest.raises(WireError, match="coverage"):
        store.alarms.coverage(1000)


def version_1(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"{TABLES}PRAGMA user_version = 1;")
        db.execute("INSERT INTO devices (name, seen_utc_us) VALUES ('old', 5)")
        db.commit()


def test_a_database_of_version_1_is_brought_up_to_date(path: Path) -> None:
    """What it holds stays; the new tables are there, and it is of the present version."""
    version_1(path)
    with Store.open(path) as store:
        assert [d["device"] for d in store.devices()] == ["old"]
        store.alarms.put(replace(ALARM, device="old"))
        store.commit()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
    with Store.open(path, read_only=True) as store:
        assert [d["device"] for d in store.devices()] == ["old"]
        assert len(store.alarms.listing()) == 1


def test_who_only_reads_does_not_migrate(path: Path) -> None:
    """And says who does."""
    version_1(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="outrider ingest"):
        Store.open(path, read_only=True)
    assert path.read_bytes() == before


def test_a_new_and_a_migrated_database_are_the_same(path: Path, tmp_path: Path) -> None:
    """Table for table."""
    version_1(path)
    Store.open(path).close()
    fresh = tmp_path / "fresh.db"
    Store.open(fresh).close()

    def shape(file: Path) -> set[tuple[str, str]]:
        with closing(sqlite3.connect(file)) as db:
            return set(db.execute("SELECT name, sql FROM sqlite_schema"))

    assert shape(path) == shape(fresh)
