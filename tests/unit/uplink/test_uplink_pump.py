"""From the log to the outlet: what is read, what is kept, what a fault costs."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from outrider.errors import JournalError, LinkError
from outrider.model.record import Category, Kind, Lane, Record, StoredRecord
from outrider.uplink.core import SendCore
from outrider.uplink.options import SendOptions
from outrider.uplink.pump import Pump
from outrider.wire.codec import decode_batch
from outrider.wire.topics import Topics
from tests.support.memory_log import MemoryLog, opaque, telemetry


class Outlet:
    """Keeps what is published; writable as told."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, bool]] = []
        self.writable = True
        self.broken = False

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        if self.broken:
            raise LinkError("gone")
        self.sent.append((topic, payload, retain))
        return len(self.sent)

    def is_writable(self) -> bool:
        return self.writable


class Bench:
    """Log, core and pump, connected."""

    def __init__(self, log: MemoryLog, options: SendOptions | None = None) -> None:
        self.log = log
        self.counters: Counter[str] = Counter()
        self.sent_bytes: Counter[str] = Counter()
        self.core = SendCore(options or SendOptions())
        self.core.connected(65535)
        self.pump = Pump(log, self.core, Topics("car"), self.counters, self.sent_bytes)
        self.outlet = Outlet()

    def run(self, now: int = 0, *, urgent_only: bool = False) -> bool:
        self.core.refresh(self.log.streams(), now)
        return self.pump.run(self.outlet, lambda: now, urgent_only=urgent_only)


def test_a_full_socket_stops_all_but_emergencies() -> None:
    """What paho or the kernel still holds is not joined by more; an emergency goes all the same."""
    log, rng = MemoryLog(), random.Random(1)
    bench = Bench(log)
    bench.outlet.writable = False
    log.append(opaque(Lane.BULK, 1, 50, rng))
    log.append(opaque(Lane.EMERGENCY, 1, 50, rng))
    assert bench.run() is True
    assert [topic for topic, _payload, _retain in bench.outlet.sent] == ["t/car/e"]
    bench.outlet.writable = True
    assert bench.run() is False
    assert [topic for topic, _payload, _retain in bench.outlet.sent] == ["t/car/e", "t/car/d"]
    header = 2 + (2 + len("t/car/e")) + 2 + 1  # type and length, topic, message id, no properties
    assert bench.sent_bytes["emergency"] == header + len(bench.outlet.sent[0][1])


def test_urgent_only_sends_nothing_else() -> None:
    log, rng = MemoryLog(), random.Random(1)
    bench = Bench(log)
    log.append(opaque(Lane.EVENT, 1, 50, rng))
    bench.run(urgent_only=True)
    assert not bench.outlet.sent


def test_a_batch_that_does_not_fit_is_kept_and_not_encoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    log, rng = MemoryLog(), random.Random(1)
    for index in range(4):
        log.append(opaque(Lane.BULK, index, 700, rng))
    bench = Bench(log, SendOptions(window_bytes=1400, emergency_bytes=200, batch_bytes=600))
    bench.core.refresh(log.streams(), 0)
    log.acknowledge(log.epoch, Lane.BULK, 1)
    bench.core.acknowledged(log.epoch, Lane.BULK, 1, 0)
    bench.run()
    assert len(bench.outlet.sent) == 1, "the second does not fit beside the first"
    monkeypatch.setattr(log, "read", None)  # reading again would fail
    token = bench.pump.token(1)
    assert token is not None
    bench.core.puback(token, 0)
    bench.run()  # sends the kept one, then reads on
    assert bench.counters["log_faults"] == 1
    assert [decode_batch(payload).records[0].seq for _topic, payload, _retain in bench.outlet.sent] == [2, 3]


def test_a_log_that_cannot_be_read_costs_a_second_and_not_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted; the other lanes go on; it is tried again."""
    log, rng = MemoryLog(), random.Random(1)
    log.append(opaque(Lane.EVENT, 1, 50, rng))
    log.append(opaque(Lane.BULK, 1, 50, rng))
    bench = Bench(log)
    read = log.read

    def failing(epoch: int, lane: Lane, first_seq: int, max_records: int, max_bytes: int) -> list[StoredRecord]:
        if lane is Lane.EVENT:
            raise JournalError("input/output error")
        return read(epoch, lane, first_seq, max_records, max_bytes)

    monkeypatch.setattr(log, "read", failing)
    bench.run()
    assert bench.counters["log_faults"] == 1
    assert [topic for topic, _payload, _retain in bench.outlet.sent] == ["t/car/d"]
    monkeypatch.setattr(log, "read", read)
    bench.run(now=1_000_000)
    assert len(bench.outlet.sent) == 2


def test_one_record_that_cannot_be_encoded_does_not_hold_up_those_before_it() -> None:
    """The batch is cut smaller; the fault is counted."""
    log = MemoryLog()
    for index in range(3):
        log.append(telemetry(index, random.Random(1)), durable=False)
    log.append(Record(Lane.TELEMETRY, Kind(200), Category.SYSTEM, 1 << 40, 0, b""), durable=False)  # no such boot id
    log.commit()
    bench = Bench(log)
    bench.core.flushing = True
    bench.run()
    first = decode_batch(bench.outlet.sent[0][1])
    assert [stored.seq for stored in first.records] == [1, 2]
    assert bench.counters["encode_faults"] >= 1


def test_a_broken_link_passes_through_and_loses_nothing() -> None:
    log = MemoryLog()
    log.append(opaque(Lane.EVENT, 1, 50, random.Random(1)))
    bench = Bench(log)
    bench.outlet.broken = True
    with pytest.raises(LinkError):
        bench.run()
    bench.core.disconnected()
    bench.core.connected(65535)
    bench.pump.connected()
    bench.outlet.broken = False
    bench.run()
    assert decode_batch(bench.outlet.sent[0][1]).records[0].seq == 1


def test_status_is_retained_and_counted() -> None:
    bench = Bench(MemoryLog())
    mid = bench.pump.send_status(bench.outlet, b"birth", 0)
    assert bench.outlet.sent == [("t/car/s", b"birth", True)]
    assert mid is not None
    token = bench.pump.token(mid)
    assert token is not None
    bench.core.puback(token, 0)
    assert bench.core.window.messages == 0


def test_a_record_that_trips_the_columns_travels_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the encoder, whatever it raises, costs bytes and a count, not the lane."""
    log = MemoryLog()
    for index in range(3):
        log.append(telemetry(index, random.Random(1)), durable=False)
    log.commit()
    bench = Bench(log)
    bench.core.flushing = True

    def trip(*_: object) -> bytes:
        raise IndexError("not foreseen")

    monkeypatch.setattr("outrider.wire.codec._rows", trip)
    bench.run()
    batch = decode_batch(bench.outlet.sent[0][1])
    assert list(batch.records) == log.read(log.epoch, Lane.TELEMETRY, 1, 9, 1 << 20)
    assert bench.counters["encode_faults"] == 1


def test_batches_fit_into_what_the_broker_takes() -> None:
    """Cut smaller; a single record that is larger waits, is told, and the lanes behind it go on."""
    log, rng = MemoryLog(), random.Random(1)
    for index, size in enumerate((200, 200, 200, 900, 10)):
        log.append(opaque(Lane.EVENT, index, size, rng), durable=False)
    log.append(opaque(Lane.BULK, 0, 50, rng), durable=False)
    log.commit()
    bench = Bench(log)
    bench.pump.connected(packet_maximum=600)
    bench.run()
    assert [decode_batch(payload).records[0].record.lane for _t, payload, _r in bench.outlet.sent] == [
        Lane.EVENT,
        Lane.BULK,
    ]
    assert [s.seq for s in decode_batch(bench.outlet.sent[0][1]).records] == [1, 2]
    for up_to in (2, 3):
        log.acknowledge(log.epoch, Lane.EVENT, up_to)
        bench.core.acknowledged(log.epoch, Lane.EVENT, up_to, 0)
        bench.run()
    assert [len(topic) + len(payload) + 16 <= 600 for topic, payload, _r in bench.outlet.sent] == [True] * 3
    assert bench.counters["too_large"] == 1
    assert bench.core.backlog()[Lane.EVENT] == 2
    assert bench.pump.fits("t/car/s", bytes(577))
    assert not bench.pump.fits("t/car/s", bytes(578))
