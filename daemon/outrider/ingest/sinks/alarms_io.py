"""The receiver's tables about vanished cars: alarms, the last beacon of each terminal, what was learnt of coverage.

Part of ``Store``: shares its connection and transactions, in SQLite or PostgreSQL. An alarm keeps why it was raised and
the last beacons before the silence: that is the reason for which a place is shown, and it stays on record.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from outrider.errors import WireError
from outrider.ingest.sinks.sql import Sql
from outrider.ingest.watch.deadman import Cleared, CoverageMap, Vanished
from outrider.ingest.watch.vigil import HeardBeacon
from outrider.wire.beacon import decode_beacon, encode_beacon

VANISHED: Final = "vanished"
_VANISHED_COLUMNS: Final = (
    "since_utc_us, raised_utc_us, lat_deg, lon_deg, heading_deg, speed_mps, score, reasons, hacc_m, fix_utc_us, "
    "interval_s"
)

_ALARMS: Final = f"""SELECT name, {_VANISHED_COLUMNS}, id, cleared_utc_us, cleared_reason, beacons
FROM alarms JOIN devices USING (device_no)"""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A row of ``alarms``. cleared_utc_us and cleared_reason: None while it stands. beacons: the last before the
    silence, oldest first, each with the time it was received."""

    number: int
    vanished: Vanished
    cleared_utc_us: int | None
    cleared_reason: str | None
    beacons: tuple[dict[str, Any], ...]


class AlarmTables:
    """device_no: (name, heard_utc_us) -> its number, locked; a later time at which it was heard stays. Every refusal of
    the database is a JournalError."""

    def __init__(self, sql: Sql, device_no: Callable[[str, int], int]) -> None:
        self._sql = sql
        self._device_no = device_no

    # ---- writing ------------------------------------------------------------------------------------

    def put(self, news: Vanished | Cleared, beacons: Iterable[HeardBeacon] = ()) -> None:
        """An alarm that was raised (beacons: its last ones) or is over."""
        self._sql.begin()
        if isinstance(news, Vanished):
            self._raise(news, beacons)
        else:
            self._clear(news)

    def _raise(self, alarm: Vanished, beacons: Iterable[HeardBeacon]) -> None:
        since, raised = _us(alarm.since_utc_s), _us(alarm.raised_utc_s)
        place = alarm.place() or (None, None)
        told = [{"received_utc_us": _us(b.received_utc_s), **asdict(b.beacon)} for b in beacons]
        self._run(
            f"INSERT INTO alarms (device_no, kind, {_VANISHED_COLUMNS}, place_lat_deg, place_lon_deg, place_radius_m,"
            " beacons) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            self._device_no(alarm.device, since),  # when it was raised it was just not heard
            VANISHED,
            since,
            raised,
            alarm.lat_deg,
            alarm.lon_deg,
            alarm.heading_deg,
            alarm.speed_mps,
            alarm.score,
            json.dumps(alarm.reasons, ensure_ascii=False),
            alarm.hacc_m,
            _us(alarm.fix_utc_s),
            alarm.interval_s,
            *place,
            alarm.place_radius_m(),
            json.dumps(told),
        )

    def _clear(self, cleared: Cleared) -> None:
        at = _us(cleared.at_utc_s)
        self._run(
            "UPDATE alarms SET cleared_utc_us = ?, cleared_reason = ? WHERE device_no = ? AND cleared_utc_us IS NULL",
            at,
            cleared.reason,
            self._device_no(cleared.device, at),
        )

    def keep_beacons(self, newest: Mapping[str, HeardBeacon]) -> None:
        """The last beacon of each terminal, so that a restart does not forget where it was."""
        self._sql.begin()
        rows = []
        for device, heard in sorted(newest.items()):
            at = _us(heard.received_utc_s)
            rows.append((self._device_no(device, at), at, encode_beacon(heard.beacon)))
        self._sql.many(
            "INSERT INTO last_beacons VALUES (?,?,?) ON CONFLICT (device_no) DO UPDATE SET"
            " received_utc_us = excluded.received_utc_us, payload = excluded.payload",
            rows,
        )

    def keep_coverage(self, coverage: CoverageMap, utc_us: int) -> None:
        self._sql.begin()
        self._run(
            "INSERT INTO coverage VALUES (1,?,?) ON CONFLICT (id) DO UPDATE SET"
            " saved_utc_us = excluded.saved_utc_us, map = excluded.map",
            utc_us,
            coverage.to_bytes(),
        )

    # ---- reading ------------------------------------------------------------------------------------

    def coverage(self, max_cells: int) -> CoverageMap:
        """What was learnt so far; an empty map when there is none. WireError when what is there cannot be read."""
        rows = self._sql.rows("SELECT map FROM coverage")
        return CoverageMap.from_bytes(rows[0][0], max_cells) if rows else CoverageMap(max_cells)

    def standing(self) -> list[Vanished]:
        """Alarms that are not cleared."""
        return [alarm.vanished for alarm in self.listing(standing=True)]

    def listing(self, device: str | None = None, *, standing: bool = False, limit: int | None = None) -> list[Alarm]:
        """Alarms, the newest first; limit None: all."""
        query, values = f"{_ALARMS} WHERE kind = ?", [VANISHED]
        if device is not None:
            query, values = f"{query} AND name = ?", [*values, device]
        if standing:
            query += " AND cleared_utc_us IS NULL"
        query += " ORDER BY id DESC" + ("" if limit is None else f" LIMIT {int(limit)}")
        return [_alarm(row) for row in self._sql.rows(query, *values)]

    def newer_than(self, number: int, *, cleared_after_us: int) -> list[Alarm]:
        """Alarms raised after the one with this number, or cleared after this time; the oldest first."""
        query = f"{_ALARMS} WHERE kind = ? AND (id > ? OR cleared_utc_us > ?) ORDER BY id"
        return [_alarm(row) for row in self._sql.rows(query, VANISHED, number, cleared_after_us)]

    def unheard(self, before_utc_us: int) -> dict[str, HeardBeacon]:
        """Terminals whose last beacon announced another, of before this time, and that sent nothing since."""
        query = """SELECT name FROM last_beacons b JOIN devices d USING (device_no)
                   WHERE d.seen_utc_us <= b.received_utc_us AND d.seen_utc_us < ?"""
        silent = {name for (name,) in self._sql.rows(query, before_utc_us)}
        return {n: heard for n, heard in self.last_beacons().items() if n in silent and not heard.beacon.is_last}

    def last_beacons(self) -> dict[str, HeardBeacon]:
        """By device, as they were when the receiver last wrote them down. Damaged ones are left out."""
        query = "SELECT name, received_utc_us, payload FROM last_beacons JOIN devices USING (device_no)"
        found = {}
        for name, at, payload in self._sql.rows(query):
            try:
                found[name] = HeardBeacon(at / 1e6, decode_beacon(payload))
            except WireError:
                continue
        return found

    def _run(self, statement: str, *values: object) -> None:
        self._sql.many(statement, [values])


def _alarm(row: tuple[Any, ...]) -> Alarm:
    name, since, raised, lat, lon, heading, speed, score, reasons, hacc, fix, interval, number, cleared, why, told = row
    vanished = Vanished(
        device=name,
        since_utc_s=since / 1e6,
        raised_utc_s=raised / 1e6,
        lat_deg=lat,
        lon_deg=lon,
        heading_deg=heading,
        speed_mps=speed,
        score=score,
        reasons=tuple(json.loads(reasons)),
        hacc_m=hacc,
        fix_utc_s=fix / 1e6,
        interval_s=interval,
    )
    return Alarm(number, vanished, cleared, why, tuple(json.loads(told)))


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
