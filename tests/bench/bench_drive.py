"""The whole terminal on one drive: time of ``--help``, memory, CPU per hour of driving, crash to acknowledgement.

Runs the commands a user would run, as processes, and reads what the kernel accounts for them. Prints JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HELP_RUNS = 7
RING_KIB = 8192  # EngineOptions.recorder_bytes, stated apart
MEASURE = """
import json, resource, runpy, sys
sys.argv = ["outrider", *sys.argv[1:]]
from outrider.cli.main import main
try:
    main()
except SystemExit as stop:
    code = stop.code
usage = resource.getrusage(resource.RUSAGE_SELF)
rollup = dict(l.split(":") for l in open("/proc/self/smaps_rollup").read().splitlines()[1:])
print(json.dumps({"cpu_s": usage.ru_utime + usage.ru_stime, "pss_kib": int(rollup["Pss"].split()[0])}), file=sys.stderr)
"""


def help_ms() -> dict[str, float]:
    """Wall milliseconds of ``outrider --help`` beside a bare interpreter, median of several."""

    def run(*command: str) -> float:
        times = []
        for _ in range(HELP_RUNS):
            begin = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            times.append(time.perf_counter() - begin)
        return statistics.median(times) * 1000

    mine, bare = run("-m", "outrider", "--help"), run("-c", "pass")
    return {"outrider_help_ms": round(mine, 1), "bare_python_ms": round(bare, 1), "ratio": round(mine / bare, 2)}


def lean_environment(directory: Path) -> dict[str, str]:
    """As on a terminal: the workstation extra (asammdf, numpy, pandas) must not be importable."""
    for name in ("asammdf", "pandas", "numpy"):
        (directory / f"{name}.py").write_text(f"raise ImportError('no {name} on a terminal')\n", encoding="ascii")
    path = os.pathsep.join(filter(None, (str(directory), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


def replay_cost(folder: Path) -> dict[str, Any]:
    """CPU and memory of a replay into a journal, at full speed."""
    lean = folder / "lean"
    lean.mkdir()
    environment = lean_environment(lean)
    drive = folder / "drive"
    subprocess.run(
        [sys.executable, "-m", "outrider", "sim", "drive", "city-crash", "-o", str(drive)], check=True, stdout=2
    )
    seconds = json.loads((drive / "truth.json").read_text(encoding="utf-8"))["duration_s"]
    files = [str(drive / "can.log"), str(drive / "gnss.nmea")]
    command = [
        sys.executable,
        "-c",
        MEASURE,
        "replay",
        *files,
        "-p",
        "simcar",
        "--journal",
        str(folder / "j"),
        "--json",
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    cost = json.loads(done.stderr.splitlines()[-1])
    return {
        "drive_s": seconds,
        "cpu_s_per_hour_of_driving": round(cost["cpu_s"] / seconds * 3600, 1),
        "pss_mib": round(cost["pss_kib"] / 1024, 1),
        "pss_mib_without_ring": round((cost["pss_kib"] - RING_KIB) / 1024, 1),
        "ring_cap_mib": RING_KIB / 1024,
    }


def demo(folder: Path) -> dict[str, Any]:
    """One demo run: what was found, and wall-clock latency of the crash through the real chain."""
    command = [sys.executable, "-m", "outrider", "demo", "--json", "--speed", "60", "--out", str(folder / "demo")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    document = json.loads(done.stdout.splitlines()[-1])
    names = ("ok", "broker", "crash_durable_ms", "crash_acknowledged_ms", "written", "received", "identical")
    verdicts = [match["verdict"] for match in document["matches"]]
    return {name: document[name] for name in names} | {
        "telemetry_bytes_per_record": document["telemetry_bytes_per_record"],
        "hits": verdicts.count("hit"),
        "missed": verdicts.count("missed"),
        "extra": verdicts.count("extra"),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(json.dumps({"start": help_ms(), "replay": replay_cost(folder), "demo": demo(folder)}, indent=1))


if __name__ == "__main__":
    main()
