"""Runs every benchmark, one after the other, and writes what they print into its part of the page.

Each ``bench_*.py`` (and the native one) prints one JSON document; its leaves become the rows of a table. Peers are
measured beside Outrider in the same run: quote ratios, not absolute times.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from page import machine, table, write

ROOT = Path(__file__).parents[2]
OWNER = "make bench"

# title, command (run from the repository's root), what it measures
RUNS: list[tuple[str, list[str], str]] = [
    (
        "Decoding",
        [sys.executable, "tests/bench/bench_decode.py"],
        "Two real DBC files of the opendbc wheel: the native batch decoder beside cantools' `decode_message` and "
        "beside the C code that cantools generates, compiled with -O2; and a candump file to signals beside "
        "python-can's reader with cantools. Bars: at least 150 times cantools, at most 0.8 times the time of its "
        "generated C, at least 100 times from a candump file.",
    ),
    (
        "Detector",
        ["make", "-s", "-C", "native", "bench"],
        "Time per IMU sample as a ratio to a committed reference loop of three biquads, same compiler and flags.",
    ),
    (
        "Bytes per record",
        [sys.executable, "tests/bench/bench_bytes.py"],
        "Both files of `telemetry-hour`, all 16 fields, everything of the payload counted, checked to be lossless; "
        "and the telemetry lane of the CANedge drive replayed with `canmod` and `obd2`, signal table included. Bars: "
        "at most 13.5 bytes at 60 and 10.5 at 300.",
    ),
    (
        "Journal",
        [sys.executable, "tests/bench/bench_journal.py"],
        "200-byte records at a commit each second and each ten seconds, beside SQLite with WAL and synchronous=FULL.",
    ),
    (
        "Evidence of a crash when power goes",
        [sys.executable, "tests/bench/bench_evidence.py"],
        "A full 1 Mbit/s bus (8,000 frames a second), an IMU at 400 Hz, a pulse of 25 g; the supply is cut so long "
        "after the impact, and the terminal lives on for its stored energy. What a package made of the flash would "
        "hold: shares of the 30 s before the impact, and up to when what came after it is there. The flash is a model "
        "(8 MB/s and 10 ms a sync, and a slow card); engine, pipeline, journal and writer are the real ones, so the "
        "table is the same on every machine, but for the owner's longest turn. Bars: with 1000 ms all of it at a cut "
        "after 50 ms; the header at most 100 ms after the trigger. The black-box page is not in the table: it holds "
        "the 20 s up to a second before at most.",
    ),
    (
        "The whole terminal",
        [sys.executable, "tests/bench/bench_drive.py"],
        "Start-up, memory and CPU on the simulated twelve-minute drive, and one run of the demo. Bars: `--help` in at "
        "most 100 ms, at most 64 MiB of memory (PSS) plus the recorder's ring. The crash is timed from the triggering "
        "sample to its record on flash, and to the receiver's acknowledgement over the broker.",
    ),
]


def canedge_journal(folder: Path) -> list[str]:
    """The real drive replayed into a journal; nothing when the recording or the MF4 reader is missing."""
    data = Path(os.environ.get("OUTRIDER_DATA", ROOT.parent / "shared" / "data")) / "canedge"
    files = sorted(data.glob("164/*.MF4"))
    if not files:
        return []
    journal = folder / "canedge"
    options = ["-p", "canmod", "-p", "obd2", "--dbc", str(data / "canmod-gps.dbc"), "--journal", str(journal), "--json"]
    command = [sys.executable, "-m", "outrider", "replay", *map(str, files), *options]
    done = subprocess.run(command, capture_output=True, check=False)
    return [str(journal)] if done.returncode == 0 else []


def run(title: str, command: list[str]) -> Any:
    """The JSON document a benchmark printed; None when it failed (its words are shown)."""
    print(f"{title} ...", file=sys.stderr, flush=True)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    begin = done.stdout.find("{")
    if done.returncode or begin < 0:
        print(done.stderr[-2000:], file=sys.stderr)
        return None
    return json.loads(done.stdout[begin:])


def section(title: str, command: list[str], extra: list[str], note: str) -> str:
    document = run(title, [*command, *extra])
    shown = " ".join("python" if part == sys.executable else part for part in command)
    text = f"## {title}\n\n{note}\n\n`{shown}`\n\n"
    if document is None:
        return text + "Did not run on this machine.\n"
    return text + table(document)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", type=Path, help="page to write (default: stdout)")
    parser.add_argument("--only", help="run only the benchmarks whose title contains this")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return measure_all(arguments, Path(folder))


def measure_all(arguments: argparse.Namespace, folder: Path) -> int:
    chosen = [r for r in RUNS if not arguments.only or arguments.only.lower() in r[0].lower()]
    extra = {"Bytes per record": canedge_journal(folder)}
    text = machine() + "\n".join(section(title, command, extra.get(title, []), note) for title, command, note in chosen)
    text = text.replace(str(folder), "replay")
    if arguments.write:
        write(arguments.write, OWNER, text)
    else:
        print(text)
    return 0 if "Did not run" not in text else 1


if __name__ == "__main__":
    sys.exit(main())
