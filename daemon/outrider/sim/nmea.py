"""Fixes as NMEA 0183 sentences, in the order receivers send an epoch: RMC, VTG, GGA, GSA, GST.

Owns the text format only. Talker GN (several systems); fields that are not known stay empty. Datum WGS-84.
"""

from __future__ import annotations

import math
from datetime import datetime
from functools import reduce

from outrider.sim.gnss import Solution

_KNOTS = 3600.0 / 1852.0
_GEOID_M = 47.2  # separation that the receiver prints


def sentence(body: str) -> bytes:
    """``$body*hh`` with its checksum (exclusive or of all characters) and the line end."""
    check = reduce(lambda a, b: a ^ b, body.encode("ascii"), 0)
    return f"${body}*{check:02X}\r\n".encode("ascii")


def epoch(solution: Solution, utc: datetime) -> list[bytes]:
    """All sentences of one epoch; ``utc`` is the instant it is valid for."""
    clock = f"{utc:%H%M%S}.{utc.microsecond // 10_000:02d}"
    date = f"{utc:%d%m%y}"
    if solution.fix == 0:
        return [
            sentence(f"GNRMC,{clock},V,,,,,,,{date},,,N"),
            sentence("GNVTG,,,,,,,,,N"),
            sentence(f"GNGGA,{clock},,,,,0,00,99.99,,,,,,"),
            sentence("GNGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99"),
            sentence(f"GNGST,{clock},,,,,,,"),
        ]
    lat, lon = _angle(solution.lat_deg, 2, "NS"), _angle(solution.lon_deg, 3, "EW")
    course = "" if solution.course_deg is None else f"{solution.course_deg % 360.0:.2f}"
    knots, kmh = solution.speed * _KNOTS, solution.speed * 3.6
    count = len(solution.sats)
    vdop = solution.hdop * 1.4
    pdop = math.hypot(solution.hdop, vdop)
    used = ",".join(f"{number:02d}" for number in solution.sats[:12]) + "," * (12 - min(count, 12))
    height = f"{solution.alt_m:.1f},M,{_GEOID_M},M"
    major, up = solution.sigma_m, solution.sigma_m * 1.6
    return [
        sentence(f"GNRMC,{clock},A,{lat},{lon},{knots:.3f},{course},{date},,,A"),
        sentence(f"GNVTG,{course},T,,M,{knots:.3f},N,{kmh:.3f},K,A"),
        sentence(f"GNGGA,{clock},{lat},{lon},1,{count:02d},{solution.hdop:.2f},{height},,"),
        sentence(f"GNGSA,A,{solution.fix},{used},{pdop:.2f},{solution.hdop:.2f},{vdop:.2f}"),
        sentence(f"GNGST,{clock},{major * 1.2:.1f},{major:.1f},{major:.1f},0.0,{major:.1f},{major:.1f},{up:.1f}"),
    ]


def _angle(degrees: float, width: int, signs: str) -> str:
    """``ddmm.mmmmm,N``: whole degrees, minutes with five decimals (2 cm)."""
    units = round(abs(degrees) * 6_000_000)  # 1e-5 minutes, so that 59.999999 carries into the degree
    whole, rest = divmod(units, 6_000_000)
    minutes, parts = divmod(rest, 100_000)
    return f"{whole:0{width}d}{minutes:02d}.{parts:05d},{signs[0] if degrees >= 0 else signs[1]}"
