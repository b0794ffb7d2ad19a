"""Where cars are, for the dead-man: cells of a grid along the heading, and points ahead. Pure; WGS-84 as a local plane.

A cell is named by one integer: row, column and one of 8 sectors of heading (8: unknown heading), so that the two
directions of a road, which enter a tunnel at different ends, are apart. Rates of cells lean on
those of the block (1 km) and the region (4 km) around them.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final, NamedTuple

METRES_A_DEGREE: Final = 111_195.0  # mean radius 6,371 km
CELL_M: Final = 250.0
SECTORS: Final = 8
NO_HEADING: Final = 8
_REGION, _REGION_BITS = 15, 4
_BLOCK, _BLOCK_BITS = 14, 2
_SECTOR_SHIFT: Final = 52
_OFFSET: Final = 1 << 19


class Spot(NamedTuple):
    """A place with the heading of who is there."""

    lat_deg: float
    lon_deg: float
    heading_deg: float | None


def known(lat_deg: float | None, lon_deg: float | None) -> bool:
    """Both are there and on this earth."""
    return lat_deg is not None and lon_deg is not None and abs(lat_deg) <= 90.0 and abs(lon_deg) <= 360.0


def cell_of(lat_deg: float, lon_deg: float, sector: int) -> int:
    """The cell of a place."""
    row = math.floor(lat_deg * METRES_A_DEGREE / CELL_M)
    column = math.floor(lon_deg * METRES_A_DEGREE * _shrink(round(lat_deg)) / CELL_M)
    return ((row + _OFFSET) << 24 | (column + _OFFSET)) << 4 | sector


def region_of(cell: int) -> int:
    """16 x 16 cells around a cell, all headings together."""
    return _coarse(cell, _REGION_BITS, _REGION)


def block_of(cell: int) -> int:
    """4 x 4 cells around a cell, of its heading."""
    return _coarse(cell, _BLOCK_BITS, _BLOCK) | (cell & 15) << _SECTOR_SHIFT


def is_cell(name: int) -> bool:
    """A single cell, no block and no region."""
    return name & 15 < _BLOCK


def _coarse(cell: int, bits: int, mark: int) -> int:
    row, column = cell >> 28, cell >> 4 & 0xFFFFFF
    return (row >> bits << 24 | column >> bits) << 4 | mark


def sector_of(heading_deg: float | None) -> int:
    """The sector of a heading: 0 is around north."""
    if heading_deg is None or not math.isfinite(heading_deg):
        return NO_HEADING
    return int((heading_deg % 360.0 + 22.5) // 45.0) % SECTORS


def sectors_near(heading_deg: float | None) -> tuple[int, ...]:
    """The sector of a heading and the next nearest one: roads bend, and a heading may lie on the border."""
    mine = sector_of(heading_deg)
    if heading_deg is None or mine == NO_HEADING:
        return (NO_HEADING,)
    side = 1 if (heading_deg % 360.0 + 22.5) % 45.0 >= 22.5 else -1
    return (mine, (mine + side) % SECTORS)


def ahead(spot: Spot, metres: float) -> tuple[float, float]:
    """The place so many metres further on; the same place without a heading."""
    lat_deg, lon_deg, heading_deg = spot
    if heading_deg is None or not math.isfinite(heading_deg):
        return lat_deg, lon_deg
    angle = math.radians(heading_deg)
    lat = lat_deg + metres * math.cos(angle) / METRES_A_DEGREE
    lon = lon_deg + metres * math.sin(angle) / (METRES_A_DEGREE * max(math.cos(math.radians(lat_deg)), 1e-6))
    return min(90.0, max(-90.0, lat)), lon


def distance_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Between two places (latitude, longitude) that are near one another."""
    north = (b[0] - a[0]) * METRES_A_DEGREE
    turn = (b[1] - a[1] + 180.0) % 360.0 - 180.0
    east = turn * METRES_A_DEGREE * math.cos(math.radians((a[0] + b[0]) / 2))
    return math.hypot(north, east)


@cache
def _shrink(lat_deg: int) -> float:
    """How much shorter a degree of longitude is; in steps of a degree of latitude, so that columns stay in line."""
    return max(math.cos(math.radians(lat_deg)), 1e-6)
