"""``CappedSink``: in front of the journal; decides of each emergency whether all of it is stored (``emergency_cap``).

An emergency is its events, its states and its evidence. While one is held back and not yet decided, what belongs to it
waits here in memory, at most ``WAITING_BYTES``: it goes to the journal when it turns out to be different, when the
supply fails and when the daemon stops. What was held back for good is counted, and told by notices: at once when it
begins, each hour while it goes on, after a day, and at the end.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import msgspec

from outrider.errors import JournalError, WireError
from outrider.model.crash import CrashState
from outrider.model.event import Event, Phase
from outrider.model.evidence import EvidenceChunk
from outrider.model.notice import Notice, NoticeCode, NoticeLevel
from outrider.model.record import ClockFix, Kind, Lane, Record
from outrider.ports import RecordSink, Storage
from outrider.record.emergency_cap import DAY_US, CapOptions, CapState, EmergencyCap, Held
from outrider.record.evidence_label import is_evidence
from outrider.record.state import TwoSlotFile
from outrider.wire.bodies import decode_body

_log = logging.getLogger(__name__)

FILE_NAME: Final = "emergency.state"
TELL_EVERY_US: Final = 3_600_000_000
SAVE_EVERY_US: Final = 600_000_000  # while a bucket fills up again
WAITING_BYTES: Final = 4 * 1024 * 1024
REMEMBERED: Final = 64  # decisions
Label = tuple[int, int]  # boot id, number of the event
_OVER: Final = (Phase.CANCELLED, Phase.CLOSED, Phase.END)


class _Waiting:
    """An emergency that is not decided yet. event: the newest that was said of it."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.bytes = 0
        self.count = 0
        self.event: Event | None = None

    def add(self, record: Record) -> None:
        self.count += 1
        self.bytes += len(record.body)
        self.records.append(record)
        while self.bytes > WAITING_BYTES:  # events and states are small, and worth more than evidence
            at = next((i for i, each in enumerate(self.records) if is_evidence(each)), 0)
            self.bytes -= len(self.records.pop(at).body)


class CappedSink:
    """A ``ports.RecordSink``. ``put`` and the others on the owner's thread; ``save`` on the writer's. boot_id: of this
    start; what an earlier one left is judged as well, but tells nothing of the present time."""

    def __init__(
        self,
        sink: RecordSink,
        options: CapOptions,
        storage: Storage,
        boot_id: int,
        on_notice: Callable[[Notice], None] = lambda _notice: None,
    ) -> None:
        self._sink = sink
        self._boot_id = boot_id
        self._on_notice = on_notice
        self._lock = threading.Lock()
        self._file = _open_file(storage)
        state = _read(self._file)
        self._time = state.time
        self._cap = EmergencyCap(options, state.buckets)
        self._decided: OrderedDict[Label, bool] = OrderedDict()
        self._waiting: dict[Label, _Waiting] = {}
        self._dirty = False
        self._saved_us = self._time.at_us
        self.held = 0  # emergencies held back since start

    # -- records -------------------------------------------------------------------------------------

    def put(self, record: Record) -> bool:
        """As the journal's; a record that is held back is taken (True)."""
        with self._lock:
            if record.boot_id == self._boot_id:
                self._time.note(record.boot_id, record.t_us)
                self._note_clock(record)
            now = self._time.at_us
            body = _body(record)
            passes = body is None or self._decide(record, body, now)
            ready = self._tell_due(now)
        for notice in ready:
            self._on_notice(notice)
        return self._sink.put(record) if passes else True

    def _note_clock(self, record: Record) -> None:
        if record.kind != Kind.CLOCK:
            return
        with contextlib.suppress(WireError):
            fix = decode_body(record.kind, record.body)
            if isinstance(fix, ClockFix):
                self._time.note_utc(record.t_us, fix.utc_us)

    def _decide(self, record: Record, body: Event | CrashState | EvidenceChunk, now: int) -> bool:
        """True: it goes to the journal now."""
        label = (record.boot_id, body.seq if isinstance(body, Event) else body.event_seq)
        stored = self._decided.get(label)
        if stored:
            if isinstance(body, Event):
                self._cap.stored(body, now)
            return True
        if isinstance(body, Event):
            return self._decide_event(label, record, body, now)
        if stored is False:
            return False
        if label not in self._waiting and not self._cap.tripped:
            return True
        self._keep_waiting(label, record)
        return False

    def _decide_event(self, label: Label, record: Record, event: Event, now: int) -> bool:
        waiting = self._waiting.get(label)
        known = label in self._decided or (waiting is not None and waiting.event is not None)
        if self._cap.differs(event, now) if known else self._cap.begins(event, now):
            self._dirty = True
            self._remember(label, stored=True)
            self._let_go(label)
            return True
        if label in self._decided:
            return False
        self._keep_waiting(label, record)
        self._waiting[label].event = event
        if event.phase in _OVER:
            self._hold_back(label, now)
        return False

    def _remember(self, label: Label, *, stored: bool) -> None:
        self._decided[label] = stored
        while len(self._decided) > REMEMBERED:
            self._decided.popitem(last=False)

    def _keep_waiting(self, label: Label, record: Record) -> None:
        if label not in self._waiting:
            self._waiting[label] = _Waiting()
            for other in list(self._waiting)[:-2]:  # two windows may overlap, no more
                self._hold_back(other, self._time.at_us)
        self._waiting[label].add(record)

    def _let_go(self, label: Label) -> None:
        waiting = self._waiting.pop(label, None)
        for record in waiting.records if waiting is not None else ():
            self._sink.put(record)

    def _hold_back(self, label: Label, now: int) -> None:
        """Over, and nothing set it apart."""
        waiting = self._waiting.pop(label)
        if waiting.event is None:  # evidence of an event that never told itself: not ours to drop
            for record in waiting.records:
                self._sink.put(record)
            return
        self._remember(label, stored=False)
        self._cap.held_back(waiting.event, label[0], waiting.count, now)
        self.held += 1
        self._dirty = True

    def release(self) -> None:
        """The supply fails, or the daemon stops: what is not decided may be true."""
        with self._lock:
            for label in list(self._waiting):
                self._remember(label, stored=True)
                self._let_go(label)

    # -- telling -------------------------------------------------------------------------------------

    def _tell_due(self, now: int) -> list[Notice]:
        ready = []
        for kind, bucket in self._cap.buckets.items():
            held = bucket.held
            if held is None:
                continue
            if now - held.begun_at_us >= DAY_US:
                ready.append(_notice(kind, held, "day"))
                self._cap.end_of_day(kind)
            elif held.told_at_us is None or (held.untold and now - held.told_at_us >= TELL_EVERY_US):
                ready.append(_notice(kind, held, "begin" if held.told_at_us is None else "hour"))
                held.told_at_us, held.untold = now, 0
            else:
                continue
            self._dirty = True
        return ready

    def finish(self) -> None:
        """The end of the run: nothing stays undecided, and what was held back since the last notice is told."""
        self.release()
        with self._lock:
            ready = []
            for kind, bucket in self._cap.buckets.items():
                if bucket.held is not None and bucket.held.untold:
                    ready.append(_notice(kind, bucket.held, "stop"))
                    bucket.held.told_at_us, bucket.held.untold = self._time.at_us, 0
            self._dirty = True
        for notice in ready:
            self._on_notice(notice)

    # -- state ---------------------------------------------------------------------------------------

    def save(self) -> None:
        """To flash, when something changed that the next start has to know. JournalError: the disk refuses."""
        with self._lock:
            late = not self._cap.full and self._time.at_us - self._saved_us >= SAVE_EVERY_US
            if self._file is None or not (self._dirty or late):
                return
            payload = msgspec.json.encode(CapState(self._time, self._cap.buckets))
            self._dirty, self._saved_us = False, self._time.at_us
        try:
            self._file.write(payload)
        except JournalError:
            self._dirty = True
            raise

    def status(self) -> dict[str, Any]:
        """JSON-ready: by kind what is held back of the present day."""
        with self._lock:
            return {
                "held_back": self.held,
                "kinds": {
                    kind: {"left": int(bucket.tokens), "held_back": 0 if bucket.held is None else bucket.held.events}
                    for kind, bucket in self._cap.buckets.items()
                },
            }

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _notice(kind: str, held: Held, when: str) -> Notice:
    """The first detail is different each time, so that none is taken for a repetition of the one before."""
    detail = (
        ("told", f"{kind} {when} {held.events}"),
        ("kind", kind),
        ("held_back_events", str(held.events)),
        ("held_back_records", str(held.records)),
        ("first_boot_id", f"{held.first_boot:08x}"),
        ("first_t_us", str(held.first_us)),
        ("last_boot_id", f"{held.last_boot:08x}"),
        ("last_t_us", str(held.last_us)),
        ("worst_level", str(held.worst.level)),
        ("worst_dv_kmh", f"{held.worst_dv_kmh:.1f}"),
    )
    return Notice(NoticeCode.EMERGENCY_CAP, NoticeLevel.WARNING, detail)


def _body(record: Record) -> Event | CrashState | EvidenceChunk | None:
    """What belongs to an emergency, and to which; None: not ours to judge."""
    if record.lane is not Lane.EMERGENCY and not is_evidence(record):
        return None
    try:
        body = decode_body(record.kind, record.body)
    except WireError:
        return None
    return body if isinstance(body, Event | CrashState | EvidenceChunk) else None


def _open_file(storage: Storage) -> TwoSlotFile | None:
    """None: the disk refuses; the cap then holds until the next start."""
    try:
        return TwoSlotFile.open(storage, FILE_NAME)
    except JournalError as err:
        _log.warning("emergency cap: %s", err)
        return None


def _read(file: TwoSlotFile | None) -> CapState:
    try:
        data = None if file is None else file.read()
        return CapState() if not data else msgspec.json.decode(data, type=CapState)
    except (JournalError, msgspec.MsgspecError) as err:
        _log.warning("emergency cap: begins anew: %s", err)
        return CapState()
