"""Raw frames as a log that other tools open: candump text, or Vector BLF through python-can's own writer."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Final

from outrider.model.frame import BRS, EFF, ERR, ESI, FD, FRAME, RTR

_CAN_ERR_FLAG: Final = 0x20000000  # linux/can.h


def candump(frames: bytes, offset_us: int) -> bytes:
    """As ``candump -L`` writes it, interfaces named ``can`` and the number of the bus. offset_us: engine time to the
    time in the log."""
    return b"".join(_line(offset_us, fields) for fields in FRAME.iter_unpack(frames))


def _line(offset_us: int, fields: tuple[Any, ...]) -> bytes:
    t_us, number, bus, flags, size, _rsv, data = fields
    seconds, micros = divmod(max(0, t_us + offset_us), 1_000_000)
    wide = flags & (EFF | ERR)
    name = f"{number | (_CAN_ERR_FLAG if flags & ERR else 0):08X}" if wide else f"{number:03X}"
    if flags & FD:
        mark = f"##{(1 if flags & BRS else 0) | (2 if flags & ESI else 0):X}"
    else:
        mark = "#R" if flags & RTR else "#"
    payload = "" if flags & RTR and not flags & FD else data[:size].hex().upper()
    return f"({seconds}.{micros:06d}) can{bus} {name}{mark}{payload}\n".encode("ascii")


def blf(frames: bytes, offset_us: int) -> bytes:
    """Vector BLF; channels are the number of the bus, as python-can counts them (from 0; from 1 in other tools)."""
    from can import Message
    from can.io.blf import BLFWriter

    class Kept(io.BytesIO):
        """The writer closes its file."""

        def close(self) -> None:
            return

    out = Kept()
    with BLFWriter(out, channel=0) as writer:
        for t_us, number, bus, flags, size, _rsv, data in FRAME.iter_unpack(frames):
            remote = bool(flags & RTR) and not flags & FD
            writer.on_message_received(
                Message(
                    timestamp=max(0, t_us + offset_us) / 1e6,
                    arbitration_id=number,
                    is_extended_id=bool(flags & EFF),
                    is_remote_frame=remote,
                    is_error_frame=bool(flags & ERR),
                    is_fd=bool(flags & FD),
                    bitrate_switch=bool(flags & BRS),
                    error_state_indicator=bool(flags & ESI),
                    dlc=size,
                    data=None if remote else data[:size],
                    channel=bus,
                )
            )
    return out.getvalue()


WRITERS: Final[dict[str, tuple[str, Callable[[bytes, int], bytes]]]] = {
    "candump": ("can.log", candump),
    "blf": ("can.blf", blf),
}
