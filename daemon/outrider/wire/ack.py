"""The acknowledgement a receiver signs and a terminal believes.

It frees flash, so a broker in between must not be able to forge, redirect or replay it: the MAC covers a domain
string, the device and the body; the counter lets the terminal refuse old ones. MAC input::

    "outrider ack 1" 00 | u8 length of device | device | body          HMAC-SHA-256, key shared per device
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from outrider.errors import WireError
from outrider.model.record import Lane
from outrider.wire import outrider_pb2 as pb
from outrider.wire.framing import PLAIN, unframe
from outrider.wire.topics import check_device

HMAC_SHA256: Final = 1
MIN_KEY_BYTES: Final = 16
MAX_ACK_BYTES: Final = 65536
_DOMAIN: Final = b"outrider ack 1\0"
_MAX_U64: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class LanePosition:
    """All records of (epoch, lane) up to and including up_to_seq are stored for good."""

    epoch: int
    lane: Lane
    up_to_seq: int


@dataclass(frozen=True, slots=True)
class Ack:
    """counter: larger in every acknowledgement to the device; a terminal refuses one that is not larger."""

    device: str
    counter: int
    positions: tuple[LanePosition, ...]


def sign_ack(ack: Ack, key: bytes) -> bytes:
    """Payload for ``Topics.ack``. WireError for a bad device id, number or key (at least 16 bytes)."""
    check_device(ack.device)
    message = pb.Ack(device=ack.device)
    for number in (ack.counter, *(n for p in ack.positions for n in (p.epoch, p.up_to_seq))):
        if not 0 <= number <= _MAX_U64:
            raise WireError(f"acknowledgement: {number} is not an unsigned 64-bit number")
    message.counter = ack.counter
    for position in ack.positions:
        message.positions.add(epoch=position.epoch, lane=position.lane, up_to_seq=position.up_to_seq)
    body = message.SerializeToString(deterministic=True)
    signed = pb.SignedAck(algorithm=HMAC_SHA256, body=body, mac=_mac(ack.device, body, key))
    return bytes((PLAIN,)) + signed.SerializeToString(deterministic=True)


def verify_ack(payload: bytes, key: bytes, device: str) -> Ack:
    """The acknowledgement, if it was signed with this key for this device; WireError otherwise.

    Nothing of the body is looked at before the MAC has been found right (in constant time).
    """
    check_device(device)
    signed = pb.SignedAck()
    try:
        signed.ParseFromString(unframe(payload, MAX_ACK_BYTES))
    except DecodeError:
        raise WireError("acknowledgement is not readable") from None
    if signed.algorithm != HMAC_SHA256:
        raise WireError(f"acknowledgement: algorithm {signed.algorithm} is not known here")
    if not hmac.compare_digest(signed.mac, _mac(device, signed.body, key)):
        raise WireError("acknowledgement: the signature is not from this device's receiver")
    ack = pb.Ack()
    try:
        ack.ParseFromString(signed.body)
        positions = tuple(LanePosition(p.epoch, Lane(p.lane), p.up_to_seq) for p in ack.positions)
    except (DecodeError, ValueError) as err:
        raise WireError(f"acknowledgement is signed but not readable: {err}") from None
    if ack.device != device:
        raise WireError(f"acknowledgement is for device {ack.device[:80]!r}, not {device!r}")
    return Ack(device, ack.counter, positions)


def _mac(device: str, body: bytes, key: bytes) -> bytes:
    if len(key) < MIN_KEY_BYTES:
        raise WireError(f"acknowledgement key has {len(key)} bytes, at least {MIN_KEY_BYTES} are needed")
    name = device.encode("ascii")
    return hmac.new(key, _DOMAIN + bytes((len(name),)) + name + body, hashlib.sha256).digest()
