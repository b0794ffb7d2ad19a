"""Cutting the modem's power: by a command, by a file; and every way in which that fails."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from outrider.errors import LinkError
from outrider.network import power_io
from outrider.network.power_io import PowerOptions, PowerSwitch


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power_io, "RESTORE_WAIT_S", 0.0)


def switch(**options: object) -> PowerSwitch:
    return PowerSwitch(PowerOptions(**options), threading.Event())  # type: ignore[arg-type]  # the tests' own names


def test_a_command_is_run_without_a_shell(tmp_path: Path) -> None:
    """Arguments stay arguments, whatever stands in them."""
    out = tmp_path / "out; rm -rf x"
    switch(command=(sys.executable, "-c", f"open({str(out)!r}, 'w').write('cut')")).cycle()
    assert out.read_text(encoding="ascii") == "cut"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("/nonexistent/uhubctl",), r"/nonexistent/uhubctl: No such file"),
        ((sys.executable, "-c", "import sys; sys.exit('no such hub')"), r"exit code 1: no such hub"),
        ((sys.executable, "\0"), r"null byte"),
    ],
)
def test_a_command_that_fails_says_why(command: tuple[str, ...], message: str) -> None:
    """One line with the program's name and its last words."""
    with pytest.raises(LinkError, match=message):
        switch(command=command).cycle()


def test_a_command_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets its time and no more."""
    monkeypatch.setattr(power_io, "COMMAND_S", 0.2)
    with pytest.raises(LinkError, match=r"not done within"):
        switch(command=(sys.executable, "-c", "import time; time.sleep(600)")).cycle()


def test_a_file_is_switched_off_and_on(tmp_path: Path) -> None:
    """Both words, in this order, the second also when the daemon stops meanwhile."""
    file = tmp_path / "disable"
    file.write_text("0", encoding="ascii")
    stop = threading.Event()
    stop.set()
    words: list[str] = []

    class Noting(PowerSwitch):
        def _write(self, file: Path, word: str) -> None:
            words.append(word)
            super()._write(file, word)

    Noting(PowerOptions(file=file, off_s=60.0), stop).cycle()
    assert words == ["1", "0"]
    assert file.read_text(encoding="ascii") == "0"


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """A wrong path is an error; no file of that name appears."""
    with pytest.raises(LinkError, match=r"disable: No such file"):
        switch(file=tmp_path / "disable").cycle()
    assert not list(tmp_path.iterdir())


def test_no_switch_is_an_error() -> None:
    """Where nothing is configured, the message names the keys."""
    with pytest.raises(LinkError, match=r"power_command or power_file"):
        switch().cycle()


def test_power_comes_back_also_when_the_switch_is_busy(tmp_path: Path) -> None:
    """Off fails half done, on fails twice: on is written in the end, and what went wrong is said."""
    words: list[str] = []

    class Busy(PowerSwitch):
        def _write(self, _file: Path, word: str) -> None:
            words.append(word)
            if len(words) < 4:
                raise LinkError("busy")

    with pytest.raises(LinkError, match="busy"):
        Busy(PowerOptions(file=tmp_path / "disable"), threading.Event()).cycle()
    assert words == ["1", "0", "0", "0"]
    PowerSwitch(PowerOptions(command=("/nonexistent",)), threading.Event()).restore()
