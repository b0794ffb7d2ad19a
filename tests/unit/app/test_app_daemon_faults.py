"""What goes wrong around the daemon does not end it."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from outrider.app import daemon as daemon_module
from outrider.app.black_box import BlackBoxKeeper
from outrider.app.daemon import Daemon
from outrider.app.options import vehicle_profile
from outrider.clock import SystemClock
from outrider.config import Config, Engine, Journal, Terminal, Vehicle
from outrider.engine import Engine as Detector
from outrider.engine import parse_black_box
from outrider.model.frame import EFF, FD, FrameBatch
from outrider.model.record import Kind, Lane
from outrider.model.vehicle import VehicleTables
from outrider.ports import SourceItem
from outrider.record.blackbox_io import BlackBoxFile
from outrider.record.inspect import inspect
from outrider.record.storage_io import DirectoryStorage
from outrider.record.writer_io import JournalWriter
from outrider.sim.drive import Drive, generate
from outrider.sim.scenario_io import load_scenario


class ScriptedSource:
    """A bus that plays the beginning of a simulated drive, stamped now and a little into the past."""

    name = "script"

    def __init__(self, drive: Drive, seconds: float) -> None:
        self._drive = drive
        self._seconds = seconds
        self.played = threading.Event()

    def start(self, deliver: Callable[[SourceItem], None]) -> None:
        now = SystemClock().boottime_us()
        begin = self._drive.start_us
        batch = FrameBatch()
        for frame in self._drive.frames():
            at = frame.t_us - begin
            if at > self._seconds * 1e6:
                break
            if at < (self._seconds - 5) * 1e6:
                continue
            flags = (FD if frame.fd else 0) | (EFF if frame.extended else 0)
            batch.append(now - round(self._seconds * 1e6) + at, frame.frame_id, frame.data, flags)
        deliver(SourceItem(now, frames=batch))
        self.played.set()

    def stop(self) -> None: ...

    def state(self) -> dict[str, Any]:
        return {"name": self.name, "state": "up"}


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> ScriptedSource:
    script = ScriptedSource(generate(load_scenario("short"), 1), 30.0)
    monkeypatch.setattr(daemon_module, "live_sources", lambda *_given: [script])
    return script


def run_until(daemon: Daemon, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Run the daemon in a thread until its status satisfies ``done``; the last status."""
    stop, failed = threading.Event(), []

    def body() -> None:
        try:
            daemon.run(stop)
        except Exception as err:  # noqa: BLE001  # handed to the test
            failed.append(err)

    thread = threading.Thread(target=body)
    thread.start()
    status: dict[str, Any] = {}
    try:
        for _ in range(1200):
            if failed:
                raise failed[0]
            if daemon._supervision is not None:  # all is open
                status = daemon.status()
                if done(status):
                    return status
            stop.wait(0.05)  # polling another thread
        raise AssertionError(f"never: {status}")
    finally:
        stop.set()
        thread.join(60)
        assert not failed, failed


def config(tmp_path: Path) -> Config:
    return Config(
        terminal=Terminal(device="T1", data_directory="data", control_socket=str(tmp_path / "c.sock")),
        vehicle=Vehicle(profiles=("simcar",)),
        engine=Engine(recorder_kib=64, tape_directory="tapes"),
    )


def test_a_full_disk_under_tape_and_black_box(
    tmp_path: Path, source: ScriptedSource, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither ends the daemon; each is counted in the status and logged once."""

    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("outrider.record.blackbox_io.BlackBoxFile.write", full)
    daemon = Daemon(config(tmp_path), tmp_path, SystemClock())
    with Path("/dev/full").open("wb", buffering=0) as no_room:
        monkeypatch.setattr(daemon, "_tape_file", lambda _stack: no_room)
        both = lambda s: s["troubles"].get("black box", 0) >= 2 and "tape" in s["troubles"]  # noqa: E731  # one line
        status = run_until(daemon, both)
    assert status["troubles"]["tape"] == 1
    assert sum("black box" in record.message for record in caplog.records) == 1


def test_a_disk_that_takes_no_tape_does_not_keep_the_daemon_from_starting(
    tmp_path: Path, source: ScriptedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk costs the tape; what is wrong with the configuration is still an error."""
    daemon = Daemon(config(tmp_path), tmp_path, SystemClock())

    def full(_stack: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(daemon, "_tape_file", full)
    assert run_until(daemon, lambda _status: source.played.is_set())["troubles"] == {"tape": 1}
    (tmp_path / "tapes").write_text("in the way")
    with pytest.raises(FileExistsError):
        Daemon(config(tmp_path), tmp_path, SystemClock()).run(threading.Event())


def test_what_the_merge_window_held_back_is_not_lost(tmp_path: Path, source: ScriptedSource) -> None:
    """Stopping processes every frame that was delivered."""
    daemon = Daemon(config(tmp_path), tmp_path, SystemClock())
    run_until(daemon, lambda _status: source.played.is_set())
    assert daemon.status()["refused"]["frames_refused"] == 0
    assert daemon.status()["trip"] is None


def test_while_the_car_moves_telemetry_reaches_flash_soon(tmp_path: Path, source: ScriptedSource) -> None:
    """Every second by default, here at once; standing it would be an hour."""
    journal = Journal(telemetry_commit_s=3600, telemetry_commit_moving_s=0.01)
    daemon = Daemon(replace(config(tmp_path), journal=journal), tmp_path, SystemClock())
    status = run_until(daemon, lambda s: s["journal"]["lanes"]["telemetry"]["durable"] > 0)
    assert status["vehicle"]["motion"] == 2


def lost_at_speed(journal: Path, tables: VehicleTables) -> None:
    """What a start before this one, of which nothing else is left, had on its page when the power went."""
    drive, frames = generate(load_scenario("short"), 1), FrameBatch()
    for frame in drive.frames():
        if frame.t_us - drive.start_us > 30_000_000:
            break
        flags = (FD if frame.fd else 0) | (EFF if frame.extended else 0)
        frames.append(frame.t_us, frame.frame_id, frame.data, flags)
    journal.mkdir(parents=True)
    with BlackBoxFile(journal) as file, Detector(tables) as engine:
        start = 0
        while start < len(frames):
            start += engine.offer_frames(frames, start)
            engine.run(frames.t_us_at(start - 1))
        file.write(engine.black_box_page(12345))


def test_power_lost_at_speed_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A car that stands, and whose power goes again and again, does not report the same accident at each start."""
    journal = tmp_path / "data" / "journal"
    lost_at_speed(journal, vehicle_profile(config(tmp_path), tmp_path).tables)
    monkeypatch.setattr(daemon_module, "live_sources", lambda *_given: [])
    monkeypatch.setattr(BlackBoxKeeper, "close", lambda *_given, **_more: None)  # it is never stopped in order
    for _ in range(2):
        run_until(Daemon(config(tmp_path), tmp_path, SystemClock()), lambda status: status["writer"]["alive"])
        storage = DirectoryStorage(journal)
        stored = [s.record for s in inspect(storage).records(lane=Lane.EMERGENCY) if s.record.kind is Kind.EVENT]
        storage.close()
        assert [each.boot_id for each in stored] == [12345]


def test_the_page_is_closed_when_all_else_is_on_flash(
    tmp_path: Path, source: ScriptedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power may go while the daemon stops; and a disk that refuses leaves the page to the next start."""
    journal = tmp_path / "data" / "journal"
    flush, clean = JournalWriter.flush, []

    def slow(writer: JournalWriter, timeout_s: float | None = 30.0) -> bool:
        with BlackBoxFile(journal) as file:
            newest = file.read()
        clean.append(newest is not None and parse_black_box(newest).clean)
        return flush(writer, timeout_s) and not refuses

    monkeypatch.setattr(JournalWriter, "flush", slow)
    for refuses in (False, True):
        daemon = Daemon(config(tmp_path), tmp_path, SystemClock())
        run_until(daemon, lambda status: status["black_box"]["writes"] > 0)
        assert clean.pop() is False
        with BlackBoxFile(journal) as file:
            page = file.read()
            assert page is not None
            assert parse_black_box(page).clean is not refuses
