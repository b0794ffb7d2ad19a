"""The seams between stages and the world. A stage depends on these, never on another stage.

Fakes for a seam are shipped beside its real implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from outrider.model.fix import Fix, ImuSample, PowerSample
from outrider.model.frame import FrameBatch
from outrider.model.network import NetworkState
from outrider.model.record import ClockFix, Lane, Record, StoredRecord


class Clock(Protocol):
    """Time as a dependency: boottime for order and intervals, wall clock for stamps only."""

    def boottime_us(self) -> int: ...

    def utc_us(self) -> int: ...

    def sleep(self, seconds: float) -> None: ...


# ---- driving side ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SourceItem:
    """What a source yields: exactly one of the fields, in time order within the source.

    ``watermark_us``: nothing older than this will follow from this source.
    """

    watermark_us: int
    frames: FrameBatch | None = None
    fix: Fix | None = None
    imu: Sequence[ImuSample] | None = None
    power: PowerSample | None = None
    clock: tuple[int, ClockFix] | None = None  # (engine time, what UTC it was)


class Counters(Protocol):
    """Counts by name."""

    def counters(self) -> dict[str, int]: ...


class ReplaySource(Protocol):
    """A recording: yields items until it ends; the same items each time."""

    name: str

    @property
    def stats(self) -> Counters: ...

    def items(self) -> Iterator[SourceItem]: ...


class LiveSource(Protocol):
    """A device that is there now. Owns its thread and opens its device again by itself."""

    name: str

    def start(self, deliver: Callable[[SourceItem], None]) -> None:
        """Begin. ``deliver`` is called on the source's thread, must not block. ConfigError for what can never work."""
        ...

    def stop(self) -> None:
        """End and join; nothing is delivered afterwards. Allowed at any time, more than once."""
        ...

    def nudge(self) -> None:
        """The device may be there again: open it now instead of after the back-off. From any thread; else no effect."""
        ...

    def state(self) -> dict[str, Any]:
        """JSON-ready: ``name``, ``state`` (stopped, opening, up, silent, down), ``error`` where there is one, and the
        counters that are not zero (docs/reference/sources.md)."""
        ...


class SignalMeter(Protocol):
    """The modem, for those who want to know how well it hears. Must answer at once, from what it knows already."""

    def signal_dbm(self) -> int | None:
        """Received power of the mobile network, dBm; None = unknown."""
        ...


class NetworkMeter(Protocol):
    """Who knows which network carries us. Must answer at once, from what it knows already."""

    def network(self) -> NetworkState: ...


class RecordSink(Protocol):
    """Where the driving side puts records: never blocks; False = refused and counted as dropped."""

    def put(self, record: Record) -> bool: ...


# ---- sending side ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stream:
    """One (epoch, lane) of the log that still has something to be acknowledged.

    Sequences count from 1. acknowledged: highest seq the receiver has confirmed (0 none). durable: highest seq that
    survives a power cut; nothing above may be sent.
    """

    epoch: int
    lane: Lane
    acknowledged: int
    durable: int


class RecordLog(Protocol):
    """The journal as the sending side sees it. Thread-safe against the writer."""

    def streams(self) -> Sequence[Stream]:
        """Streams with unacknowledged durable records, by lane, oldest epoch first."""
        ...

    def read(self, epoch: int, lane: Lane, first_seq: int, max_records: int, max_bytes: int) -> list[StoredRecord]:
        """Durable records from first_seq on, in order, at least one if there is one.

        Each follows the one before (the first one: first_seq) or is a GAP record, which carries the last number it
        names: no number is passed over without one.
        """
        ...

    def acknowledge(self, epoch: int, lane: Lane, up_to_seq: int) -> bool:
        """The receiver holds everything up to here. False (and nothing changes) for an absurd position:
        unknown epoch, above the durable watermark. Going back is ignored (True)."""
        ...

    def wait_durable(self, timeout_s: float) -> bool:
        """Block until something new became durable, or timeout."""
        ...


# ---- storage seam under the journal ---------------------------------------------------------------


class StorageFile(Protocol):
    def pread(self, size: int, offset: int) -> bytes: ...

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int: ...

    def sync(self) -> None:
        """fdatasync."""
        ...

    def size(self) -> int: ...

    def close(self) -> None: ...


class Guard(Protocol):
    """What keeps the journal's readers and its writer apart: a ``threading.Condition`` where there are threads."""

    def __enter__(self) -> bool: ...

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None, /
    ) -> None: ...

    def notify_all(self) -> None: ...

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool: ...


class Storage(Protocol):
    """The few operations the journal does on a directory, so that a power cut can be tried at each of them.

    All raise JournalError, with ``errno`` where the system gave one.
    """

    def open(self, name: str, *, create: bool = False) -> StorageFile: ...

    def rename(self, old: str, new: str) -> None: ...

    def unlink(self, name: str) -> None: ...

    def sync_dir(self) -> None: ...

    def names(self) -> list[str]: ...

    def free_bytes(self) -> int: ...

    def guard(self) -> Guard:
        """The same one each time."""
        ...

    def close(self) -> None:
        """Gives the directory back to other processes."""
        ...
