"""News of links: the kernel says when an interface comes, goes or changes, so that nobody need ask all the time.

One netlink socket without privileges. What changed is not read from it, only that something did: reading is `ip`'s job.
"""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress
from typing import Final

_RTMGRP_LINK: Final = 1
_NETLINK_ROUTE: Final = 0
_PIECE: Final = 65_536


class LinkWatch:
    """``wait`` returns at news of a link or of ``wake``. Where a sandbox forbids netlink only the time is left."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        with suppress(OSError):
            sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE)
            try:
                sock.bind((0, _RTMGRP_LINK))
                sock.setblocking(False)
            except OSError:
                sock.close()
                raise
            self._socket = sock

    @property
    def hears(self) -> bool:
        """Whether the kernel tells."""
        return self._socket is not None

    def wait(self, timeout_s: float) -> bool:
        """True: a link changed, as far as the kernel tells. Returns early when woken."""
        watched = [self._wake_fd] + ([] if self._socket is None else [self._socket.fileno()])
        ready, _, _ = select.select(watched, [], [], timeout_s)
        if self._wake_fd in ready:
            with suppress(BlockingIOError):
                os.eventfd_read(self._wake_fd)
        return self._drain() if len(ready) > (self._wake_fd in ready) else False

    def wake(self) -> None:
        """Ends ``wait``. From any thread."""
        with suppress(BlockingIOError):
            os.eventfd_write(self._wake_fd, 1)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        os.close(self._wake_fd)

    def _drain(self) -> bool:
        """Empties the socket; an overrun (ENOBUFS) is news as well."""
        assert self._socket is not None
        with suppress(OSError):  # nothing more is BlockingIOError
            while True:
                self._socket.recv(_PIECE)
        return True
