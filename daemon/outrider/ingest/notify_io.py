"""A word to systemd: ``READY=1`` when the receiver is connected for the first time, ``STOPPING=1`` at the end."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Nothing happens where no service manager waits for it (NOTIFY_SOCKET is not set)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto(state.encode("ascii"), address)
