"""``Store``: a sink and its reader over a register and a shelf; ``Store.open``: both in one SQLite file, the default.

What messages change is decided by a ``Draft`` and written at the commit. The rules are the draft's, the tables the
register's, the records the shelf's.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from outrider.errors import JournalError
from outrider.ingest.clock import FixPoint, UtcTime, resolve
from outrider.ingest.core import Content, StreamKey
from outrider.ingest.sinks.alarms_io import AlarmTables
from outrider.ingest.sinks.draft import Device, Draft
from outrider.ingest.sinks.progress import Progress
from outrider.ingest.sinks.register_io import Register
from outrider.ingest.sinks.shelf import Shelf
from outrider.ingest.sinks.shelf_table_io import TableShelf
from outrider.ingest.sinks.sink import Accepted, GapRow, Letter
from outrider.ingest.sinks.sql import Sql
from outrider.ingest.sinks.sqlite_io import SqliteSql
from outrider.model.record import Kind, Lane, SignalTable, StoredRecord
from outrider.wire.birth import Birth
from outrider.wire.bodies import decode_body
from outrider.wire.codec import Batch


class Store:
    """See the module. Use as a context manager or call ``close``."""

    def __init__(self, sql: Sql, shelf: Shelf, max_dead_letters: int = 10_000) -> None:
        self.sql = sql
        self._register = Register(sql, max_dead_letters)
        self.shelf = shelf
        self._draft = Draft(self)
        self._at_close: list[Callable[[], object]] = []
        self.alarms = AlarmTables(sql, self._heard)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False, max_dead_letters: int = 10_000) -> Store:
        """Open, and create when writing. InputError: no receiver's database; JournalError: cannot be opened."""
        sql = SqliteSql.open(path, read_only=read_only)
        return cls(sql, TableShelf(sql), max_dead_letters)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.shelf.close()
        self.sql.close()
        while self._at_close:
            self._at_close.pop()()

    def at_close(self, end: Callable[[], object]) -> None:
        """To be called when the store is closed."""
        self._at_close.append(end)

    # ---- writing (see ``Sink``) -------------------------------------------------------------------

    def reserve(self, contents: Iterable[Content]) -> None:
        names = {content.device for content in contents if isinstance(content, Batch | Birth)}
        if names:
            self.sql.begin()
            self._draft.devices |= self._register.lock(names - self._draft.devices.keys(), 0)

    def mark(self) -> None:
        self.sql.begin()
        self._draft.mark()

    def undo(self) -> None:
        self._draft.undo()

    def accept(self, batch: Batch, utc_us: int) -> Accepted:
        self.sql.begin()
        return self._draft.accept(batch, utc_us)

    def accept_again(self, batch: Batch, utc_us: int) -> Accepted:
        """As ``accept``, for a batch received long ago: when the terminal was heard last stays."""
        self.sql.begin()
        seen = self._draft.device(batch.device, utc_us).seen_utc_us
        accepted = self.accept(batch, utc_us)
        self._heard(batch.device, seen)
        return accepted

    def accept_birth(self, birth: Birth, utc_us: int) -> tuple[StreamKey, ...]:
        self.sql.begin()
        self._draft.birth(birth, utc_us)
        return self.streams(birth.device, birth.epoch)

    def dead_letter(self, topic: str, reason: str, payload: bytes, utc_us: int) -> None:
        """Its first 64 KiB; the oldest above the limit are dropped."""
        self.sql.begin()
        self._draft.letter(topic, reason, payload, utc_us)

    def next_ack_counter(self, device: str, utc_us: int) -> int:
        """Grows for ever, also over a lost database (it follows the clock)."""
        self.sql.begin()
        return self._draft.next_ack_counter(device, utc_us)

    def commit(self) -> None:
        try:
            if not self.sql.in_transaction:
                if self._draft.is_pending:
                    raise JournalError("database: the transaction was ended; nothing of it is stored")
                return
            self._write()
            self.sql.commit()
        except JournalError:
            self.rollback()
            raise
        self._draft.clear()
        self._register.forget()

    def rollback(self) -> None:
        self.sql.rollback()
        self._draft.clear()
        self._register.distrust()

    def tend(self) -> None:
        self.shelf.turn()

    def counters(self) -> dict[str, int]:
        return self.shelf.counters()

    def waiting(self) -> int:
        """Records that are to be moved to the shelf."""
        return self.shelf.waiting()

    def settle(self) -> int:
        """Move all of them now, and tidy the shelf; how many were moved. JournalError: it, or the register, refuses."""
        return self.shelf.drain()

    def learn_again(self, device: str, stored: StoredRecord, utc_us: int) -> bool:
        """For a record that is stored and was not understood: whether it is now. It must be the one that is stored."""
        self.sql.begin()
        key = StreamKey(device, stored.epoch, stored.record.lane)
        held = self.shelf.held(self._draft.device(device, utc_us), key, [(stored.seq, stored.seq)])
        return held.get(stored.seq) == stored and self._draft.learn_again(device, stored, utc_us)

    def drop_letters(self, letters: Iterable[Letter]) -> None:
        """They are of use after all, or of none at all."""
        self.sql.begin()
        self._register.drop_letters([letter.number for letter in letters])

    # ---- the ground of the draft --------------------------------------------------------------------

    def device(self, name: str, utc_us: int) -> Device:
        self.sql.begin()
        return self._register.lock((name,), utc_us)[name]

    def progress(self, device: Device, stream: StreamKey) -> Progress:
        return self._register.progress(device, stream)

    def held(self, device: Device, stream: StreamKey, ranges: Sequence[tuple[int, int]]) -> dict[int, StoredRecord]:
        return self.shelf.held(device, stream, ranges)

    # ---- reading (see ``SinkReader``): of an open transaction, too ----------------------------------

    def position(self, stream: StreamKey) -> int:
        """Up to which sequence the stream is complete."""
        progress = self._draft.progress.get(stream)
        if progress is not None:
            return progress.position
        return self.positions(stream.device).get(stream, 0)

    def streams(self, device: str, epoch: int) -> tuple[StreamKey, ...]:
        """Those of an epoch of which something is known, by lane."""
        pending = {s for s in self._draft.changed_streams if (s.device, s.epoch) == (device, epoch)}
        return tuple(sorted(pending.union(self._register.streams(device, epoch)), key=lambda s: s.lane))

    def records(self, device: str, epoch: int | None = None, lane: Lane | None = None) -> Iterator[StoredRecord]:
        """Records of a device by epoch, lane and sequence."""
        self._write()
        number = self._register.number(device)
        return iter(()) if number is None else self.shelf.records(number, device, epoch, lane)

    def runs(self, device: str) -> Iterator[tuple[StreamKey, int, int]]:
        """(stream, first, last): sequences whose record is stored."""
        self._write()
        number = self._register.number(device)
        return iter(()) if number is None else self.shelf.runs(number, device)

    def digest(self, device: str) -> dict[tuple[int, Lane], tuple[int, str]]:
        """{(epoch, lane): (count, hex SHA-256 over StoredRecord.digest() in sequence order)}."""
        counts: Counter[tuple[int, Lane]] = Counter()
        hashes: dict[tuple[int, Lane], Any] = {}
        for stored in self.records(device):
            key = (stored.epoch, stored.record.lane)
            counts[key] += 1
            hashes.setdefault(key, hashlib.sha256()).update(stored.digest())
        return {key: (counts[key], digest.hexdigest()) for key, digest in hashes.items()}

    def positions(self, device: str | None = None) -> dict[StreamKey, int]:
        """Up to which sequence each stream is complete."""
        self._write()
        return self._register.positions(device)

    def gaps(self, device: str | None = None) -> list[GapRow]:
        """Ranges that will not come, by stream."""
        self._write()
        return self._register.gaps(device)

    def letters(self) -> Iterator[Letter]:
        """Dead letters, oldest first."""
        self._write()
        return self._register.letters()

    def letter_count(self) -> int:
        return self._register.letter_count()

    def dead_letters(self) -> list[tuple[str, str, bytes]]:
        """(topic, reason, payload), oldest first."""
        return [(letter.topic, letter.reason, letter.payload) for letter in self.letters()]

    def device_names(self) -> list[dict[str, Any]]:
        """As ``devices``, without counting records."""
        self._write()
        return [told for _number, told in self._register.devices()]

    def devices(self) -> list[dict[str, Any]]:
        """Name, online (None: never told), software, when last heard (UTC us), number of records."""
        self._write()
        return [
            {**told, "records": self.shelf.count(number, told["device"])} for number, told in self._register.devices()
        ]

    def signal_table(self, device: str, number: int) -> SignalTable | None:
        """The table a telemetry row names, if it has been received."""
        self._write()
        body = self._register.signal_table(device, number)
        return None if body is None else _table(body)

    def signal_tables(self, device: str) -> list[SignalTable]:
        """All that the terminal has sent."""
        self._write()
        return [table for body in self._register.signal_tables(device) if (table := _table(body)) is not None]

    def utc_of(self, device: str, boot_id: int, t_us: int) -> UtcTime | None:
        """UTC of a boot time, by the clock fixes received so far; None while there is none of that boot."""
        return resolve(self.clock_fixes(device, boot_id), t_us)

    def clock_fixes(self, device: str, boot_id: int) -> list[FixPoint]:
        """What UTC it was in that boot, as received so far."""
        self._write()
        return self._register.fixes(device, boot_id)

    # ---- leaves -------------------------------------------------------------------------------------

    def _write(self) -> None:
        """What the draft decided, into the open transaction."""
        if not self.sql.in_transaction:
            return
        draft = self._draft
        self.shelf.put([(draft.devices[key.device], row) for (key, _seq), row in draft.records.items()])
        self._register.write(draft)
        draft.written()

    def _heard(self, device: str, utc_us: int) -> int:
        """For what is written down later than it was heard: a later time stays. The device's number."""
        self.sql.begin()
        return self._draft.heard(device, max(utc_us, self._draft.device(device, utc_us).seen_utc_us)).number


def _table(body: bytes) -> SignalTable | None:
    table = decode_body(Kind.SIGNAL_TABLE, body)
    return table if isinstance(table, SignalTable) else None
