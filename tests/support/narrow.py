"""A link of so many bits a second, both ways, with a queue in front: a TCP proxy on loopback with a token bucket.

Like a modem: bytes wait in a queue of at most ``queue_s`` of the rate; when it is full nothing more is taken, and the
sender's kernel holds the rest. Each byte arrives ``latency_s`` after it went over the wire. Socket buffers are made
small, so that what waits, waits in the queue that is meant.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque

_CHUNK = 1400  # bytes, as a segment
_BUFFER = 4096


class _Way:
    """One direction: a reader fills the queue, a writer empties it at the rate."""

    def __init__(self, source: socket.socket, drain: socket.socket, bytes_per_s: float, limits: tuple[float, float]):
        self._source, self._drain = source, drain
        self._rate = bytes_per_s
        self._latency_s, self._room = limits[0], max(_CHUNK, int(limits[1] * bytes_per_s))
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._ended = False
        self.passed = 0
        self.deepest = 0
        self._wire: deque[tuple[float, bytes]] = deque()  # on its way, with the time of arrival
        self.threads = [threading.Thread(target=t, daemon=True) for t in (self._fill, self._send, self._arrive)]

    def _fill(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._source.recv(_CHUNK):
                with self._changed:
                    self._changed.wait_for(lambda: self._size + len(data) <= self._room or self._ended)
                    self._queue.append(data)
                    self._size += len(data)
                    self.deepest = max(self.deepest, self._size)
                    self._changed.notify_all()
        self._end()

    def _send(self) -> None:
        free = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._ended)
                if not self._queue:
                    return
                data = self._queue[0]
            free = max(free, time.monotonic()) + len(data) / self._rate
            time.sleep(max(0.0, free - time.monotonic()))
            with self._changed:
                self._queue.popleft()
                self._size -= len(data)
                self._wire.append((free + self._latency_s, data))
                self._changed.notify_all()

    def _arrive(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wire or (self._ended and not self._queue))
                if not self._wire:
                    return
                due, data = self._wire.popleft()
            time.sleep(max(0.0, due - time.monotonic()))
            with contextlib.suppress(OSError):
                self._drain.sendall(data)
                self.passed += len(data)

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        for sock in (self._source, self._drain):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class NarrowLink:
    """Listens at ``port``, forwards to ``target``."""

    def __init__(self, target: int, *, bits_per_s: float, latency_s: float = 0.03, queue_s: float = 1.0) -> None:
        self._target = target
        self._rate = bits_per_s / 8
        self._limits = (latency_s, queue_s)
        self.ways: list[_Way] = []
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)  # inherited, before the handshake
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            broker = socket.create_connection(("127.0.0.1", self._target))
            for sock in (client, broker):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
            pair = [_Way(client, broker, self._rate, self._limits), _Way(broker, client, self._rate, self._limits)]
            self.ways += pair
            for way in pair:
                for thread in way.threads:
                    thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for way in self.ways:
            way._end()
