"""``Far``: a store of records that has no transactions, and the rows it takes.

Rows come again after a crash, and a gap and the record that replaced it may both be there: of the rows of one (device,
epoch, lane, sequence) the one counts that was received first and is no gap; else a gap. Nearly always they are alike:
another content can only come while the far store cannot be asked. Every reading keeps to that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from outrider.ingest.core import StreamKey
from outrider.model.record import Category, Kind, Lane, Record, StoredRecord


class FarRow(NamedTuple):
    """epoch: 16 hex digits, as everywhere it is shown."""

    device: str
    epoch: str
    lane: int
    seq: int
    kind: int
    category: int
    schema: int
    boot_id: int
    t_us: int
    body: bytes
    received_utc_us: int


class Far(Protocol):
    """``add`` and ``tidy`` are called on a thread of their own, the others on the sink's. Every refusal is a
    JournalError."""

    def add(self, rows: Sequence[FarRow]) -> None:
        """Durable when it returns."""
        ...

    def tidy(self) -> None:
        """Housekeeping that takes long."""
        ...

    def held(self, stream: StreamKey, first: int, last: int) -> dict[int, StoredRecord]: ...

    def records(self, stream: StreamKey) -> Iterator[StoredRecord]:
        """By sequence, each once."""
        ...

    def runs(self, device: str) -> Iterator[tuple[StreamKey, int, int]]: ...

    def close(self) -> None: ...


def hex_of(epoch: int) -> str:
    return f"{epoch:016x}"


def stream_of(device: str, epoch: str, lane: int) -> StreamKey:
    return StreamKey(device, int(epoch, 16), Lane(lane))


def record_of(row: Sequence[Any]) -> StoredRecord:
    """From (epoch, lane, seq, kind, category, schema, boot_id, t_us, body)."""
    epoch, lane, seq, kind, category, schema, boot_id, t_us, body = row
    record = Record(Lane(lane), Kind(kind), Category(category), boot_id, t_us, bytes(body), schema)
    return StoredRecord(int(epoch, 16), seq, record)
