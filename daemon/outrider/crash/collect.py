"""From records to crashes: everything that belongs to one event of one terminal, whatever is left of it.

Takes the records of ONE terminal in any order: a journal's, the receiver's store, a package's own. Pure. What cannot be
read is noted in the bundle, never raised. An event is known by the start of the system, the start of the daemon within
it (events count from 1 again), and its number.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from outrider.crash.build import document
from outrider.crash.bundle import CrashBundle
from outrider.crash.clean import clean_event, clean_state
from outrider.crash.document import Missing
from outrider.crash.parts import join_parts
from outrider.crash.words import DAMAGED_RECORD, FOREIGN_RECORD
from outrider.errors import WireError
from outrider.model.crash import CrashState
from outrider.model.event import Event
from outrider.model.evidence import EvidenceChunk
from outrider.model.record import BootInfo, ClockFix, Gap, Kind, SignalTable, StoredRecord, TelemetryRow
from outrider.wire.bodies import Opaque, decode_body, table_id

__all__ = ["AFTER_US", "BEFORE_US", "collect", "document", "windows"]

BEFORE_US: Final = 60_000_000
AFTER_US: Final = 180_000_000
_CLOCKS: Final = 64  # nearest ones kept with a crash

_Key = tuple[int, int, int]  # boot id, start of the daemon, number of the event


@dataclass(slots=True)
class _Found:
    """What was met so far of one crash."""

    events: list[tuple[StoredRecord, Event]] = field(default_factory=list)
    states: list[tuple[StoredRecord, CrashState]] = field(default_factory=list)
    chunks: list[tuple[StoredRecord, EvidenceChunk]] = field(default_factory=list)


@dataclass(slots=True)
class _Terminal:
    """Records of one terminal by what they are."""

    items: list[tuple[StoredRecord, Event | CrashState | EvidenceChunk]] = field(default_factory=list)
    rows: list[tuple[StoredRecord, TelemetryRow]] = field(default_factory=list)
    tables: list[tuple[StoredRecord, SignalTable]] = field(default_factory=list)
    clocks: list[tuple[StoredRecord, ClockFix]] = field(default_factory=list)
    boots: list[tuple[StoredRecord, BootInfo]] = field(default_factory=list)
    gaps: list[tuple[StoredRecord, Gap]] = field(default_factory=list)
    bad: list[tuple[StoredRecord, Missing]] = field(default_factory=list)

    def add(self, stored: StoredRecord) -> None:
        record = stored.record
        try:
            body = decode_body(record.kind, record.body)
        except WireError:
            self._refuse(stored, DAMAGED_RECORD)
            return
        if isinstance(body, Event):
            self.items.append((stored, clean_event(body)))
        elif isinstance(body, CrashState):
            self.items.append((stored, clean_state(body)))
        elif isinstance(body, EvidenceChunk):
            self.items.append((stored, body))
        elif isinstance(body, TelemetryRow):
            self.rows.append((stored, body))
        elif isinstance(body, SignalTable):
            self.tables.append((stored, body))
        elif isinstance(body, ClockFix):
            self.clocks.append((stored, body))
        elif isinstance(body, BootInfo):
            self.boots.append((stored, body))
        elif isinstance(body, Gap):
            self.gaps.append((stored, body))
        elif isinstance(body, Opaque):
            self._refuse(stored, FOREIGN_RECORD)

    def _refuse(self, stored: StoredRecord, why: str) -> None:
        record = stored.record
        if record.kind in {Kind.EVENT, Kind.CRASH, Kind.EVIDENCE}:
            where = f"{record.lane.name.lower()} {stored.epoch:016x} {stored.seq}"
            self.bad.append((stored, Missing(f"record {where}", why)))


def collect(records: Iterable[StoredRecord], device: str = "") -> list[CrashBundle]:
    """All crashes among the records of one terminal, oldest start and number first.

    A crash is an event of which any phase belongs to the emergency lane (``EventKind.is_crash``), or of which a state
    or evidence is left though its phases are lost.
    """
    terminal = _Terminal()
    seen: set[tuple[int, int, int]] = set()
    for stored in records:
        place = (stored.epoch, stored.record.lane, stored.seq)
        if place not in seen:
            seen.add(place)
            terminal.add(stored)
    starts = _starts(terminal)
    found = {key: one for key, one in _group(terminal, starts).items() if _is_crash(one)}
    return [_bundle(device, key, found[key], terminal, starts) for key in sorted(found)]


def windows(records: Iterable[StoredRecord]) -> list[tuple[int, int, int]]:
    """(boot id, first and last time in us) of what belongs to each crash among the records of the emergency lane: what
    to read of a large store before ``collect``."""
    found = set()
    for stored in records:
        if stored.record.kind in {Kind.EVENT, Kind.CRASH, Kind.EVIDENCE}:
            t_us = stored.record.t_us
            found.add((stored.record.boot_id, t_us - BEFORE_US, t_us + AFTER_US))
    return sorted(found)


def _starts(terminal: _Terminal) -> dict[int, list[int]]:
    """When the daemon began, by start of the system."""
    starts: dict[int, set[int]] = {}
    for stored, _boot in terminal.boots:
        starts.setdefault(stored.record.boot_id, set()).add(stored.record.t_us)
    return {boot_id: sorted(times) for boot_id, times in starts.items()}


def _start_of(starts: dict[int, list[int]], boot_id: int, t_us: int) -> int:
    times = starts.get(boot_id, [])
    before = bisect_right(times, t_us)
    return times[before - 1] if before > 1 else 0  # the first start, known or not, is 0


def _group(terminal: _Terminal, starts: dict[int, list[int]]) -> dict[_Key, _Found]:
    found: dict[_Key, _Found] = {}
    for stored, body in terminal.items:
        record = stored.record
        seq = body.seq if isinstance(body, Event) else body.event_seq
        one = found.setdefault((record.boot_id, _start_of(starts, record.boot_id, record.t_us), seq), _Found())
        if isinstance(body, Event):
            one.events.append((stored, body))
        elif isinstance(body, CrashState):
            one.states.append((stored, body))
        else:
            one.chunks.append((stored, body))
    return found


def _is_crash(one: _Found) -> bool:
    return bool(one.states or one.chunks) or any(event.kind.is_crash for _stored, event in one.events)


def _bundle(device: str, key: _Key, one: _Found, terminal: _Terminal, starts: dict[int, list[int]]) -> CrashBundle:
    boot_id, start_us, seq = key
    one.events.sort(key=lambda pair: (pair[1].t_detect_us, pair[0].record.lane, pair[0].seq))
    one.states.sort(key=lambda pair: (pair[1].stage, pair[0].seq))
    one.chunks.sort(key=lambda pair: pair[0].seq)
    own = [stored for stored, _body in (*one.events, *one.states, *one.chunks)]
    epoch = own[0].epoch
    t0_us = _t0(one)
    rows = [pair for pair in terminal.rows if _near(pair[0], boot_id, t0_us)]
    named = {row.table_id for _stored, row in rows}
    tables = {table_id(table): (stored, table) for stored, table in terminal.tables}
    kept = [(number, *tables[number]) for number in sorted(named & tables.keys())]
    clocks = sorted(
        (pair for pair in terminal.clocks if pair[0].record.boot_id == boot_id),
        key=lambda pair: abs(pair[0].record.t_us - t0_us),
    )[:_CLOCKS]
    boots = [pair for pair in terminal.boots if pair[0].record.boot_id == boot_id]
    boot = next((p for p in boots if _start_of(starts, boot_id, p[0].record.t_us) == start_us), None)
    gaps = [pair for pair in terminal.gaps if pair[1].epoch == epoch]
    notes = [pair for pair in terminal.bad if _near(pair[0], boot_id, t0_us)]
    used = [
        *own,
        *(stored for stored, _body in (*rows, *clocks, *gaps, *notes)),
        *(stored for _number, stored, _table in kept),
        *([boot[0]] if boot else []),
    ]
    return CrashBundle(
        device=device,
        event_id=f"{epoch:016x}-{boot_id:08x}-{seq}" + (f"@{start_us // 1_000_000}" if start_us else ""),
        epoch=epoch,
        boot_id=boot_id,
        seq=seq,
        events=tuple(event for _stored, event in one.events),
        states=tuple(state for _stored, state in one.states),
        parts=join_parts((chunk for _stored, chunk in one.chunks), t0_us),
        rows=tuple(sorted(((stored.record.t_us, row) for stored, row in rows), key=lambda pair: pair[0])),
        tables=tuple((number, table) for number, _stored, table in kept),
        clocks=tuple((stored.record.t_us, fix) for stored, fix in clocks),
        boot=boot[1] if boot else None,
        gaps=tuple((stored.record.lane, gap) for stored, gap in gaps),
        records=tuple(sorted(used, key=lambda s: (s.epoch, s.record.lane, s.seq))),
        notes=tuple(note for _stored, note in notes),
    )


def _t0(one: _Found) -> int:
    if one.events:
        return one.events[-1][1].t0_us
    if one.states:
        return one.states[-1][1].t0_us
    return one.chunks[0][1].first_us


def _near(stored: StoredRecord, boot_id: int, t0_us: int) -> bool:
    record = stored.record
    return record.boot_id == boot_id and -BEFORE_US <= record.t_us - t0_us <= AFTER_US
