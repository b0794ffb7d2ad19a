"""One (epoch, lane) of the log on its way: what was sent beyond the cursor, and when to send it again.

The acknowledgement timer runs from the PUBACK of the oldest unacknowledged batch (a slow link is the PUBACK time-out's
business). When it expires the flow goes back to the cursor and *probes*: one batch in the air, at doubling intervals,
until an acknowledgement moves the cursor. So a receiver that is down costs a batch an interval and no more.

While a backlog drains, the newest records may go *ahead* of it (``record_ahead``). They stay unacknowledged until the
backlog has reached them, and count as sent then; when anything goes wrong before, they are sent again in their turn.
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
        self.sent: deque[Batch] = deque()  # in sequence
        self.ahead: deque[Batch] = deque()  # beyond a stretch that is not sent yet; in sequence
        self.ahead_bytes = 0
        self.last_ahead_us: int | None = None
        self._settled_at = 0  # what went ahead and is in sequence now ends here
        self.unacknowledged_bytes = 0  # of both
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
        """In its turn; without what went ahead."""
        return max(0, self.durable - self.next_seq + 1 - sum(b.last - b.first + 1 for b in self.ahead))

    @property
    def is_settling(self) -> bool:
        """What went ahead is in sequence now, and whether it arrived is not known yet: beyond it would be a hole."""
        return self.acknowledged < self._settled_at

    @property
    def turn_end(self) -> int:
        """Last sequence of the stretch that is in turn now."""
        return self.ahead[0].first - 1 if self.ahead else self.durable

    @property
    def ahead_from(self) -> int:
        """The first sequence that neither went ahead nor, without any that did, is next in turn."""
        return self.ahead[-1].last + 1 if self.ahead else self.next_seq

    @property
    def resending(self) -> bool:
        return self.next_seq <= self.highest_sent

    def record_sent(self, first: int, last: int, size: int, token: int, now_us: int) -> None:
        if first > self.next_seq and self.next_seq == self.floor:
            self.floor = first  # the log does not hold what lay before any more
        self.sent.append(Batch(first, last, size, token))
        self.unacknowledged_bytes += size
        self._move_on(last + 1)
        self.waiting_since_us = now_us if self.unsent else None

    def record_ahead(self, batch: Batch, limit_bytes: int, now_us: int) -> None:
        """``batch`` went out of turn. Beyond limit_bytes the oldest that did are forgotten: sent again in turn."""
        self.ahead.append(batch)
        self.ahead_bytes += batch.size
        self.unacknowledged_bytes += batch.size
        while self.ahead_bytes > limit_bytes and len(self.ahead) > 1:
            self._forget_ahead()
        self.last_ahead_us = now_us
        self._move_on(self.next_seq)
        self.waiting_since_us = now_us if self.unsent else None

    def _forget_ahead(self) -> Batch:
        batch = self.ahead.popleft()
        self.ahead_bytes -= batch.size
        self.unacknowledged_bytes -= batch.size
        return batch

    def _move_on(self, next_seq: int) -> None:
        """What went ahead is in sequence once all before it is sent."""
        self.next_seq = max(self.next_seq, next_seq)
        while self.ahead and self.ahead[0].first <= self.next_seq:
            batch = self._forget_ahead()
            self.sent.append(batch)
            self.unacknowledged_bytes += batch.size
            self.next_seq = max(self.next_seq, batch.last + 1)
            self._settled_at = batch.last
        self.highest_sent = max(self.highest_sent, self.next_seq - 1)

    def puback(self, token: int, now_us: int) -> bool:
        for batch in (*self.sent, *self.ahead):
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
            position = max(position or 0, batch.last)  # one over a jump may reach beyond what went ahead
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
        self._move_on(up_to + 1)
        while self.sent and self.sent[0].last <= up_to:
            self.unacknowledged_bytes -= self.sent.popleft().size

    def lose_link(self) -> None:
        """Back to the cursor. What had no PUBACK yet may be what the broker hung up on."""
        self.strikes += any(batch.puback_us is None for batch in (*self.sent, *self.ahead))
        self.rewind()

    def rewind(self) -> None:
        """Everything beyond the cursor will be sent again."""
        self.sent.clear()
        self.ahead.clear()
        self.unacknowledged_bytes = self.ahead_bytes = 0
        self.last_ahead_us = None
        self._settled_at = 0
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
