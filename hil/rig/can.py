"""Buses of the rig: virtual ones, and a pair of emulated SJA1000 controllers on one wire."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from hil.rig.shell import ToolError, privileged

SYS_NET: Final = Path("/sys/class/net")
FD_MTU: Final = 72
SEND_BUFFER: Final = 1 << 20


def interfaces() -> set[str]:
    """Names of all network interfaces."""
    return {link.name for link in SYS_NET.iterdir()}


class Interface:
    """What both kinds share. Fulfils ``CanBus``."""

    def __init__(self, name: str) -> None:
        self.name: Final = name

    def __str__(self) -> str:
        return self.name

    @property
    def exists(self) -> bool:
        return (SYS_NET / self.name).exists()

    @property
    def is_up(self) -> bool:
        flags = SYS_NET / self.name / "flags"
        return self.exists and bool(int(flags.read_text(), 16) & 1)

    @property
    def mtu(self) -> int:
        return int((SYS_NET / self.name / "mtu").read_text())

    def sender(self) -> socket.socket:
        """See ``CanBus``. The kernel holds as much of what it sends as it allows."""
        sock = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
        sock.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, 1)
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        try:
            sock.bind((self.name,))
        except OSError:
            sock.close()  # there is no such interface now
            raise
        return sock

    def up(self) -> None:
        privileged("ip", "link", "set", self.name, "up")

    def down(self) -> None:
        privileged("ip", "link", "set", self.name, "down")


class Vcan(Interface):
    """A virtual CAN bus with FD; ``remove`` and ``make`` are an adapter being unplugged and plugged in."""

    def make(self) -> None:
        if not self.exists:
            privileged("ip", "link", "add", "dev", self.name, "type", "vcan")
        self.down()
        privileged("ip", "link", "set", self.name, "mtu", FD_MTU, "up")

    def remove(self) -> None:
        with suppress(ToolError):
            privileged("ip", "link", "del", self.name)


class Sja1000(Interface):
    """An emulated controller. Error frames, listen-only and bus states are the driver's; bit timing is not modelled."""

    def configure(self, bitrate: int = 500_000, **modes: str) -> None:
        """Down, the link's settings (``listen_only="on"``, ``restart_ms="100"``), and up."""
        self.down()
        settings = [word for mode, value in modes.items() for word in (_setting(mode), value)]
        privileged("ip", "link", "set", self.name, "type", "can", "bitrate", bitrate, *settings)
        self.up()


def _setting(mode: str) -> str:
    return mode.replace("_", "-")


def make_all(names: Sequence[str]) -> tuple[Vcan, ...]:
    """Virtual buses of these names, up."""
    buses = tuple(Vcan(name) for name in names)
    for bus in buses:
        bus.make()
    return buses
