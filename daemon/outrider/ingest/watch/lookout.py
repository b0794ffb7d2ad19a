"""``Lookout``: hears a whole fleet for the watch over vanished cars, and stores no record.

Of many receivers each gets a share of the messages, but a car is silent only when nobody hears it: so one process
hears everything (beacons, and that other messages came) and judges. It confirms and acknowledges nothing. What it does
not need it does not decode: a telemetry batch is a sign of life of the terminal on whose topic it came; only for a car
that is missing is it read, for the place. Births are read for the signal tables that name positions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from outrider.errors import JournalError, WireError
from outrider.ingest.core import BeaconFrom, read_message
from outrider.ingest.options import ReceiverOptions
from outrider.ingest.sinks.sink import Sink
from outrider.ingest.sources.source import Incoming, Source
from outrider.ingest.watch.watchkeeper_io import Watchkeeper
from outrider.ports import Clock
from outrider.wire.birth import Birth
from outrider.wire.topics import parse


class Lookout:
    """Takes the place of ``Intake`` in the receiver's loop."""

    def __init__(
        self, sink: Sink, options: ReceiverOptions, clock: Clock, counters: Counter[str], watch: Watchkeeper
    ) -> None:
        self._sink = sink
        self._options = options
        self._clock = clock
        self._counters = counters
        self._watch = watch

    def forget(self) -> None:
        """The connection or the sink is gone."""
        self._sink.rollback()

    def handle(self, source: Source, group: Sequence[Incoming], since_us: int, *, crowded: bool) -> None:
        """All of a group. JournalError when the sink refuses."""
        births = []
        for message in group:
            self._counters["messages"] += 1
            if (birth := self._hear(message)) is not None:
                births.append(birth)
        if births:
            self._sink.reserve(births)  # in one order: workers lock these terminals as well
            for birth in births:
                self._keep(birth)
            self._sink.commit()
            self._counters["commits"] += 1
        source.confirm(group)

    def _hear(self, message: Incoming) -> Birth | None:
        """The status document, if it is one."""
        if self._is_sign_only(message):
            return None
        content = read_message(message.topic, message.payload, max_bytes=self._options.max_message_bytes)
        self._watch.heard(content, retained=message.retained)
        self._counters["beacons"] += isinstance(content, BeaconFrom)
        return content if isinstance(content, Birth) else None

    def _keep(self, birth: Birth) -> None:
        self._counters["births"] += 1
        try:
            self._sink.mark()
            self._sink.accept_birth(birth, self._clock.utc_us())
        except JournalError:
            raise
        except Exception:  # noqa: BLE001  a fault with one terminal's document must not end the watch over the others
            self._counters["watch_faults"] += 1
            self._sink.undo()

    def _is_sign_only(self, message: Incoming) -> bool:
        try:
            device, leaf = parse(message.topic)
        except WireError:
            return True
        if leaf != "d" or self._watch.wants_place(device):
            return False
        self._watch.sign(device)
        return True
