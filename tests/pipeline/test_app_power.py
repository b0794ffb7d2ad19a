"""The system says that the supply fails: everything in memory is on flash, and the daemon goes on."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from outrider.app.control import ask
from outrider.app.daemon import Daemon
from outrider.cli import run as command
from outrider.clock import SystemClock
from outrider.config import Config, load_config
from outrider.engine import Player, open_unix, parse_black_box
from outrider.errors import JournalError, LinkError
from outrider.model.record import Kind, Lane
from outrider.record.blackbox_io import FILE_NAME, PAGE_BYTES
from outrider.record.inspect import inspect
from outrider.record.storage_io import DirectoryStorage
from tests.pipeline.test_app_urgent import CONFIG, SPEED
from tests.support.crash_drive import crash_drive
from tests.support.terminal import wait_until


def rows_on_flash(journal: Path) -> int:
    """Telemetry that a power cut of this moment would leave."""
    try:
        stored = inspect(DirectoryStorage(journal, read_only=True)).records(lane=Lane.TELEMETRY)
        return sum(each.record.kind is Kind.TELEMETRY for each in stored)
    except (JournalError, OSError):
        return 0  # it is being made


def status(folder: Path) -> dict:  # type: ignore[type-arg]
    try:
        return ask(folder / "control.sock", "status")
    except LinkError:
        return {}


def test_a_failing_supply_empties_the_memory(tmp_path: Path) -> None:
    """Every timed commit is an hour away: telemetry is on flash all the same, a page tells this moment, and the drive
    is recorded further."""
    file = tmp_path / "outrider.toml"
    file.write_text(CONFIG.format(folder=tmp_path), encoding="utf-8")
    daemon = Daemon(load_config(file), tmp_path, SystemClock(), rig_speed=SPEED)
    stop = threading.Event()
    owner = threading.Thread(target=daemon.run, args=(stop,))
    owner.start()
    journal = tmp_path / "data" / "journal"
    try:
        wait_until("the daemon is up", lambda: {s["state"] for s in status(tmp_path).get("sources", [])} == {"up"})
        drive = crash_drive()
        with open_unix(tmp_path / "bus.sock") as sock, Player({0: sock.fileno()}, speed=SPEED) as player:
            assert player.play(drive.batch(0, drive.trigger_us - 1_000_000, 0)).sent
        wait_until("rows are waiting", lambda: status(tmp_path)["writer"]["put"]["telemetry"] > 3)
        assert rows_on_flash(journal) == 0
        at_once = status(tmp_path)["black_box"]["at_once"]
        daemon.power_signal()
        wait_until("all is on flash", lambda: rows_on_flash(journal) > 3)
        wait_until("the engine knows", lambda: status(tmp_path)["engine"]["supply_failures"] == 1)
        assert status(tmp_path)["black_box"]["at_once"] > at_once
        pages = (journal / FILE_NAME).read_bytes()
        boxes = [parse_black_box(pages[at : at + PAGE_BYTES]) for at in (0, PAGE_BYTES) if any(pages[at : at + 4])]
        assert not any(box.clean for box in boxes)
        assert owner.is_alive()
    finally:
        stop.set()
        owner.join(60)
    assert not owner.is_alive()
    pages = (journal / FILE_NAME).read_bytes()
    boxes = [parse_black_box(pages[at : at + PAGE_BYTES]) for at in (0, PAGE_BYTES) if any(pages[at : at + 4])]
    assert max(boxes, key=lambda box: box.counter).clean, "stopped in order"


def test_the_signal_reaches_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``outrider run`` takes SIGPWR, which would otherwise end the process; also while it starts."""
    told = []

    class Fake:
        def __init__(self, *_given: object, **_more: object) -> None:
            pass

        def power_signal(self) -> None:
            told.append(signal.SIGPWR)

        def run(self, _stop: threading.Event) -> bool:
            os.kill(os.getpid(), signal.SIGPWR)
            return False

    file = tmp_path / "outrider.toml"
    file.write_text(CONFIG.format(folder=tmp_path), encoding="utf-8")
    before = {number: signal.getsignal(number) for number in (signal.SIGPWR, signal.SIGTERM, signal.SIGINT)}
    load = load_config

    def early(path: Path) -> Config:
        os.kill(os.getpid(), signal.SIGPWR)
        return load(path)

    monkeypatch.setattr("outrider.config.load_config", early)
    monkeypatch.setattr("outrider.app.daemon.Daemon", Fake)
    try:
        done = CliRunner().invoke(command.cli, ["--config", str(file)])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert done.exit_code == 0, done.output
    assert told == [signal.SIGPWR]
