"""A TCP proxy on loopback that understands enough MQTT to misbehave on purpose.

Every switch may be changed while it runs. What it does to a connection is told by its names below; it also counts what
is on the way (the highest number of QoS 1 messages without PUBACK seen on one connection) and keeps what was published.
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections import deque

from tests.support.mqtt_packets import (
    CONNECT,
    PUBACK,
    PUBLISH,
    SUBACK,
    connack,
    connect_level,
    packet,
    packets,
    publish,
    publish_parts,
)

_RETRY_S = 5


class Pair:
    """One connection: the terminal's socket, the broker's, and what was seen on it."""

    def __init__(self, client: socket.socket, broker: socket.socket) -> None:
        self.client = client
        self.broker = broker
        self.level = 5
        self.waiting: set[bytes] = set()
        self.lock = threading.Lock()  # writes to the client: answers of our own come between those of the broker

    def to_client(self, data: bytes) -> None:
        with self.lock:
            self.client.sendall(data)


class ChaosProxy:
    """Listens at ``port``, forwards to ``target``.

    swallow_pubacks, swallow_acks: what the broker, the receiver says does not arrive. lie: it sends the PUBACK itself
    and forwards nothing. black_hole: takes everything, passes nothing. mute: accepts and is silent. duplicate, reorder:
    chance that a QoS 1 message comes twice, changes places with the next. refuse: CONNACK with this code. bad_suback:
    the subscription is refused. refuse_v5: hangs up on MQTT 5.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.swallow_pubacks = self.swallow_acks = self.lie = self.black_hole = self.mute = False
        self.refuse_v5 = self.bad_suback = False
        self.refuse: int | None = None
        self.duplicate = self.reorder = 0.0
        self.rng = random.Random(0)
        self.levels: list[int] = []
        self.connections = 0
        self.max_unacknowledged = 0
        self.published = 0
        self.upstream_packets = 0
        self.publishes: list[tuple[str, bytes]] = []  # topic and payload of QoS 1 messages, in order
        self.acks: deque[bytes] = deque(maxlen=64)  # what the receiver said
        self._lock = threading.Lock()
        self._pairs: set[Pair] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads: list[threading.Thread] = []
        self._spawn(self._accept)

    def calm(self) -> None:
        """All switches off."""
        self.swallow_pubacks = self.swallow_acks = self.lie = self.black_hole = self.mute = False
        self.refuse_v5 = self.bad_suback = False
        self.refuse = None
        self.duplicate = self.reorder = 0.0

    def cut(self) -> None:
        """Close every connection, both sides."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for sock in (pair.client, pair.broker):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def half_open(self) -> None:
        """The broker's side ends; the terminal's stays and is never answered."""
        self.black_hole = True
        for pair in self.pairs():
            with contextlib.suppress(OSError):
                pair.broker.shutdown(socket.SHUT_RDWR)

    def inject(self, data: bytes) -> int:
        """Bytes to every terminal, between two packets; to how many."""
        pairs = self.pairs()
        for pair in pairs:
            with contextlib.suppress(OSError):
                pair.to_client(data)
        return len(pairs)

    def inject_message(self, topic: str, payload: bytes) -> None:
        """A PUBLISH at QoS 0 to every terminal, in the version it speaks."""
        for pair in self.pairs():
            with contextlib.suppress(OSError):
                pair.to_client(publish(topic, payload, pair.level))

    def pairs(self) -> list[Pair]:
        with self._lock:
            return list(self._pairs)

    def shut(self) -> None:
        """Nobody listens any more: connections are cut, new ones refused."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def reopen(self) -> None:
        """Listen again at the same port, after ``shut``."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._spawn(self._accept)

    def close(self) -> None:
        self.shut()
        for thread in list(self._threads):
            thread.join(10)

    # ---- threads ----------------------------------------------------------------------------------

    def _spawn(self, target: object, *args: object) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]  # any callable
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                broker = socket.create_connection(("127.0.0.1", self.target), timeout=_RETRY_S)
            except OSError:
                client.close()
                continue
            broker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            broker.settimeout(None)
            self.connections += 1
            pair = Pair(client, broker)
            with self._lock:
                self._pairs.add(pair)
            self._spawn(self._upstream, pair)
            self._spawn(self._downstream, pair)

    def _upstream(self, pair: Pair) -> None:
        buffer = bytearray()
        held: bytes | None = None
        with contextlib.suppress(OSError):
            while data := pair.client.recv(65536):
                buffer += data
                for one in packets(buffer):
                    self.upstream_packets += 1
                    if not self._look(pair, one):
                        continue
                    if held is None and self._is_message(one) and self.rng.random() < self.reorder:
                        held = one
                        continue
                    pair.broker.sendall(one)
                    if self._is_message(one) and self.rng.random() < self.duplicate:
                        pair.broker.sendall(bytes([one[0] | 0x08]) + one[1:])
                    if held is not None:
                        pair.broker.sendall(held)
                        held = None
        self._end(pair)

    @staticmethod
    def _is_message(one: bytes) -> bool:
        return one[0] >> 4 == PUBLISH and bool(one[0] & 0x06)

    def _look(self, pair: Pair, one: bytes) -> bool:
        """Does it go on to the broker?"""
        kind = one[0] >> 4
        if kind == CONNECT:
            pair.level = connect_level(one)
            self.levels.append(pair.level)
            if self.refuse_v5 and pair.level == 5:
                raise OSError("hang up")
            if self.refuse is not None:
                pair.to_client(connack(pair.level, self.refuse))
                raise OSError("refused")
        if self._is_message(one):
            topic, ident, payload = publish_parts(one, pair.level)
            pair.waiting.add(ident)
            self.publishes.append((topic, payload))
            self.published += 1
            self.max_unacknowledged = max(self.max_unacknowledged, len(pair.waiting))
            if self.lie and not self.black_hole:
                pair.waiting.discard(ident)
                pair.to_client(packet(PUBACK, ident))
                return False
        return not (self.black_hole or self.mute)

    def _downstream(self, pair: Pair) -> None:
        buffer = bytearray()
        with contextlib.suppress(OSError):
            while data := pair.broker.recv(65536):
                buffer += data
                for one in packets(buffer):
                    if self._passes(pair, one):
                        pair.to_client(one)
                    elif one[0] >> 4 == SUBACK and self.bad_suback:
                        pair.to_client(one[:-1] + b"\x87")
        if not self.black_hole:
            self._end(pair)

    def _passes(self, pair: Pair, one: bytes) -> bool:
        kind = one[0] >> 4
        if self.black_hole or self.mute:
            return False
        if kind == PUBACK:
            if self.swallow_pubacks:
                return False
            pair.waiting.discard(one[2:4])
        if kind == PUBLISH:
            topic, _ident, payload = publish_parts(one, pair.level)
            if topic.endswith("/a"):
                self.acks.append(payload)
                return not self.swallow_acks
        return not (kind == SUBACK and self.bad_suback)

    def _end(self, pair: Pair) -> None:
        with self._lock:
            self._pairs.discard(pair)
        for sock in (pair.client, pair.broker):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
