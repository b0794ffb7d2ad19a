"""``outrider alarms``: what is printed of cars that vanished."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from outrider.cli.alarm_view import beacon_words, cleared_document, vanished_document, vanished_line
from outrider.cli.main import cli
from outrider.cli.watch import _Alarms as WatchedAlarms
from outrider.ingest.sinks.store_io import Store
from outrider.ingest.watch.deadman import Cleared, DeadManOptions, Vanished
from outrider.ingest.watch.vigil import HeardBeacon
from outrider.model.beacon import Beacon
from outrider.wire.birth import Birth

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "cli-schema.json").read_text(encoding="utf-8"))
ALARM = Vanished("car", 1000.25, 1011.5, 48.25, 11.5, 93.5, 34.0, 4.5, ("2 beacons missed", "clean ground"), 2.5, 999.0)
NOWHERE = replace(ALARM, device="van", lat_deg=None, lon_deg=None, heading_deg=None, hacc_m=None)
BEACON = Beacon(7, 5_000_000, None, 48.25, 11.5, 2.5, 34.0, 93.5, -87, 6.1, 5)


def check(document: dict[str, object]) -> None:
    jsonschema.validate(document, {"$ref": f"#/$defs/{document['type']}", "$defs": SCHEMA["$defs"]})


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.db"
    with Store.open(path) as store:
        store.alarms.put(ALARM, [HeardBeacon(1000.25, BEACON)])
        store.alarms.put(NOWHERE)
        store.alarms.put(Cleared("car", 1060.0, "it drives on"))
        store.commit()
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(cli, ["alarms", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_programs_get_one_object_an_alarm(database: Path) -> None:
    """The newest first, as the schema says; unknown is null."""
    rows = [json.loads(line) for line in run("--db", database, "--json").splitlines()]
    for row in rows:
        check(row)
    assert [(row["device"], row["cleared_reason"]) for row in rows] == [("van", None), ("car", "it drives on")]
    assert rows[0]["lat_deg"] is None
    assert rows[1]["beacons"][0]["decel_mps2"] == 6.1
    assert rows[1]["radius_m"] == round(ALARM.radius_m(1060.0), 1)


def test_options_choose(database: Path) -> None:
    """What stands, one terminal, the newest."""
    assert [json.loads(x)["device"] for x in run("--db", database, "--json", "--standing").splitlines()] == ["van"]
    assert [json.loads(x)["device"] for x in run("--db", database, "--json", "--device", "car").splitlines()] == ["car"]
    assert len(run("--db", database, "--json", "--limit", "1").splitlines()) == 1
    assert run("--db", database, "--json", "--device", "nobody") == ""


def test_terminals_that_announced_a_beacon_and_were_not_heard_again(tmp_path: Path) -> None:
    """What a restart of the receiver may have missed: not who said goodbye, nor who was heard since."""
    path = tmp_path / "fleet.db"
    with Store.open(path) as store:
        heard = HeardBeacon(1000.0, BEACON)
        store.alarms.keep_beacons({"lost": heard, "parked": HeardBeacon(1000.0, replace(BEACON, interval_s=0))})
        store.alarms.keep_beacons({"home": heard})
        store.accept_birth(Birth("home", 1, "1", None, online=True, boot_id=7, epoch=5), 1_200_000_000)
        store.commit()
    [row] = [json.loads(line) for line in run("--db", path, "--json", "--unheard").splitlines()]
    check(row)
    assert (row["device"], row["received_utc_us"]) == ("lost", 1_000_000_000)
    assert "lost beacon: 122 km/h" in run("--db", path, "--unheard")
    assert run("--db", path, "--json", "--unheard", "--device", "home") == ""


def test_people_read_what_they_need_to_act(database: Path) -> None:
    """Where, how fast, which way, why; and how it ended."""
    text = run("--db", database)
    for said in ("VANISHED car", "122 km/h", "heading E (94°)", "48.25000, 11.50000", "within", "2 beacons missed"):
        assert said in text, said
    assert "it drives on" in text
    assert "VANISHED van" in text
    assert "place unknown" in text
    assert text.count("stands") == 1


def test_a_database_that_is_none_is_one_error_line(tmp_path: Path) -> None:
    """Not a traceback, and nothing is made."""
    from outrider.errors import OutriderError

    missing = tmp_path / "none.db"
    result = CliRunner().invoke(cli, ["alarms", "--db", str(missing)])
    assert isinstance(result.exception, OutriderError)
    assert not missing.exists()


def test_what_ingest_and_watch_print_is_in_the_schema() -> None:
    """vanished, cleared and beacon objects."""
    check(vanished_document(ALARM, 1011.5))
    check(vanished_document(NOWHERE, 1011.5))
    check(cleared_document(Cleared("car", 1060.0, "it drives on")))
    check({"type": "beacon", "device": "car", **asdict(BEACON)})


def test_watch_tells_the_alarms_of_a_database_as_they_come(database: Path) -> None:
    """What was there before is not news; each raising and each clearing is, once."""
    with Store.open(database) as store:
        alarms = WatchedAlarms(store.alarms)
        assert alarms.news(None) == []
        now = datetime.now(UTC).timestamp()
        store.alarms.put(replace(ALARM, raised_utc_s=now))
        [raised] = alarms.news(None)
        assert (raised.vanished.device, raised.cleared_utc_us) == ("car", None)
        assert alarms.news(None) == []
        store.alarms.put(Cleared("car", now + 5.0, "it drives on"))
        assert alarms.news("van") == []
        store.alarms.put(Cleared("van", now + 6.0, "it drives on"))
        [cleared] = alarms.news("van")
        assert cleared.cleared_reason == "it drives on"
        assert alarms.news(None) == []


def test_the_receivers_page_says_from_which_surprise_on() -> None:
    """The default of ``--vanished-score`` in prose is that of the code."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "receiver.md").read_text(encoding="utf-8")
    assert f"| `--vanished-score N` | {DeadManOptions().threshold:g} |" in page


def test_the_circle_grows_with_time() -> None:
    """The line of a later moment says a larger one."""
    assert "at most 430 m" in vanished_line(ALARM, 1011.5)
    assert "at most 2.1 km" in vanished_line(ALARM, 1060.0)


def test_a_beacon_in_words() -> None:
    """Unknown is left out, and the last one says so."""
    assert beacon_words(BEACON) == (
        "beacon: 122 km/h heading E (94°), 48.25000, 11.50000, braking 6.1 m/s², -87 dBm, next in 5 s"
    )
    bare = Beacon(7, 5_000_000, None, None, None, None, 12.0, None, None, None, 0)
    assert beacon_words(bare) == "beacon: 43 km/h, the last, silence is meant"
