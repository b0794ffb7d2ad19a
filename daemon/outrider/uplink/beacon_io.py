"""``BeaconSlot``: one beacon on its way from the driving side to the socket, and no more.

Beacons are the one thing that does not go through the journal: an old one is of no use. So nothing is queued: without a
connection a beacon is dropped, and one that waits for a slow socket gives way to the next. Both are counted.
"""

from __future__ import annotations

import threading
from typing import Protocol


class BeaconOutlet(Protocol):
    """The link, or a test's list."""

    def publish_once(self, topic: str, payload: bytes) -> int: ...

    def is_writable(self) -> bool: ...


class BeaconSlot:
    """``put`` from any thread, never blocks; all else on the sending thread."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._lock = threading.Lock()
        self._payload: bytes | None = None
        self._open = False
        self._sent = self._sent_bytes = self._dropped = 0

    def open(self) -> None:
        """There is a connection."""
        with self._lock:
            self._open = True

    def close(self) -> None:
        """There is none any more; what waited is dropped."""
        with self._lock:
            self._open = False
            self._dropped += self._payload is not None
            self._payload = None

    def put(self, payload: bytes) -> bool:
        """False: dropped, there is no connection. A beacon that still waits is dropped for this one."""
        with self._lock:
            if not self._open:
                self._dropped += 1
                return False
            self._dropped += self._payload is not None
            self._payload = payload
            return True

    def send(self, outlet: BeaconOutlet, *, anyway: bool = False) -> None:
        """Hand over what waits, if the socket takes it now. anyway: also if it does not (the last of a connection)."""
        with self._lock:
            if self._payload is None or not (anyway or outlet.is_writable()):
                return
            payload, self._payload = self._payload, None
            self._sent += 1
        size = outlet.publish_once(self._topic, payload)
        with self._lock:
            self._sent_bytes += size

    def is_waiting(self) -> bool:
        with self._lock:
            return self._payload is not None

    def counters(self) -> dict[str, int]:
        with self._lock:
            return {"beacons": self._sent, "beacons_dropped": self._dropped}

    def sent_bytes(self) -> int:
        """Whole MQTT packets."""
        with self._lock:
            return self._sent_bytes
