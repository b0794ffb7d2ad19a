"""``Intake``: messages into the sink's open transaction, and what is owed to terminals and engine after its commit.

The order is the promise: the sink commits, then the engine upstream may forget, then the terminals are told. What the
sink refuses is neither confirmed nor acknowledged. One message of no use, or one that trips a fault of ours, keeps out
no other; one terminal that sends more than its share does not keep others waiting.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from outrider.errors import JournalError, WireError
from outrider.ingest.core import BeaconFrom, Content, DeadLetter, StreamKey, read_message
from outrider.ingest.fairness import Fairness, LetterLimit
from outrider.ingest.meter import Meter
from outrider.ingest.options import ReceiverOptions
from outrider.ingest.sinks.sink import Sink
from outrider.ingest.sources.source import Incoming, Source
from outrider.ingest.watch.watchkeeper_io import Watchkeeper
from outrider.ports import Clock
from outrider.wire.ack import Ack, LanePosition, sign_ack
from outrider.wire.birth import Birth
from outrider.wire.codec import Batch
from outrider.wire.topics import Topics, parse

_log = logging.getLogger(__name__)
_MAX_ACKS_PUBLISHING: Final = 256
_MAX_TOLD: Final = 256  # streams in one acknowledgement; an honest terminal has a dozen
Stored = Callable[[Batch, int], None]


@dataclass(frozen=True, slots=True)
class _Work:
    """A message, the terminal whose topic it came on, and what it is; None: not looked at."""

    message: Incoming
    device: str
    content: Content | None


class Intake:
    """One sink's. counters: those of docs/reference/receiver.md, changed in place. worked_us: time that this thread
    has spent computing, by which terminals are held to their share (a busy machine is not their fault); None: all."""

    def __init__(
        self,
        sink: Sink,
        options: ReceiverOptions,
        clock: Clock,
        counters: Counter[str],
        meter: Meter,
        *,
        watch: Watchkeeper | None = None,
        on_stored: Stored | None = None,
        worked_us: Callable[[], int] | None = None,
    ) -> None:
        self._sink = sink
        self._options = options
        self._clock = clock
        self._counters = counters
        self._meter = meter
        self._watch = watch
        self._on_stored = on_stored
        self._is_one_of_several = options.nats is not None or options.broker.shared is not None
        self._worked_us = worked_us or clock.boottime_us
        self._fairness = Fairness()
        self._letters = LetterLimit()
        self._touched: dict[StreamKey, int] = {}  # and the newest sequence seen of each
        self._stored: list[tuple[Batch, int]] = []
        self._counted: Counter[str] = Counter()  # in the open transaction
        self._keyless: set[str] = set()

    def forget(self) -> None:
        """The connection or the sink is gone: nothing of the open transaction will be."""
        self._touched.clear()
        self._stored.clear()
        self._counted.clear()
        self._sink.rollback()

    def handle(self, source: Source, group: Sequence[Incoming], since_us: int, *, crowded: bool) -> None:
        """All of a group, in transactions of at most about ``group_limit_s`` of reading each. since_us: when its first
        message came. crowded: more messages wait. JournalError when the sink refuses."""
        self._fairness.fade(self._clock.boottime_us())
        work: list[_Work] = []
        begun = self._clock.boottime_us()
        for message in sorted(group, key=_is_patient):
            work.append(self._read(message, crowded=crowded))
            if self._clock.boottime_us() - begun > self._options.group_limit_s * 1e6:
                self._store(source, work, since_us)
                work = []
                begun = self._clock.boottime_us()
        if work:
            self._store(source, work, since_us)

    # ---- one message ------------------------------------------------------------------------------

    def _read(self, message: Incoming, *, crowded: bool) -> _Work:
        """What it is. Nothing, where its sender has had more than its share: confirmed and not stored, it comes again
        from the terminal."""
        self._counters["messages"] += 1
        device = _device(message.topic)
        urgent = not message.topic.endswith("/d")
        if crowded and self._fairness.hogs(device, urgent=urgent):
            self._counters["shed"] += 1
            if self._watch is not None and device:
                self._watch.sign(device)
            return _Work(message, device, None)
        begun = self._worked_us()
        content = read_message(message.topic, message.payload, max_bytes=self._options.max_message_bytes)
        if self._watch is not None:
            self._watch.heard(content, retained=message.retained)
        self._fairness.spend(device, self._worked_us() - begun, urgent=urgent)
        return _Work(message, device, content)

    def _store(self, source: Source, work: Sequence[_Work], since_us: int) -> None:
        """One transaction, and what follows from it."""
        self._counters["beacons"] += sum(isinstance(w.content, BeaconFrom) for w in work)
        kept = [w for w in work if w.content is not None and not isinstance(w.content, BeaconFrom)]
        if kept:
            self._sink.reserve([w.content for w in kept if w.content is not None])
            for item in kept:
                self._take(item)
            self._finish(source, [w.message for w in work], since_us)
        else:
            source.confirm([w.message for w in work])

    def _take(self, work: _Work) -> None:
        """Into the open transaction. A fault of ours makes a dead letter: it must not come back for ever."""
        now = self._clock.utc_us()
        begun = self._worked_us()
        assert work.content is not None
        try:
            self._sink.mark()
            self._take_content(work.message, work.device, work.content, now)
        except JournalError:
            raise  # the sink refuses: nothing is confirmed
        except Exception as err:  # noqa: BLE001  one message must not stop the receiver for all devices
            _log.exception("receiver: fault with a message on %r", work.message.topic[:200])
            self._sink.undo()
            fault = DeadLetter(f"fault of the receiver: {type(err).__name__}: {err}", "fault")
            self._take_content(work.message, work.device, fault, now)
        self._fairness.spend(work.device, self._worked_us() - begun, urgent=not work.message.topic.endswith("/d"))

    def _take_content(self, message: Incoming, device: str, content: Content, now: int) -> None:
        match content:
            case DeadLetter():
                self._put_letter(message, device, content, now)
            case Birth():
                streams = self._sink.accept_birth(content, now)
                self._counted["births"] += 1
                if content.online and not message.retained:  # it may have missed our last acknowledgements
                    self._touched.update({stream: self._touched.get(stream, 0) for stream in streams})
            case Batch():
                accepted = self._sink.accept(content, now)
                self._counted["records"] += accepted.new
                self._counted["duplicates"] += accepted.duplicates
                self._counted["conflicts"] += accepted.conflicts
                self._touched.update({stream: self._touched.get(stream, 0) for stream in accepted.touched})
                own = StreamKey(content.device, content.epoch, content.lane)
                self._touched[own] = max(self._touched.get(own, 0), content.records[-1].seq)
                self._stored.append((content, accepted.new))

    def _put_letter(self, message: Incoming, device: str, letter: DeadLetter, now: int) -> None:
        self._counters["dead_letters"] += 1
        self._meter.letter(letter.cause)
        if not self._letters.allows(device, self._clock.boottime_us()):
            self._counters["letters_not_kept"] += 1
            return
        _log.warning("receiver: dead letter on %r: %s", message.topic[:200], letter.reason[:500])
        self._sink.dead_letter(message.topic, letter.reason, message.payload, now)

    # ---- after a group ----------------------------------------------------------------------------

    def _finish(self, source: Source, taken: Sequence[Incoming], since_us: int) -> None:
        """Make it durable, then tell everybody."""
        acks = self._make_acks() if source.publishing < _MAX_ACKS_PUBLISHING else []
        begun = self._clock.boottime_us()
        self._sink.commit()
        committed = self._clock.boottime_us()
        self._counters["commits"] += 1
        self._counters.update(self._counted)
        self._counted.clear()
        source.confirm(taken)
        for topic, payload in acks:
            self._counters["acks"] += source.publish(topic, payload)
        self._meter.committed((committed - begun) / 1e6, len(taken))
        if acks:
            self._meter.answered((self._clock.boottime_us() - since_us) / 1e6)
        if self._on_stored is not None:
            for batch, new in self._stored:
                self._on_stored(batch, new)
        self._stored.clear()

    def _make_acks(self) -> list[tuple[str, bytes]]:
        """(topic, payload) for each device that is owed one. Belongs to the same transaction as the records: position
        and counter come from the sink, which other workers change as well."""
        by_device: dict[str, set[StreamKey]] = {}
        for stream, newest in sorted(self._touched.items(), key=lambda told: -told[1]):
            self._meter.behind(max(0, newest - self._sink.position(stream)))
            if len(told := by_device.setdefault(stream.device, set())) < _MAX_TOLD:
                told.add(stream)
        self._touched.clear()
        acks = []
        for device, streams in sorted(by_device.items()):
            key = self._options.keys.key(device)
            if key is None:
                self._note_keyless(device)
                continue
            counter = self._sink.next_ack_counter(device, self._clock.utc_us())
            ack = Ack(device, counter, self._positions(device, streams))
            acks.append((Topics(device).ack, sign_ack(ack, key)))
        return acks

    def _positions(self, device: str, streams: set[StreamKey]) -> tuple[LanePosition, ...]:
        """Of the streams that changed. Beside other workers: of all of these epochs, since acknowledgements of two
        workers may overtake each other, and the terminal takes the newest alone."""
        told = set(streams)
        if self._is_one_of_several:
            for epoch in {stream.epoch for stream in streams}:
                told |= set(self._sink.streams(device, epoch))
        ordered = sorted(told, key=lambda s: (s.lane, s.epoch))
        return tuple(LanePosition(s.epoch, s.lane, self._sink.position(s)) for s in ordered)

    def _note_keyless(self, device: str) -> None:
        self._counters["acks_without_key"] += 1
        if device not in self._keyless and len(self._keyless) < 10_000:
            self._keyless.add(device)
            _log.warning("receiver: no key for device %s: it is stored but not acknowledged", device)


def is_urgent(message: Incoming) -> bool:
    """Events do not wait for company in a commit."""
    return message.topic.endswith("/e")


def _is_patient(message: Incoming) -> bool:
    """Events of a group go before its telemetry; each terminal's own order within a lane stays (sorting is stable)."""
    return not is_urgent(message)


def _device(topic: str) -> str:
    """Whose topic it is; all that are no topics of ours count as one."""
    try:
        return parse(topic)[0]
    except WireError:
        return ""
