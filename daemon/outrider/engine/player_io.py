"""Recorded frames back onto a bus, in time, for test rigs. native/include/outrider/player.h says how, and the limits.

Rule: nothing here transmits on a car by accident. ``open_can`` opens virtual interfaces only, unless told that a real
one is meant. The daemon itself never sends.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from outrider.engine.decode import lend_frames
from outrider.engine.link_kind_io import link_kind
from outrider.engine.native import aligned, check, ffi, lib
from outrider.errors import EngineError, LinkError
from outrider.model.frame import FrameBatch

SYS_NET: Final = Path("/sys/class/net")
PLAYER_SUFFIX: Final = ".tx"  # of the name that a bus looks for, sources/unix_bus_io.py
SEND_BUFFER: Final = 4 << 20  # bytes, some thousand frames; the kernel grants up to net.core.wmem_max
GIVE_BACK_S: Final = 2.0
_VIRTUAL: Final = {"vcan", "vxcan"}
_SOL_CAN_RAW: Final = 101  # linux/can/raw.h
_CAN_RAW_FILTER: Final = 1
_CAN_RAW_FD_FRAMES: Final = 5


@dataclass(frozen=True, slots=True)
class PlayStats:
    """Counts since the player was made, as in player.h. late: behind the due time, in microseconds of the machine.

    refused: frames that a socket did not take (``last_error`` says why), unrouted: frames of a bus without a socket.
    """

    sent: int
    refused: int
    unrouted: int
    waits: int
    waited_us: int
    reconnects: int
    late_max_us: int
    late_p99_us: int
    last_error: str


class Player:
    """Sends frames on the socket of their bus, at ``start_boot_us + (t_us - zero_us) / speed`` on CLOCK_BOOTTIME.

    fds: descriptor by bus number; the player works on copies. speed: above 0, ``math.inf`` for as fast as the receivers
    take. gather_us: sleep at least so long after sending (0: each frame goes when it is due). A context manager.
    """

    def __init__(self, fds: Mapping[int, int], *, speed: float = 1.0, gather_us: int = 0) -> None:
        config = ffi.new("otr_player_config *")
        lib.otr_player_config_default(config)
        config.speed, config.gather_us = speed, gather_us
        size = lib.otr_player_size()
        self._memory, memory = aligned(size)
        out = ffi.new("otr_player **")
        check(lib.otr_player_init(memory, size, config, out), f"player at speed {speed}")
        self._ptr: Any = out[0]
        self._fds: list[int] = []
        self._stopped = False
        self.speed = speed
        try:
            for bus, fd in fds.items():
                self._add(bus, fd)
        except Exception:
            self.close()
            raise

    def _add(self, bus: int, fd: int) -> None:
        own = os.dup(fd)
        self._fds.append(own)
        result = lib.otr_player_add(self._ptr, own, bus)
        if result == lib.OTR_ERR_STATE:
            raise OSError(ffi.errno, f"bus {bus}: descriptor {fd} is no socket: {os.strerror(ffi.errno)}")
        check(result, f"bus {bus}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """No thread may be playing. Allowed more than once."""
        if self._ptr is not None:
            lib.otr_player_close(self._ptr)
            self._ptr = None
            while self._fds:
                os.close(self._fds.pop())

    def _open(self) -> Any:
        if self._ptr is None:
            raise EngineError("the player is closed", lib.OTR_ERR_STATE)
        return self._ptr

    def start(self, start_boot_us: int, zero_us: int) -> None:
        """Recorded time ``zero_us`` is due at ``start_boot_us``. EngineError when the time line is fixed already."""
        check(lib.otr_player_start(self._open(), start_boot_us, zero_us), "start of a player that has started")

    @property
    def start_boot_us(self) -> int:
        """CLOCK_BOOTTIME of the time line's zero; 0 before the start."""
        return int(lib.otr_player_started(self._open()))

    def play(self, frames: FrameBatch | bytes | bytearray | memoryview) -> PlayStats:
        """Sends all frames, waiting for their times; returns when the last was sent or after ``stop``.

        The first call fixes the time line (its first frame is due now) unless ``start`` did. Releases the GIL.
        """
        ptr = self._open()
        data, count = lend_frames(frames)
        first, done = ffi.cast("const otr_frame *", data), ffi.new("uint32_t *")
        end = lib.OTR_PLAYER_SIGNAL
        while end == lib.OTR_PLAYER_SIGNAL:  # back in Python the signal's handler has run
            end = check(lib.otr_player_play(ptr, first, count, done), "play")
            first, count = first + done[0], count - done[0]
        return self.stats()

    def stop(self) -> None:
        """Makes ``play`` return, now and from now on. From any thread."""
        self._stopped = True
        if self._ptr is not None:
            lib.otr_player_stop(self._ptr)

    @property
    def stopped(self) -> bool:
        """Whether ``stop`` was called: what was given to ``play`` may then not all have been sent."""
        return self._stopped

    def stats(self) -> PlayStats:
        """From any thread; a moment old while another one plays."""
        raw = ffi.new("otr_play_stats *")
        lib.otr_player_get_stats(self._open(), raw)
        counts = {f.name: int(getattr(raw, f.name)) for f in fields(PlayStats) if f.name != "last_error"}
        return PlayStats(**counts, last_error=os.strerror(raw.last_errno) if raw.last_errno else "")


def ensure_virtual(
    channel: str,
    *,
    real: bool = False,
    sys_net: Path = SYS_NET,
    kind_of: Callable[[str], str | None] = link_kind,
) -> None:
    """LinkError unless ``channel`` is an interface without hardware (vcan, vxcan), or ``real`` says it is meant.

    Only these two kinds are taken: a serial-line adapter (slcan) has no device behind its interface either.
    """
    interface = sys_net / channel
    if "/" in channel or not channel or not interface.exists():
        raise LinkError(
            f"{channel}: no such network interface; `ip link add dev {channel} type vcan` makes a virtual one"
        )
    if real:
        return
    if (interface / "device").exists() or kind_of(channel) not in _VIRTUAL:
        raise LinkError(
            f"{channel}: has hardware behind it, and playing a drive there would transmit on a real bus; "
            "use a vcan interface, or say that it is meant (real=True) when nothing but the rig is on that bus"
        )


def open_can(channel: str, fd: bool = True, *, real: bool = False) -> socket.socket:
    """A CAN_RAW socket for sending on an interface. LinkError says what is missing; see ``ensure_virtual``."""
    ensure_virtual(channel, real=real)
    try:
        sock = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
    except OSError as err:
        raise LinkError(
            f"{channel}: this kernel has no CAN sockets ({os.strerror(err.errno or 0)}): modprobe can-raw"
        ) from None
    try:
        sock.setsockopt(_SOL_CAN_RAW, _CAN_RAW_FILTER, b"")  # receives nothing
        sock.setsockopt(_SOL_CAN_RAW, _CAN_RAW_FD_FRAMES, int(fd))
        sock.bind((channel,))
    except OSError as err:
        sock.close()
        raise LinkError(f"{channel}: {os.strerror(err.errno or 0)}") from None
    return sock


class UnixSender(socket.socket):
    """A datagram socket connected to a bus, with a name by which the bus knows its player; closing gives the bus back.

    See sources/unix_bus_io.py: without the name the kernel queues only some 10 frames.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._name = Path(f"{path}{PLAYER_SUFFIX}")
        self._named = self._take_name()
        try:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            self._connect(str(path))
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        if self._named:
            self._named = False
            self._name.unlink(missing_ok=True)
        super().close()

    def _take_name(self) -> bool:
        """False when the name is somebody's, or cannot be had: then the bus is shared."""
        for _attempt in range(2):
            try:
                self.bind(str(self._name))
                return True
            except OSError as err:
                if err.errno != errno.EADDRINUSE or self._lives():
                    return False
                self._name.unlink(missing_ok=True)
        return False

    def _lives(self) -> bool:
        """Whether a living process has the name; a dead one's refuses."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(str(self._name))
            except ConnectionRefusedError:
                return False
            except OSError:
                return True
        return True

    def _connect(self, path: str) -> None:
        """A bus that is still connected to the player before us refuses for a moment."""
        end = time.monotonic() + GIVE_BACK_S
        while True:
            try:
                return self.connect(path)
            except PermissionError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.01)


def open_unix(path: str | Path) -> UnixSender:
    """A datagram socket connected to the bus (``interface = "unix"``) at ``path``.

    LinkError when nobody listens or another player has the bus.
    """
    try:
        return UnixSender(Path(path))
    except OSError as err:
        reason = os.strerror(err.errno) if err.errno else str(err)  # a path that is too long has no number
        if isinstance(err, PermissionError):
            reason = "another player has it"
        raise LinkError(f"{path}: no bus ({reason}); is the daemon running with this channel?") from None
