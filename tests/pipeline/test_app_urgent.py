"""A crash is on flash at once: not at the next tick, not at the next commit of a batch."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import outrider.app.daemon as module
from outrider.app.control import ask
from outrider.clock import SystemClock
from outrider.config import load_config
from outrider.engine import Player, open_unix
from outrider.errors import JournalError, LinkError
from outrider.model.event import Event, Phase
from outrider.model.record import Kind, Lane
from outrider.record.inspect import inspect
from outrider.record.storage_io import DirectoryStorage
from outrider.wire.bodies import decode_body
from tests.support.crash_drive import crash_drive
from tests.support.terminal import wait_until

SPEED = 4
HOUR_S = 3600.0
CONFIG = """
[terminal]
device = "URGENT"
data_directory = "data"
control_socket = "{folder}/control.sock"
[vehicle]
profiles = ["simcar"]
[[can]]
interface = "unix"
channel = "{folder}/bus.sock"
fd = true
[engine]
recorder_kib = 1024
[journal]
event_commit_s = 3600.0
telemetry_commit_s = 3600.0
telemetry_commit_moving_s = 3600.0
"""


def crashes_on_flash(journal: Path) -> list[Event]:
    """Crash records that a power cut of this moment would leave."""
    try:
        stored = inspect(DirectoryStorage(journal, read_only=True)).records(lane=Lane.EMERGENCY)
        bodies = [decode_body(s.record.kind, s.record.body) for s in stored if s.record.kind is Kind.EVENT]
    except (JournalError, OSError):
        return []  # it is being made
    return [body for body in bodies if isinstance(body, Event) and body.kind.is_crash]


def is_up(folder: Path) -> bool:
    try:
        return {source["state"] for source in ask(folder / "control.sock", "status")["sources"]} <= {"up", "silent"}
    except LinkError:
        return False


def test_a_crash_is_on_flash_while_nothing_else_would_bring_it_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner's tick and every timed commit are an hour away: only the urgent return of the capture and the emergency
    lane's commit at once can put the suspicion onto flash while the daemon goes on."""
    monkeypatch.setattr(module, "TICK_S", HOUR_S)
    file = tmp_path / "outrider.toml"
    file.write_text(CONFIG.format(folder=tmp_path), encoding="utf-8")
    daemon = module.Daemon(load_config(file), tmp_path, SystemClock(), rig_speed=SPEED)
    stop, failed = threading.Event(), []

    def run() -> None:
        try:
            daemon.run(stop)
        except Exception as err:  # noqa: BLE001  # any; told by the assertion below
            failed.append(err)

    owner = threading.Thread(target=run)
    owner.start()
    try:
        wait_until("the daemon is up", lambda: failed or is_up(tmp_path))
        assert not failed
        drive = crash_drive()
        frames = drive.batch(0, drive.trigger_us + 200_000, 0)
        with open_unix(tmp_path / "bus.sock") as sock, Player({0: sock.fileno()}, speed=SPEED) as player:
            assert player.play(frames).sent == len(frames)
        wait_until("the crash is on flash", lambda: crashes_on_flash(tmp_path / "data" / "journal"))
        assert owner.is_alive()
        assert crashes_on_flash(tmp_path / "data" / "journal")[0].phase is Phase.SUSPECT
    finally:
        stop.set()
        if daemon._desk is not None:
            daemon._desk.wake()
        owner.join(60)
    assert not owner.is_alive()
    assert not failed
