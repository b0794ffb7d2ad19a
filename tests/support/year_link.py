"""Link, broker and receiver of the simulated year, in one process: the real sending core and pump, the real decoder,
the real store and signed acknowledgements; in between what a road does to them.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Final

from outrider.errors import WireError
from outrider.ingest.core import StreamKey, read_message
from outrider.ingest.sinks.sinks_io import open_store
from outrider.record.journal import Journal
from outrider.uplink.acks import AckReader
from outrider.uplink.core import SendCore
from outrider.uplink.options import SendOptions
from outrider.uplink.pump import Pump
from outrider.wire.ack import Ack, LanePosition, sign_ack
from outrider.wire.codec import Batch
from outrider.wire.framing import MAX_MESSAGE_BYTES
from outrider.wire.topics import Topics

DEVICE: Final = "commuter"
KEY: Final = bytes(range(32))
CUT: Final = 0.01  # of messages: the connection ends there
TWICE: Final = 0.01
ACK_LOST: Final = 0.03
STALE_ACK: Final = 0.01
PUBACK_SWALLOWED: Final = 0.005


class Station:
    """Broker and receiver. up: the receiver runs; the broker keeps what comes meanwhile, unless it is killed."""

    def __init__(self, database: Path) -> None:
        self.store = open_store(f"sqlite:{database}")
        self.up = True
        self.counters: Counter[str] = Counter()
        self._queue: list[tuple[str, bytes]] = []

    def publish(self, topic: str, payload: bytes) -> None:
        self._queue.append((topic, payload))

    def kill_broker(self) -> None:
        """It loses what it had confirmed."""
        self.counters["messages_lost_in_broker"] += len(self._queue)
        self._queue.clear()

    def turn(self, utc_us: int) -> bytes | None:
        """Store what came, in one transaction; the signed acknowledgement for it."""
        if not (self.up and self._queue):
            return None
        touched: set[StreamKey] = set()
        for topic, payload in self._queue:
            content = read_message(topic, payload, max_bytes=MAX_MESSAGE_BYTES)
            assert isinstance(content, Batch), content
            self.store.mark()
            accepted = self.store.accept(content, utc_us)
            self.counters["records"] += accepted.new
            self.counters["duplicates"] += accepted.duplicates
            self.counters["conflicts"] += accepted.conflicts
            touched |= accepted.touched
        self.counters["messages"] += len(self._queue)
        self._queue.clear()
        positions = tuple(LanePosition(s.epoch, s.lane, self.store.position(s)) for s in sorted(touched, key=str))
        counter = self.store.next_ack_counter(DEVICE, utc_us)
        self.store.commit()
        return sign_ack(Ack(DEVICE, counter, positions), KEY)


class Link:
    """From one start of the terminal to its end. An outlet for the pump."""

    def __init__(self, journal: Journal, station: Station, rng: Random) -> None:
        self._journal = journal
        self._station = station
        self._rng = rng
        self._core = SendCore(SendOptions(), rng=Random(rng.getrandbits(64)))
        self._pump = Pump(journal, self._core, Topics(DEVICE), Counter(), Counter())
        self._reader = AckReader(DEVICE, KEY)
        self._on_the_way: list[tuple[int, str, bytes]] = []
        self._old_ack: bytes | None = None
        self._mid = 0
        self._connected = False
        self.counters: Counter[str] = Counter()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        assert not retain
        self._mid += 1
        self.counters["bytes_sent"] += len(payload)
        self._on_the_way.append((self._mid, topic, payload))
        return self._mid

    def is_writable(self) -> bool:
        return True

    def lose(self) -> None:
        """Out of coverage, or the connection broke."""
        if self._connected:
            self.counters["connections_lost"] += 1
        self._on_the_way.clear()
        self._core.disconnected()
        self._connected = False

    def turn(self, t_us: int, utc_us: int) -> bool:
        """With coverage: send, be stored, be acknowledged. True: something moved."""
        if not self._connected:
            self._core.connected(20)
            self._pump.connected()
            self._reader.forget()
            self._connected = True
            self.counters["connections"] += 1
        self._core.refresh(self._journal.streams(), t_us)
        if self._core.tick(t_us):
            self.lose()
            return False
        self._pump.run(self, lambda: t_us)
        moved = bool(self._on_the_way)
        self._deliver(t_us)
        self._acknowledge(self._station.turn(utc_us), t_us)
        return moved

    def _deliver(self, t_us: int) -> None:
        arriving, self._on_the_way = self._on_the_way, []
        for mid, topic, payload in arriving:
            if self._rng.random() < CUT:
                self.lose()
                return
            self._station.publish(topic, payload)
            if self._rng.random() < TWICE:
                self._station.publish(topic, payload)
            if self._rng.random() < PUBACK_SWALLOWED:
                continue
            token = self._pump.token(mid)
            assert token is not None
            self._core.puback(token, t_us)

    def _acknowledge(self, payload: bytes | None, t_us: int) -> None:
        if payload is None:
            return
        if self._rng.random() < ACK_LOST:
            self.counters["acks_lost"] += 1
            return
        arriving = [payload]
        if self._old_ack is not None and self._rng.random() < STALE_ACK:
            arriving += [self._old_ack, payload[:-1] + bytes([payload[-1] ^ 1])]
        self._old_ack = payload
        for each in arriving:
            try:
                ack = self._reader.read(each)
            except WireError:
                self.counters["acks_refused"] += 1
                continue
            for position in ack.positions:
                if self._journal.acknowledge(position.epoch, position.lane, position.up_to_seq):
                    self._core.acknowledged(position.epoch, position.lane, position.up_to_seq, t_us)
                else:
                    self.counters["acks_absurd"] += 1
