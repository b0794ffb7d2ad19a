"""One (epoch, lane) of the log on its way: what was sent beyond the cursor, and when to send it again.

The acknowledgement timer runs from the PUBACK of the oldest unacknowledged batch (a slow link is the PUBACK time-out's
business). When it expires the flow goes back to the cursor and *probes*: one batch in the air, at doubling intervals,
until an acknowledgement moves the cursor. So a receiver that is down costs a batch an interval and no more.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from outrider.ports import Stream


@dataclass(slots=True)
class Batch:
    """A batch sent and not yet acknowledged: sequences first..last, ``size`` payload bytes."""

    first: int
    last: int
    size: int
    token: int
    puback_us: int | None = None


class Flow:
    """State of one stream. Sequences count from 1; ``next_seq`` is the next one to send."""

    def __init__(self, stream: Stream, timeouts_us: tuple[int, int]) -> None:
        """timeouts_us: first and longest wait for an acknowledgement."""
        self.epoch = stream.epoch
        self.lane = stream.lane
        self.acknowledged = stream.acknowledged
        self.durable = stream.durable
        self.next_seq = stream.acknowledged + 1
        self.floor = stream.acknowledged + 1  # lowest sequence the terminal still holds
        self.highest_sent = stream.acknowledged
        self.sent: deque[Batch] = deque()
        self.unacknowledged_bytes = 0
        self.probing = False
        self.strikes = 0  # times it went back to the cursor since that last moved
        self.proved = False  # an acknowledgement moved the cursor on this connection
        self.waiting_since_us: int | None = None
        self.retry_read_us = 0
        self._first_timeout_us, self._cap_us = timeouts_us
        self._interval_us = self._first_timeout_us
        self._progress_us = 0

    def update(self, acknowledged: int, durable: int, now_us: int) -> None:
        """What the log says now; its cursor may have moved by retention."""
        if acknowledged > self.acknowledged:
            self._forget(acknowledged)
        if durable > self.durable:
            self.durable = durable
            self.retry_read_us = 0
        if self.next_seq > self.durable:
            self.waiting_since_us = None
        elif self.waiting_since_us is None:
            self.waiting_since_us = now_us

    @property
    def unsent(self) -> int:
        return max(0, self.durable - self.next_seq + 1)

    @property
    def resending(self) -> bool:
        return self.next_seq <= self.highest_sent

    def record_sent(self, first: int, last: int, size: int, token: int, now_us: int) -> None:
        if first > self.next_seq and self.next_seq == self.floor:
            self.floor = first  # the log does not hold what lay before any more
        self.sent.append(Batch(first, last, size, token))
        self.unacknowledged_bytes += size
        self.next_seq = last + 1
        self.highest_sent = max(self.highest_sent, last)
        self.waiting_since_us = now_us if self.unsent else None

    def puback(self, token: int, now_us: int) -> bool:
        for batch in self.sent:
            if batch.token == token:
                batch.puback_us = now_us
                return True
        return False

    def broker_position(self) -> int | None:
        """Highest sequence up to which, without a hole, everything has its PUBACK (broker mode)."""
        position = None
        for batch in self.sent:
            if batch.puback_us is None:
                break
            position = batch.last
        return position

    def acknowledge(self, up_to: int, now_us: int) -> bool:
        """True when the cursor moved."""
        if up_to <= self.acknowledged:
            return False
        self._forget(up_to)
        self.probing = False
        self.proved = True
        self._interval_us = self._first_timeout_us
        self._progress_us = now_us
        return True

    def _forget(self, up_to: int) -> None:
        self.strikes = 0
        self.acknowledged = up_to
        self.floor = max(self.floor, up_to + 1)
        self.next_seq = max(self.next_seq, up_to + 1)
        self.highest_sent = max(self.highest_sent, up_to)
        while self.sent and self.sent[0].last <= up_to:
            self.unacknowledged_bytes -= self.sent.popleft().size

    def lose_link(self) -> None:
        """Back to the cursor. What had no PUBACK yet may be what the broker hung up on."""
        self.strikes += any(batch.puback_us is None for batch in self.sent)
        self.rewind()

    def rewind(self) -> None:
        """Everything beyond the cursor will be sent again."""
        self.sent.clear()
        self.unacknowledged_bytes = 0
        self.next_seq = self.floor

    def deadline_us(self) -> int | None:
        """When the acknowledgement of the oldest batch is overdue; None while none is awaited."""
        if not self.sent or self.sent[0].puback_us is None:
            return None
        return max(self.sent[0].puback_us, self._progress_us) + self._interval_us

    def time_out(self, jitter: float) -> None:
        """No acknowledgement came: back to the cursor, longer interval (times ``jitter``, about 1)."""
        self.rewind()
        self.probing = True
        self.strikes += 1
        self._interval_us = min(round(self._interval_us * 2 * jitter), self._cap_us)

    def encourage(self) -> None:
        """The receiver answered another stream: it lives, so wait for it no longer than at first."""
        self._interval_us = min(self._interval_us, self._first_timeout_us)
