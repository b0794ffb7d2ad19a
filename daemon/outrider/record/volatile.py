"""Emergencies that flash refused, on their way all the same: a stream in memory, under an epoch of its own.

The epoch is random, made for this run, and never used again: so a number that was sent means nothing else, though no
flash remembers it. Its first record says what it is. The same records stay pending and get their numbers on flash when
the disk takes them again; the receiver then has them twice, with the same boot id, time and body.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from outrider.model.notice import Notice, NoticeCode, NoticeLevel
from outrider.model.record import Category, Kind, Lane, Record, StoredRecord
from outrider.ports import Stream
from outrider.record.format import record_bytes
from outrider.record.repair import Random
from outrider.wire.bodies import encode_body

MAX_RECORDS: Final = 256
MAX_BYTES: Final = 256 * 1024


class Volatile:
    """Under the guard of the journal. epoch: None until there is something. refused: records beyond the bounds."""

    def __init__(self, rng: Random, boot_id: int, durable_epoch: int) -> None:
        self._rng = rng
        self._boot_id = boot_id
        self._durable_epoch = durable_epoch
        self.epoch: int | None = None
        self.refused = 0
        self._acknowledged = 0
        self._records: list[StoredRecord] = []  # after what is acknowledged
        self._bytes = 0
        self._known: list[Record] = []  # still waiting for flash

    @property
    def durable(self) -> int:
        """The highest number. It survives nothing, but may be sent."""
        return self._acknowledged + len(self._records)

    def add(self, records: Iterable[Record]) -> bool:
        """Those that are new. True: there are."""
        new = [each for each in records if not any(each is known for known in self._known)]
        if new and self.epoch is None:
            self._begin(new[0].t_us)
        for record in new:
            self._known.append(record)
            if len(self._records) >= MAX_RECORDS or self._bytes + record_bytes(record) > MAX_BYTES:
                self.refused += 1
                continue
            self._append(record)
        return bool(new)

    def _begin(self, t_us: int) -> None:
        while not (epoch := self._rng.getrandbits(64)) or epoch == self._durable_epoch:
            pass
        self.epoch = epoch
        detail = (("epoch", "volatile"), ("flash_epoch", f"{self._durable_epoch:016x}"))
        body = encode_body(Notice(NoticeCode.STORAGE_FAULT, NoticeLevel.ERROR, detail))
        self._append(Record(Lane.EMERGENCY, Kind.NOTICE, Category.SYSTEM, self._boot_id, t_us, body))

    def _append(self, record: Record) -> None:
        assert self.epoch is not None, "begin first"
        self._records.append(StoredRecord(self.epoch, self.durable + 1, record))
        self._bytes += record_bytes(record)

    def settled(self) -> None:
        """Flash has taken all that waited. What was sent of it stays as it is."""
        self._known.clear()

    def streams(self) -> list[Stream]:
        if self.epoch is None or not self._records:
            return []
        return [Stream(self.epoch, Lane.EMERGENCY, self._acknowledged, self.durable)]

    def read(self, first_seq: int, max_records: int, max_bytes: int) -> list[StoredRecord]:
        """As ``ports.RecordLog.read``."""
        out: list[StoredRecord] = []
        for stored in self._records[max(0, first_seq - self._acknowledged - 1) :][:max_records]:
            max_bytes -= record_bytes(stored.record)
            if out and max_bytes < 0:
                break
            out.append(stored)
        return out

    def acknowledge(self, up_to_seq: int) -> bool:
        if not 0 <= up_to_seq <= self.durable:
            return False
        gone = max(0, up_to_seq - self._acknowledged)
        self._bytes -= sum(record_bytes(stored.record) for stored in self._records[:gone])
        del self._records[:gone]
        self._acknowledged += gone
        return True
