"""Device mapper: block devices that log what is written (log-writes) or fail on demand (flakey).

Tables are set with ``dmsetup``; marks go to the kernel by ioctl, since a test marks at every commit. Kernel reference:
Documentation/admin-guide/device-mapper/{log-writes,dm-flakey}.rst.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from hil.rig.disk_loop import SECTOR, LoopDevice
from hil.rig.shell import run

_IOCTL: Final = struct.Struct("=3I7IQ128s129s7x")  # struct dm_ioctl of <linux/dm-ioctl.h>, 312 bytes
_TARGET_MSG: Final = 3 << 30 | _IOCTL.size << 16 | 0xFD << 8 | 14
_DMSETUP: Final = ("dmsetup", "--noudevrules", "--noudevsync")  # a guest may have no udev


class Mapping:
    """A mapped device with a table of one target."""

    def __init__(self, name: str, table: str) -> None:
        self.name: Final = name
        run(*_DMSETUP, "create", name, "--table", table)
        minor = run("dmsetup", "info", "--columns", "--noheadings", "-o", "minor", name).strip()
        self.device: Final = Path(f"/dev/dm-{minor}")

    def change(self, *lines: str) -> None:
        """Another table at once; what is under way is finished with the old one."""
        with NamedTemporaryFile("w", suffix=".table") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            run(*_DMSETUP, "reload", self.name, file.name)
        run(*_DMSETUP, "suspend", "--noflush", "--nolockfs", self.name)
        run(*_DMSETUP, "resume", self.name)

    def close(self) -> None:
        run(*_DMSETUP, "remove", "--retry", self.name)


class LogWrites(Mapping):
    """Everything written to ``disk`` goes to ``log`` too, in the order in which the disk promised to keep it."""

    def __init__(self, name: str, disk: LoopDevice, log: LoopDevice) -> None:
        super().__init__(name, f"0 {disk.sectors} log-writes {disk.device} {log.device}")
        self._control = os.open("/dev/mapper/control", os.O_RDWR | os.O_CLOEXEC)

    def mark(self, text: str) -> None:
        """Put ``text`` (no blanks, ASCII, below 400 bytes) into the log, behind all that is durable now."""
        message = struct.pack("=Q", 0) + b"mark " + text.encode("ascii") + b"\0"
        size = _IOCTL.size + len(message)
        head = _IOCTL.pack(4, 0, 0, size, _IOCTL.size, 0, 0, 0, 0, 0, 0, self.name.encode("ascii"), b"")
        fcntl.ioctl(self._control, _TARGET_MSG, bytearray(head + message))

    def close(self) -> None:
        os.close(self._control)
        super().close()


class Flakey(Mapping):
    """A disk that works until it is told otherwise."""

    def __init__(self, name: str, disk: LoopDevice) -> None:
        self._disk = disk
        self._plain = f"0 {disk.sectors} linear {disk.device} 0"
        self._flaky = f"0 {disk.sectors} flakey {disk.device} 0 0 3600 1"
        super().__init__(name, self._plain)

    def refuse_writes(self) -> None:
        """Every write is an I/O error; reading works."""
        self.change(f"{self._flaky} error_writes")

    def drop_writes(self) -> None:
        """Every write is called a success and never happens: a card that lies."""
        self.change(f"{self._flaky} drop_writes")

    def lose(self, offset: int, size: int) -> None:
        """These bytes of the disk are bad sectors: reading and writing them is an I/O error, all else works."""
        first, count, end = offset // SECTOR, -(-size // SECTOR), self._disk.sectors
        rest = first + count
        self.change(
            f"0 {first} linear {self._disk.device} 0",
            f"{first} {count} error",
            f"{rest} {end - rest} linear {self._disk.device} {rest}",
        )

    def work(self) -> None:
        self.change(self._plain)
