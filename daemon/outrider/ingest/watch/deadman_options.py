"""Settings of the dead-man and what it assumes of networks before it has learnt; units are in the names.

Every prior is a rate of ordinary silences. They matter only until the fleet's own record outweighs them (``*_weight``).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeadManOptions:
    """When a silent car counts as vanished, and how much is remembered.

    threshold: decades of surprise at which an alarm is raised; the curve of found against false over it is in
    docs/reference/lost.md. delay_s: a beacon may come so late without meaning anything. first_silence_s: without other
    evidence nothing is raised sooner after the last sign of life. watch_s: so long a silence is judged, then it is
    given up. stall_s: two calls further apart than this mean that we slept, not the cars. common_share, common_count:
    so many cars silent since the same ``common_window_s`` are a fault of a network or of ours. settle_s: so long after
    the first sign of life of a vanished car a better one is waited for, then its alarm is cleared.
    """

    threshold: float = 5.5
    delay_s: float = 1.5
    first_silence_s: float = 11.0
    watch_s: float = 3600.0
    stall_s: float = 30.0
    common_share: float = 0.2
    common_count: int = 3
    common_window_s: float = 15.0
    settle_s: float = 6.0
    hard_braking_mps2: float = 4.0
    max_devices: int = 100_000
    max_cells: int = 500_000


# ---- evidence for a loss, in decades (powers of ten of odds). Priors from rates: no labelled losses exist to fit them
# Two thirds brake before an impact (CASR171), in half of those a beacon tells; in ordinary driving 1 beacon in 1,000.
BRAKING_DECADES = 2.5
# A crash event that was not withdrawn, within a minute: outweighs any hole. Row D has none in ordinary driving.
CRASH_DECADES = 6.0
# The connection was closed at once: the terminal's system was still there to close it.
RESET_DECADES = -3.0
