"""The receiver's database: one SQLite connection that writes, WAL, synchronous = FULL.

Changes collect in a transaction until ``commit`` returns; then they survive a power cut. A record is stored once: the
same key with the same content is a duplicate, with other content a conflict, kept as a dead letter. Only a gap is no
rival: a terminal may give up what it had sent, so a record stays, or replaces it. Other processes may read beside it
(``read_only``); they must never write.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from outrider.errors import InputError, JournalError, WireError
from outrider.files_io import make_private
from outrider.ingest.alarms_io import AlarmTables
from outrider.ingest.clock import FixPoint, UtcTime, resolve
from outrider.ingest.core import StreamKey, clock_fix_of, gap_of
from outrider.ingest.progress import Progress, runs
from outrider.ingest.schema import ALARM_TABLES, MIGRATIONS, TABLES, VERSION
from outrider.model.record import Category, Gap, GapReason, Kind, Lane, Record, SignalTable, StoredRecord
from outrider.wire.birth import Birth
from outrider.wire.bodies import decode_body, encode_body, table_id
from outrider.wire.codec import Batch

_KEEP_BYTES: Final = 65_536
_COLUMNS: Final = "epoch, lane, seq, kind, category, schema, boot_id, t_us, body"


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


class Store:
    """See the module. Use as a context manager or call ``close``."""

    def __init__(self, db: sqlite3.Connection, max_dead_letters: int = 10_000) -> None:
        self._db = db
        self._max_dead_letters = max_dead_letters
        self._devices: dict[str, int] = {}
        self._progress: dict[StreamKey, Progress] = {}
        self.alarms = AlarmTables(db, self._begin, self._device_heard)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False, max_dead_letters: int = 10_000) -> Store:
        """Open, and create when writing. InputError: no receiver's database; JournalError: cannot be opened."""
        try:
            if read_only:
                db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            else:
                make_private(path)  # it holds places of people
                db = sqlite3.connect(path, isolation_level=None)
        except sqlite3.Error as err:
            raise JournalError(f"{path}: {err}") from None
        try:
            _prepare(db, path, read_only)
        except sqlite3.DatabaseError as err:
            db.close()
            raise InputError(f"cannot be used as the receiver's database: {err}", path=path) from None
        except InputError:
            db.close()
            raise
        return cls(db, max_dead_letters)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    # ---- writing ----------------------------------------------------------------------------------

    def commit(self) -> None:
        """Everything since the last commit is on disk when this returns. JournalError: nothing of it is."""
        try:
            if self._db.in_transaction:
                self._db.execute("COMMIT")
        except sqlite3.Error as err:
            self.rollback()
            raise JournalError(f"database: {err}") from None

    def rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._devices.clear()
        self._progress.clear()

    def mark(self) -> None:
        """``undo`` takes back what follows, and nothing before it."""
        self._begin()
        self._db.execute("SAVEPOINT mark")

    def undo(self) -> None:
        self._db.execute("ROLLBACK TO mark")
        self._devices.clear()
        self._progress.clear()

    def accept(self, batch: Batch, utc_us: int) -> Accepted:
        """Store what is new of a batch. JournalError when the database refuses (then roll back)."""
        try:
            return self._accept(batch, utc_us)
        except sqlite3.Error as err:
            raise JournalError(f"database: {err}") from None

    def accept_birth(self, birth: Birth, utc_us: int) -> tuple[StreamKey, ...]:
        """Remember the device's state; the streams of its current epoch. A will is heeded for its own session only."""
        self._begin()
        number = self._device_no(birth.device, utc_us)
        row = self._db.execute("SELECT session_id FROM devices WHERE device_no = ?", (number,)).fetchone()
        if birth.online or row[0] in (None, _signed(birth.session_id)):
            self._db.execute(
                "UPDATE devices SET online=?, session_id=?, software=?, boot_id=?, epoch=? WHERE device_no=?",
                (birth.online, _signed(birth.session_id), birth.software, birth.boot_id, _signed(birth.epoch), number),
            )
        if birth.table is not None:
            self._put_table(number, table_id(birth.table), encode_body(birth.table))
        query = "SELECT lane FROM positions WHERE device_no = ? AND epoch = ?"
        lanes = self._db.execute(query, (number, _signed(birth.epoch))).fetchall()
        return tuple(StreamKey(birth.device, birth.epoch, Lane(lane)) for (lane,) in lanes)

    def dead_letter(self, topic: str, reason: str, payload: bytes, utc_us: int) -> None:
        """Keep a payload that is no use (its first 64 KiB), and drop the oldest above the limit."""
        self._begin()
        cursor = self._db.execute(
            "INSERT INTO dead_letters (received_utc_us, topic, reason, size, payload) VALUES (?,?,?,?,?)",
            (utc_us, topic[:1024], reason[:1024], len(payload), payload[:_KEEP_BYTES]),
        )
        self._db.execute("DELETE FROM dead_letters WHERE id <= ?", ((cursor.lastrowid or 0) - self._max_dead_letters,))

    def next_ack_counter(self, device: str, utc_us: int) -> int:
        """A counter for the next acknowledgement: grows for ever, also over a lost database (it follows the clock)."""
        self._begin()
        number = self._device_no(device, utc_us)
        query = "UPDATE devices SET ack_counter = max(ack_counter + 1, ?) WHERE device_no = ? RETURNING ack_counter"
        return int(self._db.execute(query, (utc_us, number)).fetchone()[0])

    def position(self, stream: StreamKey) -> int:
        """Up to which sequence the stream is complete."""
        number = self._known(stream.device)
        return 0 if number is None else self._progress_of(number, stream).position

    # ---- reading ----------------------------------------------------------------------------------

    def records(self, device: str, epoch: int | None = None, lane: Lane | None = None) -> Iterator[StoredRecord]:
        """Records of a device by epoch, lane and sequence."""
        query = f"SELECT {_COLUMNS} FROM records WHERE device_no = ?"
        values: list[int | None] = [self._known(device)]
        if epoch is not None:
            query += " AND epoch = ?"
            values.append(_signed(epoch))
        if lane is not None:
            query += " AND lane = ?"
            values.append(int(lane))
        for row in self._db.execute(query + " ORDER BY epoch, lane, seq", values):
            yield _stored(row)

    def digest(self, device: str) -> dict[tuple[int, Lane], tuple[int, str]]:
        """{(epoch, lane): (count, hex SHA-256 over StoredRecord.digest() in sequence order)}."""
        counts: Counter[tuple[int, Lane]] = Counter()
        hashes: dict[tuple[int, Lane], Any] = {}
        for stored in self.records(device):
            key = (stored.epoch, stored.record.lane)
            counts[key] += 1
            hashes.setdefault(key, hashlib.sha256()).update(stored.digest())
        return {key: (counts[key], digest.hexdigest()) for key, digest in hashes.items()}

    def positions(self) -> dict[StreamKey, int]:
        """Up to which sequence each stream is complete."""
        query = "SELECT name, p.epoch, lane, up_to_seq FROM positions p JOIN devices USING (device_no)"
        return {StreamKey(n, _unsigned(e), Lane(lane)): seq for n, e, lane, seq in self._db.execute(query)}

    def gaps(self) -> list[GapRow]:
        """Ranges that will not come, by stream."""
        query = """SELECT name, g.epoch, lane, first_seq, last_seq, reason FROM gaps g JOIN devices USING (device_no)
                   ORDER BY name, g.epoch, lane, first_seq"""
        return [
            GapRow(StreamKey(name, _unsigned(epoch), Lane(lane)), first, last, reason)
            for name, epoch, lane, first, last, reason in self._db.execute(query)
        ]

    def dead_letters(self) -> list[tuple[str, str, bytes]]:
        """(topic, reason, payload), oldest first."""
        return self._db.execute("SELECT topic, reason, payload FROM dead_letters ORDER BY id").fetchall()

    def devices(self) -> list[dict[str, Any]]:
        """Name, online (None: never told), software, when last heard (UTC us), number of records."""
        query = """SELECT name, online, software, seen_utc_us,
                   (SELECT count(*) FROM records r WHERE r.device_no = d.device_no) FROM devices d ORDER BY name"""
        names = ("device", "online", "software", "seen_utc_us", "records")
        rows = [dict(zip(names, row, strict=True)) for row in self._db.execute(query)]
        return [row | {"online": None if row["online"] is None else bool(row["online"])} for row in rows]

    def signal_table(self, device: str, number: int) -> SignalTable | None:
        """The table a telemetry row names, if it has been received."""
        query = "SELECT body FROM signal_tables WHERE device_no = ? AND table_id = ?"
        row = self._db.execute(query, (self._known(device), number)).fetchone()
        table = None if row is None else decode_body(Kind.SIGNAL_TABLE, row[0])
        return table if isinstance(table, SignalTable) else None

    def utc_of(self, device: str, boot_id: int, t_us: int) -> UtcTime | None:
        """UTC of a boot time, by the clock fixes received so far; None while there is none of that boot."""
        query = "SELECT t_us, utc_us, uncertainty_us FROM clock_fixes WHERE device_no = ? AND boot_id = ?"
        return resolve((FixPoint(*row) for row in self._db.execute(query, (self._known(device), boot_id))), t_us)

    # ---- leaves -----------------------------------------------------------------------------------

    def _begin(self) -> None:
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")

    def _known(self, device: str) -> int | None:
        if device not in self._devices:
            row = self._db.execute("SELECT device_no FROM devices WHERE name = ?", (device,)).fetchone()
            if row is None:
                return None
            self._devices[device] = row[0]
        return self._devices[device]

    def _device_no(self, device: str, utc_us: int) -> int:
        number = self._known(device)
        if number is not None:
            self._db.execute("UPDATE devices SET seen_utc_us = ? WHERE device_no = ?", (utc_us, number))
            return number
        cursor = self._db.execute("INSERT INTO devices (name, seen_utc_us) VALUES (?,?)", (device, utc_us))
        self._devices[device] = int(cursor.lastrowid or 0)
        return self._devices[device]

    def _device_heard(self, device: str, utc_us: int) -> int:
        """For what is written down later than it was heard: a later time stays."""
        row = self._db.execute("SELECT seen_utc_us FROM devices WHERE name = ?", (device,)).fetchone()
        return self._device_no(device, utc_us if row is None else max(utc_us, row[0]))

    def _accept(self, batch: Batch, utc_us: int) -> Accepted:
        self._begin()
        number = self._device_no(batch.device, utc_us)
        key = StreamKey(batch.device, batch.epoch, batch.lane)
        touched = {key}
        duplicates = conflicts = 0
        for stored in batch.records:
            held = None if self._insert(number, stored, utc_us) else self._held(number, stored)
            if held is None:
                touched |= self._learn(number, batch.device, stored, utc_us)
            elif held == stored:
                duplicates += 1
            elif stored.record.kind == Kind.GAP:  # given up since it was sent; what did arrive stays
                duplicates += 1
                touched |= self._learn(number, batch.device, stored, utc_us)
            elif held.record.kind == Kind.GAP:  # a broker kept it while the terminal gave it up
                self._insert(number, stored, utc_us, how="REPLACE")
                touched |= self._learn(number, batch.device, stored, utc_us)
            else:
                conflicts += 1
                reason = f"conflict: record {stored.seq} of {key} is held with other content"
                self.dead_letter(f"t/{batch.device}", reason, stored.canonical(), utc_us)
        first, last = batch.records[0].seq, batch.records[-1].seq
        self._release(number, key, first - batch.behind)
        self._account(number, key, first, last)
        return Accepted(len(batch.records) - duplicates - conflicts, duplicates, conflicts, frozenset(touched))

    def _insert(self, number: int, stored: StoredRecord, utc_us: int, how: str = "IGNORE") -> bool:
        r = stored.record
        place = (number, _signed(stored.epoch), int(r.lane), stored.seq)
        content = (int(r.kind), int(r.category), r.schema, r.boot_id, r.t_us, r.body, utc_us)
        cursor = self._db.execute(f"INSERT OR {how} INTO records VALUES (?,?,?,?,?,?,?,?,?,?,?)", place + content)
        return cursor.rowcount == 1

    def _held(self, number: int, stored: StoredRecord) -> StoredRecord:
        query = f"SELECT {_COLUMNS} FROM records WHERE device_no=? AND epoch=? AND lane=? AND seq=?"
        place = (number, _signed(stored.epoch), int(stored.record.lane), stored.seq)
        return _stored(self._db.execute(query, place).fetchone())

    def _learn(self, number: int, device: str, stored: StoredRecord, utc_us: int) -> set[StreamKey]:
        """What a new record tells beside itself; the streams in which a gap was closed."""
        r = stored.record
        try:
            if (gap := gap_of(stored)) is not None:
                return {self._put_gap(number, device, r.lane, gap)}
            if (fix := clock_fix_of(stored)) is not None:
                self._db.execute(
                    "INSERT OR IGNORE INTO clock_fixes (device_no, boot_id, t_us, utc_us, uncertainty_us, source) "
                    "VALUES (?,?,?,?,?,?)",
                    (number, r.boot_id, r.t_us, fix.utc_us, fix.uncertainty_us, int(fix.source)),
                )
            elif r.kind == Kind.SIGNAL_TABLE and isinstance(decode_body(r.kind, r.body), SignalTable):
                self._put_table(number, int.from_bytes(hashlib.sha256(r.body).digest()[:4], "big"), r.body)
        except WireError as err:
            self.dead_letter(f"t/{device}", f"record {stored.seq} is kept, but: {err}", stored.canonical(), utc_us)
        return set()

    def _put_table(self, number: int, table: int, body: bytes) -> None:
        self._db.execute("INSERT OR IGNORE INTO signal_tables VALUES (?,?,?)", (number, table, body))

    def _put_gap(self, number: int, device: str, lane: Lane, gap: Gap) -> StreamKey:
        key = StreamKey(device, gap.epoch, lane)
        self._gap_row(number, key, gap.first_seq, gap.last_seq, _reason(gap.reason))
        self._account(number, key, gap.first_seq, gap.last_seq)
        return key

    def _release(self, number: int, key: StreamKey, floor: int) -> None:
        """The terminal holds nothing below ``floor``: what is missing there will not come."""
        progress = self._progress_of(number, key)
        for first, last in progress.missing_below(floor):
            self._gap_row(number, key, first, last, "released")
            self._account(number, key, first, last)

    def _gap_row(self, number: int, key: StreamKey, first: int, last: int, reason: str) -> None:
        row = (number, _signed(key.epoch), int(key.lane), first, last, reason)
        self._db.execute("INSERT OR IGNORE INTO gaps VALUES (?,?,?,?,?,?)", row)

    def _account(self, number: int, key: StreamKey, first: int, last: int) -> None:
        progress = self._progress_of(number, key)
        progress.add(first, last)
        self._db.execute(
            "INSERT INTO positions VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET up_to_seq = excluded.up_to_seq",
            (number, _signed(key.epoch), int(key.lane), progress.position),
        )

    def _progress_of(self, number: int, key: StreamKey) -> Progress:
        progress = self._progress.get(key)
        if progress is None:
            progress = self._progress[key] = self._load_progress(number, key)
        return progress

    def _load_progress(self, number: int, key: StreamKey) -> Progress:
        place = (number, _signed(key.epoch), int(key.lane))
        where = "device_no = ? AND epoch = ? AND lane = ?"
        row = self._db.execute(f"SELECT up_to_seq FROM positions WHERE {where}", place).fetchone()
        position = 0 if row is None else int(row[0])
        gaps = self._db.execute(
            f"SELECT first_seq, last_seq FROM gaps WHERE {where} AND last_seq > ?", (*place, position)
        )
        progress = Progress(position, gaps)
        ahead = self._db.execute(f"SELECT seq FROM records WHERE {where} AND seq > ? ORDER BY seq", (*place, position))
        for first, last in runs(seq for (seq,) in ahead):
            progress.add(first, last)
        return progress


def _prepare(db: sqlite3.Connection, path: Path, read_only: bool) -> None:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    is_empty = version == 0 and not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if read_only and version in MIGRATIONS:
        raise InputError(f"is of version {version}: `outrider ingest` brings it to version {VERSION}", path=path)
    if version != VERSION and version not in MIGRATIONS and (read_only or not is_empty):
        raise InputError(f"is no receiver's database of version {VERSION} (found {version})", path=path)
    if read_only:
        return
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    if is_empty:
        db.executescript(f"BEGIN;{TABLES}{ALARM_TABLES}PRAGMA user_version = {VERSION};COMMIT;")
    for older in range(version, VERSION if version else 0):
        db.executescript(f"BEGIN;{MIGRATIONS[older]}PRAGMA user_version = {older + 1};COMMIT;")


def _signed(n: int) -> int:
    return n - (1 << 64) if n >= 1 << 63 else n


def _unsigned(n: int) -> int:
    return n & ((1 << 64) - 1)


def _reason(reason: int) -> str:
    try:
        return GapReason(reason).name.lower()
    except ValueError:
        return f"reason_{int(reason)}"


def _stored(row: tuple[Any, ...]) -> StoredRecord:
    epoch, lane, seq, kind, category, schema, boot_id, t_us, body = row
    record = Record(Lane(lane), Kind(kind), Category(category), boot_id, t_us, body, schema)
    return StoredRecord(_unsigned(epoch), seq, record)
