"""From a crash to the receiver's acknowledgement while a day's backlog drains over a narrow link. One JSON document.

    PYTHONPATH=daemon python tests/bench/bench_uplink_crash.py [--crashes N] [--kbit N]

A journal on disk holds a day without network: 86,400 rows of telemetry (26 signals), 300 events, evidence of a crash
(2 MiB). The uplink sends it through a proxy of 256 kbit/s each way with a queue of one second and 30 ms of latency to a
mosquitto, from which a receiver (a process of its own, SQLite, synchronous=FULL) stores and acknowledges. Meanwhile
crashes happen at random moments: a record of 600 bytes is put into the journal's writer; the time ends when its
acknowledgement has come back and been believed. Everything is real but the link. The bar is a p99 of 3 s.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from outrider.app.delivery import Delivery, DeliveryOptions
from outrider.clock import SystemClock
from outrider.model.record import Category, Kind, Lane, Record, TelemetryRow
from outrider.record.journal import Journal
from outrider.record.options import JournalOptions
from outrider.record.storage_io import DirectoryStorage
from outrider.uplink.options import UplinkOptions
from outrider.wire.bodies import encode_body
from tests.support.broker import Broker
from tests.support.delivery import DEVICE, KEY, ReceiverProcess
from tests.support.memory_log import opaque
from tests.support.narrow import NarrowLink

DAY = 86_400
EVENTS = 300
EVIDENCE = (512, 4096)  # slices of so many bytes
CRASH_BYTES = 600
BOOT = 7


def row(index: int, rng: random.Random, last: list[int]) -> Record:
    """A second of driving: 26 signals that wander as signals do."""
    for signal in range(len(last)):
        last[signal] += rng.randrange(-signal, signal + 1) if rng.random() < 0.6 else 0
    body = encode_body(TelemetryRow(0xABCD1234, tuple((n + 1, value) for n, value in enumerate(last))))
    return Record(Lane.TELEMETRY, Kind.TELEMETRY, Category.DRIVING, BOOT, 1_000_000 * index, body)


def fill(directory: Path, rng: random.Random) -> None:
    """The day without network."""
    directory.mkdir(parents=True)
    storage = DirectoryStorage(directory)
    journal = Journal.open(storage, JournalOptions(), boot_id=BOOT, rng=rng)
    last = [1000 * n for n in range(26)]
    for index in range(DAY):
        journal.append(row(index, rng, last))
        if index % (DAY // EVENTS) == 0:
            journal.append(opaque(Lane.EVENT, index, 300, rng, BOOT))
        if index % 600 == 0:
            journal.commit()
    for index in range(EVIDENCE[0]):
        journal.append(opaque(Lane.BULK, index, EVIDENCE[1], rng, BOOT))
    journal.commit()
    journal.close()


class Crashes:
    """Puts crashes and hears of their acknowledgements."""

    def __init__(self) -> None:
        self.times: dict[int, float] = {}
        self.latencies: list[float] = []
        self.backlog_at: list[int] = []
        self._changed = threading.Condition()

    def heard(self, _epoch: int, lane: Lane, up_to: int, _boottime_us: int) -> None:
        now = time.monotonic()
        if lane is Lane.EMERGENCY:
            with self._changed:
                for seq in [seq for seq in self.times if seq <= up_to]:
                    self.latencies.append(now - self.times.pop(seq))
                self._changed.notify_all()

    def begin(self, seq: int) -> None:
        with self._changed:
            self.times[seq] = time.monotonic()

    def wait_all(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self.times, timeout_s)


def measure(folder: Path, crashes: int, kbit: float, seed: int) -> dict[str, Any]:
    rng, clock, heard = random.Random(seed), SystemClock(), Crashes()
    broker = Broker(folder)
    link = NarrowLink(broker.port, bits_per_s=kbit * 1000)
    process = ReceiverProcess(broker.port, folder)
    process.start()
    options = DeliveryOptions(
        folder / "journal", BOOT, uplink=UplinkOptions("127.0.0.1", link.port, DEVICE, ack_key=KEY)
    )
    try:
        fill(folder / "journal", rng)
        with Delivery(options, clock, on_acknowledged=heard.heard) as delivery:
            assert delivery.uplink is not None
            began, busy = time.monotonic(), 0
            for number in range(1, crashes + 1):
                time.sleep(rng.uniform(0.1, 1.1))
                heard.begin(number)
                assert delivery.writer.put(opaque(Lane.EMERGENCY, number, CRASH_BYTES, rng, BOOT))
                backlog = delivery.uplink.status().backlog
                busy += backlog["telemetry"] + backlog["bulk"] > 0
            assert heard.wait_all(120), "a crash was never acknowledged"
            status = delivery.uplink.status()
            seconds = time.monotonic() - began
        return result(heard.latencies, busy, seconds, status, link)
    finally:
        process.kill()
        link.close()
        broker.kill()


def result(latencies: list[float], busy: int, seconds: float, status: Any, link: NarrowLink) -> dict[str, Any]:
    ordered = sorted(latencies)

    def percentile(p: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * p))], 3)

    return {
        "crashes": len(ordered),
        "while_backlog_drained": busy,
        "p50_s": percentile(0.5),
        "p90_s": percentile(0.9),
        "p99_s": percentile(0.99),
        "max_s": round(ordered[-1], 3),
        "link_kbit_s_used": round(sum(way.passed for way in link.ways[::2]) * 8 / 1000 / seconds, 1),
        "bytes_through": sum(way.passed for way in link.ways[::2]),
        "deepest_queue_bytes": max(way.deepest for way in link.ways),
        "left_telemetry": status.backlog["telemetry"],
        "left_bulk": status.backlog["bulk"],
        "ack_timeouts": status.counters["ack_timeouts"],
        "puback_timeouts": status.counters.get("puback_timeouts", 0),
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--crashes", type=int, default=120)
    parser.add_argument("--kbit", type=float, default=256.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bar", type=float, default=3.0, help="p99 in seconds")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-crash-") as folder:
        document = measure(Path(folder), arguments.crashes, arguments.kbit, arguments.seed)
    print(json.dumps(document, indent=1))
    return 0 if document["p99_s"] <= arguments.bar else 1


if __name__ == "__main__":
    sys.exit(main())
