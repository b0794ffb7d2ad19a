"""From records to the broker: the journal with its writer and, when there is a broker, the uplink.

The daemon and a replay use the same; only a replay may wait for room in the writer's queue (``PatientSink``).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from outrider import __version__
from outrider.errors import ConfigError, JournalError
from outrider.files_io import read_file
from outrider.model.notice import Notice
from outrider.model.record import Lane, Record, SignalTable, StoredRecord
from outrider.ports import Clock, RecordSink
from outrider.record.capped_sink_io import CappedSink
from outrider.record.emergency_cap import CapOptions
from outrider.record.journal import Journal
from outrider.record.options import JournalOptions
from outrider.record.storage_io import DirectoryStorage
from outrider.record.writer_io import JournalWriter, WriterOptions
from outrider.uplink.budget import Budget, BudgetOptions
from outrider.uplink.options import UplinkOptions
from outrider.uplink.session_io import Uplink
from outrider.wire.birth import Birth


class NullSink:
    """No journal: records are made and counted, then forgotten."""

    def put(self, record: Record) -> bool:
        return True


class PatientSink:
    """Waits for room instead of being refused. For replays only: a recording can wait, a car can not."""

    def __init__(self, writer: JournalWriter) -> None:
        self._writer = writer

    def put(self, record: Record) -> bool:
        return self._writer.put_waiting(record)


class DigestSink:
    """Notes what a fresh journal took, so that it can be compared with what the receiver holds.

    Independent of the journal: numbers are counted here, from 1 in each lane, as a journal without losses does.
    """

    def __init__(self, sink: RecordSink, epoch: int) -> None:
        self._sink = sink
        self._epoch = epoch
        self._counts: dict[Lane, int] = {}
        self._digests: dict[Lane, Any] = {}

    def put(self, record: Record) -> bool:
        if not self._sink.put(record):
            return False
        lane = record.lane
        self._counts[lane] = seq = self._counts.get(lane, 0) + 1
        digest = self._digests.setdefault(lane, hashlib.sha256())
        digest.update(StoredRecord(self._epoch, seq, record).digest())
        return True

    def digests(self) -> dict[tuple[int, Lane], tuple[int, str]]:
        """Count and SHA-256 over the digests of the canonical records, by (epoch, lane)."""
        return {(self._epoch, lane): (self._counts[lane], d.hexdigest()) for lane, d in self._digests.items()}


@dataclass(frozen=True)
class DeliveryOptions:
    """Where the journal is, how it commits, and the broker (None = records stay here)."""

    directory: Path
    boot_id: int
    journal: JournalOptions = field(default_factory=JournalOptions)
    writer: WriterOptions = field(default_factory=WriterOptions)
    cap: CapOptions = field(default_factory=CapOptions)
    uplink: UplinkOptions | None = None
    budget: BudgetOptions = field(default_factory=BudgetOptions)


class Delivery:
    """Opens the journal (JournalLockedError when another process has it) and runs writer and uplink until closed."""

    def __init__(
        self,
        options: DeliveryOptions,
        clock: Clock,
        *,
        on_durable: Callable[[int, Lane, int], None] | None = None,
        on_acknowledged: Callable[[int, Lane, int, int], None] | None = None,
        on_notice: Callable[[Notice], None] = lambda _notice: None,
    ) -> None:
        options.directory.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._options = options
        storage = DirectoryStorage(options.directory)
        self.journal = Journal.open(storage, options.journal, boot_id=options.boot_id, rng=random.SystemRandom())
        self.writer = JournalWriter(
            self.journal,
            options.writer,
            clock,
            on_durable=on_durable,
            save_beside=self._save_beside,
            on_notice=on_notice,
        )
        self.capped = CappedSink(self.writer, options.cap, storage, options.boot_id, on_notice)
        self.uplink: Uplink | None = None
        self.budget = None if options.uplink is None else Budget(options.budget)
        self._session_id = random.SystemRandom().getrandbits(63)
        self._table: SignalTable | None = None
        if options.uplink is not None:
            self.uplink = Uplink(
                self.journal,
                options.uplink,
                clock,
                self._birth,
                on_acknowledged=on_acknowledged,
                budget=self.budget,
            )

    @property
    def directory(self) -> Path:
        return self._options.directory

    @property
    def patient(self) -> PatientSink:
        """The writer for those who may wait."""
        return PatientSink(self.writer)

    def _save_beside(self) -> None:
        self.capped.save()

    def describe(self, table: SignalTable) -> None:
        """The signal table that the retained birth document carries."""
        self._table = table

    def __enter__(self) -> Self:
        self.writer.start()
        if self.uplink is not None:
            self.uplink.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self.writer.stop()
            if self.uplink is not None:
                self.uplink.stop(flush_timeout_s=1.0)
        finally:
            self._close()

    def _close(self) -> None:
        """A writer that hangs in the disk still owns the journal: what is pending is left to the next recovery."""
        if self.writer.stats().alive:
            raise JournalError(f"{self.directory}: the disk does not answer; what was not committed yet is lost")
        self.capped.close()
        self.journal.close()

    def wait_delivered(self, timeout_s: float) -> bool:
        """Commit everything, then wait until the receiver has acknowledged it all. False: not within the time."""
        if not self.writer.flush(timeout_s):
            return False
        if self.uplink is not None:
            self.uplink.flush()
        deadline = self._clock.boottime_us() + round(timeout_s * 1e6)
        while self.journal.streams():
            if self._clock.boottime_us() > deadline:
                return False
            self._clock.sleep(0.02)
        return True

    def lost(self) -> int:
        """Records given to the journal since it was opened that it does not hold and will not: no room for them."""
        lanes = self.journal.stats().lanes.values()
        return sum(lane.shed + lane.evicted + lane.thinned + lane.overrun for lane in lanes)

    def status(self) -> dict[str, Any]:
        import dataclasses

        return {
            "journal": self.journal.stats().document(),
            "writer": dataclasses.asdict(self.writer.stats()),
            "emergencies": self.capped.status(),
            "uplink": dataclasses.asdict(self.uplink.status()) if self.uplink else None,
        }

    def _birth(self) -> Birth:
        assert self._options.uplink is not None
        return Birth(
            device=self._options.uplink.device,
            session_id=self._session_id,
            software=__version__,
            table=self._table,
            online=True,
            boot_id=self._options.boot_id,
            epoch=self.journal.epoch,
        )


def read_key(path: Path | None) -> bytes:
    """A key from a file: hex digits, at least 16 bytes. ConfigError says what is wrong."""
    if path is None:
        raise ConfigError('an acknowledgement key is needed: ack_key_file = "FILE" (hex digits, 32 bytes)')
    try:
        key = bytes.fromhex(read_file(path).decode("ascii").strip())
    except OSError as err:
        raise ConfigError(f"cannot be read: {err.strerror}", path=path) from None
    except ValueError:
        raise ConfigError("holds no hex digits", path=path) from None
    if len(key) < 16:
        raise ConfigError(f"{len(key)} bytes are too short for a key, at least 16", path=path)
    return key


def split_broker(text: str, default_port: int = 1883) -> tuple[str, int]:
    """``HOST``, ``HOST:PORT`` or ``[IPV6]:PORT``; ConfigError otherwise."""
    host, port = text, default_port
    if text.startswith("["):
        host, _sep, rest = text[1:].partition("]")
        text = rest
    if ":" in text and (text.count(":") == 1):
        head, _sep, tail = text.partition(":")
        host = host if text.startswith(":") else head
        if not tail.isdigit() or not 1 <= int(tail) <= 65535:
            raise ConfigError(f"{tail!r} is no port in {text!r}; write HOST:PORT")
        port = int(tail)
    if not host:
        raise ConfigError(f"no host in {text!r}; write HOST:PORT")
    return host, port
