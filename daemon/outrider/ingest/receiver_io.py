"""``Receiver``: take messages from a source, store, confirm, acknowledge, connection after connection, until told to
stop.

One thread. Messages are collected for at most ``group_delay_s`` (events: not at all), stored in one transaction, and
only after its commit confirmed upstream and acknowledged to the terminals (``Intake``). What the sink refuses is not
confirmed: the engine upstream, or the terminal, sends it again. Nothing is kept in memory between two groups that
another worker could not know from the sink, so any number of receivers may share a source and a sink that allows it.
Beacons are not stored; like all messages they are told to the watchkeeper, who notices when a moving car falls silent.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Final

import tenacity

from outrider.errors import JournalError, LinkError
from outrider.ingest.intake import Intake, Stored, is_urgent
from outrider.ingest.meter import Meter, NoMeter
from outrider.ingest.notify_io import notify
from outrider.ingest.options import ReceiverOptions
from outrider.ingest.sinks.sink import Sink
from outrider.ingest.sinks.sinks_io import open_sink
from outrider.ingest.sources.connect_io import connector_for
from outrider.ingest.sources.source import EVERYTHING, RECORDS, Connector, Incoming, Source
from outrider.ingest.watch.lookout import Lookout
from outrider.ingest.watch.watchkeeper_io import News, Watchkeeper
from outrider.ports import Clock

_log = logging.getLogger(__name__)
_IDLE_S: Final = 0.2
_TEND_US: Final = 1_000_000
_AT_ONCE_US: Final = 2_000  # a message that was there before we asked: more wait than we take in
_COUNTERS: Final = (
    "messages", "records", "duplicates", "conflicts", "births", "beacons", "dead_letters", "letters_not_kept", "shed",
    "commits", "acks", "acks_without_key", "connects", "link_faults", "store_faults", "watched", "vanished", "returned",
    "held", "watch_faults",
)  # fmt: skip


class Receiver:
    """See the module. on_stored(batch, new), on_alarm(news): called after the commit, on the receiver's thread; must be
    quick. connector: where messages come from, when it is not what the options name."""

    def __init__(
        self,
        options: ReceiverOptions,
        clock: Clock,
        *,
        on_stored: Stored | None = None,
        on_alarm: Callable[[News], None] | None = None,
        connector: Connector | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._options = options
        self._clock = clock
        self._on_stored = on_stored
        self._on_alarm = on_alarm
        self._connector = connector or connector_for(options)
        self._meter = meter or NoMeter()
        self._watch: Watchkeeper | None = None
        self._sink: Sink | None = None
        self._counters: Counter[str] = Counter(dict.fromkeys(_COUNTERS, 0))
        self._tended_us = 0
        self._backlog: int | None = None
        self._was_busy = False  # the last group held something
        self.connected = threading.Event()

    def stats(self) -> dict[str, int]:
        """Counters since start; docs/reference/receiver.md says what they mean. From any thread."""
        sink = self._sink
        return dict(self._counters) | ({} if sink is None else dict(sink.counters()))

    def state(self) -> dict[str, float | None]:
        """Connected (0 or 1); backlog: messages waiting upstream, None where that is not told. From any thread."""
        return {"connected": float(self.connected.is_set()), "backlog": self._backlog}

    def run(self, stop: threading.Event) -> None:
        """Receive until ``stop`` is set. InputError or JournalError when the database cannot be opened,
        JournalLockedError when another receiver uses it."""
        wait = tenacity.wait_random_exponential(multiplier=0.5, max=self._options.backoff_cap_s)
        state = tenacity.RetryCallState(None, None, (), {})  # type: ignore[arg-type]  # only attempt_number is read
        state.attempt_number = 0
        with closing(open_sink(self._options)) as sink:
            self._sink = sink
            if self._options.deadman is not None:
                self._watch = Watchkeeper(sink, self._options.deadman, self._options, self._clock, self._on_alarm)
            intake = self._make_intake(sink)
            while not stop.is_set():
                before = self._counters["commits"]
                self._connection(intake, stop)
                if self._counters["commits"] > before:
                    state.attempt_number = 0
                state.attempt_number += 1
                stop.wait(max(0.1, wait(state)))
            notify("STOPPING=1")
            self._end_watch()

    def _make_intake(self, sink: Sink) -> Intake | Lookout:
        if self._options.watch_only and self._watch is not None:
            return Lookout(sink, self._options, self._clock, self._counters, self._watch)
        return Intake(
            sink, self._options, self._clock, self._counters, self._meter,
            watch=self._watch, on_stored=self._on_stored, worked_us=lambda: time.thread_time_ns() // 1000,
        )  # fmt: skip

    def _end_watch(self) -> None:
        """What the database refuses at the end costs some seconds of beacons and minutes of learning."""
        try:
            if self._watch is not None:
                self._watch.close()
        except JournalError as err:
            self._fail("store_faults", err)

    def _connection(self, intake: Intake | Lookout, stop: threading.Event) -> None:
        source: Source | None = None
        try:
            source = self._connector.connect(EVERYTHING if self._watch else RECORDS)
            self._counters["connects"] += 1
            self.connected.set()
            notify("READY=1")
            if self._watch is not None:
                self._watch.link_up()
            while not stop.is_set():
                self._serve(intake, source)
        except LinkError as err:
            self._fail("link_faults", err)
        except JournalError as err:
            self._fail("store_faults", err)
        finally:
            self.connected.clear()
            intake.forget()
            if self._watch is not None:
                self._watch.link_down()
            if source is not None:
                source.close()

    def _fail(self, counter: str, err: Exception) -> None:
        self._counters[counter] += 1
        _log.warning("receiver: %s", err)

    # ---- one group --------------------------------------------------------------------------------

    def _serve(self, intake: Intake | Lookout, source: Source) -> None:
        """Wait for messages and handle them; then what is to be done now and then."""
        begun = self._clock.boottime_us()
        group, since_us = self._collect(source)
        crowded = len(group) >= self._options.group_messages or (self._was_busy and since_us - begun < _AT_ONCE_US)
        self._was_busy = bool(group)
        intake.handle(source, group, since_us, crowded=crowded)
        self._backlog = source.backlog()
        if self._watch is not None and len(group) < self._options.group_messages and source.is_answered():
            self._watch.turn()
            self._counters.update({k: n - self._counters[k] for k, n in self._watch.counters().items()})
        now = self._clock.boottime_us()
        if self._sink is not None and now - self._tended_us >= _TEND_US:
            self._tended_us = now
            self._sink.tend()

    def _collect(self, source: Source) -> tuple[list[Incoming], int]:
        """A group, and when its first message came."""
        group = source.poll(_IDLE_S)
        since = self._clock.boottime_us()
        deadline = since + round(self._options.group_delay_s * 1e6)
        while group and not any(map(is_urgent, group)) and len(group) < self._options.group_messages:
            rest = deadline - self._clock.boottime_us()
            if rest <= 0:
                break
            try:
                group += source.poll(rest / 1e6)
            except LinkError:
                break  # what came is stored; the next poll tells again
        return group, since
