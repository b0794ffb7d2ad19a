"""Beacons under random input: what is within range comes back within half a step, what is bytes is exact or refused."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.errors import WireError
from outrider.model.beacon import Beacon
from outrider.wire.beacon import BEACON_BYTES, TAG, decode_beacon, encode_beacon

bounded = settings(max_examples=150, deadline=None)
ms = st.integers(0, (1 << 40) - 1).map(lambda n: n * 1000)


def maybe(values: st.SearchStrategy[float]) -> st.SearchStrategy[float | None]:
    return st.one_of(st.none(), values)


@st.composite
def beacons(draw: st.DrawFn) -> Beacon:
    placed = draw(st.booleans())
    return Beacon(
        boot_id=draw(st.integers(0, (1 << 32) - 1)),
        t_us=draw(ms),
        utc_us=draw(st.one_of(st.none(), ms)),
        lat_deg=draw(st.floats(-90, 90)) if placed else None,
        lon_deg=draw(st.floats(-180, 180)) if placed else None,
        hacc_m=draw(maybe(st.floats(0, 6500))),
        speed_mps=draw(st.floats(0, 655)),
        heading_deg=draw(maybe(st.floats(0, 359.9))),
        signal_dbm=draw(st.one_of(st.none(), st.integers(-127, 127))),
        decel_mps2=draw(maybe(st.floats(-327, 327))),
        interval_s=draw(st.integers(0, 255)),
    )


def near(sent: float | None, got: float | None, step: float) -> bool:
    if sent is None or got is None:
        return sent is got
    return abs(sent - got) <= step * 0.5000001


@bounded
@given(beacons())
def test_a_beacon_comes_back_to_half_a_step(sent: Beacon) -> None:
    """Known stays known, unknown stays unknown, and nothing moves by more than rounding."""
    got = decode_beacon(encode_beacon(sent))
    assert (got.boot_id, got.t_us, got.utc_us, got.interval_s) == (
        sent.boot_id,
        sent.t_us,
        sent.utc_us,
        sent.interval_s,
    )
    assert got.signal_dbm == sent.signal_dbm
    assert near(sent.lat_deg, got.lat_deg, 1e-7)
    assert near(sent.lon_deg, got.lon_deg, 1e-7)
    assert near(sent.hacc_m, got.hacc_m, 0.1)
    assert near(sent.speed_mps, got.speed_mps, 0.01)
    assert near(sent.heading_deg, got.heading_deg, 0.01)
    assert near(sent.decel_mps2, got.decel_mps2, 0.01)


@bounded
@given(st.binary(min_size=BEACON_BYTES - 1, max_size=BEACON_BYTES - 1))
def test_bytes_that_decode_are_the_only_bytes_for_it(noise: bytes) -> None:
    """A payload is refused by WireError alone, or encodes to itself."""
    payload = bytes((TAG,)) + noise
    with suppress(WireError):
        assert encode_beacon(decode_beacon(payload)) == payload


@bounded
@given(st.binary(max_size=300))
def test_noise_raises_nothing_but_wire_errors(noise: bytes) -> None:
    """Of any length, with and without the right first byte."""
    for payload in (noise, bytes((TAG,)) + noise):
        with suppress(WireError):
            decode_beacon(payload)
