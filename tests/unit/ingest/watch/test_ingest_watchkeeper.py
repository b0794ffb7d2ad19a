"""The vigil in the receiver's loop: told after the commit, never at the price of records."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from outrider.errors import JournalError
from outrider.ingest.core import BeaconFrom
from outrider.ingest.options import ReceiverOptions
from outrider.ingest.receiver_io import Receiver
from outrider.ingest.sinks.store_io import Store
from outrider.ingest.watch.deadman import DeadManOptions, Vanished
from outrider.ingest.watch.watchkeeper_io import News, Watchkeeper
from outrider.model.beacon import Beacon

S = 1_000_000


class Clock:
    """Both clocks at once, moved by hand."""

    now_us = 1_790_000_000 * S

    def boottime_us(self) -> int:
        return self.now_us

    def utc_us(self) -> int:
        return self.now_us

    def sleep(self, seconds: float) -> None:
        self.now_us += round(seconds * 1e6)


class Bench:
    """A watchkeeper on a database, with what it told."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.store = Store.open(path)
        self.told: list[News] = []
        self.watch = self.make()

    def make(self) -> Watchkeeper:
        options = ReceiverOptions(keep_s=10.0, keep_coverage_s=100.0)
        return Watchkeeper(self.store, DeadManOptions(threshold=0.3), options, self.clock, self.told.append)

    def up(self) -> None:
        self.watch.link_up()
        self.clock.sleep(3)

    def beacon(self, **changes: int) -> None:
        t_us = self.clock.now_us % (1 << 32)
        values = {"boot_id": 7, "interval_s": 5} | changes
        beacon = Beacon(values["boot_id"], t_us, None, 48.0, 11.0, 2.0, 34.0, 90.0, -80, 0.0, values["interval_s"])
        self.watch.heard(BeaconFrom("car", beacon))

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.sleep(1)
            self.watch.turn()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "r.db")
    yield made
    made.store.close()


def test_an_alarm_is_on_disk_when_it_is_told(bench: Bench, tmp_path: Path) -> None:
    """Whoever acts on it finds it in the database."""
    bench.up()
    bench.beacon()
    found: list[int] = []
    reader = Store.open(tmp_path / "r.db", read_only=True)
    bench.watch._on_alarm = lambda _news: found.append(len(reader.alarms.listing()))
    bench.wait(15)
    reader.close()
    assert found == [1]


def refuse_the_alarm(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A car falls silent while the disk is full."""

    def full() -> None:
        bench.store.rollback()
        raise JournalError("database: disk full")

    bench.up()
    bench.beacon()
    bench.wait(9)
    with monkeypatch.context() as broken:
        broken.setattr(bench.store, "commit", full)
        with pytest.raises(JournalError):
            bench.wait(5)


def test_what_the_database_refused_is_told_later(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk delays an alarm and loses none."""
    refuse_the_alarm(bench, monkeypatch)
    assert bench.told == []
    bench.wait(2)
    [alarm] = bench.told
    assert isinstance(alarm, Vanished)
    assert bench.store.alarms.standing() == [alarm]


def test_the_end_writes_down_what_was_refused_before(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alarm that waits for room on the disk is not forgotten by stopping."""
    refuse_the_alarm(bench, monkeypatch)
    bench.watch.close()
    assert [alarm.device for alarm in bench.store.alarms.standing()] == ["car"]
    assert len(bench.told) == 1


def test_a_listener_that_is_gone_stops_nothing(bench: Bench) -> None:
    """A closed pipe: the alarm is on record, the others are told all the same, and the fault is counted."""

    def gone(_news: News) -> None:
        raise BrokenPipeError

    bench.watch._on_alarm = gone
    bench.up()
    bench.beacon()
    bench.wait(15)
    assert [alarm.device for alarm in bench.store.alarms.standing()] == ["car"]
    assert bench.watch.counters()["watch_faults"] == 1


def test_a_full_disk_at_the_end_is_told_and_ends_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM ends the receiver with its last report, whatever the disk says."""

    def full(_store: Store) -> None:
        raise JournalError("database: disk full")

    monkeypatch.setattr(Store, "commit", full)
    stop = threading.Event()
    stop.set()
    receiver = Receiver(ReceiverOptions(database=tmp_path / "fleet.db"), Clock())
    receiver.run(stop)
    assert receiver.stats()["store_faults"] == 1


def test_beacons_right_after_connecting_are_passed_over(bench: Bench) -> None:
    """A broker that keeps QoS 0 for absent receivers must not bring yesterday's drive to life."""
    bench.watch.link_up()
    bench.clock.sleep(1)
    bench.beacon()
    bench.wait(30)
    assert bench.told == []
    assert bench.watch.counters()["watched"] == 0


def test_while_the_link_is_down_nobody_vanishes(bench: Bench) -> None:
    """And after it a car counts from its next beacon."""
    bench.up()
    bench.beacon()
    bench.watch.link_down()
    bench.wait(20)
    bench.up()
    bench.wait(20)
    assert bench.told == []
    bench.beacon()
    bench.wait(15)
    assert len(bench.told) == 1


def test_a_restart_knows_alarms_and_last_beacons(bench: Bench) -> None:
    """The alarm is cleared by the next beacon of the car, though this receiver never raised it."""
    bench.up()
    bench.beacon()
    bench.wait(15)
    bench.watch.close()
    bench.watch = bench.make()
    bench.up()
    assert len(bench.told) == 1
    bench.beacon(boot_id=8)
    bench.wait(2)
    assert len(bench.told) == 2
    assert bench.store.alarms.standing() == []
    assert bench.store.alarms.last_beacons()["car"].beacon.boot_id == 7
    bench.wait(10)
    assert bench.store.alarms.last_beacons()["car"].beacon.boot_id == 8


def test_a_fault_of_the_watch_costs_no_record(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted; what the database says passes."""
    bench.up()

    def fail(*_given: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bench.watch._vigil, "beacon", fail)
    monkeypatch.setattr(bench.watch._vigil, "tick", fail)
    bench.beacon()
    bench.wait(2)
    assert bench.watch.counters()["watch_faults"] == 3

    def refuse(*_given: object) -> None:
        raise JournalError("database is locked")

    monkeypatch.setattr(bench.watch._vigil, "beacon", refuse)
    with pytest.raises(JournalError):
        bench.beacon()


def test_a_damaged_coverage_map_is_begun_anew(bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With a word in the log; the receiver starts."""
    bench.watch.close()
    bench.store.close()
    with sqlite3.connect(tmp_path / "r.db") as db:
        db.execute("UPDATE coverage SET map = x'00'")
    db.close()
    bench.store = Store.open(tmp_path / "r.db")
    bench.watch = bench.make()
    assert "starts anew" in caplog.text
