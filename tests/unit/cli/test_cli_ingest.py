"""``outrider ingest gaps | letters | status | signals | tidy``: what they say, and how they end."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from outrider.cli.main import cli
from outrider.errors import ConfigError, InputError
from outrider.ingest.sinks import sinks_io
from outrider.ingest.sinks.sinks_io import open_store
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
    StoredRecord,
    TelemetryRow,
)
from outrider.wire.birth import Birth
from outrider.wire.bodies import encode_body, table_id
from outrider.wire.codec import Batch, encode_batch
from tests.support.sinks import make_kit

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/reference/cli-schema.json").read_text(encoding="utf-8"))
EPOCH = 0xFEDCBA9876543210
NOW = 1_790_000_000_000_000
TABLE = SignalTable(
    (
        SignalSpec(1, "Vehicle.Speed", "km/h", 0.01),
        SignalSpec(2, "Vehicle.Gear", "", 1.0, labels=((1, "first"), (2, "second"))),
    )
)


def record(lane: Lane, seq: int, kind: Kind, body: bytes, t_us: int = 0) -> StoredRecord:
    return StoredRecord(EPOCH, seq, Record(lane, kind, Category.DRIVING, 7, t_us, body))


def telemetry() -> Batch:
    rows = [encode_body(TelemetryRow(table_id(TABLE), ((1, 100 * i), (2, 1 + i % 2)))) for i in range(5)]
    fix = encode_body(ClockFix(NOW, 1000, ClockSource.GNSS))
    records = [
        record(Lane.TELEMETRY, 1, Kind.SIGNAL_TABLE, encode_body(TABLE)),
        record(Lane.TELEMETRY, 2, Kind.CLOCK, fix),
    ]
    records += [record(Lane.TELEMETRY, 3 + i, Kind.TELEMETRY, body, i * 1_000_000) for i, body in enumerate(rows)]
    records.append(record(Lane.TELEMETRY, 8, Kind.TELEMETRY, encode_body(TelemetryRow(5, ((1, 1),)))))
    return Batch("car", EPOCH, Lane.TELEMETRY, tuple(records))


@pytest.fixture(params=["sqlite", "postgresql", "parquet"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a sink that holds a little of everything."""
    url = make_kit(request.param, tmp_path, request).url
    with open_store(url) as store:
        store.accept(telemetry(), NOW)
        store.accept(Batch("car", EPOCH, Lane.EVENT, (record(Lane.EVENT, 1, Kind(77), b"x"),)), NOW)
        gap = encode_body(Gap(EPOCH, 3, 5, GapReason.QUOTA))
        store.accept(Batch("car", EPOCH, Lane.EVENT, (record(Lane.EVENT, 5, Kind.GAP, gap),), 3), NOW)
        store.dead_letter("t/car/e", "damaged", b"\x55\x00", NOW)
        store.commit()
        store.settle()
    return url


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["ingest", *map(str, arguments)])


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})


def documents(result: Result) -> Iterator[dict[str, Any]]:
    for line in result.stdout.splitlines():
        document = json.loads(line)
        validator(document["type"]).validate(document)
        yield document


def test_the_gap_proof_and_its_exit_code(sink: str) -> None:
    """2 of the event lane has not come and is not declared: awaited, 3; when it comes, 0."""
    result = run("gaps", "car", "--sink", sink, "--json")
    event, rows = documents(result)
    assert result.exit_code == 3
    assert (event["lane"], event["awaited"], event["verdict"]) == ("event", [{"first": 2, "last": 2}], "awaited")
    assert event["declared"] == [{"first": 3, "last": 4, "reason": "quota"}]
    assert (rows["lane"], rows["stored"], rows["verdict"]) == ("telemetry", 8, "complete")
    assert "awaited" in run("gaps", "--sink", sink).stdout
    with open_store(sink) as store:
        store.accept(Batch("car", EPOCH, Lane.EVENT, (record(Lane.EVENT, 2, Kind(77), b"y"),), 1), NOW)
        store.commit()
    assert run("--sink", sink, "gaps", "car").exit_code == 0, "the group's options hold for its commands"


def test_a_row_that_somebody_deleted_is_lost(tmp_path: Path) -> None:
    """It was acknowledged; exit code 1 and the number."""
    path = tmp_path / "r.db"
    with open_store(f"sqlite:{path}") as store:
        store.accept(telemetry(), NOW)
        store.commit()
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM records WHERE seq = 4")
        db.commit()
    result = run("gaps", "--db", path)
    assert result.exit_code == 1
    assert "    4 LOST" in result.stdout


def test_letters_are_listed_chosen_and_exported(sink: str, tmp_path: Path) -> None:
    """With the reason; the payload as a file."""
    [letter] = documents(run("letters", "--sink", sink, "--json"))
    assert (letter["topic"], letter["reason"], letter["size"]) == ("t/car/e", "damaged", 2)
    assert not run("letters", "--sink", sink, "--device", "other").stdout
    assert not run("letters", "--sink", sink, "--reason", "nothing").stdout
    out = tmp_path / "out"
    assert run("letters", "--sink", sink, "--export", out).exit_code == 0
    [told] = [json.loads(line) for line in (out / "letters.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (out / told["file"]).read_bytes() == b"\x55\x00"


def test_letters_are_read_again(sink: str) -> None:
    """What is of use now is stored and leaves the list; the rest stays, also what was kept in part only."""
    batch = Batch("car", EPOCH, Lane.EVENT, (record(Lane.EVENT, 2, Kind(77), b"y"),))
    with open_store(sink) as store:
        store.dead_letter("t/car/e", "of a lane that was not known", encode_batch("car", batch.records), NOW)
        store.dead_letter("t/car/e", "too long", bytes(100_000), NOW)
        gap = record(Lane.EVENT, 5, Kind.GAP, encode_body(Gap(EPOCH, 3, 5, GapReason.QUOTA)))
        store.dead_letter("t/car", "record 5 is kept, but: not readable", gap.canonical(), NOW)
        store.dead_letter("t/car", "record 6 is kept, but: no such record", b"short", NOW)
        store.commit()
    [told] = documents(run("letters", "--sink", sink, "--replay", "--json"))
    assert told == {"type": "replay", "letters": 2, "records": 1, "still": 2, "cut": 1}
    assert run("gaps", "car", "--sink", sink).exit_code == 0
    reasons = [letter["reason"] for letter in documents(run("letters", "--sink", sink, "--json"))]
    assert reasons == ["damaged", "too long", "record 6 is kept, but: no such record"]


def test_what_terminals_say_does_not_command_the_screen(tmp_path: Path) -> None:
    """Software names and topics come from strangers: escape sequences are shown as their codes."""
    sink = f"sqlite:{tmp_path / 'r.db'}"
    with closing(open_store(sink)) as store:
        store.accept_birth(Birth("car", 1, "1\x1b]0;owned\x07", None, online=True, boot_id=7, epoch=9), NOW)
        store.dead_letter("t/\x1b[2J/d", "bad\nline", b"", NOW)
        store.commit()
    for command in ("status", "letters"):
        said = run(command, "--sink", sink).stdout
        assert "\x1b" not in said
        assert r"\u001b" in said or r"\x1b" in said
    assert len(run("letters", "--sink", sink).stdout.splitlines()) == 1


def test_status_counts(sink: str) -> None:
    """Terminals, records, numbers declared missing, letters, what waits."""
    [told] = documents(run("status", "--sink", sink, "--json"))
    assert (told["records"], told["dead_letters"], told["waiting"]) == (10, 1, 0)
    assert told["declared_missing"] == {"quota": 3}
    assert "car" in run("status", "--sink", sink).stdout


def test_telemetry_as_a_table(sink: str, tmp_path: Path) -> None:
    """Values in their units, names of numbers, UTC; what cannot be named is counted. CSV and Parquet say the same."""
    result = run("signals", "car", "--sink", sink)
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert [row["Vehicle.Speed (km/h)"] for row in rows] == ["0.0", "1.0", "2.0", "3.0", "4.0"]
    assert rows[1]["Vehicle.Gear (text)"] == "second"
    assert rows[1]["time"] == "2026-09-21T14:13:21.000"
    assert rows[1]["seq"] == "4"
    assert "5 rows; 1 left out" in result.stderr
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "signals.parquet"
    assert run("signals", "car", "--sink", sink, "-o", path).exit_code == 0
    with duckdb.connect() as db:
        found = db.execute(f"SELECT \"Vehicle.Speed (km/h)\", seq FROM '{path}' ORDER BY seq").fetchall()
    assert found == [(float(row["Vehicle.Speed (km/h)"]), int(row["seq"])) for row in rows]


def test_what_waits_is_moved(tmp_path: Path) -> None:
    """``tidy`` without a receiver."""
    pytest.importorskip("duckdb")
    url = f"parquet:{tmp_path / 'shelf'}"
    with open_store(url) as store:
        store.accept(telemetry(), NOW)
        store.commit()
        assert store.waiting() == 8
    assert "8 records moved" in run("tidy", "--sink", url).stderr
    with open_store(url, read_only=True) as store:
        assert (store.waiting(), len(list(store.records("car")))) == (0, 8)


@pytest.mark.parametrize(
    ("url", "register", "error", "words"),
    [
        ("fleet.db", None, ConfigError, "is no sink"),
        ("oracle://x", None, ConfigError, "is no sink"),
        ("clickhouse://h/d", None, ConfigError, "name a --register"),
        ("clickhouse://h/d", "parquet:x", ConfigError, "are registers"),
        ("clickhouse://h/d?table=a;b", "sqlite:{}/x.db", ConfigError, "is no name"),
        ("parquet:{}/p?buckets=0", None, ConfigError, "from 1 to 256"),
        ("parquet://host/p", None, ConfigError, "names a host"),
        ("parquet:", None, ConfigError, "names no path"),
        ("sqlite:{}/x.db", "sqlite:{}/y.db", ConfigError, "is for shelves"),
        ("postgresql:///d?schema=A-b", None, ConfigError, "is no name of a schema"),
    ],
)  # fmt: skip
def test_wrong_urls_are_explained(
    tmp_path: Path, url: str, register: str | None, error: type[Exception], words: str
) -> None:
    """One error that says what would be right."""
    given = register and register.format(tmp_path)
    with pytest.raises(error, match=words):
        open_store(url.format(tmp_path), given)


@pytest.mark.parametrize("url", ["postgresql:///x", "clickhouse://h/d", "chdb:x", "parquet:x"])
def test_a_library_that_is_missing_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to get it."""
    monkeypatch.setattr(sinks_io, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="not installed here: pip install"):
        open_store(url)


def test_a_register_is_no_sink_of_its_own(sink: str, tmp_path: Path) -> None:
    """What was moved to the shelf would count as new again."""
    if sink.startswith("parquet"):
        with pytest.raises(InputError, match="belongs to a shelf of the kind parquet"):
            open_store(f"sqlite:{tmp_path / 'shelf' / 'register.db'}")
    assert run("gaps", "nobody", "--sink", sink).exit_code != 0
