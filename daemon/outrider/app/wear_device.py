"""The block device under a directory: what was written to it, how large it is, what it says of its own life.

Everything comes from sysfs (Documentation/ABI/stable/sysfs-block, sysfs-bus-mmc, sysfs-driver-ufs); nothing is asked of
the device itself, so no rights are needed. A device that tells nothing of its life (SD cards, NVMe without a tool) says
so with None.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SECTOR: Final = 512  # of sysfs, whatever the device's own
_WRITTEN: Final = 6  # columns of ``stat`` (Documentation/block/stat.rst)
_FLUSHES: Final = 15
_DEPTH: Final = 8  # devices under devices


@dataclass(frozen=True, slots=True)
class Life:
    """used_percent: (at least, at most), by the device's own estimate; (100, None): beyond.

    spare: ``normal``, ``warning`` (80 % of the reserved blocks are used), ``urgent`` (90 %).
    """

    used_percent: tuple[int, int | None] | None
    spare: str | None

    def document(self) -> dict[str, Any]:
        used = self.used_percent
        return {"used_percent": None if used is None else list(used), "spare": self.spare}


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """A whole device, not a partition. directory: in sysfs. kind: ``mmc``, ``sd``, ``nvme``, ``ufs``, ``disk``,
    ``virtual``."""

    name: str
    kind: str
    directory: Path
    capacity_bytes: int
    model: str | None
    identity: str

    def written_bytes(self) -> int | None:
        """Since boot, everybody's; None when the kernel does not say."""
        columns = _words(self.directory / "stat")
        return columns[_WRITTEN] * SECTOR if columns is not None and len(columns) > _WRITTEN else None

    def flushes(self) -> int | None:
        """Cache flushes since boot."""
        columns = _words(self.directory / "stat")
        return columns[_FLUSHES] if columns is not None and len(columns) > _FLUSHES else None

    def life(self) -> Life | None:
        """None when the device does not tell."""
        device = self.directory / "device"
        told = _ufs_health(self.directory) if self.kind == "ufs" else None
        estimates = told[0] if told else _hex_words(device / "life_time")
        end = told[1] if told else _hex_words(device / "pre_eol_info")
        used = None
        worst = max((value for value in estimates if 1 <= value <= 11), default=0)
        if worst:
            used = (100, None) if worst == 11 else (10 * (worst - 1), 10 * worst)
        spare = {1: "normal", 2: "warning", 3: "urgent"}.get(end[0]) if end else None
        return None if used is None and spare is None else Life(used, spare)


def find_device(
    place: Path, sysfs: Path = Path("/sys"), mounts: Path = Path("/proc/self/mountinfo"), number: int | None = None
) -> BlockDevice | None:
    """The device that ``place`` lies on; None when it lies on none (memory, network). number: instead of its st_dev."""
    try:
        directory = _by_number(place.stat().st_dev if number is None else number, sysfs, mounts)
    except OSError:
        return None
    for _ in range(_DEPTH):
        if directory is None or (under := _under(directory, sysfs, mounts)) is None:
            break
        directory = under
    return None if directory is None else _describe(directory)


def _by_number(number: int, sysfs: Path, mounts: Path) -> Path | None:
    link = sysfs / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    if link.exists():
        return link.resolve()
    source = _source(number, mounts)
    if source is None or not source.exists():
        return None
    status = source.stat()
    other = status.st_rdev or (status.st_dev if source.is_dir() else 0)  # a device, or the upper side of an overlay
    return None if other in (0, number) else _by_number(other, sysfs, mounts)


def _source(number: int, mounts: Path) -> Path | None:
    """What is mounted under a number that is no device's (btrfs, overlay): the device node, or the upper directory."""
    wanted = f"{os.major(number)}:{os.minor(number)}"
    for line in _text(mounts).splitlines():
        head, _dash, tail = line.partition(" - ")
        if head.split()[2:3] != [wanted] or len(tail.split()) < 3:
            continue
        kind, source, options = tail.split()[:3]
        if kind == "overlay":
            upper = [option[9:] for option in options.split(",") if option.startswith("upperdir=")]
            return Path(upper[0]) if upper else None
        return Path(source) if source.startswith("/") else None
    return None


def _under(directory: Path, sysfs: Path, mounts: Path) -> Path | None:
    """The device below this one: of a partition the disk, of a mapped device its first part, of a loop its file's."""
    if (directory / "partition").exists():
        return directory.parent
    slaves = sorted((directory / "slaves").iterdir()) if (directory / "slaves").is_dir() else []
    if slaves:
        return slaves[0].resolve()
    backing = _text(directory / "loop" / "backing_file").strip()
    if backing and Path(backing).exists():
        return _by_number(Path(backing).stat().st_dev, sysfs, mounts)
    return None


def _describe(directory: Path) -> BlockDevice:
    size = _words(directory / "size")
    model = _text(directory / "device" / "model").strip() or _text(directory / "device" / "name").strip() or None
    capacity = size[0] * SECTOR if size else 0
    serial = next(
        (text for name in ("cid", "serial", "wwid") if (text := _text(directory / "device" / name).strip())), ""
    )
    identity = f"{directory.name}:{capacity}:{serial}"
    return BlockDevice(directory.name, _kind(directory), directory, capacity, model, identity)


def _kind(directory: Path) -> str:
    name = directory.name
    if name.startswith("mmcblk"):
        return "sd" if _text(directory / "device" / "type").strip().upper() == "SD" else "mmc"
    if name.startswith("nvme"):
        return "nvme"
    if _ufs_health(directory) is not None:
        return "ufs"
    return "disk" if (directory / "device").exists() and not name.startswith("vd") else "virtual"


def _ufs_health(directory: Path) -> tuple[list[int], list[int]] | None:
    """Life estimates and end-of-life information of the UFS controller above a disk."""
    device = directory / "device"
    if not device.exists():
        return None
    for above in list(device.resolve().parents)[:6]:
        health = above / "health_descriptor"
        if health.is_dir():
            lives = [n for ab in "ab" for n in _hex_words(health / f"life_time_estimation_{ab}")]
            return lives, _hex_words(health / "eol_info")
    return None


def _text(path: Path) -> str:
    """Empty when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _words(path: Path) -> list[int] | None:
    words = _text(path).split()
    return [int(word) for word in words] if words and all(word.isdigit() for word in words) else None


def _hex_words(path: Path) -> list[int]:
    out = []
    for word in _text(path).split():
        try:
            out.append(int(word, 16))
        except ValueError:
            return []
    return out
