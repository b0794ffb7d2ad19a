"""Drives for benchmarks of bytes: rows of integers with their steps, from whatever they were recorded as."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from outrider.model.record import (
    Category,
    Kind,
    Lane,
    Record,
    SignalSpec,
    SignalTable,
    StoredRecord,
    TelemetryRow,
)
from outrider.wire.bodies import decode_body, encode_body

DATA = Path(os.environ.get("OUTRIDER_DATA", Path(__file__).parents[3] / "shared" / "data"))
FIRST_SEQ = 100_000
EPOCH = 0xC0FFEE1234567890
START_MS = 1_790_000_000_000  # UTC of rows whose recording has none
Row = list[int | None]

# Columns of telemetry-hour that have a fixed place in peers' layouts.
_HOUR_ROLES = {"lat": "lat", "lon": "lon", "alt": "alt", "hdg": "heading", "gspd": "speed", "sats": "satellites"}
_PATH_ROLES = {
    "Vehicle.CurrentLocation.Latitude": "lat",
    "Vehicle.CurrentLocation.Longitude": "lon",
    "Vehicle.CurrentLocation.Altitude": "alt",
    "Vehicle.CurrentLocation.Heading": "heading",
    "Vehicle.Outrider.Speed": "speed",
    "Vehicle.CurrentLocation.GNSSReceiver.Satellites": "satellites",
}


@dataclass(frozen=True)
class Drive:
    """names and steps of the columns; times: ms of UTC; rows: integers, None where a value is missing.

    roles: fixed fields of peers' layouts -> column. stored: the same rows as records, as the uplink would send them.
    """

    name: str
    names: list[str]
    steps: list[float]
    times: list[int]
    rows: list[Row]
    roles: dict[str, int]
    stored: list[StoredRecord]

    def value(self, row: int, column: int) -> float | None:
        number = self.rows[row][column]
        return None if number is None else number * self.steps[column]

    def chunks(self, size: int) -> Iterator[tuple[int, int]]:
        for at in range(0, len(self.rows), size):
            yield at, min(at + size, len(self.rows))


def record(t_us: int, row: TelemetryRow) -> Record:
    return Record(Lane.TELEMETRY, Kind.TELEMETRY, Category.LOCATION, 0xB0071D42, t_us, encode_body(row))


def stored(rows: Sequence[Row], times_us: Sequence[int]) -> list[StoredRecord]:
    out = []
    for number, (row, t_us) in enumerate(zip(rows, times_us, strict=True)):
        values = tuple((column, value) for column, value in enumerate(row) if value is not None)
        out.append(StoredRecord(EPOCH, FIRST_SEQ + number, record(t_us, TelemetryRow(0x5EED1234, values))))
    return out


def telemetry_hour() -> list[Drive]:
    """Both files: 15 fields and their times."""
    drives = []
    for path in sorted((DATA / "telemetry-hour").glob("*.csv")):
        with path.open(newline="", encoding="ascii") as file:
            names, steps, *lines = list(csv.reader(file))
        table = [[int(text) for text in line] for line in lines]
        times = [row[0] for row in table]
        rows: list[Row] = [list(row[1:]) for row in table]
        boot = [1000 * (t - times[0] + 3_600_000) for t in times]
        roles = {_HOUR_ROLES[name]: number for number, name in enumerate(names[1:]) if name in _HOUR_ROLES}
        widths = [float(step) for step in steps[1:]]
        drives.append(Drive(path.stem, names[1:], widths, times, rows, roles, stored(rows, boot)))
    return drives


def etios() -> list[Drive]:
    """OBD values of a small car at 2 rows a second: every second one, in steps as fine as the smallest difference."""
    drives = []
    for path in sorted((DATA / "obd-etios").glob("*.csv")):
        with path.open(newline="", encoding="ascii") as file:
            head, *lines = list(csv.reader(file))
        names = [name.replace(" ()", "").strip().lower() for name in head if name.strip()]
        values = [[float(text) for text in line[: len(names)]] for line in lines[::2] if len(line) >= len(names)]
        steps = [_step([row[column] for row in values]) for column in range(len(names))]
        rows: list[Row] = [[round(v / s) for v, s in zip(row, steps, strict=True)] for row in values]
        times = [START_MS + 1000 * number for number in range(len(rows))]
        speed = next((n for n, name in enumerate(names) if name == "vehicle_speed"), None)
        roles = {} if speed is None else {"speed": speed}
        boot = [10**9 + 10**6 * number for number in range(len(rows))]
        drives.append(Drive(path.stem, names, steps, times, rows, roles, stored(rows, boot)))
    return drives


def _step(values: Sequence[float]) -> float:
    distinct = sorted(set(values))
    differences = [round(b - a, 6) for a, b in pairwise(distinct) if b - a > 1e-5]
    return min(differences, default=1.0)


def replayed(folder: Path, name: str, files: Sequence[Path], *options: str) -> Drive | None:
    """A recording through the product's own pipeline; None when it or the reader of its format is missing."""
    if not files or not all(path.exists() for path in files):
        return None
    journal = folder / name
    command = [sys.executable, "-m", "outrider", "replay", *map(str, files), *options, "--journal", str(journal)]
    done = subprocess.run([*command, "--json"], capture_output=True, check=False)
    return from_journal(name, journal) if done.returncode == 0 else None


def canedge(folder: Path) -> Drive | None:
    place = DATA / "canedge"
    options = ("-p", "canmod", "-p", "obd2", "--dbc", str(place / "canmod-gps.dbc"))
    return replayed(folder, "canedge", sorted(place.glob("164/*.MF4")), *options)


def truck(folder: Path) -> Drive | None:
    place = DATA / "j1939"
    return replayed(folder, "truck", [place / "truck-402s.MF4"], "-p", "j1939", "--dbc", str(place / "j1939-demo.dbc"))


def from_journal(name: str, path: Path) -> Drive:
    """The telemetry lane as the uplink would send it, signal tables among the records."""
    found = read_lane(path, Lane.TELEMETRY)
    table = next(body for s in found if isinstance(body := _body(s), SignalTable))
    specs = list(table.signals)
    places = {spec.id: number for number, spec in enumerate(specs)}
    rows: list[Row] = []
    times: list[int] = []
    for item in found:
        body = _body(item)
        if isinstance(body, TelemetryRow):
            row: Row = [None] * len(specs)
            for number, value in body.values:
                row[places[number]] = value
            rows.append(row)
            times.append(START_MS + item.record.t_us // 1000)
    roles = {_PATH_ROLES[spec.path]: places[spec.id] for spec in specs if spec.path in _PATH_ROLES}
    return Drive(name, _short(specs), [spec.step for spec in specs], times, rows, roles, found)


def read_lane(path: Path, lane: Lane) -> list[StoredRecord]:
    import random

    from outrider.record.journal import Journal
    from outrider.record.storage_io import DirectoryStorage

    journal = Journal.open(DirectoryStorage(path), boot_id=0, rng=random.Random(0))
    found: list[StoredRecord] = []
    try:
        for stream in journal.streams():
            at = stream.acknowledged + 1
            while stream.lane == lane and at <= stream.durable:
                found += journal.read(stream.epoch, stream.lane, at, 10_000, 1 << 20)
                at = found[-1].seq + 1
    finally:
        journal.close()
    return found


def coarser(drive: Drive, steps: Sequence[float]) -> list[StoredRecord]:
    """The rows in other steps."""
    rows: list[Row] = [
        [None if v is None else round(v * old / new) for v, old, new in zip(row, drive.steps, steps, strict=True)]
        for row in drive.rows
    ]
    telemetry = [item for item in drive.stored if item.record.kind == Kind.TELEMETRY]
    return stored(rows, [item.record.t_us for item in telemetry])


def specs_of(drive: Drive) -> list[SignalSpec]:
    """The signal table of a drive that came out of a journal."""
    table = next(body for s in drive.stored if isinstance(body := _body(s), SignalTable))
    return list(table.signals)


def _body(item: StoredRecord) -> object:
    return decode_body(item.record.kind, item.record.body)


def _short(specs: Sequence[SignalSpec]) -> list[str]:
    """The last part of each path, as a JSON payload of a person's making would have it; longer where two are alike."""
    last = [spec.path.rsplit(".", 1)[-1] for spec in specs]
    return [
        name if last.count(name) == 1 else ".".join(spec.path.split(".")[-2:])
        for name, spec in zip(last, specs, strict=True)
    ]
