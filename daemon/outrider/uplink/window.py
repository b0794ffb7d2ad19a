"""The send window: how many messages and bytes may be with the broker without a PUBACK.

Two byte budgets, so that an emergency never waits behind anything else: ``emergency_bytes`` belongs to the emergency
lane alone, the rest to all others; and the last message slot is never given to the others. A single message larger than
its budget passes when its budget is empty. The bound is therefore::

    others    <= window_bytes - emergency_bytes, or one message
    emergency <= emergency_bytes, or one message
    messages  <= min(window_messages, Receive Maximum)

What the others have on the way waits in the modem's queue, and an emergency behind it. So their share shrinks while a
PUBACK takes longer than ``queue_s`` beyond the shortest time seen on this connection, and grows while it takes less
than half of that (the idea of LEDBAT, RFC 6817): on a thin link little is on the way, on a wide one all that may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from outrider.uplink.options import SendOptions

_LEAST_BYTES: Final = 3_000  # two segments
_STEP_BYTES: Final = 1_500


@dataclass(frozen=True, slots=True)
class _Slot:
    size: int
    urgent: bool
    since_us: int


class SendWindow:
    """Who is on the way. Tokens count up and are never used twice."""

    def __init__(self, options: SendOptions) -> None:
        self._options = options
        self._limit = options.window_messages
        self._slots: dict[int, _Slot] = {}
        self._bytes = {True: 0, False: 0}
        self._token = 0
        self._share = options.window_bytes - options.emergency_bytes
        self._least_us: int | None = None

    def open(self, receive_maximum: int) -> None:
        """A new connection: nothing is on the way. receive_maximum: the broker's, 65535 when it named none."""
        self._limit = max(1, min(self._options.window_messages, receive_maximum))
        self._slots.clear()
        self._bytes = {True: 0, False: 0}
        self._least_us = None

    def has_slot(self, urgent: bool) -> bool:
        others = self._limit if urgent or self._limit == 1 else self._limit - 1
        return len(self._slots) < others

    def fits(self, size: int, urgent: bool) -> bool:
        budget = self._options.emergency_bytes if urgent else self._share
        used = self._bytes[urgent]
        return self.has_slot(urgent) and (used == 0 or used + size <= budget)

    def take(self, size: int, urgent: bool, now_us: int) -> int | None:
        """A token for a message of ``size`` bytes, or None while it does not fit."""
        if not self.fits(size, urgent):
            return None
        self._token += 1
        self._slots[self._token] = _Slot(size, urgent, now_us)
        self._bytes[urgent] += size
        return self._token

    def release(self, token: int, now_us: int) -> bool:
        """The PUBACK came. False for a token that is not on the way (a connection ago)."""
        slot = self._slots.pop(token, None)
        if slot is None:
            return False
        self._bytes[slot.urgent] -= slot.size
        self._adapt(now_us - slot.since_us)
        return True

    def _adapt(self, took_us: int) -> None:
        """The share of the others, to what waits on the way."""
        self._least_us = took_us if self._least_us is None else min(self._least_us, took_us)
        waited_us, limit_us = took_us - self._least_us, self._options.queue_s * 1e6
        whole = self._options.window_bytes - self._options.emergency_bytes
        if waited_us > limit_us:
            self._share = max(min(_LEAST_BYTES, whole), self._share * 3 // 4)
        elif waited_us < limit_us / 2:
            self._share = min(whole, self._share + _STEP_BYTES)

    def oldest_us(self, *, urgent: bool = False) -> int | None:
        """When the message that waits longest was sent; urgent: of the emergency lane."""
        return next((slot.since_us for slot in self._slots.values() if slot.urgent or not urgent), None)

    @property
    def limit(self) -> int:
        return self._limit

    @property
    def share(self) -> int:
        """Bytes that the others may have on the way now."""
        return self._share

    @property
    def messages(self) -> int:
        return len(self._slots)

    @property
    def bytes(self) -> int:
        return self._bytes[True] + self._bytes[False]
