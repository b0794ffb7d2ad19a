"""Raw frames as a log that other tools open: candump text, or Vector BLF and ASAM MF4 through python-can's writers."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from outrider.errors import InputError
from outrider.model.frame import BRS, EFF, ERR, ESI, FD, FRAME, RTR

if TYPE_CHECKING:
    from can import Message

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


class _Kept(io.BytesIO):
    """The writers close their file."""

    def close(self) -> None:
        return


def blf(frames: bytes, offset_us: int) -> bytes:
    """Vector BLF; channels are the number of the bus, as python-can counts them (from 0; from 1 in other tools)."""
    from can.io.blf import BLFWriter

    out = _Kept()
    with BLFWriter(out, channel=0) as writer:
        for message in _messages(frames, offset_us):
            writer.on_message_received(message)
    return out.getvalue()


def mf4(frames: bytes, offset_us: int) -> bytes:
    """ASAM MDF 4 with bus logging. Not the same bytes each time: the format stamps the hour of writing. InputError
    without asammdf."""
    if find_spec("asammdf") is None:
        raise InputError("MF4 needs asammdf, not installed here: pip install 'outrider[workstation]'")
    from can.io.mf4 import MF4Writer

    out = _Kept()
    with MF4Writer(out) as writer:
        for message in _messages(frames, offset_us):
            writer.on_message_received(message)
    return out.getvalue()


def _messages(frames: bytes, offset_us: int) -> Iterator[Message]:
    from can import Message

    for t_us, number, bus, flags, size, _rsv, data in FRAME.iter_unpack(frames):
        remote = bool(flags & RTR) and not flags & FD
        yield Message(
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


WRITERS: Final[dict[str, tuple[str, Callable[[bytes, int], bytes]]]] = {
    "candump": ("can.log", candump),
    "blf": ("can.blf", blf),
    "mf4": ("can.mf4", mf4),
}
