"""Who watches alone: hears all, decodes what it needs, survives what it cannot read."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from outrider.clock import ManualClock
from outrider.ingest.options import ReceiverOptions
from outrider.ingest.sinks.store_io import Store
from outrider.ingest.sources.source import Incoming
from outrider.ingest.watch import lookout as module
from outrider.ingest.watch.deadman import DeadManOptions
from outrider.ingest.watch.lookout import Lookout
from outrider.ingest.watch.watchkeeper_io import Watchkeeper
from outrider.model.beacon import Beacon
from outrider.wire.beacon import encode_beacon
from outrider.wire.birth import Birth, encode_birth
from outrider.wire.codec import encode_batch
from tests.support.memory_log import MemoryLog, telemetry


class Ears:
    """A source that only notes what it is told."""

    publishing = 0

    def __init__(self) -> None:
        self.confirmed = 0

    def backlog(self) -> int | None:
        return None

    def poll(self, timeout_s: float) -> list[Incoming]:
        return []

    def confirm(self, messages: Iterable[Incoming]) -> None:
        self.confirmed += len(list(messages))

    def publish(self, topic: str, payload: bytes) -> bool:
        raise AssertionError("a watch says nothing")

    def is_answered(self) -> bool:
        return True

    def close(self) -> None:
        pass


class Bench:
    def __init__(self, directory: Path) -> None:
        self.store = Store.open(directory / "watch.db")
        self.clock = ManualClock()
        options = ReceiverOptions(watch_only=True)
        self.counters: Counter[str] = Counter()
        self.watch = Watchkeeper(self.store, DeadManOptions(threshold=0.3), options, self.clock, None)
        self.lookout = Lookout(self.store, options, self.clock, self.counters, self.watch)
        self.source = Ears()
        self.watch.link_up()
        self.clock.sleep(10)

    def hear(self, *messages: Incoming) -> None:
        self.lookout.handle(self.source, messages, 0, crowded=False)

    def turn(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.sleep(1)
            self.watch.turn()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.store.close()


def beacon(device: str) -> Incoming:
    payload = encode_beacon(Beacon(7, 1_000_000, None, 52.5, 13.4, 3.0, 40.0, 90.0, -80, 0.0, interval_s=5))
    return Incoming(f"t/{device}/b", payload)


def batch(device: str) -> Incoming:
    log = MemoryLog()
    log.append(telemetry(1, random.Random(1)))
    return Incoming(f"t/{device}/d", encode_batch(device, log.read(log.epoch, log.streams()[0].lane, 1, 10, 1 << 16)))


def test_telemetry_is_a_sign_of_life_unread(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a whole fleet it would cost a core for nothing. Of a car that is missing it is read, for the place."""
    read: list[str] = []
    original = module.read_message

    def noted(topic: str, payload: bytes, *, max_bytes: int) -> object:
        read.append(topic)
        return original(topic, payload, max_bytes=max_bytes)

    monkeypatch.setattr(module, "read_message", noted)
    bench.hear(beacon("car"), batch("car"), batch("other"))
    assert read == ["t/car/b"]
    bench.turn(60)
    assert [alarm.device for alarm in bench.store.alarms.standing()] == ["car"]
    bench.hear(batch("car"), batch("other"))
    assert read == ["t/car/b", "t/car/d"]
    bench.turn(60)
    assert bench.store.alarms.standing() == []


def test_messages_keep_a_car_from_being_missed(bench: Bench) -> None:
    """Telemetry that comes while beacons do not is life, although nobody reads it. (Seen to fail without ``sign``.)"""
    bench.hear(beacon("car"))
    for _ in range(30):
        bench.turn(2)
        bench.hear(batch("car"))
    assert bench.watch.counters()["vanished"] == 0


def test_births_are_kept_and_records_are_not(bench: Bench) -> None:
    """Signal tables name the values of a car that comes back; records are for the receivers."""
    birth = Birth("car", 1, "test", None, online=True, boot_id=7, epoch=9)
    bench.hear(
        Incoming("t/car/s", encode_birth(birth)), batch("car"), Incoming("no/topic", b""), Incoming("t/x/e", b"\xff")
    )
    assert bench.counters["births"] == 1
    assert [device["device"] for device in bench.store.devices()] == ["car"]
    assert bench.store.digest("car") == {}
    assert bench.source.confirmed == 4


def test_terminals_are_locked_in_one_order(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers of the same sink lock them too: crosswise, in a reconnect storm, they would end each other's
    transactions."""
    reserved: list[set[str]] = []
    monkeypatch.setattr(bench.store, "reserve", lambda births: reserved.append({birth.device for birth in births}))
    births = [Birth(name, 1, "test", None, online=True, boot_id=7, epoch=9) for name in ("van", "bus", "car")]
    bench.hear(*(Incoming(f"t/{birth.device}/s", encode_birth(birth)) for birth in births))
    assert reserved == [{"van", "bus", "car"}]
    assert len(bench.store.devices()) == 3
