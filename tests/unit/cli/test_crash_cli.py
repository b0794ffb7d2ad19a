"""``outrider crash`` over a journal, a receiver's database and a package: tables, JSON, files, errors, exit codes."""

from __future__ import annotations

import json
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from outrider.cli.crash import share_text
from outrider.cli.main import main
from outrider.crash.collect import collect, document
from outrider.crash.package_io import read_package, write_package
from outrider.crash.verdict import sentence
from outrider.i18n import in_language
from outrider.ingest.sinks.sinks_io import open_store
from outrider.ingest.sinks.store_io import Store
from outrider.model.record import ClockFix, Kind, Lane, StoredRecord
from outrider.record.journal import Journal
from outrider.record.options import JournalOptions
from outrider.record.storage_io import DirectoryStorage
from outrider.wire.bodies import decode_body, encode_body
from outrider.wire.codec import Batch
from tests.support.crash_records import BOOT_ID, EPOCH, driven

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/reference/cli-schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a terminal has on flash."""
    folder = tmp_path_factory.mktemp("terminal") / "journal"
    folder.mkdir()
    storage = DirectoryStorage(folder)
    log = Journal.open(storage, JournalOptions(), boot_id=BOOT_ID, rng=random.Random(1))
    for stored in driven():
        log.append(stored.record)
    log.commit()
    log.close()
    storage.close()
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a receiver has of two terminals; the crash is of one."""
    path = tmp_path_factory.mktemp("receiver") / "received.sqlite"
    with Store.open(path) as db:
        for lane in Lane:
            records = tuple(s for s in driven() if s.record.lane is lane)
            if records:
                db.accept(Batch("car-1", EPOCH, lane, records), 1)
        quiet = tuple(s for s in driven() if s.record.lane is Lane.TELEMETRY)
        db.accept(Batch("car-2", EPOCH, Lane.TELEMETRY, quiet), 1)
        db.commit()
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """(exit code, stdout, stderr)."""
    code: Any = 0
    try:
        main(["crash", *map(str, arguments)])
    except SystemExit as err:
        code = err.code
    out, err_text = capsys.readouterr()
    return int(code or 0), out, err_text


def crash_object(text: str) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(text)
    jsonschema.validate(row, {"$ref": "#/$defs/crash", "$defs": SCHEMA["$defs"]})
    return row


@pytest.mark.parametrize("place", ["journal", "store"])
def test_list(place: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    """One line a crash, the same from the terminal's log and from the receiver's database."""
    path = request.getfixturevalue(place)
    code, out, _err = run(capsys, "list", f"--{place}", path, "--json")
    (line,) = out.splitlines()
    row = crash_object(line)
    assert code == 0
    assert (row["kind"], row["state"]) == ("crash", "confirmed")
    assert row["device"] == ("car-1" if place == "store" else "")
    assert row["utc"].startswith("2026-")
    code, out, _err = run(capsys, "list", f"--{place}", path)
    assert row["event_id"] in out
    assert "≥" in out


def test_a_list_goes_by_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Oldest first over all terminals and starts: numbers of starts are random, names are names."""
    path = tmp_path / "received.sqlite"
    with Store.open(path) as db:
        for device, boot_id, days in (("car-1", 9, 2), ("car-2", 5, 1), ("car-2", 7, 0), ("car-3", 1, 3)):
            for lane in Lane:
                records = tuple(_moved(s, boot_id, days) for s in driven() if s.record.lane is lane)
                if records:
                    db.accept(Batch(device, EPOCH + boot_id, lane, records), 1)
        db.commit()
    _code, out, _err = run(capsys, "list", "--store", path, "--json")
    rows = [crash_object(line) for line in out.splitlines()]
    assert [row["device"] for row in rows] == ["car-2", "car-2", "car-1", "car-3"]
    assert [row["utc"] for row in rows] == sorted(row["utc"] for row in rows)


def test_crashes_are_found_on_a_shelf_too(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same crash as in the SQLite database of the same records."""
    pytest.importorskip("duckdb")
    url = f"parquet:{tmp_path / 'shelf'}"
    with open_store(url) as shelf:
        for lane in Lane:
            if records := tuple(s for s in driven() if s.record.lane is lane):
                shelf.accept(Batch("car-1", EPOCH, lane, records), 1)
        shelf.commit()
        shelf.settle()
    assert run(capsys, "list", "--sink", url, "--json") == run(capsys, "list", "--store", store, "--json")


def _moved(stored: StoredRecord, boot_id: int, days: int) -> StoredRecord:
    """The same record of another start of the system, some days later."""
    record = replace(stored.record, boot_id=boot_id)
    if record.kind is Kind.CLOCK:
        clock = decode_body(record.kind, record.body)
        assert isinstance(clock, ClockFix)
        record = replace(record, body=encode_body(replace(clock, utc_us=clock.utc_us + days * 86_400_000_000)))
    return replace(stored, epoch=EPOCH + boot_id, record=record)


def test_show(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person reads the sentence, the numbers, what counted and what is missing; a program the whole document."""
    code, out, _err = run(capsys, "show", "--journal", journal)
    assert code == 0
    for words in ("Confirmed: crash", "delta-V", "at least", "km/h", "missing: raw CAN frames", "+2.5"):
        assert words in out
    code, out, _err = run(capsys, "show", "--journal", journal, "--json")
    assert json.loads(out)["format"] == "outrider-crash/1"


@pytest.mark.parametrize("log_format", ["candump", "blf"])
def test_export_then_everything_from_the_package(
    log_format: str, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The package is written whole, its hash told; show and reanalyse take it."""
    code, out, _err = run(capsys, "export", "--store", store, "-o", tmp_path, "--format", log_format, "--json")
    row = crash_object(out)
    package = Path(row["package"])
    assert code == 0
    assert package.parent == tmp_path
    assert ("can.log" if log_format == "candump" else "can.blf") in read_package(package).files
    code, out, _err = run(capsys, "show", package)
    assert "Confirmed: crash" in out
    code, out, _err = run(capsys, "reanalyse", package, "--profile", "simcar", "--json")
    result = json.loads(out)
    jsonschema.validate(result, {"$ref": "#/$defs/crash_reanalysis", "$defs": SCHEMA["$defs"]})
    assert code == 0
    assert result["same_verdict"] is True
    code, out, _err = run(capsys, "reanalyse", package)
    assert "the verdict is the same" in out
    assert "limit:" in out


def test_report(journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page is written in the language asked for, and told where."""
    code, out, _err = run(capsys, "report", "--journal", journal, "-o", tmp_path, "--language", "zh", "--json")
    assert code == 0
    assert 'lang="zh' in Path(crash_object(out)["report"]).read_text(encoding="utf-8")


def test_the_profile_of_then_is_found_by_itself(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bundled profile that is still the same decodes every frame without being named."""
    run(capsys, "export", "--store", store, "-o", tmp_path / "p.zip")
    speed = next(s for s in read_package(tmp_path / "p.zip").document.series if s.name == "Vehicle.Speed")
    assert speed.source == "frames"


@pytest.fixture
def places(journal: Path, store: Path, tmp_path: Path) -> dict[str, Path]:
    """Names of places for command lines."""
    (tmp_path / "text.txt").write_text("no database", encoding="utf-8")
    write_package(collect(driven(), "car-1")[0], tmp_path / "crash.zip")
    return {"journal": journal, "store": store, "tmp": tmp_path, "package": tmp_path / "crash.zip"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("show", "--journal", "{journal}", "--event", "nothing"), 65, "there is no crash 'nothing'; there are"),
        (("show", "--store", "{store}", "--device", "car-9"), 65, "nothing of a terminal 'car-9'"),
        (("show", "--store", "{store}", "--device", "car-2"), 65, "no crash is recorded here"),
        (("show", "{store}"), 65, "no crash package"),
        (("show", "/nowhere.zip"), 74, "/nowhere.zip"),
        (("list", "--journal", "{tmp}"), 65, "holds no journal"),
        (("list", "--journal", "/nowhere"), 74, "/nowhere"),
        (("list", "--store", "{tmp}/text.txt"), 65, "cannot be used as the receiver's database"),
        (("show", "{store}", "--journal", "{journal}"), 65, "give one of"),
        (("export", "--journal", "{journal}", "-o", "/nowhere/x.zip"), 74, "/nowhere"),
        (("reanalyse", "--journal", "{journal}", "--profile", "no-such-car"), 65, "no-such-car"),
        (("show", "{package}", "--event", "nothing"), 65, "there is no crash 'nothing'; there is "),
        (("show", "{package}", "--device", "car-9"), 65, "is not of a terminal 'car-9'"),
        (("report", "{package}", "--event", "nothing", "-o", "{tmp}"), 65, "there is no crash 'nothing'; there is "),
    ],
)
def test_errors_are_one_line(
    arguments: tuple[str, ...], code: int, words: str, places: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong, where, and the exit code of its sort."""
    told = [argument.format(**places) for argument in arguments]
    found, out, err = run(capsys, *told)
    assert found == code, err
    assert out == ""
    assert words in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_no_crash_is_no_error_in_a_list(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list is empty, and says so to a person."""
    code, out, err = run(capsys, "list", "--store", store, "--device", "car-2")
    assert (code, out) == (0, "")
    assert "no crash" in err


def test_damage_is_told(journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log with unreadable files may have held a crash: that nothing is found says less then."""
    broken = tmp_path / "journal"
    shutil.copytree(journal, broken)
    segments = sorted(broken.glob("*.seg"))
    for segment in segments:
        segment.write_bytes(segment.read_bytes()[:1000])
    code, out, err = run(capsys, "list", "--journal", broken)
    assert (code, out) == (0, "")
    for segment in segments:
        assert f"damaged: {broken}: {segment.name}: 1000 of " in err
    code, _out, err = run(capsys, "show", "--journal", broken)
    assert code == 65
    assert "damaged: " in err
    assert "damaged" not in run(capsys, "show", "--journal", journal)[2]


def test_a_crash_is_named_by_the_end_of_its_id(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole id, or an end of it that no other has."""
    whole = crash_object(run(capsys, "list", "--store", store, "--json")[1])["event_id"]
    for name in (whole, whole[-12:]):
        code, out, _err = run(capsys, "show", "--store", store, "--event", name)
        assert code == 0
        assert whole in out


def test_names_of_strangers_do_not_command_the_screen(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Control signs in what a package says of itself are shown as codes; a program gets them as JSON writes them."""
    path = tmp_path / "crash.zip"
    write_package(collect(driven(), "\x1b[2Jcar")[0], path)
    code, out, _err = run(capsys, "show", path)
    assert code == 0
    assert "\\u001b[2Jcar" in out
    assert "\x1b" not in out
    assert json.loads(run(capsys, "show", path, "--json")[1])["device"] == "\x1b[2Jcar"


def test_nothing_is_certain() -> None:
    """As on the report's page, a person never reads 100 %."""
    bundle = collect(driven())[0]
    event = bundle.events[-1]
    assert "(99% sure)" in sentence(replace(event, conf=0.9999), "confirmed", event)
    for conf, words in ((0.9999, "99%"), (0.704, "70%")):
        assert share_text(document(replace(bundle, events=(replace(event, conf=conf),)))) == words
    assert share_text(document(replace(bundle, events=()))) == "?"


def test_a_screen_speaks_one_language(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the document says in English is told in the reader's language."""
    with in_language("zh"):
        _code, out, _err = run(capsys, "show", "--journal", journal)
    assert "缺失：车辆信号：" in out
    assert "Confirmed" not in out
    assert re.findall(r"[a-z]{3,} [a-z]{3,}", out) == []


def test_what_went_into_a_device_has_no_hash(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The digest of what can be read back is of the package, or not told."""
    code, out, err = run(capsys, "export", "--journal", journal, "-o", "/dev/null")
    assert (code, out) == (0, "/dev/null\n")
    assert "SHA-256" not in err
    _code, out, _err = run(capsys, "export", "--journal", journal, "-o", "/dev/null", "--json")
    assert "sha256" not in crash_object(out)
