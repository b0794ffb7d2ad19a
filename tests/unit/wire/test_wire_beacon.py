"""The beacon: what its few bytes say, and what they refuse to say."""

from __future__ import annotations

import math
import struct
from dataclasses import replace

import pytest

from outrider.errors import WireError
from outrider.model.beacon import Beacon
from outrider.wire.beacon import BEACON_BYTES, MAX_BYTES, decode_beacon, encode_beacon

FAST = Beacon(7, 5_000_000, 1_790_000_000_000_000, 31.2, -121.5, 2.5, 34.17, 93.5, -87, 4.25, 5)


def test_it_is_small() -> None:
    """34 bytes every 5 s are 24 KB an hour before MQTT and TCP."""
    assert len(encode_beacon(FAST)) == BEACON_BYTES == 34


def test_unknown_is_not_zero() -> None:
    """No position, course, clock, signal or deceleration comes out as a number."""
    nothing = Beacon(7, 0, None, None, None, None, 0.0, None, None, None, 0)
    assert decode_beacon(encode_beacon(nothing)) == nothing
    assert nothing.is_last


def test_zero_is_not_unknown() -> None:
    """A car on the equator at the null meridian, heading north, is known to be there."""
    null = Beacon(0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 5)
    assert decode_beacon(encode_beacon(null)) == null


def test_times_are_cut_to_milliseconds() -> None:
    """Down, so that a beacon is never from the future."""
    odd = replace(FAST, t_us=1_999, utc_us=2_999)
    assert (decode_beacon(encode_beacon(odd)).t_us, decode_beacon(encode_beacon(odd)).utc_us) == (1_000, 2_000)


def test_a_course_of_360_degrees_is_north_and_a_huge_error_stays_huge() -> None:
    """Both are what receivers deliver; neither may lose the beacon."""
    sent = decode_beacon(encode_beacon(replace(FAST, heading_deg=359.999, hacc_m=1e6)))
    assert (sent.heading_deg, sent.hacc_m) == (0.0, 6553.4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lat_deg": None},
        {"lon_deg": None},
        {"lat_deg": 90.1},
        {"lon_deg": -180.1},
        {"lat_deg": math.nan},
        {"speed_mps": -0.1},
        {"speed_mps": 700.0},
        {"speed_mps": math.nan},
        {"hacc_m": math.inf},
        {"hacc_m": -1.0},
        {"heading_deg": 361.0},
        {"signal_dbm": -128},
        {"decel_mps2": -327.68},
        {"interval_s": 256},
        {"interval_s": -1},
        {"boot_id": 1 << 32},
        {"t_us": -1},
        {"t_us": 1000 << 40},
        {"utc_us": -1},
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, float]) -> None:
    """Never wrapped around or mistaken for unknown."""
    with pytest.raises(WireError, match="beacon"):
        encode_beacon(replace(FAST, **wrong))  # type: ignore[arg-type]  # wrong on purpose


def patched(at: int, data: bytes) -> bytes:
    payload = encode_beacon(FAST)
    return payload[:at] + data + payload[at + len(data) :]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x12",
        encode_beacon(FAST)[:-1],
        encode_beacon(FAST) + bytes(MAX_BYTES),
        patched(0, b"\x10"),
        patched(17, struct.pack("<i", 900_000_001)),
        patched(21, struct.pack("<i", -1_800_000_001)),
        patched(17, struct.pack("<i", -(1 << 31))),
        patched(21, struct.pack("<i", -(1 << 31))),
        patched(29, struct.pack("<H", 36_000)),
    ],
    ids=["empty", "tag", "short", "long", "tag 10", "lat", "lon", "no lat", "no lon", "heading"],
)
def test_hostile_payloads_are_wire_errors(payload: bytes) -> None:
    """Nothing impossible gets to the alarm."""
    with pytest.raises(WireError, match="beacon"):
        decode_beacon(payload)


def test_newer_versions_may_say_more() -> None:
    """Bytes behind the known ones are passed over."""
    assert decode_beacon(encode_beacon(FAST) + b"later") == FAST
