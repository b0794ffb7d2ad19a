"""Reads one datagram of a CAN_RAW socket in plain Python (struct can_frame, struct canfd_frame of linux/can.h)."""

from __future__ import annotations

import struct

from outrider.model.frame import BRS, EFF, ERR, ESI, FD, RTR, TX

CAN_EFF, CAN_RTR, CAN_ERR = 0x80000000, 0x40000000, 0x20000000
Frame = tuple[int, int, int, bytes]  # id, flags, len, data padded to 64 bytes


def oracle(datagram: bytes, origin: int) -> Frame | None:
    if len(datagram) not in {16, 72}:
        return None
    fd = len(datagram) == 72
    word, length, raw = struct.unpack_from("=IBB", datagram)
    extended, remote, error = bool(word & CAN_EFF), bool(word & CAN_RTR) and not fd, bool(word & CAN_ERR)
    can_id = word & 0x1FFFFFFF
    if length > (64 if fd else 8) or (not extended and not error and can_id > 0x7FF):
        return None
    flags = EFF * extended | RTR * remote | ERR * error | TX * bool(origin)
    if fd:
        flags |= FD | BRS * bool(raw & 1) | ESI * bool(raw & 2)
    data = b"" if remote else datagram[8 : 8 + length]
    return can_id, flags, length, data.ljust(64, b"\0")
