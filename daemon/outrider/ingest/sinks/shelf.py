"""``Shelf``: where records stay. What the register knows of a record is decided there, under its locks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from outrider.ingest.core import StreamKey
from outrider.ingest.sinks.draft import Device
from outrider.model.record import Lane, StoredRecord

Row = tuple[StoredRecord, int]  # and when it was received, UTC us


class Shelf(Protocol):
    """Every refusal is a JournalError."""

    def put(self, rows: Sequence[tuple[Device, Row]]) -> None:
        """Durable with the register's transaction."""
        ...

    def held(self, device: Device, stream: StreamKey, ranges: Sequence[tuple[int, int]]) -> dict[int, StoredRecord]:
        """Records under these numbers, by sequence."""
        ...

    def records(self, number: int, device: str, epoch: int | None, lane: Lane | None) -> Iterator[StoredRecord]:
        """By epoch (as its signed number), lane and sequence, each once."""
        ...

    def runs(self, number: int, device: str) -> Iterator[tuple[StreamKey, int, int]]: ...

    def count(self, number: int, device: str) -> int: ...

    def turn(self) -> None:
        """Housekeeping, outside of a transaction."""
        ...

    def waiting(self) -> int:
        """Records that are to be moved."""
        ...

    def drain(self) -> int:
        """Move them all now, and tidy; how many."""
        ...

    def counters(self) -> dict[str, int]: ...

    def close(self) -> None: ...
