"""What Prometheus reads from a receiver that works."""

from __future__ import annotations

import random
import re
import urllib.request
from pathlib import Path

import pytest
from paho.mqtt import publish

from outrider.errors import ConfigError
from outrider.ingest.keys import derive_key
from outrider.ingest.metrics_io import PrometheusMeter, serve
from tests.support.broker import Broker
from tests.support.delivery import DEVICE, fill, make_uplink, running
from tests.support.memory_log import MemoryLog
from tests.support.terminal import wait_until
from tests.support.workers import MASTER, Worker

DOCS = Path(__file__).parents[2] / "docs"


def read(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        text = answer.read().decode("utf-8")
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_the_numbers_are_those_of_the_work_done(broker: Broker, tmp_path: Path) -> None:
    """Records, dead letters by cause, commits with their times, acknowledgements, and how far positions are behind; all
    names that docs/operate/fleet.md tells are there."""
    options = ("--broker", f"127.0.0.1:{broker.port}", "--db", str(tmp_path / "r.db"), "--metrics", "0")
    worker = Worker(tmp_path, "receiver", *options)
    worker.start()
    log = MemoryLog()
    fill(log, random.Random(1), telemetry_rows=120, events=4)
    try:
        worker.wait_ready()
        (port,) = (int(found) for found in re.findall(r"metrics: http://127.0.0.1:(\d+)/metrics", worker.log()))
        key = derive_key(MASTER, DEVICE)
        with running(make_uplink(log, broker.port, ack_key=key)):
            assert log.wait_acknowledged(60), worker.log()
        for topic in (f"t/{DEVICE}/d", "t/other/d"):
            publish.single(topic, b"\xff", qos=1, hostname="127.0.0.1", port=broker.port)
        numbers: dict[str, float] = {}

        def settled() -> bool:
            """Both letters are committed, and told."""
            numbers.update(read(port))
            commits = numbers["outrider_ingest_commits_total"]
            return (
                numbers['outrider_ingest_dead_letters_total{cause="unreadable"}'] == 2
                and numbers["outrider_ingest_commit_seconds_count"] == commits >= 2
            )

        wait_until("letters", settled)
        assert worker.terminate() == 0
    finally:
        worker.end()
    assert numbers["outrider_ingest_records_total"] == 124
    assert numbers["outrider_ingest_connected"] == 1
    assert numbers["outrider_ingest_acks_total"] >= 1
    assert numbers["outrider_ingest_commit_seconds_count"] == numbers["outrider_ingest_commits_total"] >= 2
    assert numbers["outrider_ingest_ack_seconds_count"] >= 1
    assert numbers['outrider_ingest_behind_records_bucket{le="0.0"}'] >= 2  # events, and telemetry at the end
    assert numbers['outrider_ingest_dead_letters_total{cause="wrong_device"}'] == 0
    assert told() <= {re.sub(r"\{.*|_(bucket|count|sum|created)$", "", name) for name in numbers}


def told() -> set[str]:
    """Names in the page's table, written out; without what MQTT and SQLite do not tell."""
    text = (DOCS / "operate" / "fleet.md").read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if line.startswith("| `outrider_ingest_")]
    names = {
        name if name.startswith("outrider") else f"outrider_ingest{name}"
        for line in table
        for name in re.findall(r"`((?:outrider_ingest)?_[a-z_]+)", line.split("|")[1])
    }
    assert len(names) > 15
    return names - {"outrider_ingest_backlog", "outrider_ingest_sink"}


def test_an_address_that_cannot_be_is_said() -> None:
    """One line that names the option."""
    with pytest.raises(ConfigError, match="--metrics 'nowhere'"):
        serve(PrometheusMeter(), "nowhere", dict, dict)
    host, port, end = serve(PrometheusMeter(), "0", dict, dict)
    try:
        assert host == "127.0.0.1"
        with pytest.raises(ConfigError, match="cannot listen"):
            serve(PrometheusMeter(), str(port), dict, dict)
    finally:
        end()
