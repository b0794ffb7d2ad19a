"""A GNSS receiver on a pseudo-terminal behind a stable device name, as udev gives it."""

from __future__ import annotations

import os
import threading
import tty
from pathlib import Path
from typing import Final


class GnssPty:
    """Fulfils ``Gnss``. The rig holds the slave open too, so that bytes wait for a terminal that is starting."""

    def __init__(self, link: Path) -> None:
        self.device: Final = link
        self._master = self._slave = -1
        self._plug = threading.Lock()
        self.plug_in()

    @property
    def fd(self) -> int:
        """Where a player writes the receiver's sentences."""
        return self._master

    def plug_in(self) -> None:
        """A new serial device behind the same name."""
        with self._plug:
            self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.device.unlink(missing_ok=True)
        self.device.symlink_to(os.ttyname(self._slave))

    def pull_out(self) -> None:
        """The name goes and the line hangs up."""
        if self._master >= 0:
            self.device.unlink(missing_ok=True)
            with self._plug:
                os.close(self._slave)
                os.close(self._master)
                self._master = self._slave = -1

    def says(self, data: bytes) -> None:
        """Bytes as the receiver sends them; waits while the line is full."""
        while data:
            data = data[os.write(self._master, data) :]

    def mutters(self, data: bytes) -> bool:
        """As ``says``, but never waits, and safe beside ``pull_out``. False: nobody reads, or the plug is out."""
        with self._plug:
            if self._master < 0:
                return False
            os.set_blocking(self._master, False)
            try:
                return os.write(self._master, data) == len(data)
            except OSError:
                return False
            finally:
                os.set_blocking(self._master, True)
