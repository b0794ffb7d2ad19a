"""A position fix and an IMU sample as they cross into the engine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class FixType(IntEnum):
    NONE = 0
    DEAD_RECKONING = 1
    FIX_2D = 2
    FIX_3D = 3


@dataclass(frozen=True, slots=True)
class Fix:
    """One GNSS solution. Datum WGS-84; ``None`` = not given by the receiver, never zero for unknown.

    t_us: engine time the fix is valid for. utc_us: the same instant in UTC. hacc_m: 1 sigma horizontal.
    first: the first fix after a stretch without one (speed and place may still jump).
    """

    t_us: int
    fix_type: FixType
    utc_us: int | None = None
    lat_deg: float | None = None
    lon_deg: float | None = None
    alt_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    hacc_m: float | None = None
    hdop: float | None = None
    sats: int = 0
    first: bool = False


@dataclass(frozen=True, slots=True)
class ImuSample:
    """Specific force [m/s2] and angular rate [rad/s] in the sensor's axes; at rest +9.81 along 'up'."""

    t_us: int
    acc: tuple[float, float, float]
    gyro: tuple[float, float, float] | None = None
    valid: bool = True
    saturated: bool = False


@dataclass(frozen=True, slots=True)
class PowerSample:
    """State of the supply as the terminal itself sees it; ``None`` = no such input."""

    t_us: int
    ignition: bool | None = None
    supply_v: float | None = None
