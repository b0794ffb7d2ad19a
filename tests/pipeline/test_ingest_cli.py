"""``outrider ingest`` and ``outrider watch`` as a user runs them: processes beside a real broker."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from outrider.model.record import (
    BootInfo,
    Category,
    Kind,
    Lane,
    Record,
    SignalSpec,
    SignalTable,
    TelemetryRow,
)
from outrider.wire.bodies import encode_body, table_id
from tests.support.broker import Broker
from tests.support.chaos_proxy import ChaosProxy
from tests.support.delivery import DEVICE, ReceiverProcess, make_uplink, receiver, running, stored
from tests.support.memory_log import MemoryLog, opaque

TABLE = SignalTable((SignalSpec(1, "Vehicle.Speed", "km/h", 0.01),))


def outrider(*args: str) -> list[str]:
    return [sys.executable, "-m", "outrider", *args]


def drive(log: MemoryLog) -> None:
    """A boot, a signal table, two telemetry rows."""
    boot = encode_body(BootInfo("1.0", "motion 1", "simcar", "power"))
    log.append(Record(Lane.EVENT, Kind.BOOT, Category.SYSTEM, 7, 5, boot))
    log.append(Record(Lane.TELEMETRY, Kind.SIGNAL_TABLE, Category.SYSTEM, 7, 6, encode_body(TABLE)))
    for speed in (1234, 5678):
        row = encode_body(TelemetryRow(table_id(TABLE), ((1, speed),)))
        log.append(Record(Lane.TELEMETRY, Kind.TELEMETRY, Category.DRIVING, 7, speed, row))


def watching(broker: Broker, *args: str) -> subprocess.Popen[str]:
    """``outrider watch``, subscribed when this returns."""
    process = subprocess.Popen(
        outrider("watch", "--broker", f"127.0.0.1:{broker.port}", *args),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "watching" in process.stderr.readline()
    return process


def finish(process: subprocess.Popen[str]) -> str:
    """Its output after it ended by itself; exit code 0 demanded."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def test_watch_prints_json_lines_with_real_values(broker: Broker, tmp_path: Path) -> None:
    """Birth, event and telemetry, decoded with the signal table that went by; the watcher acknowledges nothing."""
    process = watching(broker, "--json", "--device", DEVICE, "--count", "3")
    log = MemoryLog()
    drive(log)
    with running(make_uplink(log, broker.port)) as uplink:
        lines = [json.loads(line) for line in finish(process).splitlines()]
        assert log.streams()[0].acknowledged == 0
        assert uplink.status().counters.get("acks", 0) == 0
    births = [line for line in lines if line["type"] == "birth"]
    records = [line for line in lines if line["type"] == "record"]
    assert births[0]["online"] is True
    assert {line["device"] for line in lines} == {DEVICE}
    (boot,) = [r for r in records if r["lane"] == "event"]
    assert boot["body"]["type"] == "boot"
    rows = [r["body"]["signals"] for r in records if r["body"]["type"] == "telemetry"]
    assert rows == [{"Vehicle.Speed": pytest.approx(12.34)}, {"Vehicle.Speed": pytest.approx(56.78)}]
    assert [r["seq"] for r in records if r["lane"] == "telemetry"] == [1, 2, 3]


def test_watch_prints_lines_for_people(broker: Broker) -> None:
    process = watching(broker, "--count", "3")
    log = MemoryLog()
    drive(log)
    with running(make_uplink(log, broker.port)):
        text = finish(process)
    assert "online" in text
    assert "telemetry 1-3, 3 records" in text
    assert "Speed=56.78" in text
    assert "Speed=12.34" not in text, "only the last row unless asked"


def test_watch_tells_what_it_cannot_read(broker: Broker) -> None:
    from paho.mqtt import publish

    process = watching(broker, "--json", "--count", "1")
    publish.single("t/car/d", b"\xff\xff", qos=1, hostname="127.0.0.1", port=broker.port)
    line = json.loads(finish(process))
    assert line["type"] == "unreadable"
    assert line["topic"] == "t/car/d"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_end_cleanly_on_signals(broker: Broker, tmp_path: Path, number: signal.Signals) -> None:
    """Exit code 0, no traceback."""
    process = watching(broker)
    process.send_signal(number)
    _out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in err


def test_ingest_reports_and_keeps_hostile_payloads(broker: Broker, tmp_path: Path) -> None:
    """Noise on its topics is counted and kept with the reason, beside the good data; the process lives."""
    from paho.mqtt import publish

    from outrider.ingest.sinks.store_io import Store

    rng = random.Random(1)
    process = ReceiverProcess(broker.port, tmp_path)
    process.start()
    log = MemoryLog()
    with running(make_uplink(log, broker.port)):
        log.append(opaque(Lane.EMERGENCY, 1, 20, rng))
        assert log.wait_acknowledged(60), process.log()
        noise = [
            {"topic": f"t/car/{leaf}", "payload": rng.randbytes(n), "qos": 1} for leaf in "desb" for n in (1, 9, 99)
        ]
        noise.append({"topic": "t/no device/e", "payload": b"x", "qos": 1})
        publish.multiple(noise, hostname="127.0.0.1", port=broker.port)  # type: ignore[arg-type]  # paho's own type
        log.append(opaque(Lane.EMERGENCY, 2, 20, rng))
        assert log.wait_acknowledged(60), process.log()
    assert process.terminate() == 0
    assert "Traceback" not in process.log()
    final = json.loads([line for line in process.log().splitlines() if line.startswith("{")][-1])
    assert final["final"] is True
    assert final["dead_letters"] == len(noise)
    assert stored(process.database) == log.digest()
    with Store.open(process.database, read_only=True) as store:
        assert len(store.dead_letters()) == len(noise)
        assert all(reason for _topic, reason, _payload in store.dead_letters())


def test_a_device_without_a_key_is_stored_and_not_acknowledged(broker: Broker, tmp_path: Path) -> None:
    """And says so once in the log."""
    from outrider.ingest.sinks.store_io import Store

    process = subprocess.Popen(
        outrider("ingest", "--broker", f"127.0.0.1:{broker.port}", "--db", str(tmp_path / "r.db"), "--json"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "--key-file" in process.stderr.readline()
    log = MemoryLog()
    with running(make_uplink(log, broker.port)) as uplink:
        log.append(opaque(Lane.EMERGENCY, 1, 20, random.Random(1)))
        assert "no key for device car-1" in process.stderr.readline()
        assert uplink.status().counters.get("acks", 0) == 0
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(log.streams()) == 1
    with Store.open(tmp_path / "r.db", read_only=True) as store:
        assert len(list(store.records(DEVICE))) == 1


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["ingest", "--broker", "nowhere:port"], 78, "HOST:PORT"),
        (["ingest", "--key-file", "/does/not/exist"], 78, "cannot be read"),
        (["ingest", "--ca-file", "/does/not/exist.pem"], 78, "exist.pem"),
        (["ingest", "--db", "/does/not/exist/r.db"], 74, "r.db"),
        (["watch", "--device", "a/b"], 65, "device id"),
    ],
)
def test_wrong_options_are_one_line_and_an_exit_code(args: list[str], code: int, says: str) -> None:
    done = subprocess.run(outrider(*args), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    error = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(error) == 1
    assert says in error[0]
    assert "Traceback" not in done.stderr


def test_the_receiver_survives_links_that_break(broker: Broker, tmp_path: Path) -> None:
    """Its own connection is cut again and again: nothing is lost, duplicates are recognised."""
    proxy = ChaosProxy(broker.port)
    log, rng, database = MemoryLog(), random.Random(2), tmp_path / "r.db"
    try:
        with receiver(proxy.port, database) as received, running(make_uplink(log, broker.port)):
            for turn in range(8):
                for index in range(3):
                    log.append(opaque(Lane.EVENT, index, 50, rng))
                log.append(opaque(Lane.EMERGENCY, turn, 50, rng))
                assert log.wait_acknowledged(60, Lane.EMERGENCY)
                proxy.cut()
            assert log.wait_acknowledged(60)
            assert received.stats()["connects"] > 1
            assert received.stats()["conflicts"] == 0
    finally:
        proxy.close()
    assert stored(database) == log.digest()


def test_a_second_receiver_on_the_same_database_is_refused(broker: Broker, tmp_path: Path) -> None:
    """It names the process of the first, and the first goes on."""
    import os

    log, database = MemoryLog(), tmp_path / "r.db"
    with receiver(broker.port, database), running(make_uplink(log, broker.port)):
        command = outrider("ingest", "--broker", f"127.0.0.1:{broker.port}", "--db", str(database))
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 75
        assert f"pid {os.getpid()}" in done.stderr
        log.append(opaque(Lane.EMERGENCY, 1, 20, random.Random(1)))
        assert log.wait_acknowledged(60)
