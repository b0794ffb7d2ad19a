"""How long flash may last. Pure arithmetic on counted bytes, with what it assumes said beside every number.

What a cell endures and how much more the controller writes inside than was asked for (write amplification) are known
to the maker alone, and decide. So there is a range, from a cheap card that is used badly to a good one used well, and
one number only for who names both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DAYS_A_YEAR: Final = 365.25


@dataclass(frozen=True, slots=True)
class Assumption:
    """cycles: programme and erase cycles of a cell. amplification: bytes programmed for each byte written."""

    cycles: float
    amplification: float


POOR: Final = Assumption(500.0, 16.0)  # TLC card, small scattered writes
GOOD: Final = Assumption(3000.0, 2.0)  # MLC, or TLC partly run as SLC


def life_years(capacity_bytes: int, bytes_per_day: float, assumed: Assumption) -> float | None:
    """Years from new to worn at this pace; None for no pace or no capacity."""
    if bytes_per_day <= 0 or capacity_bytes <= 0:
        return None
    return capacity_bytes * assumed.cycles / assumed.amplification / bytes_per_day / DAYS_A_YEAR


def cycles_used(capacity_bytes: int, written_bytes: int, amplification: float) -> float:
    """Mean cycles of a cell after so many bytes."""
    return 0.0 if capacity_bytes <= 0 else written_bytes * amplification / capacity_bytes
