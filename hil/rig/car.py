"""A car to be recorded: control units on a bus and a GNSS receiver, at the pace of the road, as long as a test wants.

For tests of faults, where the drive is only there to be recorded: steady speed, straight on, few frames. Whole drives
come from ``outrider.sim`` (test_04). Layout and checksums are those of the bundled profile ``simcar``. What cannot be
sent, because a test has pulled a plug, is lost as on the road.
"""

from __future__ import annotations

import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from hil.rig.gnss import GnssPty
from hil.rig.protocols import CanBus
from outrider.sim.dbc import crc8_j1850, layout
from outrider.sim.gnss import Solution
from outrider.sim.nmea import epoch
from tests.support.can_feed import classic

CYCLE_S: Final = 0.1
M_PER_DEG: Final = 111_195.0
START: Final = (48.137, 11.575)  # degrees; it drives north
UTC_START: Final = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)


class Car:
    """Drives from ``start`` to ``stop``. ``bags()`` fires the airbags; ``sent``: frames the bus took.

    ``utc``: what the satellites say it is when it starts; the receiver speaks once a second where there is one.
    """

    def __init__(
        self, bus: CanBus, gnss: GnssPty | None = None, *, kmh: float = 50.0, utc: datetime = UTC_START
    ) -> None:
        self.kmh = kmh
        self.utc: Final = utc
        self.sent = 0
        self.epochs = 0
        self.sky = True  # False: the receiver speaks, and has no position
        self.fired = threading.Event()
        self._bus, self._gnss = bus, gnss
        self._layout = layout()
        self._counters: dict[str, int] = {}
        self._sock: socket.socket | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._drive, name="car")
        self._began = 0.0

    def start(self) -> None:
        self._began = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()
        self._close()

    def bags(self) -> None:
        """An accident, as the restraint system tells it: at once, and in every cycle from then on."""
        self.fired.set()

    # -- the thread ----------------------------------------------------------------------------------------

    def _drive(self) -> None:
        """Deadlines on CLOCK_MONOTONIC: a step of the wall clock, which tests make, changes nothing here."""
        cycle = 0
        while not self._end.is_set():
            self._units()
            if self._gnss is not None and cycle % 10 == 0:
                self._receiver(cycle // 10)
            cycle += 1
            self._end.wait(max(0.0, self._began + cycle * CYCLE_S - time.monotonic()))

    def _units(self) -> None:
        bags = float(self.fired.is_set())
        self._send("SRS_Status", bags, bags, 0.0, 0.0, bags, bags, bags, 1.0, 0.0, 0.0)
        self._send("ENG_Speed", 25.0 * self.kmh + 800.0, 20.0, 15.0, 60.0, 1.0)
        self._send("ESC_Speed", self.kmh, 1.0, float(self.kmh == 0.0))
        self._send("BCM_Power", 2.0, 0.0, 0.0, 0.0, 0.0, 1.0, bags, 0.0, 0.0, 1.0)

    def _send(self, name: str, *values: float) -> None:
        message = self._layout[name]
        count = self._counters.get(name, 0)
        self._counters[name] = (count + 1) % 15
        data = message.pack((*values, count, 0))[:7]
        data += bytes((crc8_j1850(data + bytes((message.frame_id & 0xFF,))),))
        try:
            if self._sock is None:
                self._sock = self._bus.sender()
                self._sock.settimeout(CYCLE_S)
            self._sock.send(classic(message.frame_id, data))
        except OSError:
            self._close()  # the interface is gone or down; there is no one to hear it
        else:
            self.sent += 1

    def _close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _receiver(self, second: int) -> None:
        north = self.kmh / 3.6 * second / M_PER_DEG
        solution = Solution(
            float(second), 3, START[0] + north, START[1], 519.0, self.kmh / 3.6, 0.0, 0.9, 2.0, tuple(range(1, 9))
        )
        if not self.sky:
            solution = Solution(float(second), 0)
        sentences = b"".join(epoch(solution, self.utc + timedelta(seconds=second)))
        assert self._gnss is not None
        if self._gnss.mutters(sentences):
            self.epochs += 1
