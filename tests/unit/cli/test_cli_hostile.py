"""A hostile, curious user at the keyboard: odd files, full devices, closed pipes, signals."""

from __future__ import annotations

import errno
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from outrider.app import session
from outrider.ports import StorageFile
from outrider.record.storage_io import DirectoryStorage, journal_error
from outrider.sim.write_io import Written

Run = Callable[..., tuple[int, str, str]]
OUTRIDER = [sys.executable, "-m", "outrider"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("config", "check", "FILE"), 78),
        (("run", "--config", "FILE"), 78),
        (("profile", "check", "FILE"), 65),
        (("profile", "check", "simcar", "--dbc", "FILE"), 65),
        (("profile", "check", "simcar", "--overlay", "FILE"), 65),
        (("replay", "FILE"), 65),
        (("ingest", "--key-file", "FILE"), 78),
        (("sim", "drive", "FILE", "-o", "out"), 65),
    ],
)
@pytest.mark.parametrize("what", ["pipe", "/dev/zero"])
def test_pipes_and_devices_are_refused_at_once(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], code: int, what: str
) -> None:
    """A pipe that nobody writes to would be waited for without end; /dev/zero would fill the memory."""
    file = what
    if what == "pipe":
        file = str(tmp_path / "pipe.toml")
        os.mkfifo(file)
    got, _out, err = run(*(file if a == "FILE" else a for a in arguments))
    assert (got, file in err) == (code, True)


@pytest.mark.parametrize("content", ["[" * 50_000, "1" * 5000], ids=["deep", "long"])
def test_toml_that_breaks_the_parser_is_bad_input(run: Run, tmp_path: Path, content: str) -> None:
    """The parser gives up with errors of its own; for a person it is one file that is wrong."""
    file = tmp_path / "odd.toml"
    file.write_text(f"a = {content}", encoding="ascii")
    for code, arguments in (
        (78, ("config", "check", file)),
        (78, ("ingest", "--key-file", file)),
        (65, ("sim", "drive", file, "-o", tmp_path)),
        (65, ("profile", "check", file)),
    ):
        got, _out, err = run(*arguments)
        assert (got, "odd.toml" in err) == (code, True)


@pytest.mark.parametrize("content", [None, b"", b"rubbish" * 100])
def test_a_bad_tape_is_named(run: Run, tmp_path: Path, content: bytes | None) -> None:
    """Missing, empty or foreign: code 65 and the file's name."""
    tape = tmp_path / "odd.tape"
    if content is not None:
        tape.write_bytes(content)
    code, out, err = run("replay", tape)
    assert (code, out) == (65, "")
    assert "odd.tape" in err


def test_a_tape_that_is_a_pipe_is_refused(run: Run, tmp_path: Path) -> None:
    """It would be waited for without end."""
    os.mkfifo(tmp_path / "pipe.tape")
    assert run("replay", tmp_path / "pipe.tape")[0] == 65


@pytest.mark.parametrize(
    "arguments",
    [("replay", "x", "--after", "nan"), ("demo", "--speed", "nan"), ("ingest", "--interval-s", "nan")],
)
def test_not_a_number_is_no_number(run: Run, arguments: tuple[str, ...]) -> None:
    """nan is between any two numbers for who only compares."""
    assert run(*arguments)[0] == 2


def test_an_endless_interval_is_refused(run: Run) -> None:
    """No timer takes it."""
    assert run("ingest", "--interval-s", "inf")[0] == 2


def test_people_are_told_what_was_skipped(run: Run, drive: Written, tmp_path: Path) -> None:
    """A recording that could not be used whole says so, also without --json."""
    lines = drive.can.read_text(encoding="ascii").splitlines(keepends=True)
    hurt = tmp_path / "hurt.log"
    hurt.write_text("".join(lines[:500]) + "no frame at all\n" + "".join(lines[500:1000]), encoding="ascii")
    code, _out, err = run("replay", hurt, "-p", "simcar")
    assert code == 0
    assert "hurt.log" in err
    assert "malformed 1" in err
    assert "first_bad_line 501" in err
    whole = tmp_path / "whole.log"
    whole.write_text("".join(lines[:1000]), encoding="ascii")
    assert "whole.log" not in run("replay", whole, "-p", "simcar")[2]


def test_a_directory_without_a_journal_is_none(run: Run, tmp_path: Path) -> None:
    """Nothing found is not "0 records sound": a mistyped name must not pass for a healthy journal."""
    (tmp_path / "holiday.jpg").write_bytes(b"\xff\xd8")
    for command in ("verify", "stats", "ls", "export"):
        code, out, err = run("journal", command, tmp_path)
        assert (code, out) == (74, "")
        assert "holds no journal" in err


@pytest.fixture
def full_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device with room for the reserve of the urgent lanes, and for no segment more."""
    real = DirectoryStorage.open
    made = itertools.count()

    def refuse(self: DirectoryStorage, name: str, *, create: bool = False) -> StorageFile:
        if create and name == "new.tmp" and next(made) >= 4:
            raise journal_error(self.path / name, OSError(errno.ENOSPC, "No space left on device"))
        return real(self, name, create=create)

    monkeypatch.setattr(DirectoryStorage, "open", refuse)


def test_a_replay_whose_journal_has_no_room_fails(run: Run, drive: Written, tmp_path: Path, full_device: None) -> None:
    """Records that were not kept are counted, and the exit code is not that of success."""
    code, out, err = run("replay", drive.can, "-p", "simcar", "--journal", tmp_path / "j", "--json")
    summary = json.loads(out.splitlines()[-1])
    assert summary["lost"] > 0
    assert (code, str(summary["lost"]) in err) == (74, True)


def test_records_nobody_acknowledged_are_no_success(
    run: Run, drive: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that never answers: code 69, and where the records are."""
    monkeypatch.setattr(session, "DELIVERY_TIMEOUT_S", 0.5)
    monkeypatch.setattr(session.ReplaySession.deliver, "__defaults__", (0.5,))
    key = tmp_path / "key"
    key.write_text("ab" * 32, encoding="ascii")
    journal = tmp_path / "j"
    arguments = ("-p", "simcar", "--journal", journal, "--broker", "127.0.0.1:9", "--ack-key-file", key)
    code, _out, err = run("replay", drive.can, *arguments)
    assert code == 69
    assert str(journal) in err


def test_a_device_that_fills_up_is_named(run: Run) -> None:
    """The system says only that there is no space; the file is ours to say."""
    code, _out, err = run("sim", "drive", "short", "-o", "/proc/self/fd")
    assert code == 74
    assert "/proc/self/fd" in err


def test_a_tape_without_room_is_named(run: Run, drive: Written, tmp_path: Path) -> None:
    """/dev/full takes nothing."""
    tape = tmp_path / "x.tape"
    tape.symlink_to("/dev/full")
    code, _out, err = run("replay", drive.can, "-p", "simcar", "--tape", tape)
    assert code == 74
    assert "x.tape" in err


@pytest.mark.parametrize("command", [["profile", "check", "obd2"], ["config", "schema"], ["replay", "--json"]])
def test_a_reader_that_has_seen_enough_is_no_error(drive: Written, command: list[str]) -> None:
    """``outrider ... | head -1``: exit code 0, and not a word on stderr."""
    arguments = [*command, str(drive.can), "-p", "simcar"] if command[0] == "replay" else command
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run([*OUTRIDER, *arguments], stdout=write, stderr=subprocess.PIPE, timeout=120, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_sigterm_closes_what_is_open(drive: Written, tmp_path: Path) -> None:
    """A replay that is told to end commits what it has and says that it was interrupted: code 130."""
    journal = tmp_path / "j"
    arguments = ["replay", str(drive.can), "-p", "simcar", "--speed", "2", "--json", "--journal", str(journal)]
    process = subprocess.Popen([*OUTRIDER, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()  # an event: it runs
    process.send_signal(signal.SIGTERM)
    _out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err
    verify = subprocess.run([*OUTRIDER, "journal", "ls", str(journal)], capture_output=True, check=True, timeout=60)
    assert b"telemetry" in verify.stdout
