"""Runs the benchmarks of delivery one after the other and writes what each prints into its own part of the page.

A part is a ``bench_*.py`` that prints one JSON document and exits with 0 unless it could not run. The document's leaves
become rows of a table; a member ``tables`` (name -> rows) is shown as tables of its own. Text before the JSON is passed
over, and a part may talk on stderr as it likes. It registers itself by an entry in ``PARTS``.

    python tests/bench/run_uplink.py [--write PAGE] [--only WORD]... [--list]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from page import machine, table, write
from run import run

OWNER = "make bench-uplink"


@dataclass(frozen=True)
class Part:
    """title: of its section. script: in tests/bench, with its arguments. note: what it measures, and its bars."""

    title: str
    script: str
    note: str

    @property
    def command(self) -> list[str]:
        name, *arguments = self.script.split()
        return [sys.executable, f"tests/bench/{name}", *arguments]


PARTS: list[Part] = [
    Part(
        "Bytes of a record, beside other layouts",
        "bench_uplink_bytes.py",
        "All bytes of the payloads over the rows in them, each layout really encoded and read back. `telemetry_hour`: "
        "two synthetic hours of 16 fields; `canedge_drive`: a real car, 40 minutes, replayed through the product with "
        "its signal table; `truck_j1939`: 7 minutes of a truck; `obd_etios`: OBD values of a small car. "
        "Coarser steps: position to 0.1 m, speed 1 km/h, engine speed 10 rpm, voltage 0.1 V, percent 1. Bars: at "
        "most 13.5 bytes at 60 and 10.5 at 300 on `telemetry_hour`, aims 11.5 and 9.3.",
    ),
    Part(
        "Bytes on the wire, all in",
        "bench_uplink_wire.py",
        "The uplink, mosquitto and the receiver on loopback: TLS 1.3 with P-256 certificates on both sides, MQTT 5, "
        "acknowledgements, pings; both directions, IP and TCP headers included, segments of at most 1360 bytes. The "
        "rows of `telemetry_hour` are played faster than they were, and the clock of the keep-alive with them. Counted "
        "by a packet socket where the machine allows it, and beside it by the terminal's own meter, which estimates "
        "the headers. Bars: 18 bytes a record at 60 s, aim 16; a beacon at most 180.",
    ),
    Part(
        "From a crash to its acknowledgement while a day drains",
        "bench_uplink_crash.py",
        "A journal with a day without network drains over 256 kbit/s each way (a queue of one second, 30 ms of "
        "latency); 120 crashes meanwhile, each put into the journal's writer and timed until the receiver's "
        "acknowledgement has come back. mosquitto, receiver (a process), journal and uplink are real, the link is a "
        "proxy. Bar: p99 of 3 s.",
    ),
    Part(
        "Faults of the link",
        "bench_uplink_faults.py --seed 2",
        "Nineteen kinds of faults, one after the other, 1000 in all, while records are written: lost, refused and "
        "half-open connections, swallowed, doubled, reordered and forged messages, broker, receiver and terminal "
        "killed. Bars: no acknowledged record lost, none missing in the end, none twice.",
    ),
    Part(
        "Identity",
        "bench_identity.py",
        "Enrolment (authority's certificates, claim, settings) and one renewal, both against the enrolment server on "
        "loopback, and one mutual TLS 1.3 handshake with a byte of data and a clean end, by kind of key. TCP payload, "
        "both directions.",
    ),
    Part(
        "Bytes at the flash",
        "bench_flash.py",
        "What arrives at the block device below ext4 for each record of 200 bytes: all lanes, the cursor, "
        "acknowledgements, and the file system's own journal, in a drive with the commits of the writer, beside SQLite "
        "(WAL, FULL) with the same records made durable at the same moments. The black-box page, written while the "
        "car moves, apart. Bars: at most 0.5 of SQLite at 1 s and 0.25 at 10 s, as the image mounts its data.",
    ),
    Part(
        "What each sink stores",
        "bench_receiver_sinks.py",
        "Rows of 26 signals in batches of 60 from 40 terminals, 20 batches a commit, one worker; durable, and for "
        "shelves moved and tidied, within the time. Beside it the same rows as JSON, one row and one commit each. "
        "ClickHouse is its engine inside of the process.",
    ),
    Part(
        "Receiver beside a plain consumer",
        "bench_receiver.py",
        "Messages that mosquitto has queued, to the disk, confirmed: one `outrider ingest` (one core) with batches of "
        "60 from 20 terminals, all checks and signed acknowledgements, WAL and synchronous=FULL; beside a plain paho "
        "consumer with a message, a row and a commit for each record, in SQLite as it opens and with WAL. Bar: 20 "
        "times the plain consumer.",
    ),
]


def section(part: Part) -> str:
    document = run(part.title, part.command)
    shown = " ".join("python" if word == sys.executable else word for word in part.command)
    text = f"## {part.title}\n\n{part.note}\n\n`{shown}`\n\n{machine()}"
    if document is None:
        return text + "Did not run on this machine.\n"
    tables: dict[str, list[dict[str, Any]]] = document.pop("tables", {})
    text += "".join(f"**{name}**\n\n{grid(rows)}\n" for name, rows in tables.items())
    return text + (table(document) if document else "")


def grid(rows: list[dict[str, Any]]) -> str:
    """A table of objects with the same members."""
    names = list(rows[0])
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    lines += [f"| {' | '.join('' if row[n] is None else str(row[n]) for n in names)} |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", type=Path, help="page to write (default: stdout)")
    parser.add_argument("--only", action="append", default=[], help="only parts whose title contains this; repeatable")
    parser.add_argument("--list", action="store_true", help="name the parts")
    arguments = parser.parse_args()
    chosen = [p for p in PARTS if not arguments.only or any(word.lower() in p.title.lower() for word in arguments.only)]
    if arguments.list or not chosen:
        print("\n".join(part.title for part in PARTS))
        return 0 if arguments.list else 2
    missing = False
    for part in chosen:
        text = section(part)
        missing |= "Did not run" in text
        if arguments.write:
            write(arguments.write, f"{OWNER}: {part.script}", text)
        else:
            print(text)
    return int(missing)


if __name__ == "__main__":
    sys.exit(main())
