"""Files as block devices, and ext4 on them as on the data partition of the terminal's image.

Rule: what was made is taken down by ``close``, in any state. Device mapper is in ``disk_mapper``, the log of what was
written in ``disk_log``.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hil.rig.resources import VM_HINT, disk_missing
from hil.rig.shell import ToolError, run, works

# How the image mounts its data partition: what the journal lives on in a car (docs/internals/power-loss.md).
IMAGE_OPTIONS: Final = "noatime,lazytime,commit=60,data=ordered,errors=remount-ro,nodev,nosuid,noexec"
SECTOR: Final = 512
_PIECE: Final = 64 * 1024
_ZEROS: Final = bytes(_PIECE)
_FLAGS: Final = {"nosuid": 2, "nodev": 4, "noexec": 8, "noatime": 1024, "lazytime": 1 << 25}  # <sys/mount.h>
_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
# Nothing is left for the kernel to initialise later: what is written to the disk is what the test does.
_MKFS: Final = (
    *("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-J", "size=4"),
    *("-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"),
)


def mapper_missing(target: str) -> str | None:
    """Disks that device mapper's ``target`` (log-writes, flakey) can be put on."""
    missing = disk_missing()
    if missing is not None:
        return missing
    if not works("dmsetup", "--version"):
        return "needs dmsetup: apt-get install dmsetup"
    return None if works("modprobe", "-q", f"dm-{target}") else f"this kernel has no dm-{target}: {VM_HINT}"


class LoopDevice:
    """A file of ``size_bytes`` (zeros, sparse) as /dev/loopN. It has a write cache that obeys flushes, as cards do."""

    def __init__(self, file: Path, size_bytes: int) -> None:
        self.file: Final = file
        self.size_bytes: Final = size_bytes
        with file.open("wb") as made:
            made.truncate(size_bytes)
        self.device: Final = Path(run("losetup", "--find", "--show", file).strip())

    @property
    def sectors(self) -> int:
        return self.size_bytes // SECTOR

    def read(self) -> bytes:
        """All of it, as it is on the medium."""
        return self.file.read_bytes()

    def write(self, image: bytes | bytearray) -> None:
        """All of it; nothing may have the device open, or its cache would be stale. Zeros stay sparse."""
        whole = memoryview(image)
        with self.file.open("r+b", buffering=0) as file:
            file.truncate(0)
            file.truncate(self.size_bytes)
            for at in range(0, len(whole), _PIECE):
                piece = whole[at : at + _PIECE]
                if piece != _ZEROS:
                    file.seek(at)
                    file.write(piece)

    def close(self) -> None:
        run("losetup", "--detach", self.device)
        self.file.unlink()


def make_file_system(device: Path) -> None:
    run(*_MKFS, device)


class Mount:
    """A block device with ext4, mounted at ``directory``. By mount(2): starting mount(8) costs a slow guest more than
    mounting does, and hundreds of states are mounted."""

    def __init__(self, device: Path, directory: Path, options: str = IMAGE_OPTIONS) -> None:
        self.directory: Final = directory
        directory.mkdir(parents=True, exist_ok=True)
        words = options.split(",")
        flags = sum(_FLAGS[word] for word in words if word in _FLAGS)
        rest = ",".join(word for word in words if word not in _FLAGS)
        arguments = (os.fsencode(device), os.fsencode(directory), b"ext4", flags, rest.encode("ascii"))
        if _libc.mount(*arguments):
            raise ToolError(f"mount {device}: {os.strerror(ctypes.get_errno())}")

    def close(self) -> None:
        if _libc.umount2(os.fsencode(self.directory), 0):
            raise ToolError(f"umount {self.directory}: {os.strerror(ctypes.get_errno())}")


@contextmanager
def mounted(device: Path, directory: Path) -> Iterator[Path]:
    """``directory`` while the device is mounted there."""
    mount = Mount(device, directory)
    try:
        yield directory
    finally:
        mount.close()
