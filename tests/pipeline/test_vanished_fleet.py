"""Twenty fast cars, one receiver, a real broker: what is a lost car, and what only looks like twenty of them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from outrider.clock import SystemClock
from outrider.ingest.options import BrokerOptions, ReceiverOptions
from outrider.ingest.receiver_io import Receiver
from outrider.ingest.sinks.store_io import Store
from outrider.ingest.watch.deadman import Cleared, DeadManOptions, Vanished
from outrider.ingest.watch.watchkeeper_io import News
from outrider.model.beacon import Beacon
from outrider.wire.beacon import encode_beacon
from outrider.wire.topics import Topics
from tests.support.broker import Broker
from tests.support.terminal import wait_until

CARS = tuple(f"car-{n}" for n in range(20))
# Everything quicker than in the field, and silence alone decides: that many fall silent at once is no excuse here.
QUICK = DeadManOptions(threshold=0.3, delay_s=0.5, first_silence_s=2.0, settle_s=0.2, common_count=1000)
PATIENCE_S = 3.0  # two intervals of 1 s and a second


class Fleet:
    """Beacons of all ``cars``, five a second each, over one connection that comes back by itself."""

    def __init__(self, port: int) -> None:
        self.cars = set(CARS)
        self._stop = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="fleet")
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            t_us = SystemClock().boottime_us()
            for car in sorted(self.cars):
                beacon = Beacon(7, t_us, None, 48.0, 11.0 + int(car[4:]) / 100, 2.0, 34.0, 90.0, -80, 0.0, 1)
                self._client.publish(Topics(car).beacon, encode_beacon(beacon))

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()


class Watching:
    """A receiver on a thread of this process, and what it told."""

    def __init__(self, port: int, database: Path) -> None:
        broker = BrokerOptions(port=port, probe_s=0.5)
        options = ReceiverOptions(broker, database, deadman=QUICK, backoff_cap_s=0.5, keep_s=0.5)
        self.news: list[News] = []
        self.receiver = Receiver(options, SystemClock(), on_alarm=self.news.append)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.receiver.run, args=(self._stop,))
        self._thread.start()

    def sees_all(self) -> bool:
        return self.receiver.stats()["watched"] == len(CARS)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.fixture
def fleet(broker: Broker) -> Iterator[Fleet]:
    made = Fleet(broker.port)
    yield made
    made.close()


@contextmanager
def watching(broker: Broker, path: Path) -> Iterator[Watching]:
    made = Watching(broker.port, path / "fleet.db")
    try:
        wait_until("all cars are watched", made.sees_all)
        yield made
    finally:
        made.stop()


def beacons_more(watch: Watching, count: int) -> None:
    start = watch.receiver.stats()["beacons"]
    wait_until("more beacons", lambda: watch.receiver.stats()["beacons"] >= start + count)


def test_a_broker_that_dies_takes_no_car_with_it(broker: Broker, fleet: Fleet, tmp_path: Path) -> None:
    """Killed under twenty beaconing cars and started again: nobody has vanished, and all are watched again."""
    with watching(broker, tmp_path) as watch:
        broker.kill()
        wait_until("noticed", lambda: not watch.receiver.connected.is_set())
        broker.start()
        wait_until("all cars are watched again", watch.sees_all)
        beacons_more(watch, 10 * len(CARS))
        assert watch.news == []


def test_a_broker_that_hangs_takes_no_car_with_it(broker: Broker, fleet: Fleet, tmp_path: Path) -> None:
    """For longer than a car's silence may last, with every connection open: the receiver asks the broker, gets no
    answer, and judges nobody."""
    with watching(broker, tmp_path) as watch:
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            time.sleep(PATIENCE_S + 2)  # the time itself is what is tested
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        beacons_more(watch, 5 * len(CARS))
        assert watch.news == []


def test_one_car_of_twenty_vanishes_and_returns(broker: Broker, fleet: Fleet, tmp_path: Path) -> None:
    """Only it is told, with its last place; a receiver started again still knows, and clears it when it is heard."""
    with watching(broker, tmp_path) as watch:
        beacons_more(watch, 7 * len(CARS))
        fleet.cars.remove("car-7")
        wait_until("the alarm", lambda: watch.news)
        [alarm] = watch.news
        assert isinstance(alarm, Vanished)
        assert alarm.device == "car-7"
        assert alarm.raised_utc_s - alarm.since_utc_s > PATIENCE_S - 0.01
        assert (alarm.lat_deg, alarm.lon_deg) == (48.0, 11.07)
    again = Watching(broker.port, tmp_path / "fleet.db")
    try:
        wait_until("the others are watched", lambda: again.receiver.stats()["watched"] == len(CARS) - 1)
        assert again.news == []
        fleet.cars.add("car-7")
        wait_until("cleared", lambda: again.news)
        [cleared] = again.news
        assert isinstance(cleared, Cleared)
        assert cleared.device == "car-7"
    finally:
        again.stop()
    with Store.open(tmp_path / "fleet.db", read_only=True) as store:
        [row] = store.alarms.listing()
        assert row.vanished == alarm
        assert row.cleared_reason == cleared.reason
        assert [b["t_us"] for b in row.beacons] == sorted(b["t_us"] for b in row.beacons)
        assert len(row.beacons) == 6
        assert set(store.alarms.last_beacons()) == set(CARS)
