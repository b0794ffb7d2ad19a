"""``Draft``: one transaction of the receiver, before it is written. Pure: it asks ``Ground`` for what is stored.

Here are the rules. A record is stored once: the same key with the same content is a duplicate, with other content a
conflict, kept as a dead letter. Only a gap is no rival: a terminal may give up what it had sent, so a record stays, or
replaces it. What a stream lacks is known from ``Progress``; records are looked up only where it says that they may be
there already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from outrider.errors import BugError, WireError
from outrider.ingest.core import StreamKey, clock_fix_of, gap_of
from outrider.ingest.fairness import LetterLimit
from outrider.ingest.sinks.progress import Progress, runs, spans
from outrider.ingest.sinks.sink import Accepted, GapRow
from outrider.model.record import ClockFix, Kind, SignalTable, StoredRecord
from outrider.wire.birth import Birth
from outrider.wire.bodies import decode_body, encode_body, table_id
from outrider.wire.codec import Batch, encode_batch
from outrider.wire.topics import Topics

KEEP_BYTES: Final = 65_536
MAX_COMPLAINTS: Final = 10  # dead letters about the records of one batch
MAX_HOLES: Final = 50_000  # in one stream; an honest terminal's window leaves a dozen
_HEAD_BYTES: Final = 40  # of a record in a batch, at most about
_SLACK: Final = 16  # numbers between two records that are looked up with them


@dataclass(frozen=True, slots=True)
class Device:
    """A row of ``devices``, locked for this transaction."""

    name: str
    number: int
    seen_utc_us: int
    online: bool | None = None
    session_id: int | None = None
    software: str | None = None
    boot_id: int | None = None
    epoch: int | None = None
    ack_counter: int = 0


class Ground(Protocol):
    """What is committed, under the locks of this transaction."""

    def device(self, name: str, utc_us: int) -> Device:
        """Lock it; it is made when it is new."""
        ...

    def progress(self, device: Device, stream: StreamKey) -> Progress: ...

    def held(self, device: Device, stream: StreamKey, ranges: Sequence[tuple[int, int]]) -> dict[int, StoredRecord]:
        """Records stored under these numbers, by sequence."""
        ...


class Draft:
    """See the module. What is to be written: ``devices`` and ``progress`` named in ``changed_*``, ``records`` (by
    stream and sequence, with the time received), ``gaps``, ``fixes``, ``tables``, ``letters``."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._undo: list[Callable[[], object]] | None = []
        self._complaints = 0
        self._limit = LetterLimit()
        self._copied: set[StreamKey] = set()  # progress since the mark: a message may tell thousands of ranges
        self.devices: dict[str, Device] = {}
        self.progress: dict[StreamKey, Progress] = {}
        self.changed_devices: set[str] = set()
        self.changed_streams: set[StreamKey] = set()
        self.records: dict[tuple[StreamKey, int], tuple[StoredRecord, int]] = {}
        self.gaps: list[GapRow] = []
        self.fixes: list[tuple[str, int, int, ClockFix]] = []  # device, boot id, boot time, fix
        self.tables: list[tuple[str, int, bytes]] = []
        self.letters: list[tuple[int, str, str, int, bytes]] = []

    # ---- the course of a transaction ----------------------------------------------------------------

    def mark(self) -> None:
        self._undo = []
        self._copied.clear()

    def undo(self) -> None:
        """Back to the mark."""
        if self._undo is None:
            raise BugError("what is written cannot be undone")
        while self._undo:
            self._undo.pop()()
        self._copied.clear()

    @property
    def is_pending(self) -> bool:
        """Something is to be written."""
        waiting = (self.records, self.gaps, self.fixes, self.tables, self.letters)
        return bool(self.changed_devices or self.changed_streams or any(waiting))

    def written(self) -> None:
        """What was to be written is; the locks, and what was read under them, still hold."""
        self._undo = None
        for pending in (self.records, self.gaps, self.fixes, self.tables, self.letters):
            pending.clear()
        self.changed_devices.clear()
        self.changed_streams.clear()

    def clear(self) -> None:
        """The transaction is over."""
        self.written()
        self.mark()
        self.devices.clear()
        self.progress.clear()

    # ---- what comes in ------------------------------------------------------------------------------

    def accept(self, batch: Batch, utc_us: int) -> Accepted:
        device = self.heard(batch.device, utc_us)
        key = StreamKey(batch.device, batch.epoch, batch.lane)
        if self._is_hole_too_many(self.progress_of(device, key), batch):
            self.letter(f"t/{batch.device}", f"more than {MAX_HOLES} holes in {key}", b"", utc_us)
            return Accepted(0, 0, 0, frozenset())
        self._complaints = 0
        touched = {key}
        duplicates = 0
        rivals: list[StoredRecord] = []
        held = self._held(device, key, batch)
        for stored in batch.records:
            have = held.get(stored.seq)
            if have is None or (have.record.kind == Kind.GAP and stored.record.kind != Kind.GAP):
                self._put(key, stored, utc_us)  # a gap in its place: a broker kept it while the terminal gave it up
                touched |= self._learn(device, stored, utc_us)
            elif have == stored:
                duplicates += 1
            elif stored.record.kind == Kind.GAP:  # given up since it was sent; what did arrive stays
                duplicates += 1
                touched |= self._learn(device, stored, utc_us)
            else:
                rivals.append(stored)
        for run in _pieces(rivals):
            self._tell_rivals(device.name, key, run, utc_us)
        self._release(device, key, batch.records[0].seq - batch.behind)
        self._account(device, key, runs(stored.seq for stored in batch.records))
        return Accepted(len(batch.records) - duplicates - len(rivals), duplicates, len(rivals), frozenset(touched))

    def learn_again(self, device: str, stored: StoredRecord, utc_us: int) -> bool:
        """What a stored record tells beside itself, of which an earlier version made nothing; False: nor does this."""
        self._complaints = 0
        before = len(self.letters), len(self.gaps) + len(self.fixes) + len(self.tables)
        self._learn(self.device(device, utc_us), stored, utc_us)
        return len(self.letters) == before[0] and len(self.gaps) + len(self.fixes) + len(self.tables) > before[1]

    def birth(self, birth: Birth, utc_us: int) -> Device:
        """A will is heeded for its own session only."""
        device = self.heard(birth.device, utc_us)
        if birth.online or device.session_id in (None, birth.session_id):
            device = self._set(
                replace(
                    device,
                    online=birth.online,
                    session_id=birth.session_id,
                    software=birth.software,
                    boot_id=birth.boot_id,
                    epoch=birth.epoch,
                )
            )
        if birth.table is not None:
            self._append(self.tables, (birth.device, table_id(birth.table), encode_body(birth.table)))
        return device

    def letter(self, topic: str, reason: str, payload: bytes, utc_us: int) -> None:
        """A payload that is of no use: its first 64 KiB."""
        self._append(self.letters, (utc_us, topic[:1024], reason[:1024], len(payload), payload[:KEEP_BYTES]))

    def heard(self, name: str, utc_us: int) -> Device:
        device = self.device(name, utc_us)
        return device if device.seen_utc_us == utc_us else self._set(replace(device, seen_utc_us=utc_us))

    def next_ack_counter(self, name: str, utc_us: int) -> int:
        device = self.device(name, utc_us)
        return self._set(replace(device, ack_counter=max(device.ack_counter + 1, utc_us))).ack_counter

    # ---- what is known ------------------------------------------------------------------------------

    def device(self, name: str, utc_us: int) -> Device:
        device = self.devices.get(name)
        if device is None:
            device = self.devices[name] = self._ground.device(name, utc_us)
        return device

    def progress_of(self, device: Device, key: StreamKey) -> Progress:
        progress = self.progress.get(key)
        if progress is None:
            progress = self.progress[key] = self._ground.progress(device, key)
        return progress

    def pending_devices(self) -> Collection[Device]:
        return [self.devices[name] for name in sorted(self.changed_devices)]

    # ---- leaves -------------------------------------------------------------------------------------

    @staticmethod
    def _is_hole_too_many(progress: Progress, batch: Batch) -> bool:
        """Whether the stream has as many holes as may be, and the batch would only add one."""
        first, last = batch.records[0].seq, batch.records[-1].seq
        if progress.holes < MAX_HOLES or progress.missing_below(first - batch.behind):
            return False
        return first > progress.position + 1 and progress.known(first - 1, last + 1) is None

    def _held(self, device: Device, key: StreamKey, batch: Batch) -> dict[int, StoredRecord]:
        """Under the batch's own numbers: a gap record in it may jump over any number of others."""
        progress = self.progress_of(device, key)
        asked = [progress.known(*span) for span in spans((stored.seq for stored in batch.records), _SLACK)]
        known = [span for span in asked if span is not None]
        held = self._ground.held(device, key, known) if known else {}
        for stored in batch.records:
            if (row := self.records.get((key, stored.seq))) is not None:
                held[stored.seq] = row[0]
        return held

    def _tell_rivals(self, device: str, key: StreamKey, run: list[StoredRecord], utc_us: int) -> None:
        """They are acknowledged, so the letter has all of them: one as it is, more as a batch of their own."""
        first, last = run[0].seq, run[-1].seq
        if first == last:
            told = f"conflict: record {first} of {key} is held with other content"
            self._complain(f"t/{device}", device, told, run[0].canonical(), utc_us)
        else:
            told = f"conflict: records {first} to {last} of {key} are held with other content"
            payload = encode_batch(device, run, behind=first - 1)
            self._complain(Topics(device).for_lane(key.lane), device, told, payload, utc_us)

    def _complain(self, topic: str, device: str, reason: str, payload: bytes, utc_us: int) -> None:
        """The first few of a batch, and of a terminal as many as of its useless payloads, become dead letters: more
        would push out those of others."""
        self._complaints += 1
        if self._complaints == MAX_COMPLAINTS:
            reason += "; what else there is in this batch is not told"
        if self._complaints <= MAX_COMPLAINTS and self._limit.allows(device, utc_us):
            self.letter(topic, reason, payload, utc_us)

    def _learn(self, device: Device, stored: StoredRecord, utc_us: int) -> set[StreamKey]:
        """What a new record tells beside itself; the streams in which a gap was closed."""
        r = stored.record
        try:
            if (gap := gap_of(stored)) is not None:
                key = StreamKey(device.name, gap.epoch, r.lane)
                if self.progress_of(device, key).holes >= MAX_HOLES:
                    raise WireError(f"more than {MAX_HOLES} holes in {key}")
                self._append(self.gaps, GapRow(key, gap.first_seq, gap.last_seq, gap.reason.name.lower()))
                self._account(device, key, [(gap.first_seq, gap.last_seq)])
                return {key}
            if (fix := clock_fix_of(stored)) is not None:
                self._append(self.fixes, (device.name, r.boot_id, r.t_us, fix))
            elif r.kind == Kind.SIGNAL_TABLE and isinstance(decode_body(r.kind, r.body), SignalTable):
                number = int.from_bytes(hashlib.sha256(r.body).digest()[:4], "big")
                self._append(self.tables, (device.name, number, r.body))
        except WireError as err:
            reason = f"record {stored.seq} is kept, but: {err}"
            self._complain(f"t/{device.name}", device.name, reason, stored.canonical(), utc_us)
        return set()

    def _release(self, device: Device, key: StreamKey, floor: int) -> None:
        """The terminal holds nothing below ``floor``: what is missing there will not come."""
        missing = self.progress_of(device, key).missing_below(floor)
        for first, last in missing:
            self._append(self.gaps, GapRow(key, first, last, "released"))
        if missing:
            self._account(device, key, [(1, floor - 1)])

    def _account(self, device: Device, key: StreamKey, ranges: Iterable[tuple[int, int]]) -> None:
        progress = self.progress_of(device, key)
        if key not in self._copied:
            progress = progress.copy()
            self._swap(self.progress, key, progress)
            self._copied.add(key)
        for first, last in ranges:
            progress.add(first, last)
        self._note(self.changed_streams, key)

    def _put(self, key: StreamKey, stored: StoredRecord, utc_us: int) -> None:
        self._swap(self.records, (key, stored.seq), (stored, utc_us))

    def _set(self, device: Device) -> Device:
        self._swap(self.devices, device.name, device)
        self._note(self.changed_devices, device.name)
        return device

    def _swap(self, where: dict[Any, Any], key: object, value: object) -> None:
        before = where.get(key)
        where[key] = value
        if self._undo is not None:
            self._undo.append((lambda: where.pop(key)) if before is None else (lambda: where.update({key: before})))

    def _append(self, where: list[Any], row: object) -> None:
        where.append(row)
        if self._undo is not None:
            self._undo.append(where.pop)

    def _note(self, where: set[Any], item: object) -> None:
        if item not in where:
            where.add(item)
            if self._undo is not None:
                self._undo.append(lambda: where.discard(item))


def _pieces(records: Iterable[StoredRecord]) -> Iterator[list[StoredRecord]]:
    """Runs of records that follow each other, as large as a letter keeps whole."""
    piece: list[StoredRecord] = []
    size = 0
    for stored in records:
        more = len(stored.record.body) + _HEAD_BYTES
        if piece and (stored.seq != piece[-1].seq + 1 or size + more > KEEP_BYTES):
            yield piece
            piece, size = [], 0
        piece.append(stored)
        size += more
    if piece:
        yield piece
