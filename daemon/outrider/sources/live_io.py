"""What all live sources share: a thread that opens a device, reads it, and opens it again when it is gone.

Rule: the thread ends only when told to. Whatever a driver raises becomes a state, a counter and a wait with back-off.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

from tenacity import RetryError, Retrying
from tenacity.stop import stop_any, stop_when_event_set
from tenacity.wait import wait_exponential, wait_random

from outrider.ports import Clock, SourceItem
from outrider.sources.stats import SourceStats

log = logging.getLogger(__name__)

BACK_OFF_FIRST_S: Final = 0.5
BACK_OFF_MAX_S: Final = 30.0
SILENT_AFTER_US: Final = 5_000_000


class LostError(Exception):
    """The device is gone or was never there; the text is for ``state()``."""


class DeviceThread(ABC):
    """One device, one thread. Subclasses open and read; this owns start, stop, state and back-off.

    ``back_off_s``: first and longest wait between two attempts; it doubles, with jitter, until the device speaks.
    """

    def __init__(self, name: str, clock: Clock, back_off_s: tuple[float, float]) -> None:
        self.name = name
        self.stats = SourceStats()
        self._clock = clock
        first, longest = back_off_s
        self._pause_s = first
        self._wait = wait_exponential(multiplier=first, max=longest) + wait_random(0, first)
        self._stop = threading.Event()
        self._hurry = threading.Event()  # the wait between two attempts is over: nudged, or stopping
        self._thread: threading.Thread | None = None
        self._deliver: Callable[[SourceItem], None] = _nobody
        self._state = "stopped"
        self._nudged = threading.Event()  # the last wait was cut short
        self._opened_us = 0
        self._heard_us: int | None = None

    def start(self, deliver: Callable[[SourceItem], None]) -> None:
        """Begin; errors of the configuration come out here."""
        self._check()
        if self._thread is not None:
            return
        self._deliver = deliver
        self._stop.clear()
        self._hurry.clear()
        self._state = "opening"
        self._thread = threading.Thread(target=self._run, name=f"source {self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End and join."""
        self._stop.set()
        self._hurry.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def nudge(self) -> None:
        """See ``LiveSource.nudge``."""
        self._hurry.set()

    def state(self) -> dict[str, Any]:
        """See ``LiveSource.state``."""
        document: dict[str, Any] = {"name": self.name, "state": self._state_now()}
        if self.stats.last_error and document["state"] in {"down", "opening"}:
            document["error"] = self.stats.last_error
        return document | {name: count for name, count in self.stats.counters().items() if count}

    @abstractmethod
    def _check(self) -> None:
        """ConfigError for options that can never work."""

    @abstractmethod
    def _session(self) -> None:
        """Open the device and read it until ``self._stop``; raises when it is lost. Calls ``_up`` and ``_heard``."""

    # -- for subclasses ------------------------------------------------------------------------------

    def _up(self) -> None:
        self.stats.opened += 1
        self._heard_us = None
        self._opened_us = self._clock.boottime_us()
        self._state = "up"
        log.info("%s: open", self.name)

    def _heard(self, now_us: int) -> None:
        self._heard_us = now_us

    def _hand_over(self, item: SourceItem) -> None:
        """Deliver; what the receiver raises is counted and does not end the source."""
        try:
            self._deliver(item)
        except Exception:  # the receiver's fault must not silence a bus
            if not self.stats.delivery_errors:
                log.exception("%s: delivery failed; further failures are only counted", self.name)
            self.stats.delivery_errors += 1
        else:
            self.stats.items += 1

    # -- the thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                for attempt in self._attempts():
                    with attempt:
                        self._once()
            except RetryError:
                if self._stop.is_set():
                    break
            self._pause(self._pause_s)
        self._state = "stopped"

    def _attempts(self) -> Retrying:
        """Until one succeeds. Also ends after an attempt that a nudge brought about: the waits then begin anew."""
        self._nudged.clear()
        over = stop_any(stop_when_event_set(self._stop), stop_when_event_set(self._nudged))
        return Retrying(stop=over, wait=self._wait, sleep=self._pause)

    def _pause(self, seconds: float) -> None:
        if self._hurry.wait(seconds) and not self._stop.is_set():
            self._hurry.clear()
            self._nudged.set()

    def _once(self) -> None:
        """One session. Raises when the device never spoke, so that the wait grows; returns when it did."""
        try:
            self._session()
        except Exception as err:  # a driver may raise anything
            self.stats.failures += 1
            self.stats.last_error = str(err) or type(err).__name__
            self._state = "down"
            log.warning("%s: %s", self.name, self.stats.last_error)
            if self._heard_us is None and not self._stop.is_set():
                raise
            self._heard_us = None

    def _state_now(self) -> str:
        if self._state != "up":
            return self._state
        since = self._opened_us if self._heard_us is None else self._heard_us
        return "silent" if self._clock.boottime_us() - since > SILENT_AFTER_US else "up"


def _nobody(_item: SourceItem) -> None:
    """Nobody listens before ``start``."""
