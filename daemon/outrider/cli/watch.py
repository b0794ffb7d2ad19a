"""``outrider watch``: prints what terminals send, as it arrives. Read-only: stores nothing, acknowledges nothing."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outrider.cli.common import emit_json, json_option, note, stop_on_signals
from outrider.cli.ingest import broker_options, make_broker
from outrider.i18n import _

if TYPE_CHECKING:
    from outrider.ingest.options import BrokerOptions
    from outrider.ingest.sinks.alarms_io import Alarm, AlarmTables
    from outrider.ingest.sources.source import Incoming
    from outrider.model.beacon import Beacon
    from outrider.model.record import SignalTable, StoredRecord
    from outrider.wire.birth import Birth
    from outrider.wire.codec import Batch

_MAX_TABLES = 10_000


@click.command()
@broker_options
@click.option("--device", help=_("Only this terminal."))
@click.option("--all-rows", is_flag=True, help=_("Print every telemetry row, not only the last of a batch."))
@click.option("--count", type=click.IntRange(1), help=_("End after so many messages."))
@click.option("--db", type=click.Path(path_type=Path), help=_("A receiver's database: its alarms are shown as well."))
@json_option
def cli(device: str | None, all_rows: bool, count: int | None, db: Path | None, as_json: bool, **broker: Any) -> None:
    """Print births, telemetry, events and beacons as they arrive at the broker, until SIGTERM or SIGINT."""
    from outrider.ingest.sinks.store_io import Store
    from outrider.ingest.sources.subscriber_io import make_tls
    from outrider.wire.topics import check_device

    if device is not None:
        check_device(device)
    options = make_broker(f"outrider-watch-{random.randrange(1 << 32):08x}", persistent=False, **broker)
    make_tls(options)
    printer = _Printer(as_json, all_rows)
    with ExitStack() as stack:
        alarms = None if db is None else _Alarms(stack.enter_context(Store.open(db, read_only=True)).alarms)
        for message in _messages(options, device or "+", stop_on_signals()):
            if alarms is not None:
                printer.alarms(alarms.news(device))
            if message is None:
                continue
            printer.show(message)
            if count is not None:
                count -= 1
                if count == 0:
                    return


def _messages(options: BrokerOptions, device: str, stop: threading.Event) -> Iterator[Incoming | None]:
    """Messages until stopped, over as many connections as it takes; None now and then."""
    from outrider.errors import LinkError
    from outrider.ingest.sources.source import Source
    from outrider.ingest.sources.subscriber_io import MqttConnector

    topics = tuple(f"t/{device}/{leaf}" for leaf in "desb")
    connector = MqttConnector(options)
    while not stop.is_set():
        source: Source | None = None
        try:
            source = connector.connect(topics)
            note(_("watching {host}:{port}").format(host=options.host, port=options.port))
            while not stop.is_set():
                yield None
                for message in source.poll(0.2):
                    yield message
                    source.confirm((message,))
        except LinkError as err:
            note(str(err))
            stop.wait(random.uniform(0.5, 2.0))
        finally:
            if source is not None:
                source.close()


class _Alarms:
    """What a receiver's database tells of vanished cars since the last look."""

    def __init__(self, tables: AlarmTables) -> None:
        self._tables = tables
        known = tables.listing(limit=1)
        self._number = known[0].number if known else 0
        self._cleared_us = datetime.now(UTC).timestamp() * 1e6

    def news(self, device: str | None) -> list[Alarm]:
        found = self._tables.newer_than(self._number, cleared_after_us=round(self._cleared_us))
        self._number = max([self._number, *(a.number for a in found)])
        self._cleared_us = max([self._cleared_us, *(a.cleared_utc_us or 0 for a in found)])
        return [alarm for alarm in found if device in (None, alarm.vanished.device)]


class _Printer:
    """Decodes messages and prints them; remembers the signal tables that went by, to name the values."""

    def __init__(self, as_json: bool, all_rows: bool) -> None:
        self._as_json = as_json
        self._all_rows = all_rows
        self._tables: dict[tuple[str, int], SignalTable] = {}

    def show(self, message: Incoming) -> None:
        from outrider.ingest.core import BeaconFrom, DeadLetter, read_message
        from outrider.wire.birth import Birth

        content = read_message(message.topic, message.payload, max_bytes=1 << 20)
        if isinstance(content, DeadLetter):
            self._unreadable(message, content.reason)
        elif isinstance(content, Birth):
            self._birth(content)
        elif isinstance(content, BeaconFrom):
            self._beacon(content.device, content.beacon)
        else:
            self._batch(content, len(message.payload))

    def alarms(self, alarms: list[Alarm]) -> None:
        from outrider.cli.alarm_view import cleared_document, cleared_line, vanished_document, vanished_line
        from outrider.ingest.watch.deadman import Cleared

        for alarm in alarms:
            v = alarm.vanished
            if alarm.cleared_utc_us is not None:
                cleared = Cleared(v.device, alarm.cleared_utc_us / 1e6, alarm.cleared_reason or "")
                self._emit(cleared_document(cleared), cleared_line(cleared))
            else:
                self._emit(vanished_document(v, v.raised_utc_s), vanished_line(v, v.raised_utc_s))

    def _emit(self, document: dict[str, Any], line: str) -> None:
        if self._as_json:
            emit_json(document)
        else:
            click.echo(line)

    def _beacon(self, device: str, beacon: Beacon) -> None:
        from dataclasses import asdict

        from outrider.cli.alarm_view import beacon_words

        if self._as_json:
            emit_json({"type": "beacon", "device": device, **asdict(beacon)})
        else:
            self._line(device, beacon_words(beacon))

    def _unreadable(self, message: Incoming, reason: str) -> None:
        if self._as_json:
            emit_json({"type": "unreadable", "topic": message.topic, "reason": reason, "bytes": len(message.payload)})
        else:
            from outrider.crash.report_clean import shown

            self._line(shown(message.topic), _("unreadable: {reason}").format(reason=shown(reason)))

    def _birth(self, birth: Birth) -> None:
        from outrider.crash.report_clean import shown
        from outrider.wire.bodies import table_id

        if birth.table is not None:
            self._remember(birth.device, table_id(birth.table), birth.table)
        if self._as_json:
            document = {"online": birth.online, "software": birth.software, "boot_id": f"{birth.boot_id:08x}"}
            signals = None if birth.table is None else len(birth.table.signals)
            emit_json({"type": "birth", "device": birth.device, **document, "signals": signals})
            return
        state = _("online") if birth.online else _("offline")
        self._line(birth.device, f"{state}, outrider {shown(birth.software)}, boot {birth.boot_id:08x}")

    def _batch(self, batch: Batch, size: int) -> None:
        from outrider.model.record import Kind

        self._learn(batch)
        if self._as_json:
            for stored in batch.records:
                emit_json(self._document(batch, stored))
            return
        first, last = batch.records[0].seq, batch.records[-1].seq
        head = _("{lane} {first}-{last}, {count} records in {size} bytes").format(
            lane=batch.lane.name.lower(), first=first, last=last, count=len(batch.records), size=size
        )
        self._line(batch.device, head)
        for index, stored in enumerate(batch.records):
            is_last = index + 1 == len(batch.records)
            if stored.record.kind != Kind.TELEMETRY or self._all_rows or is_last:
                click.echo(f"    {stored.seq}: {_words(self._describe(batch.device, stored))}")

    def _document(self, batch: Batch, stored: StoredRecord) -> dict[str, Any]:
        r = stored.record
        return {
            "type": "record",
            "device": batch.device,
            "epoch": f"{stored.epoch:016x}",
            "lane": r.lane.name.lower(),
            "seq": stored.seq,
            "category": r.category.name.lower(),
            "boot_id": f"{r.boot_id:08x}",
            "t_us": r.t_us,
            "body": self._describe(batch.device, stored),
        }

    def _describe(self, device: str, stored: StoredRecord) -> dict[str, Any]:
        from outrider.errors import WireError
        from outrider.model.record import Kind
        from outrider.wire.describe import describe
        from outrider.wire.rows import decode_row

        r = stored.record
        table = None
        if r.kind == Kind.TELEMETRY:
            try:
                table = self._tables.get((device, decode_row(r.body).table_id))
            except WireError:
                table = None  # describe tells what is wrong with it
        return describe(r.kind, r.body, table)

    def _learn(self, batch: Batch) -> None:
        from outrider.errors import WireError
        from outrider.model.record import Kind, SignalTable
        from outrider.wire.bodies import decode_body, table_id

        for stored in batch.records:
            if stored.record.kind != Kind.SIGNAL_TABLE:
                continue
            try:
                table = decode_body(stored.record.kind, stored.record.body)
            except WireError:
                continue  # printed with its error
            if isinstance(table, SignalTable):
                self._remember(batch.device, table_id(table), table)

    def _remember(self, device: str, number: int, table: SignalTable) -> None:
        if len(self._tables) >= _MAX_TABLES:
            self._tables.pop(next(iter(self._tables)))
        self._tables[device, number] = table

    def _line(self, device: str, text: str) -> None:
        stamp = datetime.now(UTC).strftime("%H:%M:%S")
        click.echo(f"{stamp} {device:<16} {text}")


def _words(document: dict[str, Any]) -> str:
    """A description on one line: its type, then ``name=value``; what is unknown is left out."""
    parts = [str(document["type"])]
    for name, value in document.items():
        if name == "type" or value is None or value in ({}, []):
            continue
        if isinstance(value, dict):
            parts += [f"{key.rsplit('.', 1)[-1]}={_short(item)}" for key, item in value.items()]
        else:
            parts.append(f"{name}={_short(value)}")
    return " ".join(parts)


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
