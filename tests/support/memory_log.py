"""A RecordLog in memory: what the uplink needs of the journal, with nothing to lose. Thread-safe."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Sequence

from outrider.model.record import Category, Kind, Lane, Record, StoredRecord, TelemetryRow
from outrider.ports import Stream
from outrider.wire.bodies import encode_body

Digest = dict[tuple[int, Lane], tuple[int, str]]


class MemoryLog:
    """Records by (epoch, lane). ``append`` makes durable at once unless told otherwise; ``commit`` does later."""

    def __init__(self, epoch: int = 0x1122334455667788) -> None:
        self.epoch = epoch
        self._records: dict[tuple[int, Lane], list[StoredRecord]] = {}
        self._durable: dict[tuple[int, Lane], int] = {}
        self._acknowledged: dict[tuple[int, Lane], int] = {}
        self._changed = threading.Condition()
        self._version = 0
        self._seen = 0
        self.refused: list[tuple[int, Lane, int]] = []
        self.read_beyond_durable = 0

    # ---- the writer's side ------------------------------------------------------------------------

    def append(self, record: Record, *, durable: bool = True) -> StoredRecord:
        with self._changed:
            key = (self.epoch, record.lane)
            lane = self._records.setdefault(key, [])
            stored = StoredRecord(self.epoch, len(lane) + 1, record)
            lane.append(stored)
            self._durable.setdefault(key, 0)
            self._acknowledged.setdefault(key, 0)
        if durable:
            self.commit()
        return stored

    def commit(self) -> None:
        with self._changed:
            for key, records in self._records.items():
                self._durable[key] = len(records)
            self._version += 1
            self._changed.notify_all()

    def crash(self) -> None:
        """What was not durable is gone."""
        with self._changed:
            for key, records in self._records.items():
                del records[self._durable[key] :]

    def durable(self, epoch: int, lane: Lane) -> int:
        return self._durable.get((epoch, lane), 0)

    def new_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    # ---- ports.RecordLog --------------------------------------------------------------------------

    def streams(self) -> Sequence[Stream]:
        with self._changed:
            return [
                Stream(epoch, lane, self._acknowledged[epoch, lane], durable)
                for (epoch, lane), durable in sorted(self._durable.items(), key=lambda item: item[0][1])
                if durable > self._acknowledged[epoch, lane]
            ]

    def read(self, epoch: int, lane: Lane, first_seq: int, max_records: int, max_bytes: int) -> list[StoredRecord]:
        with self._changed:
            durable = self._durable.get((epoch, lane), 0)
            if first_seq > durable:
                self.read_beyond_durable += 1
            out: list[StoredRecord] = []
            size = 0
            for stored in self._records.get((epoch, lane), [])[first_seq - 1 : durable][:max_records]:
                size += len(stored.record.body)
                if out and size > max_bytes:
                    break
                out.append(stored)
            return out

    def acknowledge(self, epoch: int, lane: Lane, up_to_seq: int) -> bool:
        with self._changed:
            key = (epoch, lane)
            if key not in self._durable or up_to_seq > self._durable[key]:
                self.refused.append((epoch, lane, up_to_seq))
                return False
            self._acknowledged[key] = max(self._acknowledged[key], up_to_seq)
            self._changed.notify_all()
            return True

    def wait_durable(self, timeout_s: float) -> bool:
        with self._changed:
            moved = self._changed.wait_for(lambda: self._version != self._seen, timeout_s)
            self._seen = self._version
            return moved

    # ---- the test's side --------------------------------------------------------------------------

    def wait_acknowledged(self, timeout_s: float, lane: Lane | None = None) -> bool:
        """Until everything durable (of a lane) is acknowledged."""

        def done() -> bool:
            return all(
                self._acknowledged[key] == durable
                for key, durable in self._durable.items()
                if lane is None or key[1] is lane
            )

        with self._changed:
            return self._changed.wait_for(done, timeout_s)

    def digest(self) -> Digest:
        """The same as ``ingest.store_io.Store.digest``, over all durable records."""
        out: Digest = {}
        for key, records in self._records.items():
            total = hashlib.sha256()
            for stored in records[: self._durable[key]]:
                total.update(stored.digest())
            out[key] = (self._durable[key], total.hexdigest())
        return out


def telemetry(index: int, rng: random.Random, boot_id: int = 7) -> Record:
    """One 1 Hz row of ten plausible signals."""
    values = tuple((signal, rng.randrange(-50, 50) + signal * 1000 + index) for signal in range(1, 11))
    body = encode_body(TelemetryRow(0xABCD1234, values))
    return Record(Lane.TELEMETRY, Kind.TELEMETRY, Category.DRIVING, boot_id, 1_000_000 * index, body)


def opaque(lane: Lane, index: int, size: int, rng: random.Random, boot_id: int = 7) -> Record:
    """A record whose body is random bytes, of a kind no version knows."""
    return Record(lane, Kind(200), Category.SYSTEM, boot_id, 1_000_000 * index, rng.randbytes(size))
