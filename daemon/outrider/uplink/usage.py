"""Bytes by month, path and class. Pure: readings of the uplink's counters in, sums and their file form out.

Counted is what the socket carried, both ways; ``rest`` is what of it no class explains (TLS, connecting, what had to be
repeated). ``ip`` is an estimate beside it: headers of IP and TCP, ``HEADER_BYTES`` for each segment the kernel counted.

Which month it is, is for the clock to say, and clocks jump. So a month is one entry for ever, whatever the order in
which it is named: going back to it goes on with its sums. A clock that is sure (NTP, GNSS) decides, and entries of
later months, which a wrong clock must have opened, are put into its month. One that is not sure never goes back, and
ahead by ``LEAP_MONTHS`` at most. Without a month the bytes are held, count against the limit, and go to the first month
that is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final, Self

import msgspec

from outrider.errors import JournalError
from outrider.model.network import Path

VERSION: Final = 1
LANES: Final = ("emergency", "ledger", "event", "telemetry", "bulk")
PACKETS: Final = (*LANES, "beacon", "status", "ack", "puback", "ping")  # whole MQTT packets (``traffic``)
CLASSES: Final = (*PACKETS, "rest", "ip")
HEADER_BYTES: Final = 52  # IPv4 20, TCP 20, time stamps 12; IPv6: 20 more
KEPT_MONTHS: Final = 13
LEAP_MONTHS: Final = 13
DAY_US: Final = 86_400_000_000
HELD: Final = ""  # the entry of bytes whose month is not known

Pair = tuple[int, int]  # bytes sent, bytes received
Table = dict[str, dict[str, Pair]]  # by path, by class


@dataclass(frozen=True, slots=True)
class Reading:
    """The uplink's counters since it started. link: TCP payload; segments: as the kernel counts them."""

    sent: Mapping[str, int]
    received: Mapping[str, int]

    def since(self, before: Reading) -> dict[str, Pair]:
        """Bytes by class since then. A counter that went back (a new uplink) counts from zero."""
        sent, received = _minus(self.sent, before.sent), _minus(self.received, before.received)
        out = {name: (sent.get(name, 0), received.get(name, 0)) for name in PACKETS}
        known = [sum(pair[way] for pair in out.values()) for way in (0, 1)]
        link = (sent.get("link", 0), received.get("link", 0))
        out["rest"] = (link[0] - known[0], link[1] - known[1])
        segments = (sent.get("segments", 0), received.get("segments", 0))
        out["ip"] = (segments[0] * HEADER_BYTES, segments[1] * HEADER_BYTES)
        return {name: pair for name, pair in out.items() if pair != (0, 0)}


@dataclass(slots=True)
class Month:
    """name: ``2026-11``, UTC. metered: bytes of it that cost money, ``ip`` included. told: step of the limit."""

    name: str
    metered: int = 0
    table: Table = field(default_factory=dict)
    told: int = 0

    def add(self, path: str, name: str, pair: Pair) -> None:
        row = self.table.setdefault(path, {})
        old = row.get(name, (0, 0))
        row[name] = (old[0] + pair[0], old[1] + pair[1])

    def merge(self, other: Month) -> None:
        self.metered += other.metered
        self.told = max(self.told, other.told)
        for path, row in other.table.items():
            for name, pair in row.items():
                self.add(path, name, pair)

    def total(self, path: str | None = None) -> int:
        """All bytes, both ways, ``ip`` included."""
        rows: Iterable[dict[str, Pair]] = self.table.values() if path is None else [self.table.get(path, {})]
        return sum(sum(pair) for row in rows for pair in row.values())

    def by_class(self) -> dict[str, Pair]:
        """Over all paths, in the order of ``CLASSES``."""
        found: dict[str, Pair] = dict.fromkeys(CLASSES, (0, 0))
        for name, pair in chain.from_iterable(row.items() for row in self.table.values()):
            old = found.get(name, (0, 0))
            found[name] = (old[0] + pair[0], old[1] + pair[1])
        return found

    def document(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "month": self.name or None,
            "total_bytes": self.total(),
            "metered_bytes": self.metered,
            "paths": {
                path: {name: {"sent_bytes": s, "received_bytes": r} for name, (s, r) in row.items()}
                for path, row in self.table.items()
            },
        }


class _Kept(msgspec.Struct, array_like=True, frozen=True):
    name: str
    metered: int
    table: dict[str, dict[str, Pair]]
    told: int = 0


class _File(msgspec.Struct, frozen=True):
    version: int
    months: list[_Kept]
    closed: str = ""
    evidence_due: bool = False
    since_us: int | None = None


class Usage:
    """All months kept. Not thread-safe."""

    def __init__(self) -> None:
        self._months: dict[str, Month] = {}
        self.closed = ""  # the newest month whose end was told
        self.evidence_due = False
        self.since_us: int | None = None  # UTC of the first byte counted with a clock to be believed

    # ---- counting ---------------------------------------------------------------------------------

    def add(self, found: Mapping[str, Pair], path: Path, *, metered: bool, utc_us: int | None, sure: bool) -> None:
        """found: bytes by class since the last time. utc_us: None while no clock is to be believed at all.
        sure: it comes from NTP or GNSS."""
        month = self._month(utc_us, sure=sure)
        if utc_us is not None and (self.since_us is None or (sure and utc_us < self.since_us)):
            self.since_us = utc_us
        name = path.name.lower()
        for kind, pair in found.items():
            month.add(name, kind, pair)
            if metered:
                month.metered += sum(pair)

    def _month(self, utc_us: int | None, *, sure: bool) -> Month:
        name = self._name(utc_us, sure=sure)
        month = self._months.setdefault(name, Month(name))
        if name != HELD:
            strays = [other for other in self._months if other == HELD or (sure and other > name)]
            for other in strays:
                month.merge(self._months.pop(other))
            for old in sorted(self._months)[:-KEPT_MONTHS]:
                del self._months[old]
        return month

    def _name(self, utc_us: int | None, *, sure: bool) -> str:
        if utc_us is None:
            return HELD
        name, newest = month_name(utc_us), self.newest
        if sure or newest is None:
            return name
        if name <= newest.name:
            return newest.name
        return name if _number(name) - _number(newest.name) <= LEAP_MONTHS else HELD

    # ---- looking ----------------------------------------------------------------------------------

    @property
    def newest(self) -> Month | None:
        """The month that is counted into, None while none is known."""
        name = max((name for name in self._months if name != HELD), default=None)
        return None if name is None else self._months[name]

    @property
    def held(self) -> Month | None:
        return self._months.get(HELD)

    def months(self) -> list[Month]:
        """The newest first; what is held is not among them."""
        return [self._months[name] for name in sorted(self._months, reverse=True) if name != HELD]

    def metered_bytes(self) -> int:
        """What counts against this month's limit."""
        return sum(month.metered for month in (self.newest, self.held) if month is not None)

    def to_close(self) -> Month | None:
        """The month before the newest, once, when its end has not been told."""
        past = self.months()[1:2]
        return past[0] if past and past[0].name > self.closed else None

    # ---- on flash ---------------------------------------------------------------------------------

    def encode(self, capacity: int) -> bytes:
        """At most ``capacity`` bytes: the oldest months go first."""
        order = [self._months[name] for name in sorted(self._months, reverse=True)]
        while True:
            kept = [_Kept(month.name, month.metered, month.table, month.told) for month in order]
            data = msgspec.json.encode(self._file(kept))
            if len(data) <= capacity or not order:
                return data
            order.pop(-2 if order[-1].name == HELD and len(order) > 1 else -1)

    def _file(self, kept: list[_Kept]) -> _File:
        return _File(VERSION, kept, self.closed, self.evidence_due, self.since_us)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """JournalError for anything that is no state of ours."""
        usage = cls()
        if not data:
            return usage
        try:
            file = msgspec.json.decode(data, type=_File)
        except (msgspec.MsgspecError, RecursionError) as err:
            raise JournalError(f"no data usage: {err}") from None
        if file.version != VERSION:
            raise JournalError(f"data usage of version {file.version}, this is {VERSION}")
        for kept in file.months:
            if kept.name != HELD:
                _number(kept.name)
            usage._months[kept.name] = Month(kept.name, kept.metered, kept.table, kept.told)
        usage.closed = file.closed
        usage.evidence_due, usage.since_us = file.evidence_due, file.since_us
        return usage


def month_name(utc_us: int) -> str:
    return f"{datetime.fromtimestamp(utc_us / 1e6, UTC):%Y-%m}"


def month_bounds_us(name: str) -> tuple[int, int]:
    """First microsecond of the month, and of the next one."""
    year, month = divmod(_number(name), 12)
    begin = datetime(year, month + 1, 1, tzinfo=UTC)
    end = datetime(year + (month == 11), (month + 1) % 12 + 1, 1, tzinfo=UTC)
    return round(begin.timestamp() * 1e6), round(end.timestamp() * 1e6)


def projected_bytes(count: int, name: str, utc_us: int, since_us: int | None = None) -> int | None:
    """Bytes at the end of month ``name`` if it goes on as it went so far; None before a day has been counted.

    count: bytes so far. since_us: UTC since which they are counted, where that lies within the month.
    """
    begin, end = month_bounds_us(name)
    begin = max(begin, since_us or begin)
    if not begin + DAY_US <= utc_us < end:
        return None
    return count + round(count / (utc_us - begin) * (end - utc_us))


def _minus(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {name: value - before.get(name, 0) if value >= before.get(name, 0) else value for name, value in now.items()}


def _number(name: str) -> int:
    """Months since year 0. JournalError for what is no month."""
    year, dash, month = name.partition("-")
    if not (dash and year.isdigit() and month.isdigit() and 1 <= int(year) <= 9999 and 1 <= int(month) <= 12):
        raise JournalError(f"no month: {name!r}")
    return int(year) * 12 + int(month) - 1
