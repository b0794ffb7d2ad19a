"""Days of the simulated year in the test suite; ``make year`` runs all of it (tests/bench/run_year.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from outrider.model.event import CrashEvidence
from outrider.model.record import Lane
from outrider.record.journal import Journal
from outrider.record.options import JournalOptions
from outrider.record.rewrite import Sieve
from outrider.record.stream import LogStream
from tests.support.year import Misfortune, Verdict, Year, emergencies

KIB = 1024
TIGHT = JournalOptions.sized(telemetry_segment_bytes=16 * KIB, quota_bytes=320 * KIB)


def calm(_day: int) -> Misfortune:
    return Misfortune()


def months_away(day: int) -> Misfortune:
    """No link at all."""
    return Misfortune(no_link=True)


def drive(database: Path, days: int, first_day: int = 30, **more: object) -> tuple[Year, Verdict]:
    year = Year(7, database, first_day=first_day, days=days, shortened=0.05, **more)  # type: ignore[arg-type]
    year.run()
    return year, year.check()


def test_the_store_is_the_truth_less_what_was_declared(tmp_path: Path) -> None:
    """Weeks with outages, power cuts, wrong clocks, duplicates and a receiver that is down: compared by hash."""
    year, verdict = drive(tmp_path / "store.db", days=20)
    print(year.table(verdict))
    assert not verdict.wrong
    assert verdict.truth == verdict.store
    assert year.terminal.counters["power cuts"] > 0
    assert year.station.counters["duplicates"] > 0


def test_months_without_a_link_in_a_small_journal(tmp_path: Path) -> None:
    """Everything is a record or named by a gap: packed, thinned, then the oldest gone; emergency and ledger whole."""
    year, verdict = drive(tmp_path / "store.db", days=30, options=TIGHT, misfortunes=months_away)
    print(year.table(verdict))
    assert not verdict.wrong
    assert verdict.gaps["thinned"] > 100
    assert verdict.gaps["quota"] > 100
    promised = year.terminal.account.promised
    for lane in (Lane.EMERGENCY, Lane.LEDGER):
        made = sum(len(numbers) for (_epoch, own), numbers in promised.items() if own is lane)
        assert verdict.stored[lane.name.lower()] == made > 0


def test_a_full_disk_takes_what_it_names(tmp_path: Path) -> None:
    """Others fill the device for days: what goes is named FULL, also over stops and power cuts."""
    year, verdict = drive(tmp_path / "store.db", days=12, first_day=115)
    assert not verdict.wrong
    assert verdict.gaps["full"] + verdict.gaps["thinned"] > 0
    assert sum(year.terminal.account.cut_off.values()) < 200


def test_a_broken_sensor_is_counted_and_a_real_accident_of_that_day_arrives(tmp_path: Path) -> None:
    """On a day on which the sensor sees one each minute: some are stored, the others told, and the real one arrives."""
    year = Year(3, tmp_path / "store.db", first_day=45, days=1, misfortunes=calm)
    year.run()
    verdict = year.check()
    assert not verdict.wrong
    held = year.terminal.counters["held_back"]
    assert held > 10
    assert year.counters["accidents"] == 1
    assert len(emergencies(year.station)) < 40
    assert len(emergencies(year.station, CrashEvidence.COLLAPSE)) == 1


def test_it_notices_a_thinning_that_names_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that go without a GAP record are found missing."""
    monkeypatch.setattr(Sieve, "close", lambda self: [])
    monkeypatch.setattr(LogStream, "_missing", lambda self, seq, start, upcoming: start)
    _year, verdict = drive(tmp_path / "store.db", days=20, options=TIGHT, misfortunes=months_away)
    assert verdict.wrong


def test_it_notices_a_commit_that_is_not_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that says durable too soon loses promised records at a power cut, and the comparison says so."""
    commit = Journal._commit_lane

    def careless(self: Journal, lane: Lane) -> None:
        segment = self._active.get(lane)
        if segment is not None and segment.file is not None:
            monkeypatch.setattr(type(segment.file), "sync", lambda _file: None)
        commit(self, lane)

    monkeypatch.setattr(Journal, "_commit_lane", careless)
    _year, verdict = drive(tmp_path / "store.db", days=20, misfortunes=calm)
    assert verdict.wrong
