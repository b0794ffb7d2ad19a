"""Options of ``outrider ingest`` about where to store, and its commands on what is stored."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outrider.cli.common import emit_json, json_option, note
from outrider.i18n import _

if TYPE_CHECKING:
    from outrider.ingest.sinks.proof import StreamProof
    from outrider.ingest.sinks.sink import Letter
    from outrider.ingest.sinks.store_io import Store

_FILE = click.Path(path_type=Path)
_EXIT_AWAITED, _EXIT_LOST = 3, 1


def sink_options(command: Any) -> Any:
    """Adds ``--db``, ``--sink`` and ``--register``."""
    options: tuple[Any, ...] = (
        click.option("--db", type=_FILE, default=Path("outrider.db"), show_default=True, help=_("SQLite database.")),
        click.option(
            "--sink",
            metavar="URL",
            envvar="OUTRIDER_SINK",
            help=_("Store here instead: sqlite:PATH, postgresql://…, clickhouse://…, parquet:DIRECTORY."),
        ),
        click.option(
            "--register",
            metavar="URL",
            envvar="OUTRIDER_REGISTER",
            help=_("Where a shelf (ClickHouse, Parquet) has its register: sqlite:PATH or postgresql://…"),
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def open_stored(db: Path, sink: str | None, register: str | None, *, read_only: bool = True) -> Store:
    """The store that the options name."""
    from outrider.ingest.sinks.sinks_io import open_store

    return open_store(sink or f"sqlite:{db}", register, read_only=read_only)


# ---- gaps -----------------------------------------------------------------------------------------


@click.command("gaps")
@click.argument("devices", metavar="[DEVICE]...", nargs=-1)
@sink_options
@json_option
def gaps(*, devices: tuple[str, ...], db: Path, sink: str | None, register: str | None, as_json: bool) -> None:
    """Prove what is stored of a terminal: each number of each stream is stored, declared missing, awaited or lost.

    Exit code 0: complete but for declared gaps. 3: some numbers are awaited. 1: some are lost.
    """
    from outrider.errors import InputError
    from outrider.ingest.sinks.proof import Verdict, prove

    verdicts = set()
    with closing(open_stored(db, sink, register)) as store:
        known = [told["device"] for told in store.device_names()]
        for device in devices or known:
            if device not in known:
                raise InputError(f"nothing is known of a device {device!r}")
            # Positions first: what arrives meanwhile is then stored beyond them, never missing below.
            positions, declared = store.positions(device), store.gaps(device)
            for proof in prove(store.runs(device), declared, positions):
                verdicts.add(proof.verdict)
                _show_proof(proof, as_json)
    if Verdict.LOST in verdicts:
        sys.exit(_EXIT_LOST)
    if Verdict.AWAITED in verdicts:
        sys.exit(_EXIT_AWAITED)


def _show_proof(proof: StreamProof, as_json: bool) -> None:
    from outrider.ingest.sinks.proof import Verdict, size

    key = proof.stream
    if as_json:
        emit_json(
            {
                "type": "proof",
                "device": key.device,
                "epoch": f"{key.epoch:016x}",
                "lane": key.lane.name.lower(),
                "newest": proof.newest,
                "acknowledged": proof.acknowledged,
                "stored": size(proof.stored),
                "declared": [{"first": f, "last": n, "reason": reason} for f, n, reason in proof.declared],
                "awaited": [{"first": first, "last": last} for first, last in proof.awaited],
                "lost": [{"first": first, "last": last} for first, last in proof.lost],
                "verdict": proof.verdict.value,
            }
        )
        return
    words = {Verdict.COMPLETE: _("complete"), Verdict.AWAITED: _("awaited"), Verdict.LOST: _("LOST")}
    head = _("{device} {epoch} {lane}: {verdict}: 1 to {newest}, {stored} stored, acknowledged up to {acknowledged}")
    click.echo(
        head.format(
            device=key.device,
            epoch=f"{key.epoch:016x}",
            lane=key.lane.name.lower(),
            verdict=words[proof.verdict],
            newest=proof.newest,
            stored=size(proof.stored),
            acknowledged=proof.acknowledged,
        )
    )
    for first, last, reason in proof.declared:
        click.echo("    " + _("{range} missing, declared: {reason}").format(range=_span(first, last), reason=reason))
    for first, last in proof.awaited:
        click.echo(
            "    " + _("{range} awaited: not acknowledged, the terminal has it").format(range=_span(first, last))
        )
    for first, last in proof.lost:
        click.echo(
            "    " + _("{range} LOST: acknowledged, but neither stored nor declared").format(range=_span(first, last))
        )


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}–{last}"


# ---- dead letters ---------------------------------------------------------------------------------


@click.command("letters")
@sink_options
@click.option("--device", help=_("Only this terminal's."))
@click.option("--reason", metavar="TEXT", help=_("Only those whose reason holds this text."))
@click.option("--export", type=_FILE, metavar="DIR", help=_("Write the payloads here, and letters.jsonl about them."))
@click.option("--replay", is_flag=True, help=_("Read them again; what is of use now is stored and leaves the list."))
@json_option
def letters(
    *,
    db: Path,
    sink: str | None,
    register: str | None,
    device: str | None,
    reason: str | None,
    export: Path | None,
    replay: bool,
    as_json: bool,
) -> None:
    """List what was of no use, and why; export it, or read it again after an upgrade."""
    with closing(open_stored(db, sink, register, read_only=not replay)) as store:
        chosen = [letter for letter in store.letters() if _is_chosen(letter, device, reason)]
        if replay:
            _replay(store, chosen, as_json)
        elif export is not None:
            _export(chosen, export)
        else:
            for letter in chosen:
                _show_letter(letter, as_json)
            if not chosen and not as_json:
                note(_("no dead letters"))


def _is_chosen(letter: Letter, device: str | None, reason: str | None) -> bool:
    parts = letter.topic.split("/")
    return (device is None or device in parts[1:2]) and (reason is None or reason in letter.reason)


def _letter_document(letter: Letter) -> dict[str, object]:
    return {
        "type": "letter",
        "number": letter.number,
        "received_utc_us": letter.received_utc_us,
        "topic": letter.topic,
        "reason": letter.reason,
        "size": letter.size,
        "kept": len(letter.payload),
    }


def _show_letter(letter: Letter, as_json: bool) -> None:
    if as_json:
        emit_json(_letter_document(letter))
        return
    from outrider.cli.alarm_view import clock
    from outrider.crash.report_clean import shown

    text = _("{time} {topic}: {reason} ({size} bytes, number {number})")
    when, topic, reason = clock(letter.received_utc_us / 1e6), shown(letter.topic), shown(letter.reason)
    click.echo(text.format(time=when, topic=topic, reason=reason, size=letter.size, number=letter.number))


def _export(chosen: list[Letter], directory: Path) -> None:
    import json

    directory.mkdir(parents=True, exist_ok=True, mode=0o750)
    with (directory / "letters.jsonl").open("w", encoding="utf-8") as index:
        for letter in chosen:
            name = f"{letter.number}.bin"
            (directory / name).write_bytes(letter.payload)
            index.write(json.dumps({**_letter_document(letter), "file": name}, ensure_ascii=False) + "\n")
    note(_("{count} dead letters written to {directory}").format(count=len(chosen), directory=directory))


def _replay(store: Store, chosen: list[Letter], as_json: bool) -> None:
    from outrider.ingest.sinks.letters import replay

    done = replay(store, chosen)
    if as_json:
        told = {"letters": done.letters, "records": done.records, "still": done.still, "cut": done.cut}
        emit_json({"type": "replay", **told})
        return
    text = _("{letters} of use now ({records} records new), {still} as before, {cut} kept in part only")
    click.echo(text.format(letters=done.letters, records=done.records, still=done.still, cut=done.cut))


# ---- what there is --------------------------------------------------------------------------------


@click.command("status")
@sink_options
@json_option
def status(*, db: Path, sink: str | None, register: str | None, as_json: bool) -> None:
    """Show what a receiver has stored: terminals, records, gaps by reason, dead letters, alarms."""
    from collections import Counter

    from outrider.cli.alarm_view import clock
    from outrider.crash.report_clean import shown

    with closing(open_stored(db, sink, register)) as store:
        devices = store.devices()
        missing: Counter[str] = Counter()
        for gap in store.gaps():
            missing[gap.reason] += gap.last_seq - gap.first_seq + 1
        document = {
            "type": "ingest_status",
            "devices": devices,
            "records": sum(device["records"] for device in devices),
            "declared_missing": dict(sorted(missing.items())),
            "dead_letters": store.letter_count(),
            "alarms_standing": len(store.alarms.standing()),
            "waiting": store.waiting(),
        }
    if as_json:
        emit_json(document)
        return
    for device in devices:
        state = {True: _("online"), False: _("offline"), None: _("state unknown")}[device["online"]]
        text = _("{device}: {state}, {records} records, last heard {time}, software {software}")
        told = {**device, "state": state, "time": clock(device["seen_utc_us"] / 1e6)}
        click.echo(text.format(**told | {"software": shown(device["software"] or "?")}))
    text = _(
        "{devices} terminals, {records} records, {dead_letters} dead letters, {alarms_standing} alarms, "
        "{waiting} records wait for the shelf"
    )
    click.echo(text.format(**document | {"devices": len(devices)}))
    for reason, count in missing.most_common():
        click.echo("    " + _("{count} numbers declared missing: {reason}").format(count=count, reason=reason))


@click.command("signals")
@click.argument("device")
@sink_options
@click.option("-o", "--output", type=_FILE, help=_("A .csv or .parquet file; without, CSV to stdout."))
def signals(*, device: str, db: Path, sink: str | None, register: str | None, output: Path | None) -> None:
    """Write a terminal's telemetry as a table: a row a record, a column a signal, values in their units."""
    from outrider.errors import ConfigError, InputError
    from outrider.ingest.sinks.signals_io import SignalSheet, write_csv, write_parquet

    if output is not None and output.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"{output}: write to a .csv or .parquet file")
    with closing(open_stored(db, sink, register)) as store:
        if all(told["device"] != device for told in store.device_names()):
            raise InputError(f"nothing is known of a device {device!r}")
        sheet = SignalSheet(store, device)
        if output is None:
            count = write_csv(sheet, lambda text: click.echo(text, nl=False))
        elif output.suffix == ".csv":
            with output.open("w", encoding="utf-8", newline="") as file:
                count = write_csv(sheet, file.write)
        else:
            count = write_parquet(sheet, output)
    note(_("{count} rows; {skipped} left out: damaged, or of a table that is not known").format(
        count=count, skipped=sheet.skipped
    ))  # fmt: skip


@click.command("tidy")
@sink_options
def tidy(*, db: Path, sink: str | None, register: str | None) -> None:
    """Move everything that waits to its shelf now, and make large files of small ones."""
    with closing(open_stored(db, sink, register, read_only=False)) as store:
        moved = store.settle()
    note(_("{count} records moved").format(count=moved))


COMMANDS = (gaps, letters, status, signals, tidy)
