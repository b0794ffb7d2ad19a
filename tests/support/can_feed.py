"""CAN without CAN: datagram sockets that carry what SocketCAN would, and what the engine made of it."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from outrider.engine import Engine, EngineOptions
from outrider.model.vehicle import BitField, MessageDef, SignalDef, Slot, VehicleTables
from tests.oracles.tape import entries

CAN_EFF, CAN_RTR, CAN_ERR = 0x80000000, 0x40000000, 0x20000000
TABLES = VehicleTables(
    "p", (MessageDef("M", 0x100, False, 1, (SignalDef("a", 0, BitField(0, 8)),)),), (Slot("A", max_age_ms=1500),)
)


def classic(can_id: int, data: bytes = b"", length: int | None = None) -> bytes:
    """struct can_frame."""
    return struct.pack("=IB3x8s", can_id, len(data) if length is None else length, data)


def fd_frame(can_id: int, data: bytes = b"", flags: int = 0, length: int | None = None) -> bytes:
    """struct canfd_frame."""
    return struct.pack("=IBB2x64s", can_id, len(data) if length is None else length, flags, data)


def pair() -> tuple[socket.socket, socket.socket]:
    """(sender, receiver); the sender waits while the receiver is full, so that nothing is lost on the way."""
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return sender, receiver


@dataclass(frozen=True)
class Seen:
    """A frame as the engine processed it."""

    t_us: int
    late: bool
    can_id: int
    bus: int
    flags: int
    data: bytes


def seen(tape: bytes) -> list[Seen]:
    found = []
    for entry in entries(tape):
        if entry.kind == "frame":
            can_id, bus, flags, length = struct.unpack_from("=IBBB", entry.body)
            found.append(Seen(entry.t_us, entry.late, can_id, bus, flags, entry.body[7 : 7 + length]))
    return found


def taped_engine(buses: int = 1, **options: int) -> Engine:
    engine = Engine(TABLES, EngineOptions(frame_inboxes=buses, recorder_bytes=0, **options))
    engine.start_tape()
    return engine
