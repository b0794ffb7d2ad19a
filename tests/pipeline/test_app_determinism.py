"""The same inputs give the same verdicts, to the byte: again, at another speed, and from a tape."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from outrider.app.session import ReplaySession
from outrider.cli.render import output_document, plain
from outrider.model.event import Snapshot
from outrider.sim.write_io import Written
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
