"""A bus without a kernel bus, for tests that need frames but no interface: they run on any machine."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Final

import pytest

from hil.rig.can import Vcan
from hil.rig.resources import vcan_missing


class UnixBus:
    """Fulfils ``CanBus`` but for its link, which is always up. The terminal makes the socket at ``path``."""

    def __init__(self, path: Path) -> None:
        self.name: Final = str(path)

    @property
    def table(self) -> dict[str, Any]:
        """Its ``[[can]]`` section."""
        return {"interface": "unix", "channel": self.name, "fd": True}

    def sender(self) -> socket.socket:
        """OSError while no terminal reads it."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            sock.connect(self.name)
        except OSError:
            sock.close()
            raise
        return sock

    def up(self) -> None:
        return None

    def down(self) -> None:
        return None


def any_bus(request: pytest.FixtureRequest, directory: Path) -> Vcan | UnixBus:
    """A virtual bus of the kernel where there is one, else one without a kernel bus: whichever this machine has."""
    if vcan_missing() is None:
        buses: tuple[Vcan, ...] = request.getfixturevalue("vcan")
        return buses[0]
    return UnixBus(directory / "bus.sock")


def section(bus: Vcan | UnixBus) -> object:
    """What the fixture ``terminal`` takes for it in ``can``."""
    return bus.table if isinstance(bus, UnixBus) else bus
