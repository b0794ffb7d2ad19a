"""One virtual terminal: the real journal and the real uplink, with a made-up drive in front.

The fleet's thread calls ``advance``; the uplink has its own threads. What is committed goes into the truth at that
moment, by stream: count and hash as the store's ``digest`` makes them.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

from outrider.app.fleet_drive import TABLE, Drive
from outrider.model.record import Lane, Record, StoredRecord
from outrider.ports import Clock, Guard, Storage
from outrider.record.journal import Journal, JournalOptions, LaneOptions
from outrider.record.storage_io import DirectoryStorage
from outrider.record.storage_memory import MemoryStorage, Operation
from outrider.uplink.options import UplinkOptions
from outrider.uplink.session_io import Uplink
from outrider.wire.birth import Birth

_SEGMENT: Final = 64 * 1024
_OPTIONS: Final = JournalOptions(lanes=dict.fromkeys(Lane, LaneOptions(_SEGMENT)), reserve_segments=1, spare_segments=1)
_URGENT: Final = (Lane.EMERGENCY, Lane.EVENT)
_MAX_DUE: Final = 10_000
_UPKEEP_S: Final = 300  # of its time: how often the cursor is written down and what was acknowledged is freed

Stream = tuple[int, Lane]
Digest = dict[Stream, tuple[int, str]]
Totals = dict[str, int]


class _Memory(MemoryStorage):
    """Shared by threads, and without a diary of its operations."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Condition()

    def guard(self) -> Guard:
        return self._lock

    def note(self, operation: Operation) -> None:
        del operation


class VirtualTerminal:
    """on_acknowledged_s(seconds): how long an urgent record took from commit to acknowledgement."""

    def __init__(
        self,
        options: UplinkOptions,
        clock: Clock,
        rng: Random,
        drive: Drive,
        *,
        directory: Path | None = None,
        on_acknowledged_s: Callable[[float], None] = lambda _s: None,
    ) -> None:
        self.device = options.device
        self._options = options
        self._clock = clock
        self._rng = rng
        self._drive = drive
        self._directory = directory
        self._on_acknowledged_s = on_acknowledged_s
        self._memory = _Memory()
        self._hashes: dict[Stream, Any] = {}
        self._counts: dict[Stream, int] = {}
        self._due: dict[Stream, list[tuple[int, int]]] = {}  # (sequence, committed at) of urgent records
        self._totals: Totals = {}
        self._since_upkeep_s = 0
        self._pending: list[tuple[int, Record]] = []
        self.reboots = 0
        self._journal = self._open()
        self._uplink = self._start_uplink()

    # ---- for the fleet ------------------------------------------------------------------------------

    def advance(self, seconds: int, *, is_clock_right: bool) -> None:
        """So many seconds of driving, committed at the end."""
        for _ in range(seconds):
            self._append(self._drive.second(is_clock_right=is_clock_right))
        self._commit()
        self._since_upkeep_s += seconds
        if self._since_upkeep_s >= _UPKEEP_S:
            self._since_upkeep_s = 0
            self._journal.maintain()

    def reboot(self) -> None:
        """A power cut: connection and journal end as they stand. What was acknowledged since the cursor was written
        last is sent once more. (A journal on disk is closed in order: its files are real.)"""
        self._end(0.0)
        if self._directory is not None:
            self._journal.close()
        self.reboots += 1
        self._journal = self._open()
        self._uplink = self._start_uplink()

    def finish(self) -> None:
        """No more records: send the rest without waiting for company."""
        self._uplink.flush()

    def close(self) -> None:
        """Not needed any more; what is not acknowledged stays in a journal on disk."""
        self._end(0.0)
        self._journal.close()

    def unacknowledged(self) -> int:
        return sum(stream.durable - stream.acknowledged for stream in self._journal.streams())

    def digest(self) -> Digest:
        """What was committed, by stream."""
        return {key: (self._counts[key], total.hexdigest()) for key, total in self._hashes.items()}

    def totals(self) -> Totals:
        """Of all uplinks so far."""
        totals = dict(self._totals)
        _add(totals, self._uplink)
        return totals

    def link_down(self) -> None:
        """End the connection in order (where no road can be cut)."""
        self._end(0.0)

    def link_up(self) -> None:
        self._uplink = self._start_uplink()

    # ---- leaves -------------------------------------------------------------------------------------

    def _open(self) -> Journal:
        """The journal as it was left, and the first records of a new boot in it."""
        storage: Storage = self._memory if self._directory is None else DirectoryStorage(self._directory)
        self._since_upkeep_s = 0
        self._pending.clear()
        seed = Random(self._rng.getrandbits(64))
        self._journal = Journal.open(storage, _OPTIONS, boot_id=self._drive.boot_id, rng=seed)
        self._append(self._drive.boot("power"))
        self._commit()
        return self._journal

    def _start_uplink(self) -> Uplink:
        uplink = Uplink(self._journal, self._options, self._clock, self._birth, on_acknowledged=self._on_acknowledged)
        uplink.start()
        return uplink

    def _end(self, flush_s: float) -> None:
        self._uplink.stop(flush_s)
        _add(self._totals, self._uplink)

    def _append(self, records: Iterator[Record]) -> None:
        for record in records:
            self._pending.append((self._journal.append(record), record))

    def _commit(self) -> None:
        """Durable, and true from now on."""
        self._journal.commit()
        now = self._clock.boottime_us()
        for seq, record in self._pending:
            key = (self._journal.epoch, record.lane)
            self._hashes.setdefault(key, hashlib.sha256()).update(
                StoredRecord(self._journal.epoch, seq, record).digest()
            )
            self._counts[key] = self._counts.get(key, 0) + 1
            if record.lane in _URGENT and len(due := self._due.setdefault(key, [])) < _MAX_DUE:
                due.append((seq, now))
        self._pending.clear()

    def _birth(self) -> Birth:
        return Birth(
            self.device, 0, "sim-fleet", TABLE, online=True, boot_id=self._drive.boot_id, epoch=self._journal.epoch
        )

    def _on_acknowledged(self, epoch: int, lane: Lane, up_to_seq: int, boottime_us: int) -> None:
        due = self._due.get((epoch, lane), [])
        while due and due[0][0] <= up_to_seq:
            self._on_acknowledged_s((boottime_us - due.pop(0)[1]) / 1e6)


def _add(totals: Totals, uplink: Uplink) -> None:
    status = uplink.status()
    for name in ("connects", "published", "acks", "acks_forged", "acks_replayed", "acks_absurd"):
        totals[name] = totals.get(name, 0) + status.counters.get(name, 0)
    totals["sent_bytes"] = totals.get("sent_bytes", 0) + status.sent_bytes.get("link", 0)
    totals["received_bytes"] = totals.get("received_bytes", 0) + status.received_bytes.get("link", 0)
