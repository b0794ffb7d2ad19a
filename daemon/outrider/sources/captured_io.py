"""SocketCAN: python-can opens and configures the bus, the native capture reads it on the owner's thread.

``CapturedSource`` keeps one bus open, as every source keeps its device: its thread opens it, hands the descriptor over
and waits until it is lost. ``CaptureDesk`` stands between these threads and the owner, who alone touches the capture.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from outrider.engine import BusStats, Capture, CaptureEnd
from outrider.errors import EngineError
from outrider.ports import Clock
from outrider.sources.can_io import CanOptions, open_bus
from outrider.sources.live_io import DeviceThread, LostError

SYS_NET: Final = Path("/sys/class/net")
_COUNTERS: Final = (
    "frames", "echoes", "error_frames", "controller_overflows", "malformed", "socket_lost", "held", "restamped",
    "hardware", "hardware_refused",
)  # fmt: skip


class OpenBus(Protocol):
    """What an opener gives: ``can.BusABC`` is one."""

    def fileno(self) -> int: ...

    def shutdown(self) -> None: ...


class CaptureDesk:
    """Requests of source threads, carried out by the owner between two runs of the capture; bounded by the buses."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._requests: deque[tuple[CapturedSource, int]] = deque()  # descriptor, -1: take the bus out
        self._captured: dict[int, CapturedSource] = {}

    # -- any thread -----------------------------------------------------------------------------------

    def hand_in(self, source: CapturedSource, fd: int) -> None:
        """Asks to read this bus, from a copy of ``fd``; ``source.lost`` is called when that fails."""
        self._requests.append((source, os.dup(fd)))
        self._capture.wake()

    def take_back(self, source: CapturedSource) -> None:
        """Asks to read this bus no more."""
        self._requests.append((source, -1))
        self._capture.wake()

    def wake(self) -> None:
        """Makes ``serve`` return soon."""
        self._capture.wake()

    # -- the owner ------------------------------------------------------------------------------------

    def serve(self, timeout_s: float) -> CaptureEnd:
        """Carries out requests, reads buses and runs the engine for at most ``timeout_s``, tells the sources."""
        self._carry_out()
        end = self._capture.run(timeout_s)
        steps = self._capture.clock_steps()
        for bus, source in list(self._captured.items()):
            stats = self._capture.stats(bus)
            source.note(stats, steps)
            if stats.lost_errno:
                self._take_out(bus)
                source.lost(os.strerror(stats.lost_errno))
        return end

    def close(self) -> None:
        """Lets go of what was handed in and not yet read."""
        while self._requests:
            _source, fd = self._requests.popleft()
            if fd >= 0:
                os.close(fd)

    def _carry_out(self) -> None:
        while self._requests:
            source, fd = self._requests.popleft()
            self._take_out(source.bus)
            if fd >= 0:
                self._add(source, fd)

    def _take_out(self, bus: int) -> None:
        self._capture.remove(bus)
        self._captured.pop(bus, None)

    def _add(self, source: CapturedSource, fd: int) -> None:
        try:
            self._capture.add(fd, source.bus, local=source.virtual)
        except (EngineError, OSError) as err:
            source.lost(str(err))
        else:
            self._captured[source.bus] = source
        finally:
            os.close(fd)


class CapturedSource(DeviceThread):
    """A ``LiveSource`` whose frames go past ``deliver``, from the socket to the engine.

    ``opener`` is the seam to python-can.
    """

    def __init__(
        self,
        options: CanOptions,
        clock: Clock,
        desk: CaptureDesk,
        *,
        opener: Callable[[CanOptions], OpenBus] = open_bus,
        sys_net: Path = SYS_NET,
    ) -> None:
        super().__init__(f"{options.interface}:{options.channel}", clock, options.back_off_s)
        self.bus: Final = options.bus
        self.virtual = False
        self._options = options
        self._desk = desk
        self._open = opener
        self._sys_net = sys_net
        self._gone = threading.Event()
        self._reason = ""
        self._before: dict[str, int] = {}  # counters of earlier sessions
        self._now: dict[str, int] = {}  # of this one
        self._gauges: dict[str, int] = {}
        self._filters = len(options.filters or ())

    def stop(self) -> None:
        self._stop.set()
        self._gone.set()
        super().stop()

    def state(self) -> dict[str, Any]:
        """As every source, and ``receive_buffer`` (bytes granted), ``filters`` (set in the kernel), ``error_<class>``
        for each class that was seen."""
        now, before = self._now, self._before
        total = {name: now.get(name, 0) + before.get(name, 0) for name in {**before, **now}}
        return super().state() | {k: v for k, v in sorted((total | self._gauges).items()) if v}

    # -- called by the owner --------------------------------------------------------------------------

    def note(self, stats: BusStats, clock_steps: int) -> None:
        """Counters of the running session."""
        counters = {name: getattr(stats, name) for name in _COUNTERS}
        counters |= {f"error_{name}": count for name, count in stats.errors.items()}
        counters["bus_off"] = counters.pop("error_bus_off")
        if counters["frames"] > self._now.get("frames", 0):
            self._heard(stats.last_us)
        self._now = counters
        self._gauges = {"receive_buffer": stats.receive_buffer, "clock_steps": clock_steps, "filters": self._filters}

    def lost(self, reason: str) -> None:
        """The bus is no longer read."""
        self._reason = reason
        self._gone.set()

    # -- the thread -----------------------------------------------------------------------------------

    def _check(self) -> None:
        """Nothing to check: python-can brings socketcan along."""

    def _session(self) -> None:
        bus = self._open(self._options)
        try:
            self.virtual = self._is_virtual()
            self._gone.clear()
            self._keep_counters()
            if self._stop.is_set():
                return
            self._up()
            self._desk.hand_in(self, bus.fileno())
            self._attend(bus)
            if not self._stop.is_set():
                raise LostError(self._reason)
        finally:
            self._desk.take_back(self)
            bus.shutdown()

    def _attend(self, bus: OpenBus) -> None:
        """Until the bus is lost or the source stops."""
        del bus
        self._gone.wait()

    def _is_virtual(self) -> bool:
        """Whether frames of others on this host are traffic: there is no device, so all are."""
        return not (self._sys_net / self._options.channel / "device").exists()

    def _keep_counters(self) -> None:
        now, self._now = self._now, {}
        self._before = {name: now.get(name, 0) + self._before.get(name, 0) for name in {**self._before, **now}}
