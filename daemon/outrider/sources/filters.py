"""Kernel filters of a SocketCAN bus: the identifiers that a vehicle profile decodes, as CAN_RAW_FILTER wants them.

Owns the list of (identifier, mask) pairs and its bytes; setting it on a socket is ``can_io``. Rule: a data frame passes
the list exactly when the profile decodes it on that bus, or when it is an ECU's answer to a tester.

The kernel keeps filters on one identifier in arrays, found in O(1) whatever their number, but only when the mask is
CAN_SFF_MASK or CAN_EFF_MASK with CAN_EFF_FLAG and CAN_RTR_FLAG (net/can/af_can.c, can_rcv_list_find); any other mask is
compared with every frame. So J1939 parameter groups, which match any source address, cost one comparison a frame each.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from outrider.model.vehicle import MessageDef, VehicleTables

MAX_FILTERS: Final = 512  # CAN_RAW_FILTER_MAX, linux/can/raw.h
EFF_FLAG: Final = 0x80000000
RTR_FLAG: Final = 0x40000000
SFF_MASK: Final = 0x7FF
EFF_MASK: Final = 0x1FFFFFFF
_ONE_STANDARD: Final = SFF_MASK | EFF_FLAG | RTR_FLAG
_ONE_EXTENDED: Final = EFF_MASK | EFF_FLAG | RTR_FLAG
_PDU2: Final = 240  # SAE J1939-21: from this PDU format on, the second byte belongs to the parameter group


@dataclass(frozen=True, slots=True, order=True)
class FrameFilter:
    """A frame passes when ``identifier with flags & mask == can_id``; bits as in ``struct can_filter``."""

    can_id: int
    mask: int


# ISO 15765-4: ECUs answer a tester on 7E8..7EF, with 29-bit identifiers on 18DAF1xx.
DIAGNOSTIC_ANSWERS: Final = (
    *(FrameFilter(can_id, _ONE_STANDARD) for can_id in range(0x7E8, 0x7F0)),
    FrameFilter(0x18DAF100 | EFF_FLAG, 0x1FFFFF00 | EFF_FLAG | RTR_FLAG),
)


def profile_filters(tables: VehicleTables, bus: int) -> tuple[FrameFilter, ...] | None:
    """What bus number ``bus`` must let through for ``tables`` and diagnosis; sorted, each once.

    Remote frames never pass, and error frames are subscribed to apart (CAN_RAW_ERR_FILTER). None: the kernel takes no
    more than MAX_FILTERS, so every frame has to be read.
    """
    mine = (m for m in tables.messages if m.signals and m.bus in {None, bus})
    wanted = {_message_filter(m) for m in mine} | set(DIAGNOSTIC_ANSWERS)
    return tuple(sorted(wanted)) if len(wanted) <= MAX_FILTERS else None


def pack_filters(filters: Iterable[FrameFilter]) -> bytes:
    """The array of ``struct can_filter`` for setsockopt(SOL_CAN_RAW, CAN_RAW_FILTER)."""
    return b"".join(struct.pack("=II", f.can_id, f.mask) for f in filters)


def _message_filter(message: MessageDef) -> FrameFilter:
    if message.j1939:
        group = 0x03FF0000 if message.frame_id >> 16 & 0xFF < _PDU2 else 0x03FFFF00
        return FrameFilter(message.frame_id & group | EFF_FLAG, group | EFF_FLAG | RTR_FLAG)
    if message.extended:
        return FrameFilter(message.frame_id | EFF_FLAG, _ONE_EXTENDED)
    return FrameFilter(message.frame_id, _ONE_STANDARD)
