"""``Watchkeeper``: the vigil in the receiver's loop, with its database: what it says is stored before it is told.

Called on the receiver's thread. A silence counts as one of the car only if everything that arrived has been looked at
and the broker itself is known to answer; else the judging waits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from outrider.errors import JournalError, WireError
from outrider.ingest.core import BeaconFrom, Content
from outrider.ingest.options import ReceiverOptions
from outrider.ingest.sinks.sink import Sink
from outrider.ingest.watch.deadman import Cleared, CoverageMap, DeadManOptions, Vanished
from outrider.ingest.watch.vigil import Vigil
from outrider.ports import Clock
from outrider.wire.birth import Birth
from outrider.wire.codec import Batch

_log = logging.getLogger(__name__)
_TICK_US = 1_000_000
_OLD_US = 2_000_000  # some brokers keep QoS 0 for us as well: what comes at once after connecting may be old

News = Vanished | Cleared


class Watchkeeper:
    """on_alarm(news): after the commit; must be quick."""

    def __init__(
        self,
        store: Sink,
        deadman: DeadManOptions,
        options: ReceiverOptions,
        clock: Clock,
        on_alarm: Callable[[News], None] | None,
    ) -> None:
        self._store = store
        self._options = options
        self._clock = clock
        self._on_alarm = on_alarm
        self._coverage = _coverage(store, deadman)
        self._vigil = Vigil(deadman, self._coverage, store.signal_table, store.alarms.standing())
        self._unwritten: list[News] = []
        self._faults = 0
        now = clock.boottime_us()
        self._tick_us, self._keep_us, self._coverage_us, self._up_us = now, now, now, now

    # ---- what the loop tells ------------------------------------------------------------------------

    def heard(self, content: Content, *, retained: bool = False) -> None:
        """A message of a terminal. What could not be read says nothing, and a retained one is old. A fault of ours with
        it is logged and counted: it must not keep the message from being stored."""
        try:
            self._hear(content, retained)
        except JournalError:
            raise
        except Exception:  # noqa: BLE001  as above
            self._note_fault()

    def _hear(self, content: Content, retained: bool) -> None:
        now = self._utc_s()
        if isinstance(content, BeaconFrom):
            if self._clock.boottime_us() - self._up_us >= _OLD_US:
                self._vigil.beacon(content.device, now, content.beacon)
        elif isinstance(content, Batch):
            self._vigil.batch(content, now)
        elif isinstance(content, Birth) and not retained:
            self._vigil.birth(content, now)

    def sign(self, device: str) -> None:
        """A message that was not read, of a terminal whose place nobody wants to know."""
        self._vigil.sign(device, self._utc_s())

    def wants_place(self, device: str) -> bool:
        """What it sends must be read: it is missing."""
        return self._vigil.wants_place(device)

    def link_up(self) -> None:
        self._up_us = self._clock.boottime_us()
        self._vigil.link_up(self._utc_s())

    def link_down(self) -> None:
        """Also after a fault of the database: what was not committed is told again later."""
        self._vigil.link_down(self._utc_s())

    def turn(self) -> None:
        """Judge, about once a second. JournalError when the database refuses; nothing is lost then."""
        now = self._clock.boottime_us()
        if now - self._tick_us < _TICK_US:
            return
        self._tick_us = now
        self._judge()
        if self._unwritten:
            self._write()
        if now - self._keep_us >= self._options.keep_s * 1e6:
            self.keep()

    def keep(self) -> None:
        """The last beacons to the database, and now and then what was learnt of coverage. JournalError: it refuses."""
        now = self._clock.boottime_us()
        self._keep_us = now
        newest = self._vigil.take_changed()
        if newest:
            self._store.alarms.keep_beacons(newest)
        if newest and now - self._coverage_us >= self._options.keep_coverage_s * 1e6:
            self._keep_coverage(now)
        self._store.commit()

    def close(self) -> None:
        """The receiver ends. JournalError: the database refuses."""
        if self._unwritten:
            self._write()
        self.keep()
        self._keep_coverage(self._clock.boottime_us())
        self._store.commit()

    def counters(self) -> dict[str, int]:
        """Those of the vigil, and ``watch_faults``."""
        return {**self._vigil.counters(), "watch_faults": self._faults}

    # ---- leaves -------------------------------------------------------------------------------------

    def _judge(self) -> None:
        try:
            self._unwritten += self._vigil.tick(self._utc_s())
        except Exception:  # noqa: BLE001  records go on being received
            self._note_fault()

    def _note_fault(self) -> None:
        self._faults += 1
        if self._faults == 1:
            _log.exception("receiver: fault of the watch for vanished cars; counted from now on")

    def _write(self) -> None:
        for news in self._unwritten:
            beacons = self._vigil.beacons(news.device) if isinstance(news, Vanished) else ()
            self._store.alarms.put(news, beacons)
        self._store.commit()
        told, self._unwritten = self._unwritten, []
        for news in told:
            self._tell(news)

    def _tell(self, news: News) -> None:
        """Whoever listens may be gone (a closed pipe, a full log): records go on being received, and it is stored."""
        try:
            if self._on_alarm is not None:
                self._on_alarm(news)
        except Exception:  # noqa: BLE001  as above
            self._note_fault()

    def _keep_coverage(self, now: int) -> None:
        self._coverage_us = now
        self._store.alarms.keep_coverage(self._coverage, self._clock.utc_us())

    def _utc_s(self) -> float:
        return self._clock.utc_us() / 1e6


def _coverage(store: Sink, deadman: DeadManOptions) -> CoverageMap:
    try:
        return store.alarms.coverage(deadman.max_cells)
    except WireError as err:
        _log.warning("receiver: %s; it starts anew, and the first alarms will be more careful", err)
        return CoverageMap(deadman.max_cells)
