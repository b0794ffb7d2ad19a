"""``DataKeeper``: what was sent this month, kept over restarts, and what follows from it for the ``Budget``.

Reads the uplink's counters every few seconds (on the thread of ``app/meters``), adds what is new to the month, and
writes the sums to a two-slot file, so that a power cut costs at most ``SAVE_US`` of counting and never the sums. A
disk that refuses costs the keeping, not the counting.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from outrider.app.boot_io import EARLIEST_UTC_US, system_clock_fix
from outrider.errors import InputError, JournalError
from outrider.model.event import Event, Phase, Snapshot, Trip
from outrider.model.network import NetworkState
from outrider.model.notice import Notice, NoticeCode, NoticeLevel
from outrider.model.record import ClockSource
from outrider.ports import Clock, NetworkMeter, Storage
from outrider.record.state import TwoSlotFile, read_newest
from outrider.uplink.budget import Budget, is_metered, limit_step
from outrider.uplink.usage import Month, Reading, Usage, projected_bytes

FILE_NAME: Final = "usage.state"
SLOT_BYTES: Final = 16_384
SAVE_US: Final = 120_000_000
SAVE_BYTES: Final = 65_536
SETTLE_US: Final = 120_000_000  # evidence is written for a while after a crash before its end can be told
GNSS_MAX_AGE_US: Final = 600_000_000
MAX_WATCH_S: Final = 14_400
LATEST_UTC_US: Final = 4_102_444_800_000_000  # 2100: nobody drives with this then

log = logging.getLogger(__name__)
_LEVELS: Final = {80: NoticeLevel.INFO, 95: NoticeLevel.WARNING, 100: NoticeLevel.WARNING}


class UnknownNetwork:
    """Stands for a meter where none is."""

    def network(self) -> NetworkState:
        return NetworkState()


class DataKeeper:
    """``turn`` on the meters' thread, ``note`` on the owner's, ``status`` and ``watch`` from any."""

    def __init__(
        self,
        storage: Storage | None,
        budget: Budget,
        clock: Clock,
        read: Callable[[], Reading],
        *,
        network: NetworkMeter | None = None,
        bulk_waits: Callable[[], bool] = lambda: False,
        on_notice: Callable[[Notice], None] = lambda _notice: None,
    ) -> None:
        """storage: None keeps nothing. read: the uplink's counters. bulk_waits: unacknowledged records in bulk."""
        self._budget = budget
        self._clock = clock
        self._read = read
        self._network = network or UnknownNetwork()
        self._bulk_waits = bulk_waits
        self._on_notice = on_notice
        self._lock = threading.Lock()
        self._gnss: tuple[int, int] | None = None  # boottime, UTC
        self._crash_us: int | None = None
        self._hurry = threading.Event()
        self._trouble: str | None = None
        self._file: TwoSlotFile | None = None
        self._usage = self._open(storage)
        self._last = Reading({}, {})
        self._unsaved = 0
        self._saved_us = clock.boottime_us()
        if self._usage.evidence_due:
            self._crash_us = self._saved_us
            budget.set_evidence_due(True)
        budget.used_bytes = self._usage.metered_bytes()

    def _open(self, storage: Storage | None) -> Usage:
        if storage is None:
            return Usage()
        try:
            self._file = TwoSlotFile.open(storage, FILE_NAME, SLOT_BYTES)
            return Usage.decode(self._file.read() or b"")
        except JournalError as err:
            self._fail(err)
            return Usage()

    # ---- what the driving side says ---------------------------------------------------------------

    def note(self, output: Event | Trip | Snapshot) -> None:
        """Every output of the pipeline; never blocks."""
        now = self._clock.boottime_us()
        if isinstance(output, Snapshot):
            self._budget.set_parked(not output.bus_alive and output.motion != 2, now)
            if EARLIEST_UTC_US <= output.fix_utc_us < LATEST_UTC_US:
                self._gnss = (now - (output.t_us - output.fix_t_us), output.fix_utc_us)
        elif isinstance(output, Event) and output.kind.is_crash and output.phase is Phase.CONFIRMED:
            with self._lock:  # ``turn`` may be about to say that nothing is due
                self._crash_us = now
                self._budget.set_evidence_due(True)
            self._hurry.set()

    @property
    def in_a_hurry(self) -> bool:
        """Something has to outlive a power cut: ``turn`` should come at once."""
        return self._hurry.is_set()

    def hurry(self) -> None:
        """The supply fails: what is counted is written at the next turn, which comes at once (``app/meters``)."""
        self._hurry.set()

    def watch(self, request: dict[str, Any]) -> dict[str, Any]:
        """Control command: ``seconds`` of small batches from now on, 0 ends them. InputError beyond four hours."""
        seconds = request.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_WATCH_S:
            raise InputError(f"seconds: a number from 0 to {MAX_WATCH_S}")
        now = self._clock.boottime_us()
        self._budget.watch(now + round(seconds * 1e6) if seconds else 0)
        return {"rules": self._budget.rules(now, self._network.network()).document()}

    # ---- counting ---------------------------------------------------------------------------------

    def turn(self) -> None:
        """Count what is new, tell what is due, write what is worth it."""
        self._count()
        now = self._clock.boottime_us()
        waits = self._waits()
        with self._lock:
            notices = [*self._limit_notice(now), *self._month_notice()]
            settled = self._settle_evidence(now, waits)
        for notice in notices:
            self._on_notice(notice)
        asked = self._hurry.is_set()
        self._hurry.clear()
        worth = now - self._saved_us >= SAVE_US or self._unsaved >= SAVE_BYTES or asked
        if settled or notices or (self._unsaved and worth):
            self._save(now)

    def _waits(self) -> bool:
        """A journal that cannot tell (it is being closed) is taken to hold evidence still."""
        try:
            return self._bulk_waits()
        except JournalError:
            return True

    def _count(self) -> None:
        network, reading = self._network.network(), self._read()
        utc_us, sure = self._utc(self._clock.boottime_us())
        with self._lock:
            found = reading.since(self._last)
            self._last = reading
            if found:
                self._usage.add(found, network.path, metered=is_metered(network), utc_us=utc_us, sure=sure)
                self._unsaved += sum(map(abs, (way for pair in found.values() for way in pair)))
            self._budget.used_bytes = self._usage.metered_bytes()

    def _utc(self, now: int) -> tuple[int | None, bool]:
        """The time, and whether it is sure."""
        gnss = self._gnss
        if gnss is not None and 0 <= now - gnss[0] < GNSS_MAX_AGE_US:
            return gnss[1] + now - gnss[0], True
        fix = system_clock_fix(self._clock)
        if fix is None or fix.utc_us >= LATEST_UTC_US:
            return None, False
        return fix.utc_us, fix.source is ClockSource.NTP

    def _limit_notice(self, now: int) -> list[Notice]:
        month, limit = self._usage.newest or self._usage.held, self._budget.options.monthly_bytes
        used = self._usage.metered_bytes()
        step = limit_step(used, limit)
        if limit is None or month is None or step <= month.told:
            return []
        month.told = step
        if step == 100:
            self._budget.last_word(now)
        detail = (
            ("limit_percent", str(step)),
            ("month", month.name),
            ("used_bytes", str(used)),
            ("limit_bytes", str(limit)),
        )
        return [Notice(NoticeCode.DATA_BUDGET, _LEVELS[step], detail)]

    def _month_notice(self) -> list[Notice]:
        month = self._usage.to_close()
        if month is None:
            return []
        self._usage.closed = month.name
        detail = [("closed_month", month.name), ("metered_bytes", str(month.metered)), ("bytes", str(month.total()))]
        detail += [
            (f"{name}_bytes", str(sent + received))
            for name, (sent, received) in month.by_class().items()
            if sent + received
        ]
        return [Notice(NoticeCode.DATA_BUDGET, NoticeLevel.INFO, tuple(detail))]

    def _settle_evidence(self, now: int, waits: bool) -> bool:
        """The bulk lane goes like an emergency until the evidence of a confirmed crash has been acknowledged. True:
        that changed, and has to outlive a power cut."""
        due = self._crash_us is not None and (now - self._crash_us < SETTLE_US or waits)
        if not due:
            self._crash_us = None
            self._budget.set_evidence_due(False)
        changed, self._usage.evidence_due = due != self._usage.evidence_due, due
        return changed

    # ---- keeping ----------------------------------------------------------------------------------

    def _save(self, now: int) -> None:
        self._saved_us = now
        if self._file is None:
            return
        with self._lock:
            data = self._usage.encode(self._file.capacity)
        try:
            self._file.write(data)
        except JournalError as err:
            self._fail(err)
        else:
            self._unsaved, self._trouble = 0, None

    def _fail(self, err: JournalError) -> None:
        if self._trouble is None:
            log.warning("data usage is not kept: %s", err)
        self._trouble = str(err)

    def close(self) -> None:
        """Delivery has ended: its last bytes are counted, and all is written."""
        self._count()
        self._save(self._clock.boottime_us())
        if self._file is not None:
            self._file.close()
            self._file = None

    # ---- telling ----------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Of this month, for ``outrider status``; JSON-ready."""
        now, network = self._clock.boottime_us(), self._network.network()
        with self._lock:
            document = summary(self._usage, self._budget.options.monthly_bytes, self._utc(now)[0])
        watched = self._budget.watched_until_us() - now
        document["rules"] = self._budget.rules(now, network).document()
        document["watched_for_s"] = round(max(0, watched) / 1e6)
        document["path"] = network.path.name.lower()
        document["evidence_due"] = self._usage.evidence_due
        return document if self._trouble is None else {**document, "error": self._trouble}

    def document(self, _request: dict[str, Any] | None = None) -> dict[str, Any]:
        """Control command ``data``: with all months."""
        with self._lock:
            months = month_documents(self._usage)
        return {**self.status(), **months}


def summary(usage: Usage, limit_bytes: int | None, utc_us: int | None) -> dict[str, Any]:
    """This month in a few numbers. used_bytes: on metered paths, what the limit is about."""
    newest = usage.newest
    used, total = usage.metered_bytes(), sum(month.total() for month in (newest, usage.held) if month is not None)
    document: dict[str, Any] = {
        "month": None if newest is None else newest.name,
        "used_bytes": used,
        "total_bytes": total,
        "limit_bytes": limit_bytes,
        "limit_step_percent": limit_step(used, limit_bytes),
        "projected_used_bytes": None,
        "projected_total_bytes": None,
    }
    if newest is not None and utc_us is not None:
        document["projected_used_bytes"] = projected_bytes(used, newest.name, utc_us, usage.since_us)
        document["projected_total_bytes"] = projected_bytes(total, newest.name, utc_us, usage.since_us)
    return document


def month_documents(usage: Usage) -> dict[str, Any]:
    """``months``, the newest first; ``held``: bytes whose month is not known."""
    held: Month | None = usage.held
    return {
        "months": [month.document() for month in usage.months()],
        "held": None if held is None else held.document(),
    }


def read_usage(storage: Storage) -> Usage:
    """What is on flash, for a program beside the daemon. JournalError when it is damaged."""
    if FILE_NAME not in storage.names():
        return Usage()
    file = storage.open(FILE_NAME)
    try:
        newest = read_newest(file, SLOT_BYTES)
    finally:
        file.close()
    return Usage.decode(b"" if newest is None else newest[1])
