"""A real block device with a real file system: ext4 on a loop device, mounted as the firmware's image mounts it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hil.rig.shell import ToolError, privileged, run

MIB: Final = 1 << 20
MOUNT_OPTIONS: Final = "noatime,data=ordered,commit=5"


class GuestDisk:
    """Fulfils ``Disk``. ``size_mib`` of ext4 behind a loop device; the image file lies in ``directory``."""

    def __init__(self, directory: Path, size_mib: int = 64, options: str = MOUNT_OPTIONS) -> None:
        self.path: Final = directory / "disk"
        self.image: Final = directory / "disk.img"
        self.mount_options = options
        with self.image.open("wb") as file:
            file.truncate(size_mib * MIB)
        self.device = Path(privileged("losetup", "-f", "--show", self.image).strip())
        try:
            privileged("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.device)
            self.path.mkdir()
            self.mount()
        except ToolError:
            privileged("losetup", "-d", self.device, check=False)
            raise

    def mount(self) -> None:
        privileged("mount", "-t", "ext4", "-o", self.mount_options, self.device, self.path)

    def unmount(self) -> None:
        privileged("umount", self.path)

    def options(self) -> dict[str, str]:
        """Mount options in force; flags have an empty value."""
        words = run("findmnt", "-n", "-o", "OPTIONS", self.path).strip().split(",")
        return {name: value for name, _sep, value in (word.partition("=") for word in words)}

    def remove(self) -> None:
        """Unmount, let go of the device, delete the image. ToolError when something still uses it."""
        if self.path.is_mount():
            self.unmount()
        privileged("losetup", "-d", self.device)
        self.image.unlink()
