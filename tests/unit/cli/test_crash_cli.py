"""``outrider crash`` over a journal, a receiver's database and a package: tables, JSON, files, errors, exit codes."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from outrider.cli.main import main
from outrider.crash.package_io import read_package
from outrider.ingest.store_io import Store
from outrider.model.record import Lane
from outrider.record.journal import Journal
from outrider.record.options import JournalOptions
from outrider.record.storage_io import DirectoryStorage
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
    document: dict[str, Any] = json.loads(text)
    jsonschema.validate(document, {"$ref": "#/$defs/crash", "$defs": SCHEMA["$defs"]})
    return document


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
    return {"journal": journal, "store": store, "tmp": tmp_path}


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


def test_a_crash_is_named_by_the_end_of_its_id(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole id, or an end of it that no other has."""
    whole = crash_object(run(capsys, "list", "--store", store, "--json")[1])["event_id"]
    for name in (whole, whole[-12:]):
        code, out, _err = run(capsys, "show", "--store", store, "--event", name)
        assert code == 0
        assert whole in out
