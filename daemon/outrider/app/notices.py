"""``NoticeDesk``: what the parts say of the terminal, from any thread, into records on the owner's thread.

One notice of a code with the same first detail goes out at once; what follows within ``EVERY_US`` is counted and told
by the next one (``repeats``). Never blocks; what does not fit into the queue is counted.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections import Counter, deque
from typing import Final

from outrider.app.intake import Intake
from outrider.model.notice import Notice, NoticeLevel
from outrider.ports import Clock

EVERY_US: Final = 600_000_000
QUEUE: Final = 256
REMEMBERED: Final = 256

log = logging.getLogger(__name__)
_LOG_LEVEL: Final = {
    NoticeLevel.INFO: logging.INFO,
    NoticeLevel.WARNING: logging.WARNING,
    NoticeLevel.ERROR: logging.ERROR,
}
_Key = tuple[int, tuple[str, str]]


class NoticeDesk:
    """``put`` from any thread; ``turn`` on the thread that owns the intake."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, Notice]] = deque()
        self._told: dict[_Key, int] = {}
        self._held: Counter[_Key] = Counter()
        self._counts: Counter[str] = Counter()
        self._dropped = 0

    def put(self, notice: Notice) -> None:
        now = self._clock.boottime_us()
        with self._lock:
            self._counts[notice.code.name.lower()] += 1
            if len(self._waiting) >= QUEUE:
                self._dropped += 1
                return
            self._waiting.append((now, notice))

    def turn(self, intake: Intake) -> None:
        """Records of what was put since the last turn."""
        while True:
            with self._lock:
                if not self._waiting:
                    return
                at, notice = self._waiting.popleft()
                told = self._admit(at, notice)
            if told is None:
                continue
            words = " ".join(f"{name}={value}" for name, value in told.detail)
            log.log(_LOG_LEVEL[told.level], "%s %s", told.code.name.lower(), words)
            intake.put(told, at)

    def _admit(self, at: int, notice: Notice) -> Notice | None:
        """The notice with the number of those held back before it, or None to hold it back."""
        key: _Key = (int(notice.code), notice.detail[0] if notice.detail else ("", ""))
        last = self._told.get(key)
        if last is not None and at - last < EVERY_US:
            self._held[key] += 1
            return None
        self._told.pop(key, None)
        self._told[key] = at
        while len(self._told) > REMEMBERED:
            oldest = next(iter(self._told))
            del self._told[oldest]
            self._held.pop(oldest, None)
        held = self._held.pop(key, 0)
        return notice if not held else dataclasses.replace(notice, detail=(*notice.detail, ("repeats", str(held))))

    def status(self) -> dict[str, object]:
        """JSON-ready: how many of each code since start, and how many did not fit into the queue."""
        with self._lock:
            return {"counts": dict(self._counts), "dropped": self._dropped}
