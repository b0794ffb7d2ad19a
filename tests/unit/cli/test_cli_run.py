"""``outrider run``: what it refuses before anything is opened."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.terminal import outrider

BUS = '[[can]]\ninterface = "{interface}"\nchannel = "{channel}"\n'
TERMINAL = '[terminal]\ndata_directory = "data"\ncontrol_socket = "{folder}/c.sock"\n'


def refused(folder: Path, text: str, *arguments: str) -> tuple[int, str]:
    """Exit code and what it said, of a daemon that must not start."""
    file = folder / "f.toml"
    file.write_text(TERMINAL.format(folder=folder) + text, encoding="utf-8")
    done = subprocess.run(
        outrider("run", "--config", file, *arguments), capture_output=True, check=False, timeout=60, text=True
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_a_drive_at_speed_on_a_bus_of_python_can(tmp_path: Path) -> None:
    """One line that names the file and what to do; nothing was made."""
    bus = BUS.format(interface="udp_multicast", channel="239.74.163.2")
    code, said = refused(tmp_path, bus, "--rig-speed", "10")
    assert code == 78
    assert f"error: {tmp_path}/f.toml: --rig-speed 10:" in said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("speed", ["0", "101", "1.5", "fast"])
def test_a_speed_that_is_none(tmp_path: Path, speed: str) -> None:
    """Whole numbers from 1 to 100."""
    code, said = refused(tmp_path, "", "--rig-speed", speed)
    assert code == 2
    assert "--rig-speed" in said


@pytest.mark.parametrize(
    ("channel", "code", "reason"),
    [
        ("bus.sock", 78, "must be the absolute path of a socket"),
        ("{folder}/nowhere/bus.sock", 78, "make it first"),
        ("{folder}/f.toml", 78, "is no socket"),
        ("{folder}/" + "x" * 100, 78, "at most 107"),
    ],
)
def test_a_unix_bus_that_can_never_work(tmp_path: Path, channel: str, code: int, reason: str) -> None:
    """The channel and the reason, in one line."""
    got, said = refused(tmp_path, BUS.format(interface="unix", channel=channel.format(folder=tmp_path)))
    assert got == code
    assert [line for line in said.splitlines() if line.startswith("error: ") and reason in line]
