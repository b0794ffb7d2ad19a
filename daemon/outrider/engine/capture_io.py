"""SocketCAN buses read in C, straight into an engine. native/include/outrider/capture.h says how and with what limits.

Rule: frames never become Python objects. One thread, the engine's owner, calls everything but ``wake`` and ``stop``.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, fields
from enum import IntEnum
from types import TracebackType
from typing import Any, Final, Self

from outrider.engine.engine import Engine
from outrider.engine.native import aligned, check, ffi, lib
from outrider.errors import EngineError

# Bits of an error frame's class (linux/can/error.h), in order.
ERROR_CLASSES: Final = (
    "tx_timeout", "lost_arbitration", "controller", "protocol", "transceiver", "no_ack", "bus_off", "bus_error",
    "restarted", "counters",
)  # fmt: skip


class CaptureEnd(IntEnum):
    """Why ``Capture.run`` returned. Whatever it was, outputs may be waiting in the engine."""

    TIMEOUT = 0
    OUTPUT = 1  # too little room for outputs, or evidence to be saved: take them
    TAPE = 2
    URGENT = 3  # news of a crash among the outputs
    WAKE = 4
    STOP = 5
    LOST = 6  # a bus failed: see ``lost_errno``
    SIGNAL = 7


@dataclass(frozen=True, slots=True)
class CaptureOptions:
    """receive_buffer: bytes of kernel memory for each bus. gather_us: how long frames may gather before they are read.

    merge_window_us: the engine runs so far behind now that other sources can keep up. time_scale: seconds of engine
    time a second, for drives played faster than they were; the other two stay times of the machine.
    """

    receive_buffer: int = 8 << 20
    gather_us: int = 5_000
    merge_window_us: int = 20_000
    time_scale: int = 1


@dataclass(frozen=True, slots=True)
class BusStats:
    """Counters of one bus, as in capture.h. errors: frames by class, the names of ERROR_CLASSES."""

    frames: int
    echoes: int
    error_frames: int
    controller_overflows: int
    malformed: int
    socket_lost: int
    held: int
    restamped: int
    hardware: int
    hardware_refused: int
    reads: int
    last_us: int
    receive_buffer: int
    lost_errno: int
    errors: dict[str, int]


class Capture:
    """Reads the buses given to it and runs ``engine``. A context manager; close it before the engine."""

    def __init__(self, engine: Engine, options: CaptureOptions = CaptureOptions()) -> None:
        self._engine = engine
        self._fds: dict[int, int] = {}
        config = ffi.new("otr_capture_config *")
        lib.otr_capture_config_default(config)
        for option in fields(CaptureOptions):
            setattr(config, option.name, getattr(options, option.name))
        self._stop_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        config.stop_fd, config.wake_fd = self._stop_fd, self._wake_fd
        size = lib.otr_capture_size()
        self._memory, memory = aligned(size)
        out = ffi.new("otr_capture **")
        try:
            check(lib.otr_capture_init(memory, size, config, out), "capture options")
        except EngineError:
            self._close_signals()
            raise
        self._ptr: Any = out[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of all buses. Allowed more than once."""
        if self._ptr is not None:
            for bus in list(self._fds):
                self.remove(bus)
            lib.otr_capture_close(self._ptr)
            self._ptr = None
            self._close_signals()

    def _close_signals(self) -> None:
        stop, self._stop_fd = self._stop_fd, -1
        wake, self._wake_fd = self._wake_fd, -1
        os.close(stop)
        os.close(wake)

    def _open(self) -> Any:
        if self._ptr is None:
            raise EngineError("the capture is closed", lib.OTR_ERR_STATE)
        return self._ptr

    # -- buses ----------------------------------------------------------------------------------------

    def add(self, fd: int, bus: int, *, local: bool = False) -> None:
        """Reads a datagram socket of CAN frames as bus number ``bus``, from its own copy of ``fd``.

        local: frames of other programs on this host are traffic, not echoes (virtual buses). EngineError for a number
        that the engine has no inbox for or that is in use, OSError when the socket is refused.
        """
        ptr = self._open()
        if not 0 <= bus < self._engine.frame_inboxes:
            raise EngineError(
                f"bus {bus}: the engine has {self._engine.frame_inboxes} frame inboxes", lib.OTR_ERR_INVAL
            )
        if bus in self._fds:
            raise EngineError(f"bus {bus} is being captured already", lib.OTR_ERR_STATE)
        own = os.dup(fd)
        if lib.otr_capture_add(ptr, own, bus, local) != lib.OTR_OK:
            error = ffi.errno
            os.close(own)
            raise OSError(error, f"bus {bus}: descriptor {fd} cannot be captured: {os.strerror(error)}")
        self._fds[bus] = own

    def remove(self, bus: int) -> None:
        """Nothing happens when the bus is not there."""
        own = self._fds.pop(bus, None)
        if own is not None:
            lib.otr_capture_remove(self._open(), bus)  # refused for one that was lost: it is out already
            os.close(own)

    @property
    def buses(self) -> tuple[int, ...]:
        """Numbers of the buses that were added and not removed, lost ones among them."""
        return tuple(self._fds)

    # -- work -----------------------------------------------------------------------------------------

    def run(self, timeout_s: float) -> CaptureEnd:
        """Reads and runs the engine for at most ``timeout_s``, or until something needs the owner. Releases the GIL."""
        ptr, engine = self._open(), self._engine.owned()
        timeout_us = round(timeout_s * 1e6)
        end = CaptureEnd(check(lib.otr_capture_run(ptr, engine, timeout_us), "capture run"))
        if end is CaptureEnd.TAPE:
            self._engine.drain_tape()
        return end

    def stats(self, bus: int) -> BusStats:
        """Counters since the bus was added; they stay after it was removed."""
        raw = ffi.new("otr_bus_stats *")
        check(lib.otr_capture_get_stats(self._open(), bus, raw), f"bus {bus}")
        counts = {f.name: int(getattr(raw, f.name)) for f in fields(BusStats) if f.name != "errors"}
        return BusStats(**counts, errors=dict(zip(ERROR_CLASSES, map(int, raw.error_class), strict=True)))

    def clock_steps(self) -> int:
        """How often the wall clock was seen to step."""
        return int(lib.otr_capture_clock_steps(self._open()))

    # -- any thread -----------------------------------------------------------------------------------

    def wake(self) -> None:
        """Makes ``run`` return, now or the next time it is called. From any thread, also after ``close``."""
        _signal(self._wake_fd)

    def stop(self) -> None:
        """Makes every ``run`` return at once from now on. From any thread and from signal handlers."""
        _signal(self._stop_fd)


def disconnect(fd: int) -> None:
    """Lets anybody send to a datagram socket again that was connected to one peer; what is queued from it is dropped.

    Python's own sockets cannot do that. OSError when the system refuses.
    """
    if lib.otr_capture_disconnect(fd) != lib.OTR_OK:
        raise OSError(ffi.errno, os.strerror(ffi.errno))


def _signal(fd: int) -> None:
    if fd >= 0:
        with suppress(BlockingIOError):  # the counter is full: it is readable as it is
            os.eventfd_write(fd, 1)
