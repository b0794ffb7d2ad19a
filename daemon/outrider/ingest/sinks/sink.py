"""Where the receiver stores: what a worker asks of a sink (``Sink``), and what readers get from one (``SinkReader``).

A sink owns the rule "committed before acknowledged". Several workers may hold batches of one device at once, each with
its own sink object: what is complete comes from the database under its locks, never from the memory of a worker. A
sink belongs to one thread, on which no event loop runs; its calls block. Every refusal of a database is a JournalError:
then ``rollback``, and nothing of the transaction is stored.

One transaction::

    sink.reserve(contents)                      # optional, and first: locks all devices in one order
    for content in contents:
        sink.mark()
        sink.accept(...) | accept_birth(...) | dead_letter(...)     # sink.undo() takes back one that tripped
    counter = sink.next_ack_counter(device)     # and position(stream): what the acknowledgement will say
    sink.commit()                               # durable now: confirm upstream, then publish the acknowledgements

Without ``reserve`` devices are locked as they come; two workers that meet crosswise then wait for each other until the
database ends one of the transactions (JournalError), and what it held comes again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from outrider.ingest.clock import UtcTime
from outrider.ingest.core import Content, StreamKey
from outrider.ingest.watch.deadman import Cleared, CoverageMap, Vanished
from outrider.ingest.watch.vigil import HeardBeacon
from outrider.model.record import Lane, SignalTable, StoredRecord
from outrider.wire.birth import Birth
from outrider.wire.codec import Batch


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a batch changed. touched: streams whose position is to be told to the terminal."""

    new: int
    duplicates: int
    conflicts: int
    touched: frozenset[StreamKey]


@dataclass(frozen=True, slots=True)
class GapRow:
    """A range that will not come; reason as in the table ``gaps``."""

    stream: StreamKey
    first_seq: int
    last_seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter. size: of the whole payload, of which at most the first 64 KiB are kept."""

    number: int
    received_utc_us: int
    topic: str
    reason: str
    size: int
    payload: bytes

    @property
    def is_whole(self) -> bool:
        return len(self.payload) == self.size


class AlarmDesk(Protocol):
    """What the watch for vanished cars keeps. All raise JournalError when the database refuses."""

    def put(self, news: Vanished | Cleared, beacons: Iterable[HeardBeacon] = ()) -> None: ...

    def keep_beacons(self, newest: Mapping[str, HeardBeacon]) -> None: ...

    def keep_coverage(self, coverage: CoverageMap, utc_us: int) -> None: ...

    def coverage(self, max_cells: int) -> CoverageMap: ...

    def standing(self) -> list[Vanished]: ...


class Sink(Protocol):
    """See the module."""

    @property
    def alarms(self) -> AlarmDesk: ...

    def reserve(self, contents: Iterable[Content]) -> None:
        """Begin, and lock what these messages will change. JournalError: refused."""
        ...

    def mark(self) -> None:
        """``undo`` takes back what follows, and nothing before it."""
        ...

    def undo(self) -> None: ...

    def accept(self, batch: Batch, utc_us: int) -> Accepted:
        """Take what is new of a batch, received at utc_us. JournalError: refused."""
        ...

    def accept_birth(self, birth: Birth, utc_us: int) -> tuple[StreamKey, ...]:
        """Remember the device's state; the streams of its current epoch. JournalError: refused."""
        ...

    def dead_letter(self, topic: str, reason: str, payload: bytes, utc_us: int) -> None:
        """Keep a payload that is of no use. JournalError: refused."""
        ...

    def next_ack_counter(self, device: str, utc_us: int) -> int:
        """A counter for the next acknowledgement of a device; no two are alike, whoever asks. JournalError: refused."""
        ...

    def position(self, stream: StreamKey) -> int:
        """Up to which sequence the stream is complete, with what this transaction adds. JournalError: refused."""
        ...

    def streams(self, device: str, epoch: int) -> tuple[StreamKey, ...]:
        """Streams of an epoch of which something is known. JournalError: refused."""
        ...

    def signal_table(self, device: str, number: int) -> SignalTable | None:
        """The table that telemetry rows name. JournalError: refused."""
        ...

    def commit(self) -> None:
        """Everything since the last commit survives a power cut when this returns. JournalError: nothing of it does."""
        ...

    def rollback(self) -> None:
        """Forget everything since the last commit. Never raises."""
        ...

    def tend(self) -> None:
        """Housekeeping between transactions (moving records to where they stay); to be called every second or so, also
        when nothing arrives. JournalError: refused; what is stored stays, and the next call tries again."""
        ...

    def counters(self) -> Mapping[str, int]:
        """Of the sink itself; docs/reference/receiver.md says what they mean. From any thread."""
        ...

    def close(self) -> None: ...


class SinkReader(Protocol):
    """Reading, beside workers. JournalError when the database refuses."""

    def devices(self) -> list[dict[str, Any]]:
        """Name, online (None: never told), software, when last heard (UTC us), number of records."""
        ...

    def records(self, device: str, epoch: int | None = None, lane: Lane | None = None) -> Iterator[StoredRecord]:
        """Records of a device by epoch, lane and sequence, each once."""
        ...

    def runs(self, device: str) -> Iterator[tuple[StreamKey, int, int]]:
        """(stream, first, last): the sequences whose record is stored, gap records included; by stream, ascending."""
        ...

    def digest(self, device: str) -> dict[tuple[int, Lane], tuple[int, str]]:
        """{(epoch, lane): (count, hex SHA-256 over StoredRecord.digest() in sequence order)}."""
        ...

    def positions(self, device: str | None = None) -> dict[StreamKey, int]:
        """Up to which sequence each stream is complete."""
        ...

    def gaps(self, device: str | None = None) -> list[GapRow]:
        """Ranges that will not come, by stream."""
        ...

    def letters(self) -> Iterator[Letter]:
        """Dead letters, oldest first."""
        ...

    def signal_table(self, device: str, number: int) -> SignalTable | None: ...

    def utc_of(self, device: str, boot_id: int, t_us: int) -> UtcTime | None:
        """UTC of a boot time, by the clock fixes received so far; None while there is none of that boot."""
        ...

    def close(self) -> None: ...
