"""A python-can message into 80 bytes of ``otr_frame``. Pure; the one place that knows both layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outrider.model.frame import BRS, EFF, ERR, ESI, FD, FRAME, RTR, TX

if TYPE_CHECKING:
    import can

_TIME_LIMIT: Final = 2**62


def pack_message(message: can.Message, t_us: int, bus: int) -> bytes | None:
    """The frame, or None when it is no possible CAN frame.

    A remote frame keeps its length and has no data. More than 8 bytes mean FD and an identifier over 11 bits means
    extended, also where a log format cannot say so (CSV, sqlite).
    """
    can_id = message.arbitration_id
    data = message.data
    size = len(data)
    flags = EFF if message.is_extended_id or can_id > 0x7FF else 0
    if message.is_remote_frame:
        flags |= RTR
        size = message.dlc
        data = bytearray()
    if message.is_error_frame:
        flags |= ERR
    if message.is_fd or size > 8:
        flags |= FD | (BRS if message.bitrate_switch else 0) | (ESI if message.error_state_indicator else 0)
    if not message.is_rx:
        flags |= TX
    if not 0 <= can_id <= 0x1FFFFFFF or not 0 <= size <= 64 or not -_TIME_LIMIT < t_us < _TIME_LIMIT:
        return None
    return FRAME.pack(t_us, can_id, bus, flags, size, 0, data)
