"""Which network carries the terminal, from the kernel alone: routes in /proc/net, the kind of an interface in sysfs.

``RouteWatch`` waits for the kernel to say that a route, an address or a link changed; what changed is read from the
tables, not from the message.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Final

from outrider.model.network import Path
from outrider.network.route import default_interfaces
from outrider.network.trouble import Traffic

_NETLINK_ROUTE: Final = 0
_RTMGRP_LINK: Final = 0x1
_RTMGRP_IPV4_ROUTE: Final = 0x40
_RTMGRP_IPV6_ROUTE: Final = 0x400
_PIECE: Final = 65_536
_ARPHRD_ETHER: Final = "1"
_ARPHRD_PPP: Final = "512"
_TUNNELS: Final = frozenset({"wireguard", "gre", "vxlan"})
_MAX_TABLE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Interface:
    """The interface of the default route. name: None where there is no such route."""

    name: str | None
    path: Path


class KernelNetwork:
    """``proc``, ``sys``: where the kernel's files are. cellular: interfaces that are the mobile network though they
    look like Ethernet (a modem that is a router of its own, a telephone on USB)."""

    def __init__(
        self,
        cellular: Collection[str] = (),
        proc: FilePath = FilePath("/proc/net"),
        sys: FilePath = FilePath("/sys/class/net"),
    ) -> None:
        self._cellular = frozenset(cellular)
        self._proc = proc
        self._sys = sys

    def default(self, modem_interfaces: Collection[str] = ()) -> Interface:
        """The interface that carries what goes to the world. modem_interfaces: as ModemManager names them."""
        route4, route6 = self._table("route"), self._table("ipv6_route")
        if route4 is None and route6 is None:
            return Interface(None, Path.UNKNOWN)
        for name in default_interfaces(route4 or "", route6 or ""):
            if self._attribute(name, "carrier") != "0":
                return Interface(name, self.kind(name, modem_interfaces))
        return Interface(None, Path.NONE)

    def kind(self, name: str, modem_interfaces: Collection[str] = ()) -> Path:
        """What an interface is; UNKNOWN for a tunnel, whose bytes go over another one."""
        if name in self._cellular or name in modem_interfaces:
            return Path.CELLULAR
        kind = self._device_type(name)
        if kind == "wwan":
            return Path.CELLULAR
        if kind == "wlan" or self._has(name, "wireless") or self._has(name, "phy80211"):
            return Path.WIFI
        if kind in _TUNNELS or self._has(name, "tun_flags"):
            return Path.UNKNOWN
        link = self._attribute(name, "type")
        if link == _ARPHRD_PPP:
            return Path.CELLULAR  # over a modem, as far as a car is concerned
        return Path.ETHERNET if link == _ARPHRD_ETHER else Path.UNKNOWN

    def traffic(self, name: str) -> Traffic | None:
        """Packets through an interface since it is there; None where the kernel does not count them."""
        rx, tx = (self._attribute(name, f"statistics/{way}_packets") for way in ("rx", "tx"))
        if rx is None or tx is None or not rx.isdigit() or not tx.isdigit():
            return None
        return Traffic(name, int(rx), int(tx))

    def _table(self, name: str) -> str | None:
        try:
            with (self._proc / name).open(encoding="ascii", errors="replace") as file:
                return file.read(_MAX_TABLE)
        except OSError:
            return None  # no IPv6 in this kernel, or a sandbox

    def _device_type(self, name: str) -> str | None:
        for line in (self._attribute(name, "uevent") or "").splitlines():
            if line.startswith("DEVTYPE="):
                return line.removeprefix("DEVTYPE=")
        return None

    def _has(self, name: str, entry: str) -> bool:
        return self._entry(name, entry).exists()

    def _attribute(self, name: str, entry: str) -> str | None:
        try:
            with self._entry(name, entry).open(encoding="ascii", errors="replace") as file:
                return file.read(4096).strip()
        except OSError:  # also: carrier of an interface that is down
            return None

    def _entry(self, name: str, entry: str) -> FilePath:
        return self._sys / name.replace("/", "_") / entry


class RouteWatch:
    """``wait`` returns at news of routes and links, and of ``wake``. Without netlink only the time is left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake_fd: int | None = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._socket: socket.socket | None = None
        with suppress(OSError):
            sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE)
            try:
                sock.bind((0, _RTMGRP_LINK | _RTMGRP_IPV4_ROUTE | _RTMGRP_IPV6_ROUTE))
                sock.setblocking(False)
            except OSError:
                sock.close()
                raise
            self._socket = sock

    @property
    def hears(self) -> bool:
        """Whether the kernel tells."""
        return self._socket is not None

    def wait(self, timeout_s: float) -> None:
        wake_fd = self._wake_fd
        if wake_fd is None:
            return
        poll = select.poll()
        for fd in [wake_fd] + ([] if self._socket is None else [self._socket.fileno()]):
            poll.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(timeout_s * 1000)}
        if wake_fd in ready:
            with suppress(BlockingIOError):
                os.eventfd_read(wake_fd)
        if self._socket is not None and self._socket.fileno() in ready:
            with suppress(OSError):  # nothing more, or an overrun, which is news as well
                while True:
                    self._socket.recv(_PIECE)

    def wake(self) -> None:
        """From any thread, also after the end: its number may be another file's by then, which must not be written."""
        with self._lock, suppress(BlockingIOError):
            if self._wake_fd is not None:
                os.eventfd_write(self._wake_fd, 1)

    def close(self) -> None:
        """When nobody waits any more."""
        if self._socket is not None:
            self._socket.close()
        with self._lock:
            if self._wake_fd is not None:
                os.close(self._wake_fd)
            self._wake_fd = None
