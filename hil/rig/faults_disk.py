"""Faults of the terminal's disk: full, read-only, refusing, and lying."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from hil.rig.disk import GuestDisk
from hil.rig.disk_loop import LoopDevice, Mount, make_file_system
from hil.rig.disk_mapper import Flakey
from hil.rig.shell import run

CHUNK: Final = 64 * 1024
_EXTENT: Final = re.compile(r"\s*\d+:\s*(\d+)\.\.\s*(\d+):\s*(\d+)\.\.")


class DiskFull:
    """Something else on the disk takes all of its space."""

    name: Final = "disk full"

    def __init__(self, place: Path) -> None:
        self._hog = place / "hog.bin"

    def inject(self) -> None:
        """Written, not merely reserved, down to the last block."""
        fd = os.open(self._hog, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            for size in (CHUNK, 4096):
                with suppress(OSError):
                    while True:
                        os.write(fd, bytes(size))
            with suppress(OSError):
                os.fsync(fd)
        finally:
            os.close(fd)
        left = os.statvfs(self._hog)
        assert left.f_bavail * left.f_frsize < CHUNK, f"{left.f_bavail} blocks are still free"

    def heal(self) -> None:
        self._hog.unlink(missing_ok=True)


class ReadOnly:
    """ext4 has found an error and mounted itself read-only (``errors=remount-ro``). Healed by unmounting, as a restart
    of the machine does: the terminal must have ended by then."""

    name: Final = "disk read-only"

    def __init__(self, disk: GuestDisk) -> None:
        self._disk = disk

    def inject(self) -> None:
        """The kernel's own way to simulate it: ext4(5), option ``abort``."""
        run("mount", "-o", "remount,abort", self._disk.path)

    def heal(self) -> None:
        self._disk.unmount()
        self._disk.mount()


class FlakyDisk:
    """ext4 on a disk that fails on demand, mounted at ``place``."""

    def __init__(self, directory: Path, size_bytes: int = 32 << 20, name: str = "outrider-flaky") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.place: Final = directory / "mnt"
        with ExitStack() as devices:
            loop = LoopDevice(directory / "disk.img", size_bytes)
            devices.callback(loop.close)
            make_file_system(loop.device)
            self.medium: Final = Flakey(name, loop)
            devices.callback(self.medium.close)
            self._mount = Mount(self.medium.device, self.place)
            self._devices = devices.pop_all()

    def power_cycle(self, medium: Callable[[], None]) -> None:
        """Unmount, do something to the medium, mount again: ext4 recovers. The terminal must have ended."""
        self._mount.close()
        medium()
        self._mount = Mount(self.medium.device, self.place)

    def close(self) -> None:
        try:
            self._mount.close()
        finally:
            self._devices.close()


def place_on_disk(file: Path, offset: int) -> int:
    """Where byte ``offset`` of a file lies on its block device (whole blocks of 4 KiB)."""
    for line in run("filefrag", "-v", "-b4096", file).splitlines():
        found = _EXTENT.match(line)
        if found and int(found[1]) <= offset // 4096 <= int(found[2]):
            return (int(found[3]) + offset // 4096 - int(found[1])) * 4096
    raise LookupError(f"{file}: no extent for byte {offset}")


class BadBlock:
    """A block of 4 KiB under a file can neither be read nor written any more."""

    name: Final = "bad block"

    def __init__(self, disk: Flakey, file: Path, offset: int) -> None:
        self._disk = disk
        self._at = place_on_disk(file, offset)

    def inject(self) -> None:
        self._disk.lose(self._at, 4096)

    def heal(self) -> None:
        self._disk.work()


class WritesRefused:
    """The medium answers every write with an I/O error; reading works. A card that has worn out."""

    name: Final = "disk refuses writes"

    def __init__(self, disk: Flakey) -> None:
        self._disk = disk

    def inject(self) -> None:
        self._disk.refuse_writes()

    def heal(self) -> None:
        self._disk.work()


class WritesDropped:
    """The medium calls every write a success and does nothing. A card that lies."""

    name: Final = "disk drops writes"

    def __init__(self, disk: Flakey) -> None:
        self._disk = disk

    def inject(self) -> None:
        self._disk.drop_writes()

    def heal(self) -> None:
        self._disk.work()
