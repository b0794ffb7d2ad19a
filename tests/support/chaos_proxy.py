"""A TCP proxy on loopback that understands enough MQTT to misbehave on purpose.

It can cut all connections, refuse new ones, swallow PUBACKs, turn into a black hole (takes everything, passes nothing),
and hang up on MQTT 5. It counts what is on the way: the highest number of QoS 1 messages without PUBACK seen on one
connection, and keeps what was published.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

CONNECT, PUBLISH, PUBACK = 1, 3, 4


def packets(buffer: bytearray) -> Iterator[bytes]:
    """Whole MQTT packets, taken off the front of the buffer."""
    while len(buffer) >= 2:
        length = shift = 0
        for index in range(1, min(5, len(buffer))):
            length |= (buffer[index] & 0x7F) << shift
            shift += 7
            if not buffer[index] & 0x80:
                break
        else:
            return
        end = index + 1 + length
        if len(buffer) < end:
            return
        packet = bytes(buffer[:end])
        del buffer[:end]
        yield packet


def _connect_level(packet: bytes) -> int:
    """Protocol level of a CONNECT: 4 is 3.1.1, 5 is 5.0."""
    start = 1
    while packet[start] & 0x80:
        start += 1
    name_length = int.from_bytes(packet[start + 1 : start + 3], "big")
    return packet[start + 3 + name_length]


class ChaosProxy:
    """Listens at ``port``, forwards to ``target``. All switches may be changed while it runs."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.swallow_pubacks = False
        self.black_hole = False
        self.refuse_v5 = False
        self.levels: list[int] = []
        self.connections = 0
        self.max_unacknowledged = 0
        self.published = 0
        self.upstream_packets = 0
        self.publishes: list[tuple[str, bytes]] = []  # topic and payload of QoS 1 messages, in order
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads: list[threading.Thread] = []
        self._spawn(self._accept)

    def cut(self) -> None:
        """Close every connection, both sides."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for sock in pair:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

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
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in list(self._threads):
            thread.join(10)

    def _spawn(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]  # any callable
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                client.close()
                continue
            broker.settimeout(None)
            self.connections += 1
            with self._lock:
                self._pairs.add((client, broker))
            waiting: set[bytes] = set()
            self._spawn(self._upstream, client, broker, waiting)
            self._spawn(self._downstream, client, broker, waiting)

    def _upstream(self, client: socket.socket, broker: socket.socket, waiting: set[bytes]) -> None:
        buffer = bytearray()
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                buffer += data
                for packet in packets(buffer):
                    kind = packet[0] >> 4
                    self.upstream_packets += 1
                    if kind == CONNECT:
                        self.levels.append(_connect_level(packet))
                        if self.refuse_v5 and self.levels[-1] == 5:
                            raise OSError("hang up")
                    if kind == PUBLISH and packet[0] & 0x06:
                        self._note_publish(packet, waiting)
                    if not self.black_hole:
                        broker.sendall(packet)
        self._end(client, broker)

    def _note_publish(self, packet: bytes, waiting: set[bytes]) -> None:
        start = 1
        while packet[start] & 0x80:
            start += 1
        topic = int.from_bytes(packet[start + 1 : start + 3], "big")
        waiting.add(packet[start + 3 + topic : start + 5 + topic])
        body = packet[start + 5 + topic :]
        if self.levels[-1] == 5:
            body = body[1 + body[0] :]  # properties, of fewer than 128 bytes
        self.publishes.append((packet[start + 3 : start + 3 + topic].decode(), body))
        self.published += 1
        self.max_unacknowledged = max(self.max_unacknowledged, len(waiting))

    def _downstream(self, client: socket.socket, broker: socket.socket, waiting: set[bytes]) -> None:
        buffer = bytearray()
        with contextlib.suppress(OSError):
            while data := broker.recv(65536):
                buffer += data
                for packet in packets(buffer):
                    if packet[0] >> 4 == PUBACK:
                        if self.swallow_pubacks:
                            continue
                        waiting.discard(packet[2:4])
                    if not self.black_hole:
                        client.sendall(packet)
        self._end(client, broker)

    def _end(self, client: socket.socket, broker: socket.socket) -> None:
        with self._lock:
            self._pairs.discard((client, broker))
        for sock in (client, broker):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
