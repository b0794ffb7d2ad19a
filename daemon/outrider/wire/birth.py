"""The retained status document (birth) and the will that replaces it when the link dies."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from outrider.errors import WireError
from outrider.model.record import SignalTable
from outrider.wire import outrider_pb2 as pb
from outrider.wire.bodies import table_from_message, table_message
from outrider.wire.framing import frame, unframe
from outrider.wire.topics import check_device

MAX_BIRTH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Birth:
    """Who is there. session_id: random 64 bits, new at each connection; a will carries that of its birth.

    table: of the telemetry being sent, None while not known. online: False in the will. epoch: of the log now written.
    """

    device: str
    session_id: int
    software: str
    table: SignalTable | None
    online: bool
    boot_id: int
    epoch: int


def encode_birth(birth: Birth) -> bytes:
    """Payload for ``Topics.status``, to be retained. WireError for a number or device id out of range."""
    check_device(birth.device)
    try:
        message = pb.Birth(
            device=birth.device,
            session_id=birth.session_id,
            software=birth.software,
            online=birth.online,
            boot_id=birth.boot_id,
            epoch=birth.epoch,
            table=None if birth.table is None else table_message(birth.table),
        )
    except (ValueError, TypeError) as err:
        raise WireError(f"birth document: {err}") from None
    return frame(message.SerializeToString(deterministic=True))


def decode_birth(payload: bytes) -> Birth:
    """The document; WireError when damaged, too large or not a device's."""
    message = pb.Birth()
    try:
        message.ParseFromString(unframe(payload, MAX_BIRTH_BYTES))
    except DecodeError:
        raise WireError("birth document is damaged") from None
    return Birth(
        check_device(message.device),
        message.session_id,
        message.software,
        table_from_message(message.table) if message.HasField("table") else None,
        message.online,
        message.boot_id,
        message.epoch,
    )
