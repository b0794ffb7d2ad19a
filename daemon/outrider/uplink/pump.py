"""From the log to the link: reads what the core asks for, encodes it, hands it over when the window admits it.

Pure but for the seams it is given. At most one encoded batch per lane is kept while the window has no room for it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from outrider.errors import JournalError, WireError
from outrider.model.record import Lane
from outrider.ports import RecordLog
from outrider.uplink.core import Request, SendCore
from outrider.wire.codec import encode_batch
from outrider.wire.topics import Topics

_log = logging.getLogger(__name__)


class Outlet(Protocol):
    """Where payloads go: the link, or a test's list."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int: ...

    def is_writable(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Encoded:
    first: int
    last: int
    payload: bytes


class Pump:
    """Sends until nothing may be sent any more. counters: ``published``, ``encode_faults``, ``log_faults``."""

    def __init__(
        self, log: RecordLog, core: SendCore, topics: Topics, counters: Counter[str], sent_bytes: Counter[str]
    ) -> None:
        self._log = log
        self._core = core
        self._topics = topics
        self._counters = counters
        self._sent_bytes = sent_bytes
        self._kept: dict[Lane, tuple[int, _Encoded]] = {}
        self._tokens: dict[int, int] = {}

    def connected(self) -> None:
        self._kept.clear()
        self._tokens.clear()

    def token(self, mid: int) -> int | None:
        """The window token of a message id, once."""
        return self._tokens.pop(mid, None)

    def run(self, outlet: Outlet, now: Callable[[], int], *, urgent_only: bool = False) -> bool:
        """Send what may be sent. True: more could go, but the socket has no room; call again when it has.

        LinkError of the outlet passes through.
        """
        while (request := self._core.next(now(), urgent_only=urgent_only)) is not None:
            if request.lane is not Lane.EMERGENCY and not outlet.is_writable():
                return True
            self._send(outlet, request, now())
        return False

    def send_status(self, outlet: Outlet, payload: bytes, now_us: int) -> int | None:
        """The birth document, retained; its message id, or None while the window is full."""
        token = self._core.admit_status(len(payload), now_us)
        if token is None:
            return None
        mid = outlet.publish(self._topics.status, payload, retain=True)
        self._tokens[mid] = token
        self._sent_bytes["status"] += len(payload)
        return mid

    def _send(self, outlet: Outlet, request: Request, now_us: int) -> None:
        encoded = self._prepare(request)
        if encoded is None:
            self._core.nothing_there(request, now_us)
            return
        token = self._core.admit(request, encoded.first, encoded.last, len(encoded.payload), now_us)
        if token is None:
            self._kept[request.lane] = (request.epoch, encoded)
            return
        mid = outlet.publish(self._topics.for_lane(request.lane), encoded.payload)
        self._tokens[mid] = token
        self._counters["published"] += 1
        self._sent_bytes[request.lane.name.lower()] += len(encoded.payload)

    def _prepare(self, request: Request) -> _Encoded | None:
        """The batch asked for: kept from before, or read and encoded now; None when the log has none."""
        epoch, kept = self._kept.pop(request.lane, (0, None))
        if kept is not None and (epoch, kept.first) == (request.epoch, request.first_seq):
            return kept
        try:
            records = self._log.read(
                request.epoch, request.lane, request.first_seq, request.max_records, request.max_bytes
            )
        except JournalError as err:
            self._counters["log_faults"] += 1
            _log.warning("cannot read lane %s from %d: %s", request.lane.name, request.first_seq, err)
            return None
        behind = self._core.behind(request, records[0].seq) if records else 0
        while records:
            try:
                payload = encode_batch(self._topics.device, records, behind=behind)
            except WireError as err:
                self._counters["encode_faults"] += 1
                _log.error("cannot encode lane %s from %d: %s", request.lane.name, records[0].seq, err)
                records = records[: len(records) // 2]
                continue
            return _Encoded(records[0].seq, records[-1].seq, payload)
        return None
