"""The black-box page in use: written while the car moves and when the end may be near, read at the next start.

A page is rendered on the owner's thread and written on one of its own, so that a slow card holds up nobody; of pages
that wait, the newest counts. What an earlier start left and did not close in order becomes records here: the page as
evidence, and, when no accident was told before the power went, an event.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from outrider.engine import BlackBox, Engine, parse_black_box
from outrider.errors import InputError, JournalError, WireError
from outrider.model.event import Event, EventFlag, EventKind, Phase, Snapshot
from outrider.model.evidence import EvidenceChunk, EvidencePart, EvidenceSlice
from outrider.model.record import ClockFix, ClockSource, Kind, Lane, StoredRecord
from outrider.record.blackbox_io import BlackBoxFile
from outrider.record.journal import Journal
from outrider.wire.bodies import decode_body
from outrider.wire.evidence import cut

MOVING: Final = 2  # Snapshot.motion
STANDING: Final = 1
MIN_SPEED_MPS: Final = 5 / 3.6  # below it the loss of power tells of no accident
NEAR_US: Final = 60_000_000  # an accident that was told so long before the page is the one that took the power
STALE_US: Final = 2_000_000  # telemetry that much newer: the car went on after the page
TOLD_BY_PAGE: Final = 1 << 31  # added to the number of the page's last event: no detector counts so far
RULE: Final = 16
CONFIDENCE: Final = 0.3  # as rule 14: silence at speed, nothing else known
FIX_UNCERTAINTY_US: Final = 1_000_000
LOOK_BACK: Final = 64  # emergency records

log = logging.getLogger(__name__)


class BlackBoxKeeper:
    """``note`` each output and ``now`` on the owner's thread; ``close`` writes a page that says all is in order."""

    def __init__(
        self, file: BlackBoxFile, engine: Engine, boot_id: int, on_trouble: Callable[[str, OSError], None]
    ) -> None:
        self._file = file
        self._engine = engine
        self._boot_id = boot_id
        self._on_trouble = on_trouble
        self._moving = False
        self._news = threading.Condition()
        self._page: bytes | None = None
        self._writing = False
        self._stopping = False
        self.at_once = 0
        self._thread = threading.Thread(target=self._run, name="black-box", daemon=True)
        self._thread.start()

    def note(self, output: object) -> None:
        """Each second while moving; at once for a suspicion, a crash told without one, and hard braking."""
        if isinstance(output, Event):
            braking = output.kind is EventKind.HARSH_BRAKE and output.phase is Phase.BEGIN
            if braking or output.phase is Phase.SUSPECT or (output.phase is Phase.CONFIRMED and output.kind.is_crash):
                self.now()
        elif isinstance(output, Snapshot):
            if output.motion == MOVING or (self._moving and output.motion == STANDING):
                self._put(self._engine.black_box_page(self._boot_id))
            self._moving = output.motion == MOVING or (self._moving and output.motion != STANDING)

    def now(self) -> None:
        """This moment is worth keeping."""
        self.at_once += 1
        self._put(self._engine.black_box_page(self._boot_id))

    def flush(self, timeout_s: float) -> bool:
        """Wait until the newest page is on flash, or was refused."""
        with self._news:
            return self._news.wait_for(lambda: self._page is None and not self._writing, timeout_s)

    def close(self, *, clean: bool = True) -> None:
        """clean: stopped in order, and what the page told is on flash. Else the last page stays, for the next start."""
        with self._news:
            self._stopping = True
            self._news.notify_all()
        self._thread.join(10.0)
        if clean and not self._thread.is_alive():
            self._write(self._engine.black_box_page(self._boot_id, clean=True))

    def status(self) -> dict[str, Any]:
        return {"writes": self._file.writes, "faults": self._file.faults, "at_once": self.at_once}

    def _put(self, page: bytes) -> None:
        with self._news:
            self._page = page
            self._news.notify_all()

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._page is not None or self._stopping)
                page, self._page = self._page, None
                self._writing = page is not None
            if page is None:
                return
            self._write(page)
            with self._news:
                self._writing = False
                self._news.notify_all()

    def _write(self, page: bytes) -> None:
        try:
            self._file.write(page)
        except OSError as err:
            self._on_trouble("black box", err)


class BlackBoxReport:
    """What the page of an earlier start tells, made once. ``tells``: it has something to tell."""

    def __init__(self, file: BlackBoxFile, boot_id: int) -> None:
        self.page = file.read()
        self.box = _parsed(self.page)
        self._boot_id = boot_id

    @property
    def boot_id(self) -> int:
        """Of the start that the page belongs to."""
        return 0 if self.box is None else self.box.boot_id

    def records(self, journal: Journal) -> list[tuple[Event | ClockFix | EvidenceChunk, int]]:
        """(body, time) of records of the page's own boot id; none when it was closed in order, or of this start."""
        box, page = self.box, self.page
        if box is None or page is None or box.clean or box.boot_id in (0, self._boot_id):
            return []
        speed = last_speed(box)
        told = _told_accident(journal, box)
        if told is None and (speed is None or speed < MIN_SPEED_MPS or _went_on(journal, box)):
            return []
        event = None if told is not None else _event(box, speed or 0.0)
        seq = told if event is None else event.seq
        assert seq is not None
        first = box.moments[0].t_us if box.moments else box.t_us
        made: list[tuple[Event | ClockFix | EvidenceChunk, int]] = []
        if event is not None:
            made.append((event, box.t_us))
        if box.utc_us:
            made.append((ClockFix(box.utc_us, FIX_UNCERTAINTY_US, ClockSource.GNSS), box.fix_t_us))
        pieces = cut(EvidenceSlice(seq, EvidencePart.BLACK_BOX, 0, first, box.t_us, page))
        return made + [(piece, box.t_us) for piece in pieces]


def last_speed(box: BlackBox) -> float | None:
    """The newest speed that the page knows, m/s: a bus that fell silent with the impact tells none any more."""
    if box.speed_mps is not None:
        return box.speed_mps
    return next((moment.speed_mps for moment in reversed(box.moments) if moment.speed_mps is not None), None)


def _parsed(page: bytes | None) -> BlackBox | None:
    if page is None:
        return None
    try:
        return parse_black_box(page)
    except InputError as err:
        log.info("black box: %s", err)
        return None


def _event(box: BlackBox, speed_mps: float) -> Event:
    """Power lost while moving; what is not known stays unknown."""
    place = EventFlag.POSITION if box.lat_deg is not None else EventFlag(0)
    stale = place and box.t_us - box.fix_t_us > 5_000_000
    return Event(
        seq=TOLD_BY_PAGE | (box.last_event & (TOLD_BY_PAGE - 1)),
        kind=EventKind.POWER_LOST_MOVING,
        phase=Phase.CLOSED,
        level=2,
        flags=place | (EventFlag.POSITION_STALE if stale else EventFlag(0)),
        src_mask=0,
        rule=RULE,
        t0_us=box.t_us,
        t_detect_us=box.t_us,
        t_end_us=box.t_us,
        lat_deg=box.lat_deg,
        lon_deg=box.lon_deg,
        hacc_m=box.hacc_m,
        heading_deg=box.heading_deg,
        conf=CONFIDENCE,
        v_pre_kmh=speed_mps * 3.6,
    )


def _newest(journal: Journal, lane: Lane, count: int) -> list[StoredRecord]:
    try:
        return journal.newest(lane, count)
    except JournalError as err:
        log.warning("black box: %s", err)
        return []


def _told_accident(journal: Journal, box: BlackBox) -> int | None:
    """Number of the last accident of the page's start that was told shortly before the page, or since."""
    for stored in reversed(_newest(journal, Lane.EMERGENCY, LOOK_BACK)):
        record = stored.record
        if record.boot_id != box.boot_id or record.kind != Kind.EVENT or record.t_us < box.t_us - NEAR_US:
            continue
        try:
            body = decode_body(record.kind, record.body)
        except WireError:
            continue
        if isinstance(body, Event):
            return None if body.phase is Phase.CANCELLED else body.seq
    return None


def _went_on(journal: Journal, box: BlackBox) -> bool:
    return any(
        stored.record.boot_id == box.boot_id and stored.record.t_us > box.t_us + STALE_US
        for stored in _newest(journal, Lane.TELEMETRY, 1)
    )
