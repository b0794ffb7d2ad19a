"""``Receiver``: subscribe, store, confirm, acknowledge, connection after connection, until told to stop.

One thread. Messages are collected for at most ``group_delay_s`` (events: not at all), stored in one transaction, and
only after its commit confirmed to the broker and acknowledged to the terminals. What the database refuses is not
confirmed: the broker, or the terminal, sends it again. Beacons are not stored; like all messages they are told to the
watchkeeper, who notices when a moving car falls silent.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

import tenacity

from outrider.errors import JournalError, LinkError
from outrider.ingest.core import BeaconFrom, Content, DeadLetter, StreamKey, read_message
from outrider.ingest.lock_io import locked
from outrider.ingest.options import ReceiverOptions
from outrider.ingest.store_io import Store
from outrider.ingest.subscriber_io import V5, V311, Incoming, NotSpokenError, Subscriber
from outrider.ingest.watchkeeper_io import News, Watchkeeper
from outrider.ports import Clock
from outrider.wire.ack import Ack, LanePosition, sign_ack
from outrider.wire.birth import Birth
from outrider.wire.codec import Batch
from outrider.wire.topics import ALL_BEACONS, ALL_DATA, ALL_EVENTS, ALL_STATUS, Topics

_log = logging.getLogger(__name__)
_IDLE_S: Final = 0.2
_MAX_ACKS_PUBLISHING: Final = 256
_COUNTERS: Final = (
    "messages", "records", "duplicates", "conflicts", "births", "beacons", "dead_letters", "commits", "acks",
    "acks_without_key", "connects", "link_faults", "store_faults", "watched", "vanished", "returned",
    "held", "watch_faults",
)  # fmt: skip


class Receiver:
    """See the module. on_stored(batch, new), on_alarm(news): called after the commit, on the receiver's thread; must be
    quick."""

    def __init__(
        self,
        options: ReceiverOptions,
        clock: Clock,
        *,
        on_stored: Callable[[Batch, int], None] | None = None,
        on_alarm: Callable[[News], None] | None = None,
    ) -> None:
        self._options = options
        self._clock = clock
        self._on_stored = on_stored
        self._on_alarm = on_alarm
        self._watch: Watchkeeper | None = None
        self._counters: Counter[str] = Counter(dict.fromkeys(_COUNTERS, 0))
        self._version = V5
        self._touched: set[StreamKey] = set()
        self._keyless: set[str] = set()
        self._stored: list[tuple[Batch, int]] = []
        self.connected = threading.Event()

    def stats(self) -> dict[str, int]:
        """Counters since start; docs/reference/receiver.md says what they mean. From any thread."""
        return dict(self._counters)

    def run(self, stop: threading.Event) -> None:
        """Receive until ``stop`` is set. InputError or JournalError when the database cannot be opened,
        JournalLockedError when another receiver uses it."""
        wait = tenacity.wait_random_exponential(multiplier=0.5, max=self._options.backoff_cap_s)
        state = tenacity.RetryCallState(None, None, (), {})  # type: ignore[arg-type]  # only attempt_number is read
        state.attempt_number = 0
        database = self._options.database
        with locked(database), Store.open(database, max_dead_letters=self._options.max_dead_letters) as store:
            self._set_watch(store)
            while not stop.is_set():
                before = self._counters["commits"]
                self._connection(store, stop)
                if self._counters["commits"] > before:
                    state.attempt_number = 0
                state.attempt_number += 1
                stop.wait(max(0.1, wait(state)))
            self._end_watch()

    def _end_watch(self) -> None:
        """What the database refuses at the end costs some seconds of beacons and minutes of learning."""
        try:
            if self._watch is not None:
                self._watch.close()
        except JournalError as err:
            self._fail("store_faults", err)

    def _set_watch(self, store: Store) -> None:
        if self._options.deadman is not None:
            self._watch = Watchkeeper(store, self._options.deadman, self._options, self._clock, self._on_alarm)

    def _connection(self, store: Store, stop: threading.Event) -> None:
        topics = (ALL_DATA, ALL_EVENTS, ALL_STATUS, ALL_BEACONS)
        wanted = topics[: 4 if self._watch else 3]
        subscriber = Subscriber(self._options.broker, wanted, self._version, optional=(ALL_BEACONS,))
        try:
            subscriber.open()
            self._counters["connects"] += 1
            self.connected.set()
            if self._watch is not None:
                self._watch.link_up()
            while not stop.is_set():
                self._serve(store, subscriber)
        except NotSpokenError as err:
            self._version = V311 if self._version is V5 else V5
            self._fail("link_faults", err)
        except LinkError as err:
            self._fail("link_faults", err)
        except (JournalError, sqlite3.Error) as err:
            self._fail("store_faults", err)
        finally:
            self.connected.clear()
            self._touched.clear()
            self._stored.clear()
            store.rollback()
            if self._watch is not None:
                self._watch.link_down()
            subscriber.close()

    def _fail(self, counter: str, err: Exception) -> None:
        self._counters[counter] += 1
        _log.warning("receiver: %s", err)

    # ---- one group --------------------------------------------------------------------------------

    def _serve(self, store: Store, subscriber: Subscriber) -> None:
        """Wait for messages and handle them, in transactions that take at most about ``group_limit_s`` each."""
        group = self._collect(subscriber)
        taken: list[Incoming] = []
        begun = self._clock.boottime_us()
        for message in group:
            if self._take(store, message):
                taken.append(message)
            if self._clock.boottime_us() - begun > self._options.group_limit_s * 1e6:
                self._finish(store, subscriber, taken)
                taken = []
                begun = self._clock.boottime_us()
        if taken:
            self._finish(store, subscriber, taken)
        if self._watch is not None and len(group) < self._options.group_messages and subscriber.is_answered():
            self._watch.turn()
            self._counters.update({k: n - self._counters[k] for k, n in self._watch.counters().items()})

    def _finish(self, store: Store, subscriber: Subscriber, taken: list[Incoming]) -> None:
        """Make it durable, then tell everybody."""
        acks = self._make_acks(store) if subscriber.publishing < _MAX_ACKS_PUBLISHING else []
        store.commit()
        self._counters["commits"] += 1
        for message in taken:
            subscriber.confirm(message)
        for topic, payload in acks:
            self._counters["acks"] += subscriber.publish(topic, payload)
        if self._on_stored is not None:
            for batch, new in self._stored:
                self._on_stored(batch, new)
        self._stored.clear()

    def _collect(self, subscriber: Subscriber) -> list[Incoming]:
        group = subscriber.poll(_IDLE_S)
        deadline = self._clock.boottime_us() + round(self._options.group_delay_s * 1e6)
        while group and not any(_is_urgent(m) for m in group) and len(group) < self._options.group_messages:
            rest = deadline - self._clock.boottime_us()
            if rest <= 0:
                break
            try:
                group += subscriber.poll(rest / 1e6)
            except LinkError:
                break  # what came is stored; the next poll tells again
        return group

    def _take(self, store: Store, message: Incoming) -> bool:
        """One message into the open transaction; False for one that is not stored. One that trips a fault of ours
        becomes a dead letter: it must not come back for ever and keep out all others."""
        self._counters["messages"] += 1
        now = self._clock.utc_us()
        content = read_message(message.topic, message.payload, max_bytes=self._options.max_message_bytes)
        if self._watch is not None:
            self._watch.heard(content, retained=message.retained)
        if isinstance(content, BeaconFrom):
            self._counters["beacons"] += 1
            return False
        try:
            store.mark()
            self._take_content(store, message, content, now)
        except (JournalError, sqlite3.Error):
            raise  # the database refuses: nothing is confirmed
        except Exception as err:  # noqa: BLE001  one message must not stop the receiver for all devices
            _log.exception("receiver: fault with a message on %s", message.topic)
            store.undo()
            self._take_content(store, message, DeadLetter(f"fault of the receiver: {type(err).__name__}: {err}"), now)
        return True

    def _take_content(self, store: Store, message: Incoming, content: Content, now: int) -> None:
        match content:
            case DeadLetter(reason):
                self._counters["dead_letters"] += 1
                _log.warning("receiver: dead letter on %s: %s", message.topic, reason)
                store.dead_letter(message.topic, reason, message.payload, now)
            case Birth():
                streams = store.accept_birth(content, now)
                self._counters["births"] += 1
                if content.online and not message.retained:
                    self._touched.update(streams)  # it may have missed our last acknowledgements
            case Batch():
                accepted = store.accept(content, now)
                self._counters["records"] += accepted.new
                self._counters["duplicates"] += accepted.duplicates
                self._counters["conflicts"] += accepted.conflicts
                self._touched.update(accepted.touched)
                self._stored.append((content, accepted.new))

    def _make_acks(self, store: Store) -> list[tuple[str, bytes]]:
        """(topic, payload) for each device that is owed one. Belongs to the same transaction as the records."""
        by_device: dict[str, list[StreamKey]] = {}
        for stream in sorted(self._touched, key=lambda s: (s.device, s.lane, s.epoch)):
            by_device.setdefault(stream.device, []).append(stream)
        self._touched.clear()
        acks = []
        for device, streams in by_device.items():
            key = self._options.keys.key(device)
            if key is None:
                self._note_keyless(device)
                continue
            positions = tuple(LanePosition(s.epoch, s.lane, store.position(s)) for s in streams)
            ack = Ack(device, store.next_ack_counter(device, self._clock.utc_us()), positions)
            acks.append((Topics(device).ack, sign_ack(ack, key)))
        return acks

    def _note_keyless(self, device: str) -> None:
        self._counters["acks_without_key"] += 1
        if device not in self._keyless and len(self._keyless) < 10_000:
            self._keyless.add(device)
            _log.warning("receiver: no key for device %s: it is stored but not acknowledged", device)


def _is_urgent(message: Incoming) -> bool:
    return message.topic.endswith("/e")
