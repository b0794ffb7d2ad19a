"""How complete the evidence of a crash is when power goes: against the time to the cut, with and without stored energy.

``python tests/bench/bench_evidence.py`` prints one JSON document. It is a simulation of the flash with the real engine,
pipeline, journal and writer (tests/support/evidence_cut.py), so the numbers are the same on every machine, but for
``owner``: the longest single turn of the thread that captures, in real time.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[2]))

from outrider.model.crash import CrashStage  # after the path
from outrider.model.evidence import EvidencePart
from tests.support.evidence_cut import IMPACT_US, Case, Flash, Found, after_cut, simulate

CUTS_MS: Final = (0, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000)
BUSY: Final = Case(None, 0, frames_per_s=8000, imu_hz=400)
SLOW: Final = Flash(bytes_per_s=2e6, sync_us=30_000)


def told(found: Found) -> str:
    """One line: the share of what there was before the impact, and up to when what came after it is there."""
    if CrashStage.TRIGGER not in found.stages:
        return f"no header; telemetry up to {found.telemetry_us / 1e6:+.1f} s"
    names = {"signals": EvidencePart.SIGNALS, "IMU": EvidencePart.IMU, "frames": EvidencePart.FRAMES}
    before = ", ".join(f"{name} {found.before[part]:.0%}" for name, part in names.items())
    after = ", ".join(f"{name} {found.after_us[part] // 1000} ms" for name, part in names.items())
    return f"header; before: {before}; after: {after}"


def no_energy(flash: Flash) -> tuple[dict[str, str], float, float]:
    """One life, looked at after each cut."""
    case = dataclasses.replace(BUSY, flash=flash)
    run = simulate(case)
    table = {f"{ms} ms": told(after_cut(run, case, dead_us=IMPACT_US + ms * 1000)) for ms in CUTS_MS}
    header_ms = ((run.header_us or 0) - (run.trigger_us or 0)) / 1e3
    return table, header_ms, run.slowest_turn_ms


def with_energy(flash: Flash) -> dict[str, str]:
    """A life for each cut: the terminal knows of it and hurries."""
    table = {}
    for ms in CUTS_MS:
        case = dataclasses.replace(BUSY, supply_us=ms * 1000, holdup_ms=1000, flash=flash)
        table[f"{ms} ms"] = told(after_cut(simulate(case), case))
    return table


def main() -> int:
    quick, header_ms, owner_ms = no_energy(Flash())
    slow, slow_header_ms, _ = no_energy(SLOW)
    document: dict[str, Any] = {
        "trigger_to_header_ms": {"8 MB/s, 10 ms a sync": header_ms, "2 MB/s, 30 ms a sync": slow_header_ms},
        "owner_longest_turn_ms": round(owner_ms, 1),
        "holdup 0, cut after impact": quick,
        "holdup 1000, cut after impact": with_energy(Flash()),
        "holdup 0, slow card (2 MB/s, 30 ms a sync)": slow,
    }
    print(json.dumps(document, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
