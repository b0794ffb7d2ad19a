"""The benchmarks that need a kernel CAN bus: ``python -m hil.run --module hil.bench.guest PART`` runs them where it is.

Writes ``bench-PART.json`` into the results folder of the rig (or prints it). Parts are separate runs, so that each boot
of the virtual machine stays short.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hil.bench import footprint, latency, lossless, per_frame
from hil.bench.load import dbc_file
from hil.rig.strategy import VCAN_NAMES, vcans
from tests.bench.page import machine

RECEIVERS: Final = ("outrider", "candump", "python-can")
CRASHES: Final = 24  # shared by four terminals; a guest without KVM has no time for more
SHARE_VARIABLE: Final = "OUTRIDER_HIL_SHARE"  # of the full load for ``footprint``


def log(text: str) -> None:
    print(f"[{time.monotonic():7.1f}] {text}", flush=True)


def parts(dbc: Path) -> dict[str, Callable[[], dict[str, Any]]]:
    names = list(VCAN_NAMES)
    share = float(os.environ.get(SHARE_VARIABLE, "1"))
    return {
        "per_frame": lambda: per_frame.measure(dbc, names),
        "one_bus": lambda: lossless.measure(RECEIVERS, names[:1], dbc, log),
        "four_buses": lambda: lossless.measure(RECEIVERS, names, dbc, log),
        "footprint": lambda: footprint.measure(names, dbc, log, share=share),
        "latency": lambda: latency.measure(CRASHES, names, log),
    }


def document(result: dict[str, Any]) -> dict[str, Any]:
    """A result with the machine that made it, as ``run.py`` keeps it."""
    return {"machine": machine().strip(), "result": result}


def main() -> None:
    wanted = sys.argv[1:]
    vcans()
    measures = parts(dbc_file())
    for name in wanted or measures:
        text = json.dumps(document(measures[name]()), indent=1)
        log(f"{name}: {text}")
        results = os.environ.get("OUTRIDER_HIL_RESULTS")
        if results:
            (Path(results) / f"bench-{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
