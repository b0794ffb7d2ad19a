"""A drive played onto buses and a serial line at once, from one zero: what rigs and suites use.

Frames go through the native player, sentences through ``NmeaPlayer``; each has its own thread. The daemon under test
sees what it would have seen in the car, ``speed`` times as fast. Both threads ask for real-time scheduling, since a
frame that leaves late is stamped late; without the right to it (CAP_SYS_NICE) they run as all others do, and ``stats``
tells how late they were.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from outrider.engine import Player, PlayStats
from outrider.ports import Clock
from outrider.sources.drive_io import Drive
from outrider.sources.nmea_player_io import NmeaPlayer, NmeaPlayStats

LEAD_S: Final = 0.1  # between ``start`` and the drive's zero: both threads are ready by then


@dataclass(frozen=True, slots=True)
class PlaybackStats:
    frames: PlayStats
    gnss: NmeaPlayStats

    @property
    def complete(self) -> bool:
        """Everything was sent: nothing refused, nothing lost on the line, no frame of a bus without a socket."""
        return not (self.frames.refused or self.frames.unrouted or self.gnss.lost)


class Playback:
    """Plays ``drive`` once. A context manager: leaving it stops what still runs.

    fds: socket by bus number (``open_can``, ``open_unix``). gnss_fd: the line's end of the receiver, such as the master
    of a pty; None: sentences are left out. speed: above 0; with a daemon of ``--rig-speed N`` it is N.
    """

    def __init__(
        self,
        drive: Drive,
        fds: Mapping[int, int],
        clock: Clock,
        *,
        gnss_fd: int | None = None,
        speed: float = 1.0,
        gather_us: int = 0,
    ) -> None:
        self.drive = drive
        self._clock = clock
        self._speed = speed
        self._player = Player(fds, speed=speed, gather_us=gather_us)
        self._gnss = None if gnss_fd is None else NmeaPlayer(gnss_fd, clock, speed=speed)
        self._threads: list[threading.Thread] = []
        self._faults: list[BaseException] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def start(self) -> int:
        """Begins; CLOCK_BOOTTIME [us] of the drive's zero."""
        start_us = self._clock.boottime_us() + round(LEAD_S * 1e6)
        self._player.start(start_us, 0)
        self._launch("player", lambda: self._player.play(self.drive.frames))
        gnss = self._gnss
        if gnss is not None:
            self._launch("nmea player", lambda: gnss.play(self.drive.sentences, start_us))
        return start_us

    @property
    def start_boot_us(self) -> int:
        """CLOCK_BOOTTIME of the drive's zero; 0 before ``start``."""
        return self._player.start_boot_us

    def boot_us(self, t_us: int) -> int:
        """CLOCK_BOOTTIME at which time ``t_us`` of the drive is due."""
        return self.start_boot_us + round(t_us / self._speed)

    @property
    def running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def wait(self, timeout_s: float | None = None) -> PlaybackStats:
        """Until all is sent or stopped; raises what a thread raised. TimeoutError after ``timeout_s``."""
        for thread in self._threads:
            thread.join(timeout_s)
            if thread.is_alive():
                raise TimeoutError(f"{self.drive.name}: still playing after {timeout_s} s: {self.stats()}")
        if self._faults:
            raise self._faults[0]
        return self.stats()

    def stats(self) -> PlaybackStats:
        """Of now."""
        return PlaybackStats(self._player.stats(), NmeaPlayStats() if self._gnss is None else self._gnss.stats)

    def stop(self) -> None:
        """Makes an end; from any thread."""
        self._player.stop()
        if self._gnss is not None:
            self._gnss.stop()

    def close(self) -> None:
        """Stops and gives everything back; the descriptors stay the caller's."""
        self.stop()
        for thread in self._threads:
            thread.join()
        self._player.close()

    def _launch(self, name: str, body: Callable[[], object]) -> None:
        def run() -> None:
            try:
                if not math.isinf(self._speed):
                    _in_real_time()
                body()
            except BaseException as err:  # noqa: BLE001  # handed to who waits
                self._faults.append(err)

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()


def _in_real_time() -> None:
    """For the calling thread, where the system allows it. It sleeps nearly all the time, and keeps nobody from work."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
