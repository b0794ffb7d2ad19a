"""Hearing what is on a bus for a while: a raw socket that only receives, and counts."""

from __future__ import annotations

import select
import socket
import struct
import time
from contextlib import suppress
from typing import Final, Protocol

from outrider.errors import LinkError
from outrider.link.detect import Tally
from outrider.link.names import checked_name

_ERR_FLAG: Final = 0x2000_0000
_ERR_MASK: Final = 0x1FFF_FFFF
_NO_FAULT: Final = 0x100  # CAN_ERR_RESTARTED: the controller began anew, the bits on the bus are not meant
_CAN_RAW_ERR_FILTER: Final = 2  # linux/can/raw.h; Python has no name for it
_FD_SIZE: Final = 72


class Listener(Protocol):
    """Counts frames of a bus."""

    def listen(self, device: str, seconds: float) -> Tally:
        """For ``seconds``, or shorter when the tally is decided. LinkError when the bus cannot be heard."""
        ...


class SocketListener:
    """Hears through SocketCAN; needs no privilege."""

    def listen(self, device: str, seconds: float) -> Tally:
        try:
            with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as sock:
                with suppress(OSError):  # an old kernel without CAN FD
                    sock.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, 1)
                sock.setsockopt(socket.SOL_CAN_RAW, _CAN_RAW_ERR_FILTER, struct.pack("=I", _ERR_MASK))
                sock.bind((checked_name(device),))
                return _count(sock, seconds)
        except OSError as err:
            raise LinkError(f"{device} cannot be listened to: {err.strerror or err}") from None


def _count(sock: socket.socket, seconds: float) -> Tally:
    end, tally = time.monotonic() + seconds, Tally()
    while not tally.decided:
        left = end - time.monotonic()
        if left <= 0 or not select.select([sock], [], [], left)[0]:
            break
        tally = add(tally, sock.recv(_FD_SIZE))
    return tally


def add(tally: Tally, datagram: bytes) -> Tally:
    """The tally with one more struct can_frame or canfd_frame."""
    (identifier,) = struct.unpack_from("=I", datagram)
    if identifier & _ERR_FLAG:
        faults = identifier & _ERR_MASK & ~_NO_FAULT
        return Tally(tally.frames, tally.fd_frames, tally.errors + (faults != 0))
    return Tally(tally.frames + 1, tally.fd_frames + (len(datagram) == _FD_SIZE), tally.errors)
