"""The same inputs give the same verdicts, to the byte: again, at another speed, and from a tape."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from outrider.app.session import ReplaySession
from outrider.cli.journal import cli as journal_command
from outrider.cli.render import output_document, plain
from outrider.model.event import Snapshot
from outrider.sim.drive import generate
from outrider.sim.scenario_io import load_scenario
from outrider.sim.write_io import Written, write_drive
from tests.support.terminal import data_file


def outputs(files: Sequence[Path], *, speed: float | None = None, tape: Path | None = None, **session: object) -> bytes:
    """Everything a replay says, as bytes."""
    lines: list[str] = []

    def note(output: object) -> None:
        document = plain(output) if isinstance(output, Snapshot) else output_document(output)  # type: ignore[arg-type]
        lines.append(json.dumps(document))

    with ReplaySession.open(files, on_output=note, **session) as running:  # type: ignore[arg-type]
        running.run(speed=speed, tape=tape)
    return "\n".join(lines).encode()


def test_again_faster_and_from_tape(tmp_path: Path, short_drive: Written) -> None:
    """A drive replayed twice, paced, and from its tape: identical."""
    files = [short_drive.can, short_drive.nmea]
    tape = tmp_path / "drive.tape"
    first = outputs(files, profiles=["simcar"], tape=tape)
    assert len(first) > 10_000
    assert outputs(files, profiles=["simcar"]) == first
    assert outputs(files, profiles=["simcar"], speed=40) == first
    assert outputs([tape], profiles=["simcar"]) == first


def test_the_logger_drive_from_tape(tmp_path: Path) -> None:
    """The real car's drive and its tape: identical."""
    pytest.importorskip("asammdf")
    files = sorted(data_file("canedge", "164").glob("*.MF4"))
    profile = {"profiles": ["canmod", "obd2"], "dbc": [data_file("canedge", "canmod-gps.dbc")]}
    tape = tmp_path / "drive.tape"
    first = outputs(files, tape=tape, **profile)
    assert outputs(files, **profile) == first
    assert outputs([tape], **profile) == first


def kept(files: Sequence[Path], journal: Path, **run: object) -> list[dict[str, object]]:
    """The records of the drive itself as they lie in the journal: what the terminal says of its own start left out."""
    with ReplaySession.open(files, journal=journal, profiles=["simcar"]) as running:
        running.run(**run)  # type: ignore[arg-type]
        assert running.deliver()["lost"] == 0
    exported = CliRunner().invoke(journal_command, ["export", str(journal)], catch_exceptions=False)
    records = [json.loads(line) for line in exported.stdout.splitlines()]
    assert {"event", "evidence", "telemetry", "trip"} <= {record["kind"] for record in records}
    return [
        r | {"epoch": 0, "boot_id": 0, "seq": 0} for r in records if r["kind"] not in {"boot", "clock", "signal_table"}
    ]


def test_records_of_a_crash_from_tape(tmp_path: Path) -> None:
    """Not the verdicts alone: evidence, rows and trips in the journal are the same, times and bytes."""
    drive = write_drive(generate(load_scenario("rear-end"), 1), tmp_path)
    tape = tmp_path / "drive.tape"
    first = kept([drive.can, drive.nmea], tmp_path / "first", tape=tape)
    assert kept([tape], tmp_path / "again") == first
