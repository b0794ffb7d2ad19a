"""Scripted snapshots for tests of what follows the engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from outrider.model.event import Snapshot

S = 1_000_000
QUIET = Snapshot(
    t_us=0, values=(), lat_deg=None, lon_deg=None, hacc_m=None, hdop=None, heading_deg=None, alt_m=None, fix_t_us=0,
    fix_utc_us=0, fix_type=0, sats=0, speed_mps=None, speed_src=0, distance_m=0.0, odometer_m=None, rpm=None,
    ignition=None, motion=0, mount=0, align_rho=0.0, supply_v=None, acc_long=None, acc_lat=None, bus_alive=False,
)  # fmt: skip


def drive(*legs: tuple[int, float | None, dict[str, object]]) -> Iterator[Snapshot]:
    """Snapshots of legs (seconds, speed m/s, other fields), one a second."""
    t, distance = 10 * S, 0.0
    for seconds, speed, fields in legs:
        for _ in range(seconds):
            t += S
            distance += speed or 0.0
            base = {"bus_alive": True, "speed_src": 1 if speed is not None else 0, **fields}
            yield replace(QUIET, t_us=t, speed_mps=speed, distance_m=distance, **base)  # type: ignore[arg-type]
