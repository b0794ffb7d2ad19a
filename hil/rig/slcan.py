"""A CAN adapter played on a pseudo-terminal: the kernel's slcan driver makes a real interface of it.

What it says becomes the kernel's own frames, error frames, counters and controller states, so that error-passive,
bus-off and overflows can be had without a wire. It knows the bit rate it was set to, and hears a wire of another one
as errors. Protocol: drivers/net/can/slcan/slcan-core.c; commands ``S6`` (rate), ``O`` and ``L`` (open, open listening),
``C`` (close).
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
import threading
import tty
from contextlib import suppress
from typing import Final

from hil.rig.can import Interface, interfaces
from hil.rig.patience import Patience
from hil.rig.resources import VM_HINT, in_guest
from hil.rig.shell import works

N_SLCAN: Final = 17  # asm-generic/termbits: number of the line discipline
RATES: Final = (10_000, 20_000, 50_000, 100_000, 125_000, 250_000, 500_000, 800_000, 1_000_000)  # S0 .. S8
FRAME: Final = b"t1234DEADBEEF\r"
STUFF_ERROR: Final = b"e1s\r"
PASSIVE: Final = b"sp000130\r"
ACTIVE: Final = b"sa000000\r"
BUS_OFF: Final = b"sb000255\r"
OVERFLOW: Final = b"e1o\r"
GAP_S: Final = 0.01


def slcan_missing() -> str | None:
    """The driver, in the rig's own machine."""
    if in_guest() and works("modprobe", "-q", "slcan"):
        return None
    return f"plays an adapter for the kernel's slcan driver: {VM_HINT}"


class SlcanAdapter(Interface):
    """Plugged in by its making, pulled out by ``pull_out``.

    ``wire``: bit rate of the traffic it hears while open, None = silence.
    """

    def __init__(self, wire: int | None = None) -> None:
        before = interfaces()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        fcntl.ioctl(self._slave, termios.TIOCSETD, struct.pack("i", N_SLCAN))
        (name,) = interfaces() - before
        super().__init__(name)
        self.wire = wire
        self.rate: int | None = None
        self.opened = ""  # "O", "L" or "" for closed
        self.commands: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play, name=f"adapter {name}", daemon=True)
        self._thread.start()

    def says(self, *words: bytes) -> None:
        """Frames, errors and states, to the driver."""
        for word in words:
            os.write(self._master, word)

    def pull_out(self, patience: Patience) -> None:
        """Its interface goes away."""
        self._stop.set()
        self._thread.join(patience.bound_s(10))
        os.close(self._slave)
        os.close(self._master)
        patience.wait(f"{self.name} is gone", lambda: not self.exists)

    def _play(self) -> None:
        rest = b""
        while not self._stop.is_set():
            if select.select([self._master], [], [], GAP_S)[0]:
                with suppress(OSError):
                    rest += os.read(self._master, 4096)
                *lines, rest = rest.split(b"\r")
                for line in lines:
                    self._obey(line.decode("ascii", "replace"))
            elif self.opened and self.wire is not None:
                self.says(FRAME if self.rate == self.wire else STUFF_ERROR)

    def _obey(self, command: str) -> None:
        self.commands.append(command)
        if command[:1] == "S":
            self.rate = RATES[int(command[1:])]
        elif command in {"O", "L"}:
            self.opened = command
        elif command == "C":
            self.opened = ""
