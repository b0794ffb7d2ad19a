"""What may go wrong with a terminal in a car, each as a small object: ``inject`` it, look, ``heal`` it, look again.

A fault of your own has a ``name`` and these two methods, and is used with ``with during(fault):``. Rule: ``heal`` is
safe after a half-done ``inject`` and leaves the rig as it was; what is wrong with the terminal is for the test to say.
Faults of disks are in ``faults_disk``, of the way to the broker in ``faults_net``.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar

from hil.rig.can import Vcan
from hil.rig.car import Car
from hil.rig.gnss import GnssPty
from hil.rig.terminal import Terminal


class Fault(Protocol):
    """Something that goes wrong and is repaired."""

    @property
    def name(self) -> str:
        """What a person would call it."""

    def inject(self) -> None: ...

    def heal(self) -> None: ...


F = TypeVar("F", bound=Fault)


@contextmanager
def during(fault: F) -> Iterator[F]:
    """The fault holds within the block, and is healed whatever happens there."""
    try:
        fault.inject()
        yield fault
    finally:
        fault.heal()


class ClockStep:
    """The wall clock is set, as by a first NTP answer or by hand; healed, it goes on as if nothing had been."""

    def __init__(self, name: str, to_utc_s: float) -> None:
        self.name: Final = name
        self._to_utc_s = to_utc_s
        self._offset_s = 0.0

    @classmethod
    def by(cls, seconds: float) -> ClockStep:
        return cls(f"wall clock set by {seconds:+.0f} s", time.time() + seconds)

    def inject(self) -> None:
        self._offset_s = time.time() - time.monotonic()
        time.clock_settime(time.CLOCK_REALTIME, self._to_utc_s)

    def heal(self) -> None:
        if self._offset_s:
            time.clock_settime(time.CLOCK_REALTIME, time.monotonic() + self._offset_s)


class GnssUnplugged:
    """The receiver's cable is pulled."""

    name: Final = "GNSS receiver unplugged"

    def __init__(self, gnss: GnssPty) -> None:
        self._gnss = gnss

    def inject(self) -> None:
        self._gnss.pull_out()

    def heal(self) -> None:
        self._gnss.plug_in()


class AntennaOff:
    """The receiver is alive and sees no satellites, as in a tunnel or with a cut antenna cable."""

    name: Final = "antenna off"

    def __init__(self, car: Car) -> None:
        self._car = car

    def inject(self) -> None:
        self._car.sky = False

    def heal(self) -> None:
        self._car.sky = True


class BusUnplugged:
    """The adapter is pulled out while the daemon reads it: the interface vanishes."""

    def __init__(self, bus: Vcan) -> None:
        self.name: Final = f"{bus.name} unplugged"
        self._bus = bus

    def inject(self) -> None:
        self._bus.remove()

    def heal(self) -> None:
        self._bus.make()


class BusDown:
    """Somebody sets the link down."""

    def __init__(self, bus: Vcan) -> None:
        self.name: Final = f"{bus.name} down"
        self._bus = bus

    def inject(self) -> None:
        self._bus.down()

    def heal(self) -> None:
        self._bus.up()


class Frozen:
    """The machine sleeps: the process does not run, time goes on, the bus does not wait."""

    name: Final = "terminal frozen"

    def __init__(self, terminal: Terminal) -> None:
        self._pid = terminal.pid

    def inject(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def heal(self) -> None:
        os.kill(self._pid, signal.SIGCONT)


class Killed:
    """SIGKILL in the middle of whatever it was doing; healed, it has been started again."""

    name: Final = "terminal killed"

    def __init__(self, terminal: Terminal, *, wait: bool = True) -> None:
        self._terminal = terminal
        self._wait = wait

    def inject(self) -> None:
        self._terminal.kill()

    def heal(self) -> None:
        self._terminal.start(wait=self._wait)
