"""Live equals replay: a drive played to the daemon gives the events of ``outrider replay``, and so does its tape.

Frames are stamped when they are sent, so live times are those of the recording plus what the player was late; at ten
times the speed a lateness of 1 ms is 10 ms of the drive. The tolerances below are those of docs/reference/sources.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from outrider.app.session import ReplaySession
from outrider.model.event import Trip
from outrider.model.record import ClockFix, ClockSource, Kind, StoredRecord
from outrider.record.inspect import inspect
from outrider.record.storage_io import DirectoryStorage
from outrider.sim.drive import generate
from outrider.sim.scenario_io import load_scenario
from outrider.sim.write_io import write_drive
from outrider.sources.drive_io import Drive, load_drive
from outrider.wire.bodies import decode_body
from tests.support.live_drive import Lived, Moment, Told, Vehicle, live, replayed
from tests.support.terminal import data_file

AFTER_S = 5.0  # of the drive; long enough for the rules of silence
ATTEMPTS = 4
IN_TIME_US = 20_000  # of the drive: 99 of 100 frames were no later
LATEST_US = 50_000  # of the drive, every frame
FIX_IN_TIME_US = 150_000  # of the drive, every fix
T0_US = 100_000  # begin of an event: one tick of the engine
DETECTED_US = 500_000  # when it was decided: the end of a manoeuvre is where noise crosses a threshold
DELTA_V_KMH = 1.0
DISTANCE_M, DISTANCE_SHARE = 20.0, 0.005  # of a trip; a second of a town's speed, and half a percent
MAX_SPEED_MPS = 0.5
SIMCAR = Vehicle(["simcar"])
pytestmark = pytest.mark.slow


def simulated(scenario: str, folder: Path) -> Drive:
    """The drive on two buses: messages with an odd identifier on the second one."""
    written = write_drive(generate(load_scenario(scenario), 1), folder)
    lines = [line.split(" ") for line in written.can.read_text(encoding="ascii").splitlines()]
    two = folder / "two.log"
    moved = (f"{stamp} can{int(text.partition('#')[0], 16) % 2} {text}\n" for stamp, _bus, text in lines)
    two.write_text("".join(moved), encoding="ascii")
    return load_drive([two, written.nmea])


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Drive:
    return simulated("city-crash", tmp_path_factory.mktemp("crash"))


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Drive:
    return simulated("short", tmp_path_factory.mktemp("drive"))


def may_hurry() -> bool:
    """Whether this process may ask for real-time scheduling, as the player does."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True


def same_events(folder: Path, drive: Drive, vehicle: Vehicle, speed: int, want: Told) -> Lived:
    """A run that gave the reports of the replay. One that kept its times has to; one that did not is tried again.

    In every run nothing is lost, and the tape gives what the daemon put out.
    """
    late = ""
    for attempt in range(ATTEMPTS):
        place = folder / f"attempt{attempt}"
        place.mkdir()
        found = live(place, drive, vehicle, speed, AFTER_S)
        check_nothing_lost(found, drive)
        check_tape(found, vehicle, place / "journal")
        try:
            check_events(want.moments, found.told.moments)
            check_trips(want.trips, found.told.trips)
        except AssertionError:
            stats, fixes_us = found.playback.frames, fixes_late_us(found, drive)
            frames_us, latest_us = stats.late_p99_us * speed, stats.late_max_us * speed
            late = f"speed {speed}, us of the drive late: frames {frames_us}, the latest {latest_us}, fixes {fixes_us}"
            if frames_us <= IN_TIME_US and latest_us <= LATEST_US and fixes_us <= FIX_IN_TIME_US:
                raise
        else:
            return found
    if not may_hurry():
        pytest.skip(f"{late}: run it as root or with CAP_SYS_NICE, so that they can be in time")
    pytest.fail(f"{late}, in the last of {ATTEMPTS} attempts: this machine is too busy")


def fixes_late_us(found: Lived, drive: Drive) -> int:
    """How far a fix was from its time: the daemon tells UTC of the receiver whenever it moves by more than 50 ms."""
    told_by_gnss = [
        (record.record.t_us, fix.utc_us)
        for record in found.records
        if record.record.kind is Kind.CLOCK
        and isinstance(fix := decode_body(Kind.CLOCK, record.record.body), ClockFix)
        and fix.source is ClockSource.GNSS
    ]
    return max((abs(t_us - found.zero_us - (utc - drive.zero_utc_us)) for t_us, utc in told_by_gnss), default=0)


def check_nothing_lost(found: Lived, drive: Drive) -> None:
    """Every frame and every fix came to the engine, no source had anything to complain of, the log is quiet."""
    assert found.playback.complete, found.playback
    assert found.status["engine"]["frames"] == found.playback.frames.sent == drive.frame_count
    assert found.status["engine"]["fixes"] >= len({t for t, _text in drive.sentences})
    assert found.status["engine"]["jumps_back"] == 0
    assert not any(found.status["refused"][name] for name in ("frames_refused", "fixes_refused"))
    harmless = {"name", "state", "frames", "items", "fixes", "opened", "silences", "receive_buffer", "held"}
    for source in found.status["sources"]:
        assert {name for name in source if not name.startswith("nmea_")} <= harmless, source
    assert not [line for line in found.log.splitlines() if not line.startswith("INFO")], found.log


def check_events(want: list[Moment], got: list[Moment]) -> None:
    """The same reports, within what the player's lateness explains. Reports of one instant may change places."""
    wanted, found = (sorted(each, key=lambda m: (m.kind, m.phase, m.t0_us)) for each in (want, got))
    assert [(m.kind, m.phase) for m in found] == [(m.kind, m.phase) for m in wanted]
    for a, b in zip(wanted, found, strict=True):
        assert abs(b.t0_us - a.t0_us) <= T0_US, (a, b)
        assert abs(b.detected_us - a.detected_us) <= DETECTED_US, (a, b)
        assert (b.event.level, b.event.clock, b.event.rule) == (a.event.level, a.event.clock, a.event.rule)
        assert (a.event.dv_kmh is None) == (b.event.dv_kmh is None)
        if a.event.dv_kmh is not None and b.event.dv_kmh is not None:
            assert abs(b.event.dv_kmh - a.event.dv_kmh) <= DELTA_V_KMH, (a, b)


def check_trips(want: list[Trip], got: list[Trip]) -> None:
    """As many, as long: a trip begins and ends with a second's snapshot, and lasts until the daemon is told to stop."""
    assert len(got) == len(want)
    for a, b in zip(want, got, strict=True):
        assert abs(b.distance_m - a.distance_m) <= max(DISTANCE_M, a.distance_m * DISTANCE_SHARE), (a, b)
        assert abs(b.max_speed_mps - a.max_speed_mps) <= MAX_SPEED_MPS, (a, b)


def told(records: list[StoredRecord]) -> Iterator[tuple[str, int, str, int, bytes]]:
    """What depends on the inputs alone; boot and clock records are the run's own."""
    for stored in records:
        record = stored.record
        if record.kind not in {Kind.BOOT, Kind.CLOCK}:
            yield record.lane.name, record.kind, record.category.name, record.t_us, record.body


def check_tape(found: Lived, vehicle: Vehicle, journal: Path) -> None:
    """The tape's replay makes the records of the daemon, to the byte and in the order of each lane."""
    options = {"profiles": list(vehicle.profiles), "dbc": list(vehicle.dbc)}
    with ReplaySession.open([found.tape], journal=journal, **options) as session:  # type: ignore[arg-type]
        session.run()
        assert session.deliver()["lost"] == 0
    again = list(inspect(DirectoryStorage(journal, read_only=True)).records())
    key = lambda each: each[0]  # noqa: E731  # the lane
    assert sorted(told(again), key=key) == sorted(told(found.records), key=key)
    assert {record.record.kind for record in again} >= {Kind.TELEMETRY, Kind.TRIP, Kind.SIGNAL_TABLE}


def files_of(drive: Drive, folder: Path) -> list[Path]:
    """The drive as files of their own, so that a replay sees just what is played."""
    (folder / "files").mkdir()
    return drive.write(folder / "files")


def test_the_beginning_of_a_drive_in_real_time(tmp_path: Path, short: Drive) -> None:
    """Harsh braking in a city, played as it was driven."""
    part = short.part(15.0, 42.0)
    want = replayed(files_of(part, tmp_path), SIMCAR, AFTER_S)
    assert "harsh_brake" in {moment.kind for moment in want.moments}
    same_events(tmp_path, part, SIMCAR, 1, want)


def test_a_crash_at_ten_times_the_speed(tmp_path: Path, crash: Drive) -> None:
    """The last two minutes of a drive that ends in a crash: airbag and crash with every phase of their reports."""
    part = crash.part(600.0, 720.0)
    want = replayed(files_of(part, tmp_path), SIMCAR, AFTER_S)
    assert {moment.kind for moment in want.moments} >= {"crash", "airbag"}
    found = same_events(tmp_path, part, SIMCAR, 10, want)
    assert {Kind.EVIDENCE, Kind.CRASH} <= {record.record.kind for record in found.records}


def test_a_loggers_drive_at_ten_times_the_speed(tmp_path: Path) -> None:
    """Ten minutes of a real car, MF4 of a CAN logger."""
    pytest.importorskip("asammdf")
    file = sorted(data_file("canedge", "164").glob("*.MF4"))[0]
    vehicle = Vehicle(["canmod", "obd2"], [data_file("canedge", "canmod-gps.dbc")])
    want = replayed([file], vehicle, AFTER_S)
    same_events(tmp_path, load_drive([file]), vehicle, 10, want)
