"""``Answers``: what comes back, PUBACKs and acknowledgements, into window, log and tally. Pure but for the log.

A PUBACK moves the send window (and, in broker mode, the cursor); an acknowledgement that can be believed moves the
log's cursor. What is refused is counted: ``acks_forged``, ``acks_replayed``, ``acks_absurd``, ``puback_refused``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from outrider.errors import LinkError, WireError
from outrider.model.record import Lane
from outrider.ports import RecordLog
from outrider.uplink.acks import AckReader, ReplayedError
from outrider.uplink.core import Position, SendCore
from outrider.uplink.pump import Pump
from outrider.uplink.tally import Tally
from outrider.uplink.traffic import PUBACK_BYTES, publish_bytes

_log = logging.getLogger(__name__)

OnAcknowledged = Callable[[int, Lane, int, int], None]  # epoch, lane, up_to_seq, boottime_us


class Answers:
    """Not thread-safe; on_acknowledged is called in between and must only enqueue."""

    def __init__(
        self,
        *,
        log: RecordLog,
        core: SendCore,
        pump: Pump,
        acks: AckReader,
        tally: Tally,
        on_acknowledged: OnAcknowledged | None,
    ) -> None:
        self._log = log
        self._core = core
        self._pump = pump
        self._acks = acks
        self._tally = tally
        self._on_acknowledged = on_acknowledged

    def puback(self, mid: int, reason: str | None, now_us: int) -> None:
        """The broker has message ``mid``. LinkError when it refused it: the next connection tries again."""
        if reason is not None:
            self._tally.counters["puback_refused"] += 1
            raise LinkError(f"broker refused a message: {reason}")
        self._tally.counters["pubacks"] += 1
        self._tally.received["puback"] += PUBACK_BYTES
        self._tally.last_puback_us = now_us
        token = self._pump.token(mid)
        if token is not None and (position := self._core.puback(token, now_us)) is not None:
            self._advance(position, now_us)

    def acknowledgement(self, topic: str, payload: bytes, now_us: int) -> bool:
        """What came on the acknowledgement topic. False: not believed."""
        self._tally.received["ack"] += publish_bytes(topic, len(payload), qos=0, v5=True)
        try:
            ack = self._acks.read(payload)
        except ReplayedError:
            self._tally.counters["acks_replayed"] += 1
            return False
        except WireError as err:
            self._tell(self._count("acks_forged"), str(err))
            return False
        self._tally.counters["acks"] += 1
        self._tally.last_ack_us = now_us
        for position in ack.positions:
            self._advance(Position(position.epoch, position.lane, position.up_to_seq), now_us)
        return True

    def settle(self, now_us: int) -> None:
        """After a look at the log: what is final now (broker mode)."""
        for position in self._core.settled():
            self._advance(position, now_us)

    def forget(self) -> None:
        """Acknowledgements stay away, or the connection ended: a receiver whose clock went back is believed again."""
        self._acks.forget()

    def _advance(self, position: Position, now_us: int) -> None:
        if position.up_to_seq == 0:
            return  # the receiver knows the stream and holds nothing of it yet
        if not self._log.acknowledge(position.epoch, position.lane, position.up_to_seq):
            self._tell(self._count("acks_absurd"), f"absurd acknowledgement refused: {position}")
            return
        if not self._core.acknowledged(position.epoch, position.lane, position.up_to_seq, now_us):
            return
        self._tally.progress_us = now_us
        self._tally.trouble = None
        if self._on_acknowledged is not None:
            self._on_acknowledged(position.epoch, position.lane, position.up_to_seq, now_us)

    def _count(self, name: str) -> int:
        self._tally.counters[name] += 1
        return self._tally.counters[name]

    @staticmethod
    def _tell(count: int, text: str) -> None:
        """At 1, 2, 4, 8 and so on: whoever floods us does not fill the log as well."""
        if count & (count - 1) == 0:
            _log.warning("uplink: %s (%d)", text, count)
