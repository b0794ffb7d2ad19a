"""``Register``: devices, positions, gaps, clock fixes, signal tables and dead letters, in SQLite or PostgreSQL.

Everything but the records themselves. It is the ``Ground`` of a draft: what it reads for one is locked until the
transaction ends, and ``write`` puts down what the draft decided. Rows of new devices are made before any is locked,
and locks are taken by name, so that workers never wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from outrider.errors import JournalError
from outrider.ingest.clock import FixPoint
from outrider.ingest.core import StreamKey, reason_today
from outrider.ingest.sinks.draft import Device, Draft
from outrider.ingest.sinks.progress import Progress
from outrider.ingest.sinks.sink import GapRow, Letter
from outrider.ingest.sinks.sql import FOR_UPDATE, Sql, signed, unsigned
from outrider.model.record import Lane

_DEVICE: Final = "name, device_no, seen_utc_us, online, session_id, software, boot_id, epoch, ack_counter"
_STREAM: Final = "device_no = ? AND epoch = ? AND lane = ?"


class Register:
    """See the module. max_dead_letters: older ones are dropped."""

    def __init__(self, sql: Sql, max_dead_letters: int = 10_000) -> None:
        self._sql = sql
        self._max_dead_letters = max_dead_letters
        self._known: set[str] = set()  # devices that have a row
        self._loaded: dict[StreamKey, tuple[tuple[int, int], ...]] = {}  # rows of ``ahead`` as they are

    def forget(self) -> None:
        """The transaction is over: what was read under its locks may change."""
        self._loaded.clear()

    def distrust(self) -> None:
        """It was rolled back."""
        self.forget()
        self._known.clear()

    # ---- for a draft --------------------------------------------------------------------------------

    def lock(self, names: Collection[str], utc_us: int) -> dict[str, Device]:
        """The devices, made where they are new, locked in order of their names."""
        ordered = sorted(set(names))
        fresh = [name for name in ordered if name not in self._known]
        if fresh:
            insert = "INSERT INTO devices (name, seen_utc_us) VALUES (?,?) ON CONFLICT DO NOTHING"
            self._sql.many(insert, [(name, utc_us) for name in fresh])
            self._known.update(fresh)
        found: dict[str, Device] = {}
        for part in _parts(ordered):
            query = f"SELECT {_DEVICE} FROM devices WHERE name IN ({_marks(part)}) ORDER BY name {FOR_UPDATE}"
            found |= {row[0]: _device(row) for row in self._sql.rows(query, *part)}
        if len(found) < len(ordered):
            raise JournalError("database: rows of devices are gone (was it put back from a backup?)")
        return found

    def progress(self, device: Device, stream: StreamKey) -> Progress:
        place = (device.number, signed(stream.epoch), int(stream.lane))
        rows = self._sql.rows(f"SELECT up_to_seq FROM positions WHERE {_STREAM}", *place)
        query = f"SELECT first_seq, last_seq FROM ahead WHERE {_STREAM} ORDER BY first_seq"
        ahead = self._sql.rows(query, *place) if rows else []
        self._loaded[stream] = tuple((first, last) for first, last in ahead)
        return Progress(rows[0][0] if rows else 0, self._loaded[stream])

    def write(self, draft: Draft) -> None:
        """Put down what the draft decided, in the open transaction; but for its records."""
        numbers = {name: device.number for name, device in draft.devices.items()}
        self._write_devices(draft)
        self._write_progress(draft, numbers)
        insert = "INSERT INTO gaps VALUES (?,?,?,?,?,?) ON CONFLICT DO NOTHING"
        rows = [(*_place(numbers, g.stream), g.first_seq, g.last_seq, g.reason) for g in draft.gaps]
        self._many(insert, rows)
        self._many(
            "INSERT INTO clock_fixes (device_no, boot_id, t_us, utc_us, uncertainty_us, source) VALUES (?,?,?,?,?,?)"
            " ON CONFLICT DO NOTHING",
            [
                (numbers[name], boot, t_us, fix.utc_us, fix.uncertainty_us, int(fix.source))
                for name, boot, t_us, fix in draft.fixes
            ],
        )
        tables = [(numbers[name], table, body) for name, table, body in draft.tables]
        self._many("INSERT INTO signal_tables VALUES (?,?,?) ON CONFLICT DO NOTHING", tables)
        self._write_letters(draft)

    def _write_devices(self, draft: Draft) -> None:
        rows = [
            (
                d.seen_utc_us,
                None if d.online is None else int(d.online),
                None if d.session_id is None else signed(d.session_id),
                d.software,
                d.boot_id,
                None if d.epoch is None else signed(d.epoch),
                d.ack_counter,
                d.number,
            )
            for d in draft.pending_devices()
        ]
        update = (
            "UPDATE devices SET seen_utc_us=?, online=?, session_id=?, software=?, boot_id=?, epoch=?, ack_counter=?"
            " WHERE device_no=?"
        )
        self._many(update, rows)

    def _write_progress(self, draft: Draft, numbers: dict[str, int]) -> None:
        positions, gone, new = [], [], []
        for stream in draft.changed_streams:
            place, progress = _place(numbers, stream), draft.progress[stream]
            positions.append((*place, progress.position))
            before = self._loaded.get(stream, ())
            if progress.ahead != before:
                gone += [(*place, first) for first, _last in set(before) - set(progress.ahead)]
                new += [(*place, first, last) for first, last in set(progress.ahead) - set(before)]
                self._loaded[stream] = progress.ahead
        self._many(
            "INSERT INTO positions VALUES (?,?,?,?) ON CONFLICT (device_no, epoch, lane)"
            " DO UPDATE SET up_to_seq = excluded.up_to_seq",
            positions,
        )
        self._many(f"DELETE FROM ahead WHERE {_STREAM} AND first_seq = ?", gone)
        self._many("INSERT INTO ahead VALUES (?,?,?,?,?)", new)

    def _write_letters(self, draft: Draft) -> None:
        if not draft.letters:
            return
        insert = "INSERT INTO dead_letters (received_utc_us, topic, reason, size, payload) VALUES (?,?,?,?,?)"
        self._sql.many(insert, draft.letters)
        delete = "DELETE FROM dead_letters WHERE id <= (SELECT max(id) FROM dead_letters) - CAST(? AS BIGINT)"
        self._sql.many(delete, [(self._max_dead_letters,)])

    def _many(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            self._sql.many(statement, rows)

    # ---- reading ------------------------------------------------------------------------------------

    def number(self, device: str) -> int | None:
        rows = self._sql.rows("SELECT device_no FROM devices WHERE name = ?", device)
        return rows[0][0] if rows else None

    def streams(self, device: str, epoch: int) -> tuple[StreamKey, ...]:
        query = "SELECT lane FROM positions JOIN devices USING (device_no) WHERE name = ? AND positions.epoch = ?"
        return tuple(StreamKey(device, epoch, Lane(lane)) for (lane,) in self._sql.rows(query, device, signed(epoch)))

    def devices(self) -> list[tuple[int, dict[str, Any]]]:
        """(number, what is known), by name."""
        query = "SELECT device_no, name, online, software, seen_utc_us FROM devices ORDER BY name"
        return [
            (
                number,
                {
                    "device": name,
                    "online": None if online is None else bool(online),
                    "software": software,
                    "seen_utc_us": seen,
                },
            )
            for number, name, online, software, seen in self._sql.rows(query)
        ]

    def positions(self, device: str | None = None) -> dict[StreamKey, int]:
        query = "SELECT name, p.epoch, lane, up_to_seq FROM positions p JOIN devices USING (device_no)"
        rows = self._rows_of(device, query, " ORDER BY name, p.epoch, lane")
        return {StreamKey(name, unsigned(epoch), Lane(lane)): seq for name, epoch, lane, seq in rows}

    def gaps(self, device: str | None = None) -> list[GapRow]:
        query = "SELECT name, g.epoch, lane, first_seq, last_seq, reason FROM gaps g JOIN devices USING (device_no)"
        return [
            GapRow(StreamKey(name, unsigned(epoch), Lane(lane)), first, last, reason_today(reason))
            for name, epoch, lane, first, last, reason in self._rows_of(
                device, query, " ORDER BY name, g.epoch, lane, first_seq"
            )
        ]

    def letters(self) -> Iterator[Letter]:
        query = "SELECT id, received_utc_us, topic, reason, size, payload FROM dead_letters ORDER BY id"
        return (Letter(*row) for row in self._sql.stream(query))

    def letter_count(self) -> int:
        return int(self._sql.rows("SELECT count(*) FROM dead_letters")[0][0])

    def drop_letters(self, numbers: Collection[int]) -> None:
        self._many("DELETE FROM dead_letters WHERE id = ?", [(number,) for number in numbers])

    def signal_table(self, device: str, number: int) -> bytes | None:
        query = "SELECT body FROM signal_tables JOIN devices USING (device_no) WHERE name = ? AND table_id = ?"
        rows = self._sql.rows(query, device, number)
        return rows[0][0] if rows else None

    def signal_tables(self, device: str) -> list[bytes]:
        query = "SELECT body FROM signal_tables JOIN devices USING (device_no) WHERE name = ? ORDER BY table_id"
        return [body for (body,) in self._sql.rows(query, device)]

    def fixes(self, device: str, boot_id: int) -> list[FixPoint]:
        query = "SELECT t_us, utc_us, uncertainty_us FROM clock_fixes f JOIN devices USING (device_no)"
        rows = self._sql.rows(f"{query} WHERE name = ? AND f.boot_id = ?", device, boot_id)
        return [FixPoint(*row) for row in rows]

    def _rows_of(self, device: str | None, query: str, order: str) -> list[tuple[Any, ...]]:
        if device is None:
            return self._sql.rows(query + order)
        return self._sql.rows(f"{query} WHERE name = ?{order}", device)


def _device(row: tuple[Any, ...]) -> Device:
    name, number, seen, online, session, software, boot, epoch, counter = row
    return Device(
        name=name,
        number=number,
        seen_utc_us=seen,
        online=None if online is None else bool(online),
        session_id=None if session is None else unsigned(session),
        software=software,
        boot_id=boot,
        epoch=None if epoch is None else unsigned(epoch),
        ack_counter=counter,
    )


def _place(numbers: dict[str, int], stream: StreamKey) -> tuple[int, int, int]:
    return numbers[stream.device], signed(stream.epoch), int(stream.lane)


def _marks(values: Collection[object]) -> str:
    return ",".join("?" * len(values))


def _parts(names: list[str], at_most: int = 256) -> Iterator[list[str]]:
    """Groups whose sizes are powers of two (the last name is repeated), so that few statements are prepared."""
    for start in range(0, len(names), at_most):
        part = names[start : start + at_most]
        size = 1 << (len(part) - 1).bit_length()
        yield part + part[-1:] * (size - len(part))
