"""``WearKeeper``: what is really written to the device that holds the journal, by day and by hour of driving.

The kernel counts since boot; this adds it up over boots (on the thread of ``app/meters``) and keeps the sums in a
two-slot file, written every ten minutes: a power cut costs at most that much of counting. The device's bytes are
everybody's (file system, logs, other programs); our own, as /proc/self/io has them, stand beside.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from outrider.app.boot_io import EARLIEST_UTC_US
from outrider.app.budget import LATEST_UTC_US
from outrider.app.wear_device import BlockDevice, Life, find_device
from outrider.app.wear_life import DAYS_A_YEAR, GOOD, POOR, life_years
from outrider.errors import JournalError
from outrider.model.event import Event, Snapshot, Trip
from outrider.model.notice import Notice, NoticeCode, NoticeLevel
from outrider.ports import Clock, Storage
from outrider.record.state import TwoSlotFile, read_newest

FILE_NAME: Final = "wear.state"
SLOT_BYTES: Final = 8192
VERSION: Final = 1
SAVE_US: Final = 600_000_000
LOOK_US: Final = 30_000_000
KEPT_DAYS: Final = 31
MIN_DAYS: Final = 3  # before a projection is worth a warning
WARN_YEARS: Final = 1.0  # the poor end of the range
OWN_IO: Final = Path("/proc/self/io")

log = logging.getLogger(__name__)


class Day(msgspec.Struct, array_like=True):
    """Of one day (UTC): bytes at the device and our own; of them while driving; seconds the terminal ran and drove."""

    device: int = 0
    own: int = 0
    driving_device: int = 0
    driving_own: int = 0
    on_s: float = 0.0
    driving_s: float = 0.0

    def add(self, other: Day) -> None:
        for name in Day.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class KeptWear(msgspec.Struct):
    """The file. device: which one it was; boot, seen_bytes: the kernel's counter when it was last read."""

    version: int = VERSION
    device: str = ""
    boot: int = 0
    seen_bytes: int = 0
    total: Day = msgspec.field(default_factory=Day)
    days: dict[str, Day] = {}
    told: list[str] = []


class WearKeeper:
    """``turn`` on the meters' thread, ``note`` on the owner's, ``status`` from any."""

    def __init__(
        self,
        storage: Storage | None,
        place: Path,
        clock: Clock,
        boot_id: int,
        *,
        on_notice: Callable[[Notice], None] = lambda _notice: None,
        find: Callable[[Path], BlockDevice | None] = find_device,
        own_io: Path = OWN_IO,
    ) -> None:
        """place: the journal's directory. storage: None keeps nothing."""
        self._clock = clock
        self._boot_id = boot_id
        self._on_notice = on_notice
        self._own_io = own_io
        self._device = find(place)
        self._lock = threading.Lock()
        self._trouble: str | None = None
        self._file: TwoSlotFile | None = None
        self._kept = self._open(storage)
        self._driving = False
        self._own_seen = own_bytes(own_io)
        self._looked_us = self._saved_us = clock.boottime_us()
        self._begin()

    def _open(self, storage: Storage | None) -> KeptWear:
        if storage is None:
            return KeptWear()
        try:
            self._file = TwoSlotFile.open(storage, FILE_NAME, SLOT_BYTES)
            return decode(self._file.read() or b"")
        except JournalError as err:
            self._fail(err)
            return KeptWear()

    def _begin(self) -> None:
        """Another device: its life begins anew. Another boot: the kernel counts from zero."""
        if self._device is None:
            return
        if self._kept.device not in ("", self._device.identity):
            log.warning("wear: another device than before holds the journal; counting begins anew")
            self._kept = KeptWear()
        if self._kept.device == "":
            self._kept.seen_bytes = self._device.written_bytes() or 0
        elif self._kept.boot != self._boot_id:
            self._kept.seen_bytes = 0
        self._kept.device, self._kept.boot = self._device.identity, self._boot_id

    # ---- counting ---------------------------------------------------------------------------------

    def note(self, output: Event | Trip | Snapshot) -> None:
        if isinstance(output, Snapshot):
            self._driving = output.motion == 2

    def turn(self) -> None:
        """Adds what is new, tells what is due, writes now and then."""
        now = self._clock.boottime_us()
        if now - self._looked_us >= LOOK_US:
            self._look(now)
        if now - self._saved_us >= SAVE_US:
            self._save(now)

    def _look(self, now: int) -> None:
        with self._lock:
            self._add((now - self._looked_us) / 1e6)
            self._looked_us = now
            notices = [notice for cause, notice in self._due() if self._is_news(cause)]
        for notice in notices:
            self._on_notice(notice)

    def _add(self, seconds: float) -> None:
        written = None if self._device is None else self._device.written_bytes()
        own = own_bytes(self._own_io)
        new = Day(on_s=seconds)
        if written is not None:
            new.device = max(0, written - self._kept.seen_bytes)
            self._kept.seen_bytes = written
        if own is not None:
            new.own = max(0, own - (self._own_seen or 0))
            self._own_seen = own
        if self._driving:
            new.driving_device, new.driving_own, new.driving_s = new.device, new.own, seconds
        self._kept.total.add(new)
        utc_us = self._clock.utc_us()
        if EARLIEST_UTC_US <= utc_us < LATEST_UTC_US:
            days = self._kept.days
            days.setdefault(f"{datetime.fromtimestamp(utc_us / 1e6, UTC):%Y-%m-%d}", Day()).add(new)
            for old in sorted(days)[:-KEPT_DAYS]:
                del days[old]

    def _is_news(self, cause: str) -> bool:
        if cause in self._kept.told:
            return False
        self._kept.told.append(cause)
        self._saved_us -= SAVE_US  # not to be told again after a power cut
        return True

    def _due(self) -> list[tuple[str, Notice]]:
        life = None if self._device is None else self._device.life()
        found = [] if life is None else _life_notices(life)
        rate = bytes_per_day(self._kept.days)
        years = None if self._device is None or rate is None else life_years(self._device.capacity_bytes, rate, POOR)
        if years is not None and years < WARN_YEARS and len(self._kept.days) >= MIN_DAYS:
            detail = (("cause", "pace"), ("bytes_per_day", str(round(rate or 0))), ("years_at_least", f"{years:.1f}"))
            found.append(("pace", Notice(NoticeCode.FLASH_WEAR, NoticeLevel.WARNING, detail)))
        return found

    # ---- keeping ----------------------------------------------------------------------------------

    def _save(self, now: int) -> None:
        self._saved_us = now
        if self._file is None:
            return
        with self._lock:
            data = msgspec.json.encode(self._kept)
        try:
            self._file.write(data)
        except JournalError as err:
            self._fail(err)
        else:
            self._trouble = None

    def _fail(self, err: JournalError) -> None:
        if self._trouble is None:
            log.warning("wear is not kept: %s", err)
        self._trouble = str(err)

    def close(self) -> None:
        now = self._clock.boottime_us()
        self._look(now)
        self._save(now)
        if self._file is not None:
            self._file.close()
            self._file = None

    # ---- telling ----------------------------------------------------------------------------------

    def status(self, _request: dict[str, Any] | None = None) -> dict[str, Any]:
        """JSON-ready; also the control command ``wear``."""
        with self._lock:
            document = wear_document(self._kept, self._device)
        return document if self._trouble is None else {**document, "error": self._trouble}


def wear_document(kept: KeptWear, device: BlockDevice | None) -> dict[str, Any]:
    """What is known of the device and of what was written to it."""
    life = None if device is None else device.life()
    rate = bytes_per_day(kept.days)
    capacity = 0 if device is None else device.capacity_bytes
    return {
        "device": None
        if device is None
        else {"name": device.name, "kind": device.kind, "model": device.model, "capacity_bytes": capacity},
        "life": None if life is None else life.document(),
        "total": msgspec.structs.asdict(kept.total),
        "days": {name: msgspec.structs.asdict(kept.days[name]) for name in sorted(kept.days, reverse=True)},
        "device_bytes_per_driving_hour": _per_hour(kept.total.driving_device, kept.total.driving_s),
        "own_bytes_per_driving_hour": _per_hour(kept.total.driving_own, kept.total.driving_s),
        "device_bytes_per_day": None if rate is None else round(rate),
        "years": {
            name: None if rate is None else life_years(capacity, rate, assumed)
            for name, assumed in (("poor", POOR), ("good", GOOD))
        },
    }


def bytes_per_day(days: dict[str, Day]) -> float | None:
    """Mean over the calendar days from the first to the last one kept; None before there is a whole one."""
    if len(days) < 2:
        return None
    first, last = (datetime.fromisoformat(name) for name in (min(days), max(days)))
    return sum(day.device for name, day in days.items() if name != max(days)) / max(1, (last - first).days)


def read_wear(storage: Storage) -> KeptWear:
    """What is on flash, for a program beside the daemon. JournalError when it is damaged."""
    if FILE_NAME not in storage.names():
        return KeptWear()
    file = storage.open(FILE_NAME)
    try:
        newest = read_newest(file, SLOT_BYTES)
    finally:
        file.close()
    return decode(b"" if newest is None else newest[1])


def decode(data: bytes) -> KeptWear:
    """JournalError for anything that is no state of ours."""
    if not data:
        return KeptWear()
    try:
        kept = msgspec.json.decode(data, type=KeptWear)
        for name in kept.days:
            datetime.fromisoformat(name)
    except (msgspec.MsgspecError, ValueError, RecursionError) as err:
        raise JournalError(f"no wear counters: {err}") from None
    if kept.version != VERSION:
        raise JournalError(f"wear counters of version {kept.version}, this is {VERSION}")
    return kept


def own_bytes(path: Path = OWN_IO) -> int | None:
    """Bytes this process has caused to be written; the file system's journal is not among them."""
    try:
        text = path.read_text(encoding="ascii")
    except OSError:
        return None
    found = [line.split() for line in text.splitlines() if line.startswith("write_bytes:")]
    return int(found[0][1]) if found and found[0][1].isdigit() else None


def _life_notices(life: Life) -> list[tuple[str, Notice]]:
    found = []
    if life.used_percent is not None and life.used_percent[0] >= 80:
        level = NoticeLevel.ERROR if life.used_percent[0] >= 100 else NoticeLevel.WARNING
        used = str(life.used_percent[0])
        found.append(
            (f"life {used}", Notice(NoticeCode.FLASH_WEAR, level, (("cause", "life"), ("used_percent", used))))
        )
    if life.spare in ("warning", "urgent"):
        level = NoticeLevel.ERROR if life.spare == "urgent" else NoticeLevel.WARNING
        notice = Notice(NoticeCode.FLASH_WEAR, level, (("cause", "spare"), ("spare", life.spare)))
        found.append((f"spare {life.spare}", notice))
    return found


def _per_hour(count: int, seconds: float) -> int | None:
    return round(count / seconds * 3600) if seconds >= 60 else None


__all__ = ["DAYS_A_YEAR", "Day", "KeptWear", "WearKeeper", "bytes_per_day", "decode", "read_wear", "wear_document"]
