"""A live CAN bus through python-can: messages into batches, stamped with engine time.

Any interface python-can opens: virtual, udp_multicast, slcan, socketcand, socketcan and the vendors'. One thread reads
the bus into batches of at most 20 ms or 512 frames, another delivers them, with a bounded queue between, so that a
slow receiver costs batches (counted) and never the bus its driver's buffer.
"""

from __future__ import annotations

import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from outrider.errors import ConfigError
from outrider.model.frame import FrameBatch
from outrider.ports import Clock, SourceItem
from outrider.sources.filters import FrameFilter, pack_filters
from outrider.sources.live_io import BACK_OFF_FIRST_S, BACK_OFF_MAX_S, DeviceThread
from outrider.sources.packing import pack_message
from outrider.sources.stamps import StampConverter

if TYPE_CHECKING:
    import can

MAX_BATCH_FRAMES: Final = 512
MAX_BATCH_US: Final = 20_000
QUEUE_BATCHES: Final = 128  # 2.5 s of a busy bus
IDLE_POLL_S: Final = 0.2
_CAN_ERR_BUSOFF: Final = 0x40  # linux/can/error.h


@dataclass(frozen=True, slots=True)
class CanOptions:
    """How to open one bus. ``bus``: its number in every frame. ``options`` go to the interface as they are.

    listen_only: never acknowledge or send, where the interface lets the opener decide (slcan, pcan, kvaser, systec,
    seeedstudio). For socketcan it belongs to the link: ``ip link set can0 type can listen-only on``.
    filters: what the kernel lets through (socketcan only); None is every frame. Error frames come in any case.
    """

    interface: str
    channel: str
    bitrate: int | None = None
    fd: bool = False
    listen_only: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    bus: int = 0
    back_off_s: tuple[float, float] = (BACK_OFF_FIRST_S, BACK_OFF_MAX_S)
    filters: tuple[FrameFilter, ...] | None = None


def bus_arguments(options: CanOptions) -> dict[str, Any]:
    """Keyword arguments of ``can.Bus``. An entry of ``options.options`` wins over what is derived."""
    arguments: dict[str, Any] = {
        "interface": options.interface,
        "channel": options.channel,
        "ignore_config": True,  # what is opened is what the configuration says, not what ~/.canrc says
    }
    if options.bitrate is not None:
        arguments["bitrate"] = options.bitrate
    if options.fd or options.interface == "udp_multicast":  # whose own default is FD
        arguments["fd"] = options.fd
    if options.listen_only:
        arguments |= _listen_only(options.interface)
    return arguments | options.options


def _listen_only(interface: str) -> dict[str, Any]:
    if interface == "slcan":
        return {"listen_only": True}
    if interface == "kvaser":
        return {"driver_mode": False}  # DRIVER_MODE_SILENT
    if interface == "seeedstudio":
        return {"operation_mode": "silent"}
    if interface in {"pcan", "systec"}:
        import can

        return {"state": can.BusState.PASSIVE}
    return {}


def open_bus(options: CanOptions) -> can.BusABC:
    """The bus; raises whatever the interface raises."""
    import can

    bus = can.Bus(**bus_arguments(options))
    if options.filters is not None:
        try:
            set_kernel_filters(bus.fileno(), options.filters)
        except OSError:
            bus.shutdown()
            raise
    return bus


def set_kernel_filters(fd: int, filters: tuple[FrameFilter, ...]) -> None:
    """Sets CAN_RAW_FILTER; OSError for a socket that is none of CAN_RAW.

    Not left to python-can: it never puts CAN_RTR_FLAG into the mask, and then the kernel compares every frame with
    every filter.
    """
    with socket.socket(fileno=os.dup(fd)) as raw:
        raw.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FILTER, pack_filters(filters))


class BatchQueue:
    """The queue between reader and delivery: bounded; when full the oldest item goes, its frames counted."""

    def __init__(self, limit: int) -> None:
        self._items: deque[SourceItem] = deque()
        self._limit = limit
        self._ready = threading.Condition()
        self._closed = False
        self.dropped_frames = 0

    def put(self, item: SourceItem) -> None:
        with self._ready:
            if len(self._items) >= self._limit:
                lost = self._items.popleft()
                self.dropped_frames += len(lost.frames or ())
            self._items.append(item)
            self._ready.notify()

    def get(self) -> SourceItem | None:
        """The next item; None once the queue is closed and empty."""
        with self._ready:
            while not self._items and not self._closed:
                self._ready.wait()
            return self._items.popleft() if self._items else None

    def close(self) -> None:
        with self._ready:
            self._closed = True
            self._ready.notify()


class CanSource(DeviceThread):
    """A ``LiveSource`` of frames. ``opener`` is the seam to python-can."""

    def __init__(
        self, options: CanOptions, clock: Clock, *, opener: Callable[[CanOptions], can.BusABC] = open_bus
    ) -> None:
        super().__init__(f"{options.interface}:{options.channel}", clock, options.back_off_s)
        self._options = options
        self._open = opener
        self._stamps = StampConverter(self.stats)
        self._queue = BatchQueue(QUEUE_BATCHES)
        self._delivery: threading.Thread | None = None

    def start(self, deliver: Callable[[SourceItem], None]) -> None:
        """Begin. ConfigError names an interface that python-can does not know."""
        if self._delivery is None:
            self._check()
            self._queue = BatchQueue(QUEUE_BATCHES)
            self._delivery = threading.Thread(target=self._pump, name=f"delivery {self.name}", daemon=True)
            super().start(deliver)
            self._delivery.start()

    def stop(self) -> None:
        """End; what was read is delivered first."""
        super().stop()
        self._queue.close()
        delivery, self._delivery = self._delivery, None
        if delivery is not None:
            delivery.join()

    def state(self) -> dict[str, Any]:
        self.stats.dropped = self._queue.dropped_frames
        return super().state()

    def _check(self) -> None:
        import can

        if self._options.interface not in can.VALID_INTERFACES:
            known = ", ".join(sorted(can.VALID_INTERFACES))
            raise ConfigError(f"unknown CAN interface {self._options.interface!r}; python-can knows {known}")

    def _session(self) -> None:
        bus = self._open(self._options)
        try:
            self._up()
            while not self._stop.is_set():
                first = bus.recv(IDLE_POLL_S)
                if first is None:
                    continue
                messages = [first]
                try:
                    self._collect(bus, messages)
                finally:
                    self._batch(messages)  # also what came before the bus failed
        finally:
            bus.shutdown()

    def _collect(self, bus: can.BusABC, messages: list[can.Message]) -> None:
        """Adds what arrives within a batch's time."""
        recv, now, add = bus.recv, self._clock.boottime_us, messages.append
        end_us = now() + MAX_BATCH_US
        while len(messages) < MAX_BATCH_FRAMES:
            left_us = end_us - now()
            if left_us <= 0:
                break
            message = recv(left_us / 1e6)
            if message is not None:
                add(message)

    def _batch(self, messages: list[can.Message]) -> None:
        boot_us, real_us = self._clock.boottime_us(), self._clock.utc_us()
        times = self._stamps.convert([m.timestamp for m in messages], boot_us, real_us)
        number = self._options.bus
        frames = [pack_message(m, t, number) for m, t in zip(messages, times, strict=True)]
        good = [f for f in frames if f is not None]
        self.stats.malformed += len(frames) - len(good)
        self._count(messages)
        if not good:
            return
        batch = FrameBatch()
        batch.extend_raw(b"".join(good))
        self.stats.frames += len(good)
        self._heard(boot_us)
        self._queue.put(SourceItem(times[-1], frames=batch))

    def _count(self, messages: list[can.Message]) -> None:
        for message in messages:
            if message.is_error_frame:
                self.stats.error_frames += 1
                if message.arbitration_id & _CAN_ERR_BUSOFF:
                    self.stats.bus_off += 1
            if not message.is_rx:
                self.stats.echoes += 1

    def _pump(self) -> None:
        while (item := self._queue.get()) is not None:
            self._hand_over(item)
