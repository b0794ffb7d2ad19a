"""The mounting over a restart: what is written when, and what is given back."""

from __future__ import annotations

import dataclasses
import errno
import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from outrider.app.mounting import Mounting, apply, open_mounting, read_beside, write_beside
from outrider.engine import Mount
from outrider.errors import EngineError, JournalError
from outrider.record.mounting import KeptMounting, MountingFile
from outrider.record.storage_memory import MemoryStorage

MINUTE_US = 60_000_000
FOUND = Mount((0.0, 0.0, 1.0), (0.6, 0.8, 0.0), 0.9, 300.0)


class FakeEngine:
    """An engine with a mounting."""

    def __init__(self) -> None:
        self.found = FOUND
        self.given: list[Mount] = []

    def mount(self) -> Mount:
        return self.found

    def set_mount(self, mount: Mount) -> None:
        self.given.append(mount)


def mounting(storage: MemoryStorage, engine: Any, profile: str = "p", sensor: str = "can") -> Mounting:
    return Mounting(storage, engine, profile, sensor)


def kept(storage: MemoryStorage) -> KeptMounting | None:
    return MountingFile(storage).read()


def test_found_axes_survive_a_restart() -> None:
    """Kept as soon as they are known, given back before the first input, named in the status."""
    storage, engine = MemoryStorage(), FakeEngine()
    first = mounting(storage, engine)
    assert first.restore() is None
    first.note(0, 1)
    assert kept(storage) is None
    first.note(1_000_000, 2)
    assert kept(storage) == KeptMounting(
        profile="p", sensor="can", up=FOUND.up, forward=FOUND.forward, rho=FOUND.rho, age_s=FOUND.age_s
    )
    first.close()
    again = mounting(storage, engine)
    assert again.restore() is not None
    assert engine.given == [FOUND]
    assert again.status() == {"kept": True, "restored": True}


@pytest.mark.parametrize(("profile", "sensor"), [("q", "can"), ("p", "lsm6dso")])
def test_another_car_or_sensor_has_axes_of_its_own(profile: str, sensor: str) -> None:
    """Those of the old one would turn every direction."""
    storage, engine = MemoryStorage(), FakeEngine()
    mounting(storage, engine).note(0, 2)
    assert mounting(storage, engine, profile, sensor).restore() is None
    assert engine.given == []


def test_little_news_is_no_write() -> None:
    """Flash lasts longer: a degree or ten minutes of driving, looked at once a minute."""
    storage, engine = MemoryStorage(), FakeEngine()
    keeper = mounting(storage, engine)
    keeper.note(0, 2)
    before = kept(storage)
    engine.found = dataclasses.replace(FOUND, age_s=360.0)
    keeper.note(MINUTE_US, 2)
    assert kept(storage) == before
    engine.found = dataclasses.replace(FOUND, age_s=360.0, forward=(0.8, 0.6, 0.0))
    keeper.note(MINUTE_US + 1, 2)
    assert kept(storage) == before  # not yet a minute
    keeper.note(2 * MINUTE_US, 2)
    assert kept(storage) != before
    engine.found = dataclasses.replace(engine.found, age_s=1000.0)
    keeper.close()
    now = kept(storage)
    assert now is not None
    assert now.age_s == 1000.0


def test_axes_that_were_given_up_are_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    """At once: a restart must not bring them back."""
    caplog.set_level(logging.INFO)
    storage = MemoryStorage()
    keeper = mounting(storage, FakeEngine())
    keeper.note(0, 2)
    keeper.note(1, 1)
    assert kept(storage) is None
    assert "axes given up" in caplog.text


def test_a_disk_that_refuses_is_said_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The drive goes on."""
    storage = MemoryStorage()
    keeper = mounting(storage, FakeEngine())

    def refuse(_self: MountingFile, _kept: KeptMounting | None) -> None:
        raise JournalError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(MountingFile, "write", refuse)
        for minute in range(3):
            keeper.note(minute * MINUTE_US, 2)
    assert caplog.text.count("disk full") == 1
    assert keeper.status() == {"kept": False, "restored": False, "error": "disk full"}
    keeper.close()
    assert keeper.status() == {"kept": True, "restored": False}, "it has room again"


def test_a_folder_that_cannot_be_made_keeps_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And says so."""
    (tmp_path / "state").write_text("in the way")
    with ExitStack() as stack:
        assert open_mounting(tmp_path / "state", FakeEngine(), "p", "can", stack) is None  # type: ignore[arg-type]  # a fake
    assert "not kept" in caplog.text


def test_a_tape_has_its_mounting_beside_it(tmp_path: Path) -> None:
    """What cannot be read there is as none."""
    tape = tmp_path / "1.tape"
    assert read_beside(tape) is None
    storage = MemoryStorage()
    mounting(storage, FakeEngine()).note(0, 2)
    found = kept(storage)
    assert found is not None
    write_beside(tape, found)
    assert read_beside(tape) == found
    (tmp_path / "1.tape.mounting").write_bytes(b"{}")
    assert read_beside(tape) is None


def test_an_engine_that_refuses_goes_on_without() -> None:
    """Too late, or no mounting: no end of the daemon."""

    class Refusing(FakeEngine):
        def set_mount(self, mount: Mount) -> None:
            raise EngineError("too late", errno.EINVAL)

    some = KeptMounting(profile="p", sensor="can", up=FOUND.up, forward=FOUND.forward, rho=0.9, age_s=1.0)
    refusing: Any = Refusing()
    assert not apply(refusing, some)
