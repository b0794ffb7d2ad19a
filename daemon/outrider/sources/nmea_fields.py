"""The numbers inside NMEA fields: time of day, date, coordinate. Owns units and ranges; raises nothing but ValueError.

An empty field is ``None``: the receiver did not say. Formats: NMEA 0183 v4.11, table 5.
"""

from __future__ import annotations

import math
import re
from datetime import date
from typing import Any, Final

KNOT_MPS: Final = 1852 / 3600
DAY_US: Final = 86_400_000_000
_NUMBER: Final = re.compile(r"[+-]?\d{1,9}(\.\d*)?|[+-]?\.\d+")


def raw(message: Any, name: str) -> str:
    """Text of a field of a pynmea2 message; empty where the sentence is shorter than the standard's."""
    index: int = message.name_to_idx[name]
    return str(message.data[index]).strip() if index < len(message.data) else ""


def number(text: str) -> float | None:
    """A decimal number or None; ValueError for anything else (``nan``, ``1e9``, ``1_0`` are no NMEA numbers)."""
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is no number")
    return float(text)


def positive(text: str) -> float | None:
    """A number above zero, else None: receivers write 0 or 99.99 for a quality they do not know."""
    value = number(text)
    return value if value is not None and 0 < value < 99 else None


def time_of_day_us(text: str) -> int | None:
    """``hhmmss[.sss]`` in microseconds since midnight UTC; second 60 (leap) is allowed and is 86,400 s at midnight."""
    if not text:
        return None
    if not re.fullmatch(r"\d{6}(\.\d*)?", text):
        raise ValueError(f"{text!r} is no time of day")
    hour, minute, second = int(text[:2]), int(text[2:4]), float(text[4:])
    if hour > 23 or minute > 59 or second >= 61:
        raise ValueError(f"{text!r} is no time of day")
    return (hour * 3600 + minute * 60) * 1_000_000 + round(second * 1e6)


def date_of_rmc(text: str) -> date | None:
    """``ddmmyy``; years 80 to 99 are of the 20th century (GPS began in 1980)."""
    if not text:
        return None
    if not re.fullmatch(r"\d{6}", text):
        raise ValueError(f"{text!r} is no date")
    year = int(text[4:])
    return date(year + (1900 if year >= 80 else 2000), int(text[2:4]), int(text[:2]))


def coordinate(text: str, hemisphere: str, positive_letter: str, negative_letter: str, limit: float) -> float | None:
    """``dddmm.mmmm`` and a letter in degrees; ValueError outside ``limit``, with 60 minutes or a foreign letter."""
    value = number(text)
    if value is None:
        return None
    degrees, minutes = divmod(value, 100)
    result = degrees + minutes / 60
    if hemisphere not in (positive_letter, negative_letter) or value < 0 or minutes >= 60 or result > limit:
        raise ValueError(f"{text!r} {hemisphere!r} is no coordinate")
    return -result if hemisphere == negative_letter else result


def place(message: Any) -> tuple[float, float] | None:
    """Latitude and longitude of a message in degrees; None when either is empty."""
    lat = coordinate(raw(message, "lat"), raw(message, "lat_dir"), "N", "S", 90.0)
    lon = coordinate(raw(message, "lon"), raw(message, "lon_dir"), "E", "W", 180.0)
    return None if lat is None or lon is None else (lat, lon)


def heading(text: str) -> float | None:
    """Course over ground, 0 <= degrees < 360; ValueError outside 0..360."""
    value = number(text)
    if value is None:
        return None
    if not 0 <= value <= 360:
        raise ValueError(f"{text!r} is no course")
    return math.fmod(value, 360.0)
