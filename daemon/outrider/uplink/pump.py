"""From the log to the link: reads what the core asks for, encodes it, hands it over when the window admits it.

Pure but for the seams it is given. At most one encoded batch per lane, and one ahead of its turn, is kept while the
window has no room for it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from outrider.model.record import Lane, StoredRecord
from outrider.ports import RecordLog
from outrider.uplink.core import Request, SendCore
from outrider.uplink.traffic import publish_bytes
from outrider.wire.codec import encode_batch
from outrider.wire.topics import Topics

_log = logging.getLogger(__name__)

NO_LIMIT: Final = 268_435_455  # bytes; the largest packet MQTT knows
_PACKET_OVERHEAD: Final = 16  # header, lengths, id and empty properties of a PUBLISH


class Outlet(Protocol):
    """Where payloads go: the link, or a test's list."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int: ...

    def is_writable(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Encoded:
    first: int
    last: int
    payload: bytes
    plain: bool


class Pump:
    """Sends until nothing may be sent any more. counters: ``published``, ``encode_faults``, ``log_faults``,
    ``too_large``."""

    def __init__(
        self, log: RecordLog, core: SendCore, topics: Topics, counters: Counter[str], sent_bytes: Counter[str]
    ) -> None:
        self._log = log
        self._core = core
        self._topics = topics
        self._counters = counters
        self._sent_bytes = sent_bytes
        self._kept: dict[tuple[Lane, bool], tuple[int, _Encoded]] = {}  # (lane, ahead of its turn)
        self._tokens: dict[int, int] = {}
        self._room = NO_LIMIT
        self._v5 = True
        self._told: Request | None = None

    def connected(self, packet_maximum: int = NO_LIMIT, *, v5: bool = True) -> None:
        """packet_maximum: bytes the broker takes in one packet. v5: MQTT 5 is spoken."""
        self._v5 = v5
        self._room = packet_maximum - _PACKET_OVERHEAD
        self._kept.clear()
        self._tokens.clear()

    def fits(self, topic: str, payload: bytes) -> bool:
        """Does the broker take a packet of this size?"""
        return len(topic) + len(payload) <= self._room

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
        self._sent_bytes["status"] += publish_bytes(self._topics.status, len(payload), qos=1, v5=self._v5)
        return mid

    def _send(self, outlet: Outlet, request: Request, now_us: int) -> None:
        encoded = self._prepare(request)
        if encoded is None:
            self._core.nothing_there(request, now_us)
            return
        token = self._core.admit(request, encoded.first, encoded.last, len(encoded.payload), now_us)
        if token is None:
            self._kept[request.lane, request.ahead] = (request.epoch, encoded)
            return
        topic = self._topics.for_lane(request.lane)
        mid = outlet.publish(topic, encoded.payload)
        self._tokens[mid] = token
        self._counters["published"] += 1
        self._sent_bytes[request.lane.name.lower()] += publish_bytes(topic, len(encoded.payload), qos=1, v5=self._v5)

    def _prepare(self, request: Request) -> _Encoded | None:
        """The batch asked for: kept from before, or read and encoded now; None when the log has none."""
        epoch, kept = self._kept.pop((request.lane, request.ahead), (0, None))
        if kept is not None and (epoch, kept.first, kept.plain) == (request.epoch, request.first_seq, request.plain):
            return kept
        try:
            records = self._log.read(
                request.epoch, request.lane, request.first_seq, request.max_records, request.max_bytes
            )
        except Exception as err:  # noqa: BLE001  JournalError or a fault of ours: the other lanes go on
            self._counters["log_faults"] += 1
            _log.warning("cannot read lane %s from %d: %s", request.lane.name, request.first_seq, err)
            return None
        behind = self._core.behind(request, records[0].seq) if records else 0
        while records:
            payload = self._encode(request, records, behind)
            if payload is not None and self.fits(self._topics.for_lane(request.lane), payload):
                return _Encoded(records[0].seq, records[-1].seq, payload, request.plain)
            if payload is not None and len(records) == 1:
                self._tell_too_large(request, len(payload))
            records = records[: len(records) // 2]
        return None

    def _encode(self, request: Request, records: list[StoredRecord], behind: int) -> bytes | None:
        """None: not even without columns. A fault of the encoder must not keep the records here for ever."""
        historical = self._core.is_historical(request, records[-1].seq)
        for plain in (False, True)[request.plain :]:
            try:
                return encode_batch(self._topics.device, records, behind=behind, plain=plain, historical=historical)
            except Exception:  # noqa: BLE001  a fault of the encoder must not hold up the lane
                self._counters["encode_faults"] += 1
                _log.exception("cannot encode lane %s from %d", request.lane.name, records[0].seq)
        return None

    def _tell_too_large(self, request: Request, size: int) -> None:
        """It stays on flash and its lane waits; the others go on. Logged once, not at each attempt."""
        self._counters["too_large"] += 1
        if self._told != request:
            _log.error(
                "record %d of lane %s: %d bytes are more than the broker takes; raise its packet limit",
                request.first_seq,
                request.lane.name,
                size,
            )
        self._told = request
