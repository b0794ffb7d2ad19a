"""``StallWatch``: does the upload get on? If not, why. Pure.

It stalls when for ``stall_s`` something waited that may go, a network was there as far as is known, and no
acknowledgement moved the log's cursor (rows of telemetry that wait for company have the time of that on top); or when
acknowledgements do come and the backlog grew all the same in three stretches of ``stall_s`` one after the other. It has
resumed with the next acknowledgement that moves the cursor, or, where it was only too slow, when the backlog is smaller
than it was a stretch before.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from outrider.model.network import Path
from outrider.model.notice import Notice, NoticeCode, NoticeLevel

_STRETCHES: Final = 3


class Why(StrEnum):
    """Of the last attempts."""

    NO_CONNECTION = "no_connection"  # no address, no route, nobody listens, no TLS
    REFUSED = "refused"  # the broker wants none of us: credentials, rights, version
    NO_PUBACK = "no_puback"  # the broker is silent
    NO_ACKS = "no_acks"  # no receiver behind it, or a wrong key on either side
    TOO_SLOW = "too_slow"  # acknowledged, but more is made than goes through


@dataclass(frozen=True, slots=True)
class Situation:
    """backlog: durable records that may go and are not acknowledged. progress_us: when the cursor last moved.
    company_s: all of them may still wait so long for a full batch."""

    now_us: int
    backlog: int
    progress_us: int | None
    connected: bool
    trouble: Why | None  # what ended the last connection
    path: Path = Path.UNKNOWN
    oldest_s: float | None = None
    company_s: float = 0.0


class StallWatch:
    """stall_s: see the module. least: a backlog that is no larger does not grow (what waits for a full batch)."""

    def __init__(self, stall_s: float, least: int) -> None:
        self.why: Why | None = None
        self._stall_us = round(stall_s * 1e6)
        self._least = least
        self._waiting_us: int | None = None
        self._stretches: deque[int] = deque(maxlen=_STRETCHES + 1)
        self._stretch_us: int | None = None
        self._since_us = 0

    def look(self, s: Situation) -> Notice | None:
        """Call about once a second; what is to be told, if anything is."""
        if s.backlog == 0 or s.path is Path.NONE:
            self._waiting_us = None
        elif self._waiting_us is None:
            self._waiting_us = s.now_us
        grows = self._is_growing(s)
        if self.why is None:
            return self._begin(s, grows)
        if self._has_resumed(s):
            return self._end(s)
        return None

    def _begin(self, s: Situation, grows: bool) -> Notice | None:
        limit_us = self._stall_us + round(s.company_s * 1e6)
        waited = self._waiting_us is not None and s.now_us - max(self._waiting_us, s.progress_us or 0) >= limit_us
        if not waited and not grows:
            return None
        self.why = _reason(s) if waited else Why.TOO_SLOW
        self._since_us = s.now_us
        detail = [("why", self.why.value), ("backlog_records", str(s.backlog))]
        if s.oldest_s is not None:
            detail.append(("oldest_s", f"{s.oldest_s:.0f}"))
        if s.progress_us is not None:
            detail.append(("last_ack_s", f"{(s.now_us - s.progress_us) / 1e6:.0f}"))
        return Notice(NoticeCode.UPLOAD_STALLED, NoticeLevel.WARNING, tuple(detail))

    def _has_resumed(self, s: Situation) -> bool:
        if s.backlog == 0:
            return True
        if self.why is Why.TOO_SLOW:
            return bool(self._stretches) and s.backlog < self._stretches[-1]
        return s.progress_us is not None and s.progress_us > self._since_us

    def _end(self, s: Situation) -> Notice:
        assert self.why is not None
        detail = (
            ("why", self.why.value),
            ("stalled_s", f"{(s.now_us - self._since_us) / 1e6:.0f}"),
            ("backlog_records", str(s.backlog)),
        )
        self.why = None
        self._stretches.clear()
        self._stretch_us = None
        return Notice(NoticeCode.UPLOAD_RESUMED, NoticeLevel.INFO, detail)

    def _is_growing(self, s: Situation) -> bool:
        """While connected; measured once a stretch."""
        if not s.connected or s.backlog <= self._least:
            self._stretches.clear()
            self._stretch_us = None
            return False
        if self._stretch_us is None or s.now_us - self._stretch_us >= self._stall_us:
            self._stretch_us = s.now_us
            self._stretches.append(s.backlog)
        sizes = list(self._stretches)
        return len(sizes) > _STRETCHES and all(a < b for a, b in pairwise(sizes))


def _reason(s: Situation) -> Why:
    if s.connected:
        return Why.NO_PUBACK if s.trouble is Why.NO_PUBACK else Why.NO_ACKS
    return s.trouble or Why.NO_CONNECTION
