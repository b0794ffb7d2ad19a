"""``outrider journal``: what it prints, for people and for programs, and its exit codes."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from outrider.cli.journal import cli
from outrider.errors import JournalError
from outrider.model.record import (
    Category,
    ClockFix,
    ClockSource,
    Gap,
    GapReason,
    Kind,
    Lane,
    Record,
    SignalSpec,
    SignalTable,
    TelemetryRow,
)
from outrider.record.format import BLOCK
from outrider.record.inspect import inspect
from outrider.record.journal import Journal
from outrider.record.storage_io import DirectoryStorage
from outrider.wire.bodies import encode_body, table_id
from tests.support.records import SMALL

TABLE = SignalTable((SignalSpec(1, "Vehicle.Speed", "km/h", 0.5),))
CLOCK = ClockFix(1_600_000_000_000_000, 1000, ClockSource.GNSS)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Three telemetry rows behind their table, a clock record, a gap of two."""
    path = tmp_path / "journal"
    journal = Journal.open(DirectoryStorage(path), SMALL, boot_id=7, rng=random.Random(1))
    put(journal, Lane.TELEMETRY, Kind.SIGNAL_TABLE, 0, encode_body(TABLE))
    for n in range(3):
        put(
            journal,
            Lane.TELEMETRY,
            Kind.TELEMETRY,
            n * 1_000_000,
            encode_body(TelemetryRow(table_id(TABLE), ((1, n),))),
        )
        journal.commit()
    put(journal, Lane.EVENT, Kind.CLOCK, 5, encode_body(CLOCK))
    journal.note_lost(Lane.EVENT, 2, GapReason.OVERRUN, 6)
    journal.close()
    return path


def put(journal: Journal, lane: Lane, kind: Kind, t_us: int, body: bytes) -> None:
    journal.append(Record(lane, kind, Category.SYSTEM, 7, t_us, body))


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def lines(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def damage_one_block(directory: Path) -> Path:
    path = next(directory.glob("3-*.seg"))
    data = bytearray(path.read_bytes())
    data[2 * BLOCK + 60] ^= 1
    path.write_bytes(data)
    return path


def test_ls_lists_records_with_what_they_say(directory: Path) -> None:
    """Telemetry in physical values by the table in the log; one line a record."""
    result = run("ls", directory)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 6
    assert "Vehicle.Speed=1" in result.stdout
    assert "reason=overrun" in result.stdout


def test_ls_as_json_names_the_place(directory: Path) -> None:
    """Lane filter and limit work on it."""
    rows = lines(run("ls", directory, "--json", "--lane", "telemetry", "-n", 2))
    assert [row["seq"] for row in rows] == [3, 4]
    assert rows[1]["lane"] == "telemetry"
    assert rows[1]["kind"] == "telemetry"
    assert rows[1]["t_us"] == 2_000_000
    assert rows[1]["boot_id"] == "00000007"
    content = rows[1]["content"]
    assert isinstance(content, dict)
    assert content["signals"] == {"Vehicle.Speed": 1.0}


def test_export_holds_every_byte(directory: Path) -> None:
    """The bodies come back from base64 as they were written."""
    rows = lines(run("export", directory))
    assert len(rows) == 6
    clock = next(row for row in rows if row["kind"] == "clock")
    assert base64.b64decode(str(clock["body"])) == encode_body(CLOCK)


def test_stats_count_by_lane(directory: Path) -> None:
    """For people a table, for programs the same numbers."""
    document = json.loads(run("stats", directory, "--json").stdout)
    by_lane = {stream["lane"]: stream for stream in document["streams"]}
    assert by_lane["telemetry"]["records"] == 4
    assert (by_lane["event"]["records"], by_lane["event"]["durable"]) == (2, 3)
    assert all(stream["epoch"] == document["epoch"] for stream in document["streams"])
    assert "telemetry" in run("stats", directory).stdout


def test_verify_passes_a_sound_journal_and_names_its_gaps(directory: Path) -> None:
    """Exit code 0."""
    result = run("verify", directory)
    assert result.exit_code == 0
    assert "gap: event 2..3" in result.stdout
    assert "6 records sound" in result.stdout


def test_verify_names_what_is_damaged(directory: Path) -> None:
    """File, numbers, exit code 65; and nothing is changed by looking."""
    path = damage_one_block(directory)
    before = {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()}
    result = run("verify", directory, "--json")
    assert result.exit_code == 65
    document = json.loads(result.stdout)
    assert not document["ok"]
    assert document["damage"] == [
        {"file": path.name, "what": "records unreadable", "lane": "telemetry", "numbers": "3..3"}
    ]
    assert run("verify", directory).exit_code == 65
    assert {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()} == before


def test_a_journal_that_was_repaired_verifies_with_a_named_gap(directory: Path) -> None:
    """After a daemon has opened it the damage is a known gap, and the file set aside is named."""
    path = damage_one_block(directory)
    Journal.open(DirectoryStorage(directory), SMALL, boot_id=7, rng=random.Random(1)).close()
    document = json.loads(run("verify", directory, "--json").stdout)
    assert document["ok"]
    assert {"lane": "telemetry", "first_seq": 3, "last_seq": 3, "reason": "corrupt"}.items() <= document["gaps"][
        1
    ].items()
    assert document["quarantined"] == [f"quarantine/{path.name}.0"]
    assert f"set aside: quarantine/{path.name}.0" in run("stats", directory).stdout


def test_a_lost_cursor_is_damage(directory: Path) -> None:
    """Without it nobody knows what was acknowledged."""
    (directory / "cursor.state").unlink()
    result = run("verify", directory)
    assert result.exit_code == 65
    assert "no readable cursor" in result.stdout


def test_hostile_files_are_named_not_stumbled_over(directory: Path) -> None:
    """Empty, short and foreign files under a segment's name: each is one line, the rest is read."""
    name = next(directory.glob("3-*.seg")).name
    for number, content in ((90, b""), (91, b"x" * 100), (92, bytes(16384)), (93, (directory / name).read_bytes())):
        (directory / f"{name[:19]}{number:08d}.seg").write_bytes(content)
    (directory / "notes.txt").write_text("not ours")
    document = json.loads(run("verify", directory, "--json").stdout)
    assert len(document["damage"]) >= 4
    assert len(lines(run("ls", directory, "--json"))) >= 6
    journal = Journal.open(DirectoryStorage(directory), SMALL, boot_id=7, rng=random.Random(5))
    assert journal.stats().quarantined == 4
    journal.close()
    assert (directory / "notes.txt").read_text() == "not ours"


def test_an_empty_directory_is_an_empty_journal(tmp_path: Path) -> None:
    """Sound, with nothing in it; a missing one is an error."""
    assert run("verify", tmp_path).exit_code == 0
    assert run("ls", tmp_path).stdout == ""
    assert isinstance(run("verify", tmp_path / "no").exception, JournalError)


def test_inspection_yields_gaps_in_place(directory: Path) -> None:
    """The records of a lane account for every number."""
    found = inspect(DirectoryStorage(directory, read_only=True))
    event = list(found.records(Lane.EVENT))
    assert [s.seq for s in event] == [1, 3]
    assert event[1].record.body == encode_body(Gap(event[1].epoch, 2, 3, GapReason.OVERRUN))
