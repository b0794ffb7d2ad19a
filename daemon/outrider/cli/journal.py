"""``outrider journal ls|stats|export|verify``: read-only, also beside a running daemon."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outrider.cli.common import emit_json, json_option
from outrider.i18n import _

if TYPE_CHECKING:
    from outrider.model.record import Lane, SignalTable, StoredRecord
    from outrider.record.inspect import Inspection, StreamSummary

LANES = ("emergency", "ledger", "event", "telemetry", "bulk")

_directory = click.argument("directory", metavar="[DIR]", type=click.Path(path_type=Path), required=False)


def _lane_option(command: Any) -> Any:
    return click.option("--lane", type=click.Choice(LANES), help=_("Only this lane."))(command)


@click.group()
def cli() -> None:
    """Look into the journal on flash. DIR defaults to the journal of the default configuration."""


@cli.command()
@_directory
@_lane_option
@click.option("-n", "--limit", type=click.IntRange(min=1), help=_("Only the last N records of each lane."))
@json_option
def ls(directory: Path | None, lane: str | None, limit: int | None, as_json: bool) -> None:
    """List records: epoch, lane, number, kind, time since boot, size, content."""
    found = _inspect(directory)
    for stored, content in _described(found, _lane(lane), limit):
        if as_json:
            emit_json(_line(stored, content))
            continue
        r = stored.record
        text = " ".join(f"{k}={_short(v)}" for k, v in content.items() if k != "type")
        click.echo(
            f"{stored.epoch:016x} {r.lane.name.lower():9} {stored.seq:>8} {content['type']:12} "
            f"{r.t_us / 1e6:>14.3f} {len(r.body):>6}  {text}"[:200]
        )


@cli.command()
@_directory
@json_option
def stats(directory: Path | None, as_json: bool) -> None:
    """Counts by lane, what is acknowledged and durable, bytes, epochs, files set aside."""
    found = _inspect(directory)
    if as_json:
        emit_json(_stats_document(found))
        return
    click.echo(_("epoch {epoch}").format(epoch="-" if found.epoch is None else f"{found.epoch:016x}"))
    click.echo(f"{'':17}{'lane':10}{'records':>9}{'acked':>9}{'durable':>9}{'missing':>9}{'files':>6}{'KiB':>9}")
    for s in found.streams():
        where = "" if s.current else f"{s.epoch:016x}"
        click.echo(
            f"{where:17}{s.lane.name.lower():10}{s.records:>9}{s.acknowledged:>9}{s.durable:>9}{s.missing:>9}"
            f"{s.segments:>6}{s.bytes // 1024:>9}"
        )
    if found.quarantined:
        click.echo(_("set aside: {names}").format(names=", ".join(found.quarantined)))


@cli.command()
@_directory
@_lane_option
@json_option
def export(directory: Path | None, lane: str | None, as_json: bool) -> None:
    """All records as JSON Lines: place, stamp, body in base64, and what it says."""
    del as_json  # it is JSON in any case
    for stored, content in _described(_inspect(directory), _lane(lane), None):
        body = base64.b64encode(stored.record.body).decode("ascii")
        emit_json(_line(stored, content) | {"body": body})


@cli.command()
@_directory
@json_option
def verify(directory: Path | None, as_json: bool) -> None:
    """Check every checksum and every number. Exit code 65 when something is damaged."""
    found = _inspect(directory)
    gaps = [stored for stored in found.records() if stored.record.kind.name == "GAP"]
    held = sum(s.records for s in found.streams())
    if as_json:
        document = {"ok": not found.damage, "records": held, "damage": _damage(found), "gaps": _gaps(gaps)}
        emit_json(document | {"quarantined": found.quarantined})
    else:
        for gap in _gaps(gaps):
            click.echo(_("gap: {lane} {first_seq}..{last_seq} of epoch {epoch}, {reason}").format(**gap))
        for damage in _damage(found):
            click.echo(_("damaged: {file}: {what} {numbers}").format(**damage))
        text = _("{records} records sound") if not found.damage else _("{records} records readable")
        click.echo(text.format(records=held))
    if found.damage:
        sys.exit(65)


def _inspect(directory: Path | None) -> Inspection:
    from outrider.errors import JournalError
    from outrider.record.inspect import inspect
    from outrider.record.storage_io import DirectoryStorage

    place = directory or _default_directory()
    storage = DirectoryStorage(place, read_only=True)
    names = storage.names()
    if names and not any(name in {"journal.lock", "cursor.state"} or name.endswith(".seg") for name in names):
        raise JournalError(_("{directory}: holds no journal; name the directory of one").format(directory=place))
    return inspect(storage)


def _default_directory() -> Path:
    from outrider.config import DEFAULT_PATH, load_config

    return DEFAULT_PATH.parent / load_config(DEFAULT_PATH).terminal.data_directory / "journal"


def _lane(name: str | None) -> Lane | None:
    from outrider.model.record import Lane

    return None if name is None else Lane[name.upper()]


def _described(
    found: Inspection, lane: Lane | None, limit: int | None
) -> Iterator[tuple[StoredRecord, dict[str, Any]]]:
    """Records with what they say; telemetry in physical values where its signal table is in the log."""
    from outrider.wire.describe import describe

    tables = _tables(found)
    first = {(s.epoch, s.lane): s.durable - limit + 1 if limit else 0 for s in found.streams()}
    for stored in found.records(lane):
        r = stored.record
        if stored.seq >= first[stored.epoch, r.lane]:
            yield stored, describe(r.kind, r.body, tables.get(_table_of(stored)))


def _tables(found: Inspection) -> dict[int, SignalTable]:
    from outrider.errors import WireError
    from outrider.model.record import Kind, SignalTable
    from outrider.wire.bodies import decode_body, table_id

    tables = {}
    for stored in found.records():
        if stored.record.kind == Kind.SIGNAL_TABLE:
            try:
                table = decode_body(Kind.SIGNAL_TABLE, stored.record.body)
            except WireError:
                continue
            if isinstance(table, SignalTable):
                tables[table_id(table)] = table
    return tables


def _table_of(stored: StoredRecord) -> int:
    from outrider.errors import WireError
    from outrider.model.record import Kind, TelemetryRow
    from outrider.wire.bodies import decode_body

    if stored.record.kind != Kind.TELEMETRY:
        return -1
    try:
        row = decode_body(Kind.TELEMETRY, stored.record.body)
    except WireError:
        return -1
    return row.table_id if isinstance(row, TelemetryRow) else -1


def _line(stored: StoredRecord, content: dict[str, Any]) -> dict[str, Any]:
    r = stored.record
    return {
        "epoch": f"{stored.epoch:016x}",
        "lane": r.lane.name.lower(),
        "seq": stored.seq,
        "kind": r.kind.name.lower(),
        "category": r.category.name.lower(),
        "schema": r.schema,
        "boot_id": f"{r.boot_id:08x}",
        "t_us": r.t_us,
        "size": len(r.body),
        "content": content,
    }


def _stats_document(found: Inspection) -> dict[str, Any]:
    return {
        "epoch": None if found.epoch is None else f"{found.epoch:016x}",
        "streams": [_stream_document(s) for s in found.streams()],
        "quarantined": found.quarantined,
    }


def _stream_document(s: StreamSummary) -> dict[str, Any]:
    return {
        "epoch": f"{s.epoch:016x}",
        "lane": s.lane.name.lower(),
        "current": s.current,
        "first": s.first,
        "records": s.records,
        "acknowledged": s.acknowledged,
        "durable": s.durable,
        "missing": s.missing,
        "segments": s.segments,
        "bytes": s.bytes,
    }


def _damage(found: Inspection) -> list[dict[str, Any]]:
    return [
        {
            "file": d.name,
            "what": d.what,
            "lane": d.lane.name.lower() if d.lane is not None else None,
            "numbers": f"{d.first}..{d.last}" if d.last else "",
        }
        for d in found.damage
    ]


def _gaps(gaps: list[StoredRecord]) -> list[dict[str, Any]]:
    from outrider.model.record import Gap
    from outrider.wire.bodies import decode_body

    out = []
    for stored in gaps:
        gap = decode_body(stored.record.kind, stored.record.body)
        if isinstance(gap, Gap):
            out.append(
                {
                    "epoch": f"{gap.epoch:016x}",
                    "lane": stored.record.lane.name.lower(),
                    "first_seq": gap.first_seq,
                    "last_seq": gap.last_seq,
                    "reason": gap.reason.name.lower(),
                }
            )
    return out


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return "{" + " ".join(f"{k}={_short(v)}" for k, v in value.items()) + "}"
    return str(value)
