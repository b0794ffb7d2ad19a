"""Facts about this boot of the machine: its random id, and how far its clock can be trusted."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

from outrider.model.record import ClockFix, ClockSource
from outrider.ports import Clock

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_NTP_SYNCHRONISED: Final = Path("/run/systemd/timesync/synchronized")
EARLIEST_UTC_US: Final = 1_735_689_600_000_000  # 2025-01-01: an earlier clock has not been set


def boot_id() -> int:
    """32 bits that are new at each boot and the same for each start of the daemon within it."""
    try:
        return int(_BOOT_ID.read_text(encoding="ascii")[:8], 16)
    except (OSError, ValueError):
        return random.SystemRandom().getrandbits(32)


def system_clock_fix(clock: Clock, synchronised: Path = _NTP_SYNCHRONISED) -> ClockFix | None:
    """What the system clock says; None while it has plainly not been set (never stamped 1970)."""
    utc_us = clock.utc_us()
    if utc_us < EARLIEST_UTC_US:
        return None
    if synchronised.exists():
        return ClockFix(utc_us, 100_000, ClockSource.NTP)
    return ClockFix(utc_us, 3_600_000_000, ClockSource.RTC)
