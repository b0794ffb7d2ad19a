"""The receiver beside a plain consumer: records a second from a broker's queue to the disk. Prints one JSON document.

    PYTHONPATH=daemon python tests/bench/bench_receiver.py

Both drain what a real mosquitto on loopback has queued for their session, so that the publisher costs nothing while
they are measured; both confirm with PUBACK after their commit. Outrider: batches of 60 rows of ``telemetry-hour`` from
20 terminals, all checks, duplicates and positions, signed acknowledgements published, SQLite with WAL and
synchronous=FULL. Plain: the same rows as JSON, one message each; paho, ``json.loads``, one row and one commit each, in
SQLite as it opens (rollback journal, synchronous=FULL), and again with WAL. The disk is that of the temporary folder.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from outrider.clock import SystemClock
from outrider.ingest.keys import KeyRing
from outrider.ingest.options import BrokerOptions, ReceiverOptions
from outrider.ingest.receiver_io import Receiver
from outrider.wire.codec import encode_batch
from tests.bench.bench_bytes import DATA, Table, load, records
from tests.support.broker import Broker

BATCH = 60
DEVICES = 20
PLAIN_RECORDS = 3000
DEADLINE_S = 120
KEY = bytes(range(32))


def persistent(client_id: str) -> tuple[Client, dict[str, Any]]:
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5)
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho
    properties.SessionExpiryInterval = 3600
    return client, {"clean_start": False, "properties": properties}


def publish(port: int, messages: list[tuple[str, bytes]]) -> None:
    """All of them, confirmed by the broker."""
    client = Client(CallbackAPIVersion.VERSION2, client_id="feeder", protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    infos = [client.publish(topic, payload, qos=1) for topic, payload in messages]
    for info in infos:
        info.wait_for_publish(120)
    client.disconnect()
    client.loop_stop()


@contextmanager
def mosquitto() -> Iterator[tuple[Broker, Path]]:
    with tempfile.TemporaryDirectory(prefix="bench-receiver-") as folder:
        broker = Broker(Path(folder))
        try:
            yield broker, Path(folder)
        finally:
            broker.kill()


def measured(run: Callable[[], int]) -> dict[str, float]:
    began, cpu = time.perf_counter(), time.process_time()
    count = run()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"records": count, "records_per_s": round(count / seconds), "us_cpu_per_record": round(cpu / count * 1e6, 1)}


def outrider(tables: list[Table]) -> dict[str, float]:
    with mosquitto() as (broker, folder):
        options = ReceiverOptions(
            BrokerOptions(port=broker.port, client_id="ours"),
            database=folder / "ours.db",
            keys=KeyRing(master=KEY),
            deadman=None,
        )
        receive(options, 0)  # once, so that the broker keeps a session for it
        streams = [batches(f"car-{number:06d}", tables[number % len(tables)]) for number in range(DEVICES)]
        messages = [message for together in zip(*streams, strict=False) for message in together]
        publish(broker.port, messages)
        return measured(lambda: receive(options, len(messages) * BATCH))


def batches(device: str, table: Table) -> list[tuple[str, bytes]]:
    """A terminal's messages, in order; the first says that nothing came before."""
    stored = records(table[2])
    return [
        (f"t/{device}/d", encode_batch(device, stored[at : at + BATCH], behind=0))
        for at in range(0, len(stored) - BATCH + 1, BATCH)
    ]


def receive(options: ReceiverOptions, expected: int) -> int:
    """Until so many records are stored and acknowledged."""
    receiver, stop = Receiver(options, SystemClock()), threading.Event()
    thread = threading.Thread(target=receiver.run, args=(stop,))
    thread.start()
    assert receiver.connected.wait(60)
    deadline = time.monotonic() + DEADLINE_S
    while receiver.stats()["records"] < expected:
        assert time.monotonic() < deadline, receiver.stats()
        time.sleep(0.01)
    stop.set()
    thread.join(60)
    return receiver.stats()["records"]


def plain(table: Table, *, wal: bool) -> dict[str, float]:
    with mosquitto() as (broker, folder):
        client, connect = persistent("plain")
        client.connect("127.0.0.1", broker.port, **connect)
        client.subscribe("json/#", qos=1)
        while not client.is_connected() or client.want_write():
            client.loop(0.1)
        client.loop(0.5)
        client.disconnect()
        names, steps, rows = table
        rows = rows[:PLAIN_RECORDS]
        messages = []
        for row in rows:
            row_object = {n: round(v * s, 7) if s != 1 else v for n, v, s in zip(names, row, steps, strict=True)}
            messages.append(("json/car-000001", json.dumps(row_object, separators=(",", ":")).encode()))
        publish(broker.port, messages)
        return measured(lambda: consume(broker.port, folder / "plain.db", len(messages), wal=wal))


def consume(port: int, path: Path, expected: int, *, wal: bool) -> int:
    """What a quick start shows: a row and a commit for each message."""
    database = sqlite3.connect(path)
    if wal:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE records (device TEXT, ts INTEGER, body TEXT)")
    client, connect = persistent("plain")
    got = 0

    def on_message(_client: Client, _user: Any, message: MQTTMessage) -> None:
        nonlocal got
        row = json.loads(message.payload)
        database.execute(
            "INSERT INTO records VALUES (?,?,?)", (message.topic, next(iter(row.values())), json.dumps(row))
        )
        database.commit()
        got += 1

    client.on_message = on_message
    client.connect("127.0.0.1", port, **connect)
    while got < expected:
        client.loop(0.1)
    client.disconnect()
    assert database.execute("SELECT count(*) FROM records").fetchone()[0] == expected
    database.close()
    return got


def main() -> None:
    tables = [load(path) for path in sorted(DATA.glob("*.csv"))]
    ours = outrider(tables)
    simple, with_wal = plain(tables[0], wal=False), plain(tables[0], wal=True)
    result = {
        "outrider": ours,
        "plain_consumer": simple,
        "plain_consumer_wal": with_wal,
        "times_plain_consumer": round(ours["records_per_s"] / simple["records_per_s"], 1),
        "times_plain_consumer_wal": round(ours["records_per_s"] / with_wal["records_per_s"], 1),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
