"""One process watches for vanished cars beside receivers that share the records."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from outrider.clock import SystemClock
from outrider.ingest.keys import KeyRing
from outrider.ingest.options import BrokerOptions, NatsOptions, ReceiverOptions
from outrider.ingest.receiver_io import Receiver
from outrider.ingest.watch.deadman import DeadManOptions
from outrider.model.beacon import Beacon
from outrider.wire.beacon import encode_beacon
from tests.support.broker import Broker
from tests.support.delivery import DEVICE, KEY, fill, make_uplink, receiver, running, stored
from tests.support.memory_log import MemoryLog
from tests.support.nats_cluster import NatsCluster
from tests.support.terminal import wait_until


@contextmanager
def watching(options: ReceiverOptions) -> Iterator[Receiver]:
    made, stop = Receiver(options, SystemClock()), threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,), daemon=True)
    thread.start()
    try:
        assert made.connected.wait(60)
        yield made
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


def beacon() -> bytes:
    return encode_beacon(Beacon(7, 1_000_000, None, 52.5, 13.4, 3.0, 40.0, 90.0, -80, 0.0, interval_s=5))


def test_it_hears_everybody_and_takes_nothing_away(broker: Broker, tmp_path: Path) -> None:
    """A receiver of a group stores and acknowledges all records; the watch counts a car in, by its beacons, and its
    database holds no record."""
    log = MemoryLog()
    fill(log, random.Random(1), telemetry_rows=200, events=5)
    watch = ReceiverOptions(
        BrokerOptions(port=broker.port, client_id="watch", persistent=False, qos=0),
        database=tmp_path / "watch.db",
        deadman=DeadManOptions(),
        watch_only=True,
    )
    with watching(watch) as watcher, receiver(broker.port, tmp_path / "r.db", shared="g") as taker:
        with running(make_uplink(log, broker.port)) as uplink:
            assert log.wait_acknowledged(60)
            wait_until("counted in", lambda: uplink.send_beacon(beacon()) and watcher.stats()["watched"] == 1)
        assert taker.stats()["records"] == 205
        assert watcher.stats()["messages"] > 3
        assert watcher.stats()["acks"] == watcher.stats()["records"] == 0
        assert watcher.stats()["births"] >= 1
    assert stored(tmp_path / "r.db") == log.digest()
    assert stored(tmp_path / "watch.db") == {}


def test_it_hears_a_nats_server_too(tmp_path: Path) -> None:
    """Beacons are in no stream there: the watch listens to what passes; a worker pulls the records."""
    log = MemoryLog()
    fill(log, random.Random(1), telemetry_rows=100, events=5)
    cluster = NatsCluster(tmp_path, 1)
    nats = NatsOptions(cluster.urls, replicas=1)
    listen = NatsOptions(cluster.urls, listen_only=True)
    worker = ReceiverOptions(database=tmp_path / "r.db", keys=KeyRing({DEVICE: KEY}), deadman=None, nats=nats)
    watch = ReceiverOptions(database=tmp_path / "watch.db", watch_only=True, nats=listen)
    try:
        cluster.wait_up()
        with watching(watch) as watcher, watching(worker) as taker:
            with running(make_uplink(log, cluster.mqtt_ports[0])) as uplink:
                assert log.wait_acknowledged(60)
                wait_until("counted in", lambda: uplink.send_beacon(beacon()) and watcher.stats()["watched"] == 1)
            assert taker.stats()["beacons"] == 0
            assert watcher.stats()["records"] == 0
    finally:
        cluster.close()
    assert stored(tmp_path / "r.db") == log.digest()
