"""The beacon of a moving car: 34 bytes of fixed fields, because it goes out unbatched every few seconds.

Little-endian, no padding; ``-`` marks the value that means unknown::

    offset  type  unit
     0      u8            0x12: a beacon, version 1
     1      u8    s       until the next beacon; 0: none will come
     2      u32           boot id
     6      u40   ms      CLOCK_BOOTTIME
    11      u48   ms      UTC since 1970                          - 2^48 - 1
    17      i32   1e-7 °  latitude                                - -2^31, then the longitude as well
    21      i32   1e-7 °  longitude
    25      u16   0.1 m   horizontal accuracy, 1 sigma; 65534: that or more   - 65535
    27      u16   cm/s    speed
    29      u16   0.01 °  course over ground, 0..35999            - 65535
    31      i8    dBm     signal of the mobile network            - -128
    32      i16   cm/s²   deceleration of the last second         - -32768

What follows byte 34 was added by a newer version and is passed over, up to 256 bytes.
"""

from __future__ import annotations

import math
import struct
from typing import Final

from outrider.errors import WireError
from outrider.model.beacon import Beacon

TAG: Final = 0x12
BEACON_BYTES: Final = 34
MAX_BYTES: Final = 256

_FORM: Final = struct.Struct("<BBI5s6siiHHHbh")
_NO_UTC: Final = (1 << 48) - 1
_NO_PLACE: Final = -(1 << 31)
_NO_U16: Final = 0xFFFF
_NO_I8: Final = -128
_NO_I16: Final = -(1 << 15)
_FULL_TURN: Final = 36_000


def encode_beacon(beacon: Beacon) -> bytes:
    """Payload for ``Topics.beacon``, rounded to the steps above. WireError: a number out of range, half a position."""
    b = beacon
    if (b.lat_deg is None) != (b.lon_deg is None):
        raise WireError("beacon: latitude and longitude are known together or not at all")
    lat = _NO_PLACE if b.lat_deg is None else _steps("latitude", b.lat_deg, 1e7, -90, 90)
    lon = _NO_PLACE if b.lon_deg is None else _steps("longitude", b.lon_deg, 1e7, -180, 180)
    hacc = _NO_U16 if b.hacc_m is None else min(_steps("accuracy", b.hacc_m, 10, 0, math.inf), _NO_U16 - 1)
    heading = _NO_U16 if b.heading_deg is None else _steps("heading", b.heading_deg, 100, 0, 360) % _FULL_TURN
    signal = _NO_I8 if b.signal_dbm is None else _steps("signal", b.signal_dbm, 1, -127, 127)
    decel = _NO_I16 if b.decel_mps2 is None else _steps("deceleration", b.decel_mps2, 100, -327.67, 327.67)
    return _FORM.pack(
        TAG,
        _whole("interval_s", b.interval_s, 0xFF),
        _whole("boot_id", b.boot_id, 0xFFFF_FFFF),
        _whole("t_us", b.t_us // 1000, (1 << 40) - 1).to_bytes(5, "little"),
        (_NO_UTC if b.utc_us is None else _whole("utc_us", b.utc_us // 1000, _NO_UTC - 1)).to_bytes(6, "little"),
        lat,
        lon,
        hacc,
        _steps("speed", b.speed_mps, 100, 0, 655.35),
        heading,
        signal,
        decel,
    )


def decode_beacon(payload: bytes) -> Beacon:
    """The beacon in a payload; WireError when it is none, cut short, too long, or says what cannot be."""
    if not payload or payload[0] != TAG:
        raise WireError("beacon: payload does not start with 0x12")
    if not BEACON_BYTES <= len(payload) <= MAX_BYTES:
        raise WireError(f"beacon of {len(payload)} bytes, {BEACON_BYTES} to {MAX_BYTES} are taken")
    _tag, interval, boot, t_ms, utc_raw, lat, lon, hacc, speed, heading, signal, decel = _FORM.unpack_from(payload)
    utc_ms = int.from_bytes(utc_raw, "little")
    placed = _check_place(lat, lon)
    if heading != _NO_U16 and heading >= _FULL_TURN:
        raise WireError(f"beacon: heading {heading / 100} degrees")
    return Beacon(
        boot_id=boot,
        t_us=int.from_bytes(t_ms, "little") * 1000,
        utc_us=None if utc_ms == _NO_UTC else utc_ms * 1000,
        lat_deg=lat / 1e7 if placed else None,
        lon_deg=lon / 1e7 if placed else None,
        hacc_m=None if hacc == _NO_U16 else hacc / 10,
        speed_mps=speed / 100,
        heading_deg=None if heading == _NO_U16 else heading / 100,
        signal_dbm=None if signal == _NO_I8 else signal,
        decel_mps2=None if decel == _NO_I16 else decel / 100,
        interval_s=interval,
    )


def _check_place(lat: int, lon: int) -> bool:
    """Whether there is a position. WireError for half of one, or one that is not on Earth."""
    if (lat == _NO_PLACE) != (lon == _NO_PLACE):
        raise WireError("beacon: half a position")
    if lat == _NO_PLACE:
        return False
    if abs(lat) > 900_000_000 or abs(lon) > 1_800_000_000:
        raise WireError(f"beacon: position {lat / 1e7}, {lon / 1e7}")
    return True


def _steps(name: str, value: float, per_unit: float, low: float, high: float) -> int:
    if not (math.isfinite(value) and low <= value <= high):
        raise WireError(f"beacon: {name} {value} is not within {low} to {high}")
    return round(value * per_unit)


def _whole(name: str, value: int, top: int) -> int:
    if not 0 <= value <= top:
        raise WireError(f"beacon: {name} {value} is out of range")
    return value
