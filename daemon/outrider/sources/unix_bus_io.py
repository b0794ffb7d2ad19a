"""A bus without a kernel bus: a Unix datagram socket on which each datagram is one CAN frame of the kernel's layout.

For machines without CAN (most containers, many CI runners): the daemon runs as it does in the car, and who plays a
drive writes ``struct can_frame`` (16 bytes) or ``struct canfd_frame`` (72 bytes) to the socket. The kernel stamps a
datagram when it is sent, as it stamps a frame of vcan; a sender that is faster than the daemon waits. Owns the path of
the socket: takes it, gives it back, never takes it from a process that lives.

The kernel queues some 10 datagrams on a socket (net.unix.max_dgram_qlen), except from a socket that it is connected to
in turn: then the sender's own buffer is the limit, thousands of frames. So a player binds the channel's name with
``PLAYER_SUFFIX`` before it sends, and as long as it lives the bus is connected to it, and to nobody else.
"""

from __future__ import annotations

import os
import select
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from outrider.engine import disconnect
from outrider.errors import ConfigError, LinkError
from outrider.ports import Clock
from outrider.sources.can_io import CanOptions
from outrider.sources.captured_io import CaptureDesk, CapturedSource, OpenBus

MAX_PATH_BYTES: Final = 107  # sun_path of 108 bytes with its final zero, unix(7)
PLAYER_SUFFIX: Final = ".tx"  # engine/player_io.py binds it
TEND_S: Final = 0.02
_MODE: Final = 0o600


class UnixBus:
    """The open socket; its path is gone after ``shutdown``."""

    def __init__(self, path: Path) -> None:
        """LinkError when a living process holds the path, OSError when it cannot be made."""
        _free(path)
        self._path = path
        self._connected = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            os.fchmod(self._socket.fileno(), _MODE)  # before binding: nobody gets in between
            self._socket.bind(str(path))
            self._identity = _identity(path)
        except OSError as err:
            self._socket.close()
            raise OSError(err.errno, f"{path}: {os.strerror(err.errno or 0)}") from None

    def fileno(self) -> int:
        return self._socket.fileno()

    def tend(self) -> None:
        """Connects to the channel's player while there is one, to nobody when it has gone."""
        try:
            self._socket.connect(f"{self._path}{PLAYER_SUFFIX}")
            self._connected = True
        except OSError:  # none, a dead one's name, or one too long for a name
            if self._connected and not select.select([self._socket], [], [], 0)[0]:  # or the queue would be dropped
                self._connected = False
                disconnect(self._socket.fileno())

    def shutdown(self) -> None:
        """Closes and takes the path away, unless somebody else has put another socket there."""
        with suppress(OSError):
            if _identity(self._path) == self._identity:
                self._path.unlink()
        self._socket.close()


class UnixBusSource(CapturedSource):
    """A ``LiveSource`` whose frames come from a Unix socket and are read by the native capture."""

    def __init__(self, options: CanOptions, clock: Clock, desk: CaptureDesk) -> None:
        super().__init__(options, clock, desk, opener=lambda opts: UnixBus(Path(opts.channel)))

    def _attend(self, bus: OpenBus) -> None:
        assert isinstance(bus, UnixBus)  # the opener's
        while not self._gone.wait(TEND_S):
            bus.tend()

    def _check(self) -> None:
        """ConfigError for a path that can never work, LinkError when another process holds it."""
        check_channel(self._options.channel)
        path = Path(self._options.channel)
        if _held(path):
            raise LinkError(_taken(path))

    def _is_virtual(self) -> bool:
        return True


def check_channel(channel: str) -> None:
    """ConfigError unless ``channel`` can be the path of a socket."""
    path = Path(channel)
    size = len(os.fsencode(channel))
    if not path.is_absolute():
        raise ConfigError(f'[[can]] interface "unix": channel {channel!r} must be the absolute path of a socket')
    if size > MAX_PATH_BYTES:
        raise ConfigError(
            f"{channel}: {size} bytes are too long for the path of a Unix socket, at most {MAX_PATH_BYTES}; "
            "use a shorter directory"
        )
    if not path.parent.is_dir():
        raise ConfigError(f"{channel}: there is no directory {path.parent}; make it first")
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigError(f"{channel}: is there already and is no socket; name another path")


def _free(path: Path) -> None:
    """Makes room at ``path``: what a dead process left there goes."""
    if _held(path):
        raise LinkError(_taken(path))
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()


def _held(path: Path) -> bool:
    """Whether a living process receives there. A socket of another kind than ours is somebody else's as well."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            return path.is_socket()
    return True


def _taken(path: Path) -> str:
    return f"{path}: another process receives there; stop it or name another channel"


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
