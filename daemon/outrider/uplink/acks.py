"""What the receiver says, believed only when it can be: signed with this device's key, and newer than the last.

A replayed acknowledgement could do no harm (positions only grow), so the memory of the last counter is dropped with the
connection, and when acknowledgements stay away: a receiver whose clock went back is believed again after that.
"""

from __future__ import annotations

from outrider.errors import WireError
from outrider.wire.ack import Ack, verify_ack


class ReplayedError(WireError):
    """An acknowledgement whose counter is not larger than that of the last one."""


class AckReader:
    """Verifies acknowledgements for one device. key: shared with the receiver."""

    def __init__(self, device: str, key: bytes) -> None:
        self._device = device
        self._key = key
        self._counter = -1

    def read(self, payload: bytes) -> Ack:
        """The acknowledgement; WireError when forged or damaged, ReplayedError when old."""
        ack = verify_ack(payload, self._key, self._device)
        if ack.counter <= self._counter:
            raise ReplayedError(f"acknowledgement {ack.counter} is not newer than {self._counter}")
        self._counter = ack.counter
        return ack

    def forget(self) -> None:
        self._counter = -1
