"""A broker that plays a part: it answers as a good one would, but for what a test makes it say."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from tests.support.mqtt_packets import (
    CONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBLISH,
    SUBACK,
    SUBSCRIBE,
    body_at,
    connack,
    connect_level,
    packet,
    packets,
    publish_parts,
)


class HostileBroker:
    """``script(connection, kind)`` is called for each packet that came: bytes to answer instead, None: as usual.

    seen: (topic, payload) published.
    """

    def __init__(self, script: Callable[[int, int], bytes | None] | None = None) -> None:
        self._script = script or (lambda _connection, _kind: None)
        self.connections = 0
        self.confirm = True
        self.seen: list[tuple[str, bytes]] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def say(self, data: bytes) -> None:
        """To the newest connection."""
        with contextlib.suppress(OSError):
            self._sockets[-1].sendall(data)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                sock, _address = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.append(sock)
            self._threads.append(threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True))
            self._threads[-1].start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        buffer, level = bytearray(), 5
        with contextlib.suppress(OSError), sock:
            while data := sock.recv(65536):
                buffer += data
                for one in packets(buffer):
                    kind = one[0] >> 4
                    if kind == CONNECT:
                        level = connect_level(one)
                    answer = self._script(number, kind)
                    sock.sendall(self._usual(one, level) if answer is None else answer)

    def _usual(self, one: bytes, level: int) -> bytes:
        kind, start = one[0] >> 4, body_at(one)
        if kind == CONNECT:
            return connack(level)
        if kind == SUBSCRIBE:
            return packet(SUBACK, one[start : start + 2] + (b"\0" if level == 5 else b"") + b"\0")
        if kind == PINGREQ:
            return packet(PINGRESP, b"")
        if kind == PUBLISH and one[0] & 0x06:
            topic, ident, payload = publish_parts(one, level)
            self.seen.append((topic, payload))
            return packet(PUBACK, ident) if self.confirm else b""
        return b""
