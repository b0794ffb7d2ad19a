"""Which network carries the terminal now, as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Path(IntEnum):
    """Kind of the interface that the default route goes through."""

    UNKNOWN = 0
    NONE = 1
    ETHERNET = 2
    WIFI = 3
    CELLULAR = 4


@dataclass(frozen=True, slots=True)
class NetworkState:
    """None = unknown. signal_dbm: received power (RSRP on LTE and NR, else RSSI)."""

    path: Path = Path.UNKNOWN
    metered: bool | None = None
    roaming: bool | None = None
    interface: str | None = None
    operator: str | None = None
    technology: str | None = None
    signal_dbm: int | None = None
