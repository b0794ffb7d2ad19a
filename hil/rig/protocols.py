"""What a test may ask of the rig. A driver fulfils one of these; a test that names only the protocol runs on any.

``CanBus`` is fulfilled by vcan and by emulated SJA1000 controllers, ``Gnss`` by a pseudo-terminal; a bench would add a
USB adapter and a serial cable.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class CanBus(Protocol):
    """One bus the terminal can be configured for."""

    @property
    def name(self) -> str:
        """Name of its network interface."""

    def sender(self) -> socket.socket:
        """A CAN_RAW socket that sends on it, FD allowed; the caller closes it."""

    def up(self) -> None: ...

    def down(self) -> None: ...


class Gnss(Protocol):
    """A receiver on a serial line."""

    @property
    def device(self) -> Path:
        """Stable name of the serial port, also while it is unplugged."""

    def says(self, data: bytes) -> None: ...

    def plug_in(self) -> None: ...

    def pull_out(self) -> None: ...


class BrokerLike(Protocol):
    """An MQTT broker on loopback."""

    port: int

    def start(self) -> None: ...

    def kill(self) -> None: ...


class TerminalLike(Protocol):
    """The product as a process."""

    def status(self) -> dict[str, Any]: ...

    def events(self) -> list[dict[str, Any]]: ...

    def stop(self) -> int: ...

    def kill(self) -> None: ...

    def log(self) -> str: ...


class Disk(Protocol):
    """A block device of the rig's own with a file system on it."""

    @property
    def path(self) -> Path:
        """Where it is mounted."""

    @property
    def device(self) -> Path: ...

    def options(self) -> Mapping[str, str]:
        """Mount options in force."""
