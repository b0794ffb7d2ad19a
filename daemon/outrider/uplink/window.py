"""The send window: how many messages and bytes may be with the broker without a PUBACK.

Two byte budgets, so that an emergency never waits behind anything else: ``emergency_bytes`` belongs to the emergency
lane alone, the rest to all others; and the last message slot is never given to the others. A single message larger than
its budget passes when its budget is empty. The bound is therefore::

    others    <= window_bytes - emergency_bytes, or one message
    emergency <= emergency_bytes, or one message
    messages  <= min(window_messages, Receive Maximum)
"""

from __future__ import annotations

from dataclasses import dataclass

from outrider.uplink.options import SendOptions


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

    def open(self, receive_maximum: int) -> None:
        """A new connection: nothing is on the way. receive_maximum: the broker's, 65535 when it named none."""
        self._limit = max(1, min(self._options.window_messages, receive_maximum))
        self._slots.clear()
        self._bytes = {True: 0, False: 0}

    def has_slot(self, urgent: bool) -> bool:
        others = self._limit if urgent or self._limit == 1 else self._limit - 1
        return len(self._slots) < others

    def fits(self, size: int, urgent: bool) -> bool:
        budget = self._options.emergency_bytes
        if not urgent:
            budget = self._options.window_bytes - budget
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

    def release(self, token: int) -> bool:
        """The PUBACK came. False for a token that is not on the way (a connection ago)."""
        slot = self._slots.pop(token, None)
        if slot is None:
            return False
        self._bytes[slot.urgent] -= slot.size
        return True

    def oldest_us(self, *, urgent: bool = False) -> int | None:
        """When the message that waits longest was sent; urgent: of the emergency lane."""
        return next((slot.since_us for slot in self._slots.values() if slot.urgent or not urgent), None)

    @property
    def limit(self) -> int:
        return self._limit

    @property
    def messages(self) -> int:
        return len(self._slots)

    @property
    def bytes(self) -> int:
        return self._bytes[True] + self._bytes[False]
