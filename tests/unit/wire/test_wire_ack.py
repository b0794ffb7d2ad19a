"""Acknowledgements free flash: nobody but the receiver with the key may make one."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from outrider.errors import WireError
from outrider.model.record import Lane
from outrider.wire import outrider_pb2 as pb
from outrider.wire.ack import Ack, LanePosition, sign_ack, verify_ack
from outrider.wire.framing import frame, unframe

KEY = bytes(range(32))
ACK = Ack("car-1", 9, (LanePosition(1 << 63, Lane.EMERGENCY, 3), LanePosition(5, Lane.BULK, (1 << 64) - 1)))


def test_round_trip() -> None:
    """What was signed is what is believed."""
    assert verify_ack(sign_ack(ACK, KEY), KEY, "car-1") == ACK


def test_mac_is_the_documented_one() -> None:
    """A receiver in another language can compute it from docs/reference/mqtt.md."""
    signed = pb.SignedAck.FromString(unframe(sign_ack(ACK, KEY)))
    text = b"outrider ack 1\x00" + b"\x05car-1" + signed.body
    assert signed.algorithm == 1
    assert signed.mac == hmac.new(KEY, text, hashlib.sha256).digest()


def test_any_flipped_bit_is_refused() -> None:
    """Forged or damaged: a WireError, whichever bit it is."""
    payload = sign_ack(ACK, KEY)
    for bit in range(len(payload) * 8):
        damaged = bytearray(payload)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(WireError):
            verify_ack(bytes(damaged), KEY, "car-1")


@pytest.mark.parametrize(("key", "device"), [(bytes(32), "car-1"), (KEY, "car-2"), (KEY + b"\1", "car-1")])
def test_another_key_or_device_is_refused(key: bytes, device: str) -> None:
    """An acknowledgement cannot be redirected to another device."""
    with pytest.raises(WireError, match="signature"):
        verify_ack(sign_ack(ACK, KEY), key, device)


def test_mac_over_a_body_naming_another_device_is_refused() -> None:
    """Even a rightly keyed MAC does not move a body between devices."""
    body = pb.Ack(device="car-2", counter=1).SerializeToString()
    mac = hmac.new(KEY, b"outrider ack 1\x00\x05car-1" + body, hashlib.sha256).digest()
    payload = frame(pb.SignedAck(algorithm=1, body=body, mac=mac).SerializeToString())
    with pytest.raises(WireError, match="for device 'car-2'"):
        verify_ack(payload, KEY, "car-1")


def test_unknown_algorithm_is_refused_by_name() -> None:
    """A downgrade to an algorithm we do not know is not a bad signature but an unknown one."""
    signed = pb.SignedAck.FromString(unframe(sign_ack(ACK, KEY)))
    signed.algorithm = 0
    with pytest.raises(WireError, match="algorithm 0"):
        verify_ack(frame(signed.SerializeToString()), KEY, "car-1")


@pytest.mark.parametrize("payload", [b"", b"\x10", b"\x10\xff", b"\x11\xff\xff", b"\x77abc", bytes(70000)])
def test_garbage_is_a_wire_error(payload: bytes) -> None:
    """Anything a broker may send."""
    with pytest.raises(WireError):
        verify_ack(payload, KEY, "car-1")


def test_short_keys_and_absurd_numbers_are_refused_when_signing() -> None:
    """A key of less than 16 bytes is a configuration error, said before anything is sent."""
    with pytest.raises(WireError, match="at least 16"):
        sign_ack(ACK, b"short")
    with pytest.raises(WireError, match="unsigned"):
        sign_ack(Ack("car-1", -1, ()), KEY)
    with pytest.raises(WireError, match="device id"):
        sign_ack(Ack("car/1", 1, ()), KEY)
