"""Drives of a suite on a live bus: what can be said without one."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from outrider.app import suite_live
from outrider.app.suite import DriveTask, Inputs, run_task
from outrider.app.suite_live import LiveRunner, _Rig, _speeds, _TooSlowError, check_interfaces
from outrider.config import parse_config
from outrider.errors import LinkError, SuiteError
from outrider.model.frame import FrameBatch
from outrider.sources.drive_io import Drive
from outrider.suite.observed import Observed
from tests.support.suites import observed

NMEA = b"$GPRMC,101112.00,A,4807.038,N,01131.000,E,022.4,084.4,020526,,,A*"


def task(**changes: Any) -> DriveTask:
    base = DriveTask(
        name="d",
        files=(),
        scenario=None,
        seed=1,
        after_s=0.0,
        profiles=("simcar", "own/van.profile.toml"),
        dbc=(Path("a b.dbc"),),
        overlays=(),
        bus="unix",
        speed=10,
        interfaces=("vcan7", "vcan8"),
    )
    return replace(base, **changes)


def drive(*buses: int) -> Drive:
    frames = FrameBatch()
    for number, bus in enumerate(buses):
        frames.append(number * 1000, 0x100, b"\1", bus=bus)
    return Drive("d", bytes(frames.buffer), (), 0, 1000 * len(buses))


def test_speeds_are_halved() -> None:
    """Three times at most, never below real time, each once."""
    assert _speeds(10) == [10, 5, 2, 1]
    assert _speeds(100) == [100, 50, 25, 12]
    assert _speeds(1) == [1]


def test_a_machine_too_slow_plays_again_more_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt is told in a note; when none is slow enough it is the drive's error."""
    tried: list[int] = []

    def run_once(asked: DriveTask, _drive: Drive, _inputs: Inputs, notes: tuple[str, ...]) -> Observed:
        tried.append(asked.speed)
        if asked.speed > enough:
            raise _TooSlowError(f"{asked.speed} is too fast")
        return observed(notes=notes)

    monkeypatch.setattr(suite_live, "load_drive", lambda _files: drive(0))
    monkeypatch.setattr(suite_live, "_run_once", run_once)
    enough = 4
    assert LiveRunner().run(task(), Inputs((), "")).notes == ("10 is too fast", "5 is too fast")
    assert tried == [10, 5, 2]
    enough = 0
    with pytest.raises(LinkError, match="1 is too fast; run fewer drives"):
        LiveRunner().run(task(), Inputs((), ""))


def test_the_daemons_configuration() -> None:
    """A bus for each number up to the highest in use; names stay names, paths become absolute; it parses."""
    rig = _Rig(task(), drive(0, 2), Path("/tmp/x y"))
    text = tomlkit.dumps(rig.configuration("/dev/pts/9"))
    config = parse_config(text, Path("/tmp/x y/outrider.toml"))
    assert [(bus.interface, bus.channel) for bus in config.can] == [("unix", f"/tmp/x y/bus{n}") for n in range(3)]
    assert config.vehicle.profiles == ("simcar", str(Path("own/van.profile.toml").resolve()))
    assert config.vehicle.dbc == (str(Path("a b.dbc").resolve()),)
    assert config.gnss is not None
    vcan = _Rig(task(bus="vcan"), drive(1), Path("/tmp")).configuration("g")
    assert [bus["channel"] for bus in tomllib.loads(tomlkit.dumps(vcan))["can"]] == ["vcan7", "vcan8"]


@pytest.mark.parametrize(("bus", "number", "words"), [("unix", 16, "at most 16"), ("vcan", 2, "needs 3 interfaces")])
def test_too_many_buses(bus: str, number: int, words: str) -> None:
    """More buses than a terminal has, or than the suite names interfaces for."""
    with pytest.raises(SuiteError, match=words):
        _ = _Rig(task(bus=bus), drive(number), Path("/tmp")).channels


def test_a_drive_without_frames_is_refused(tmp_path: Path) -> None:
    """NMEA alone can be replayed, but there is nothing to send on a bus: an error of the drive."""
    body = NMEA[1:-1]
    checksum = 0
    for byte in body:
        checksum ^= byte
    (tmp_path / "a.nmea").write_bytes(b"$" + body + b"*%02X\r\n" % checksum)
    seen = run_task(task(files=(tmp_path / "a.nmea",)))
    assert seen.error_code == SuiteError.exit_code
    assert "no CAN frames" in (seen.error or "")


def test_interfaces_are_checked_before_anything_runs() -> None:
    """The error says how to make one, and what needs none."""
    with pytest.raises(LinkError, match=r"ip link add dev no-such-if type vcan.*--bus unix"):
        check_interfaces(("no-such-if",))
    with pytest.raises(SuiteError, match="interfaces is empty"):
        check_interfaces(())
