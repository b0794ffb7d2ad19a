"""A beacon: the sign of life of a moving car, unbatched, so that its absence says something at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Beacon:
    """Where a car is and how it moves, now. ``None`` = unknown.

    boot_id, t_us: as in records (CLOCK_BOOTTIME of that boot, at the snapshot it was made from). utc_us: the terminal's
    idea of UTC at t_us. hacc_m: 1 sigma horizontal. heading_deg: course over ground, clockwise from north.
    signal_dbm: received power of the mobile network. decel_mps2: mean deceleration over the last second, positive when
    slowing down. interval_s: the next beacon comes after so many seconds; 0: none will come, silence is meant.
    """

    boot_id: int
    t_us: int
    utc_us: int | None
    lat_deg: float | None
    lon_deg: float | None
    hacc_m: float | None
    speed_mps: float
    heading_deg: float | None
    signal_dbm: int | None
    decel_mps2: float | None
    interval_s: int

    @property
    def is_last(self) -> bool:
        """The terminal stops beaconing on purpose: slow, standing, switched off, or shut down."""
        return self.interval_s == 0
