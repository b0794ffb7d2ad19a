"""The fleet simulator against a real broker and receiver: it finds what is missing, and ends well when nothing is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
from click.testing import CliRunner

from outrider.app.fleet import Fleet, compare
from outrider.app.fleet_options import FleetOptions
from outrider.cli.sim_fleet import fleet
from outrider.ingest.keys import KeyRing
from outrider.ingest.options import BrokerOptions
from outrider.ingest.sinks.store_io import Store
from outrider.model.record import Lane
from tests.support.broker import Broker
from tests.support.workers import MASTER, Worker

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/reference/cli-schema.json").read_text(encoding="utf-8"))


def test_a_fleet_with_every_trouble_arrives_whole(broker: Broker, tmp_path: Path) -> None:
    """Outages, power cuts that repeat what was acknowledged, a storm, wrong clocks: the store holds exactly what was
    sent. And when a record is taken out of the store afterwards, or one is changed, the comparison says so."""
    database = tmp_path / "fleet.db"
    worker = Worker(tmp_path, "receiver", "--broker", f"127.0.0.1:{broker.port}", "--db", str(database))
    worker.start()
    try:
        worker.wait_ready()
        options = FleetOptions(
            BrokerOptions(port=broker.port), KeyRing(master=MASTER), terminals=8, minutes=4, speed=80, outages=0.2,
            reboots=60, clock_errors=0.5, sink=f"sqlite:{database}", prefix="test",
        )  # fmt: skip
        run = Fleet(options)
        result = run.run()
        assert worker.terminate() == 0
    finally:
        worker.end()
    assert result.is_good, result
    assert result.checked
    assert result.cuts + result.reboots > 0
    assert result.connects > 8
    assert result.records["telemetry"] > 8 * 200
    check_that_it_sees(database)


def check_that_it_sees(database: Path) -> None:
    """A comparison that cannot fail would prove nothing."""
    with Store.open(database, read_only=True) as store:
        device = str(store.devices()[0]["device"])
        whole = store.digest(device)
    epoch, lane = next(key for key in whole if key[1] is Lane.TELEMETRY)
    count, digest = whole[epoch, lane]
    fewer = {**whole, (epoch, lane): (count - 1, digest)}
    other = {**whole, (epoch, lane): (count, "0" * 64)}
    assert compare(device, whole, whole) == []
    assert [d.why for d in compare(device, whole, fewer)] == ["missing"]
    assert [d.why for d in compare(device, whole, other)] == ["content"]
    assert [d.why for d in compare(device, whole, {})] == ["missing"] * len(whole)
    assert {d.why for d in compare(device, {}, whole)} == {"too many"}


def test_without_a_receiver_it_says_that_nothing_was_acknowledged(broker: Broker, tmp_path: Path) -> None:
    """The exit code is 1, and the report a JSON object; journals are where they were asked for, with all records."""
    keys = tmp_path / "keys.toml"
    keys.write_text(f'master = "{MASTER.hex()}"\n', encoding="ascii")
    done = subprocess.run(
        [
            sys.executable, "-m", "outrider", "sim", "fleet", "-n", "2", "--broker", f"127.0.0.1:{broker.port}",
            "--key-file", str(keys), "--minutes", "0.2", "--speed", "60", "--settle-s", "0", "--reboots", "0",
            "--journal", str(tmp_path / "journals"), "--json",
        ],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    jsonschema.validate(report, {"$ref": "#/$defs/fleet", "$defs": SCHEMA["$defs"]})
    assert report["good"] is False
    assert report["unacknowledged"] == sum(report["records"].values()) > 20
    assert len(list((tmp_path / "journals").iterdir())) == 2


def test_what_cannot_be_begun_is_said(tmp_path: Path) -> None:
    """One line that says what to do, before anything is started."""
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[devices]\nbus-17 = "{MASTER.hex()}"\n', encoding="ascii")
    result = CliRunner().invoke(fleet, ["-n", "1", "--key-file", str(keys), "--no-storm"])
    assert "needs a master key" in str(result.exception)
    result = CliRunner().invoke(fleet, ["-n", "5000", "--key-file", str(keys)])
    assert "run several" in str(result.exception)
    keys.write_text(f'master = "{MASTER.hex()}"\n', encoding="ascii")
    result = CliRunner().invoke(fleet, ["-n", "1", "--key-file", str(keys), "--sink", "nowhere:x"])
    assert "is no sink" in str(result.exception)
    for prefix in ("a/b", "ü", "", "x" * 49):
        result = CliRunner().invoke(fleet, ["-n", "1", "--key-file", str(keys), "--prefix", prefix])
        assert "prefix" in str(result.exception)
