"""What two listeners of a broker on loopback carried, byte by byte: every IP packet, counted by a packet socket.

Needs CAP_NET_RAW (root). A socket for IP alone sees each packet of loopback once, on its way in.
"""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass
from typing import Final, Self

ETH_P_IP: Final = 0x0800
TCP: Final = 6


@dataclass(frozen=True)
class Wire:
    """IP bytes and packets to the port and from it."""

    up: int = 0
    down: int = 0
    packets_up: int = 0
    packets_down: int = 0

    def __sub__(self, other: Wire) -> Wire:
        return Wire(
            self.up - other.up,
            self.down - other.down,
            self.packets_up - other.packets_up,
            self.packets_down - other.packets_down,
        )

    @property
    def bytes(self) -> int:
        return self.up + self.down


class WireMeter:
    """``wire`` at any time, of one TCP port of 127.0.0.1. PermissionError without the right to look."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
        self._socket.bind(("lo", ETH_P_IP))
        self._socket.settimeout(0.2)
        self._counts = [0, 0, 0, 0]
        self._stop = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wire(self) -> Wire:
        return Wire(*self._counts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop = True
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._stop:
            try:
                data = self._socket.recv(65_600)
            except TimeoutError:
                continue
            self._count(data[14:])

    def _count(self, packet: bytes) -> None:
        if len(packet) < 20 or packet[9] != TCP:
            return
        head = (packet[0] & 15) * 4
        source, target = struct.unpack_from(">HH", packet, head)
        (length,) = struct.unpack_from(">H", packet, 2)
        if self._port in (source, target):
            way = 0 if target == self._port else 1
            self._counts[way] += length
            self._counts[2 + way] += 1
