"""Memory and processor share of the daemon at full load: one bus of 500 kbit/s, and four of 1 Mbit/s.

The daemon runs as a process as customers have it (profile `simcar`, recorder of 16 MiB) on buses filled to 100 % with
frames of 8 bytes: 4,505 a second at 500 kbit/s, 9,009 at 1 Mbit/s. PSS is taken at the end, when the recorder's rings
are as full as the run makes them; its cap is stated apart. Lost frames are counted and must be none.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from hil.bench.load import FULL_BUS, Traffic, play
from hil.rig.patience import Patience
from hil.rig.terminal import Terminal

RECORDER_KIB: Final = 16_384
SECONDS: Final = 20.0
WARM_S: Final = 3.0
TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
CASES: Final = {"one_500k": (1, FULL_BUS // 2 + 1), "four_1m": (4, FULL_BUS)}


def pss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise OSError(f"process {pid} has no PSS")


def cpu_s(pid: int) -> float:
    """User and system time of all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def measure(
    channels: Sequence[str], dbc: Path, log: Callable[[str], None], *, seconds: float = SECONDS, share: float = 1.0
) -> dict[str, Any]:
    """``share``: of the full load, where the machine cannot make more (a guest without KVM)."""
    result: dict[str, Any] = {"share_of_full_load": share, "recorder_cap_mib": RECORDER_KIB / 1024}
    for name, (buses, rate) in CASES.items():
        result[name] = _case(channels[:buses], Traffic(dbc), rate, seconds, share)
        log(f"{name}: {result[name]}")
    return result


def _case(channels: Sequence[str], traffic: Traffic, rate: int, seconds: float, share: float) -> dict[str, Any]:
    batch = traffic.batch(WARM_S + seconds, len(channels), rate * share)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="footprint")))
        sections = [
            {"interface": "unix" if "/" in channel else "socketcan", "channel": channel, "fd": True}
            for channel in channels
        ]
        config = {"engine": {"recorder_kib": RECORDER_KIB}}
        box = Terminal(folder, Patience.of_this_machine(), can=sections, config=config)
        stack.callback(box.stop)
        box.start()
        idle_kib = pss_kib(box.pid)
        before, began = cpu_s(box.pid), time.monotonic()
        sent = play(channels, batch)
        took, used = time.monotonic() - began, cpu_s(box.pid) - before
        box.wait("all frames are processed", lambda: frames(box.status()) >= sent.sent)
        sources = box.status()["sources"]
        return {
            "frames_per_s": round(sent.sent / took),
            "lost": sent.sent - frames(box.status()) + sum(s.get("socket_lost", 0) for s in sources),
            "cpu_percent_of_one_core": round(100 * used / took, 1),
            "pss_mib_before": round(idle_kib / 1024, 1),
            "pss_mib": round(pss_kib(box.pid) / 1024, 1),
        }


def frames(status: dict[str, Any]) -> int:
    return sum(int(source.get("frames", 0)) for source in status["sources"])
