"""Kernel buses that runs of drives share: one drive at a time, whoever plays it.

Two runs (or two workers of pytest-xdist) on one interface would hear each other's frames and find what is in neither
drive. The mark is a socket of the abstract namespace: it belongs to the network namespace, as interfaces do, and goes
with its process however that ends.
"""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

POLL_S: Final = 0.2
log = logging.getLogger(__name__)


@contextmanager
def alone_on(names: Sequence[str]) -> Iterator[None]:
    """The interfaces for this process alone; waits for who has them, and says so."""
    with ExitStack() as stack:
        for name in sorted(names):  # all in one order: two that want the same never wait for each other
            stack.enter_context(_mark(name))
        yield


def _mark(name: str) -> socket.socket:
    waiting = False
    while True:
        mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            mark.bind(f"\0outrider-hil-{name}".encode()[:100])
        except OSError as err:
            mark.close()
            if err.errno != errno.EADDRINUSE:
                raise
            if not waiting:
                log.warning("%s: another run of drives uses it; waiting until it is free", name)
            waiting = True
            time.sleep(POLL_S)
        except BaseException:
            mark.close()
            raise
        else:
            return mark
