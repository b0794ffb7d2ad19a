"""What this machine has. A resource is None when it is there, else the reason why not and what to do about it."""

from __future__ import annotations

import os
import shutil
import socket
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from hil.rig.shell import works

SYS_NET: Final = Path("/sys/class/net")
PROBE: Final = "rigprobe"
EMULATED_DRIVER: Final = "kvaser_pci"
IN_GUEST_VARIABLE: Final = "OUTRIDER_HIL_GUEST"
VM_HINT: Final = "run `make hil HIL_ARGS=--vm`, which boots a virtual machine that has it"


def in_guest() -> bool:
    """Whether this is the rig's own virtual machine, which may be harmed."""
    return os.environ.get(IN_GUEST_VARIABLE) == "1"


@cache
def vcan_missing() -> str | None:
    """Virtual CAN: tried by making an interface and removing it."""
    works("modprobe", "-q", "-a", "can", "can-raw", "vcan")
    try:
        socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW).close()
    except OSError as err:
        return f"this kernel has no CAN sockets ({err.strerror}): {VM_HINT}"
    if not works("ip", "link", "add", "dev", PROBE, "type", "vcan"):
        return f"cannot make vcan interfaces here (module vcan, CAP_NET_ADMIN): {VM_HINT}"
    works("ip", "link", "del", PROBE)
    return None


@cache
def sja1000_names() -> tuple[str, ...]:
    """Interfaces of QEMU's emulated controllers, in order."""
    if in_guest():
        works("modprobe", "-q", EMULATED_DRIVER)
    found = [
        link.name for link in sorted(SYS_NET.glob("can*")) if (link / "device/driver").resolve().name == EMULATED_DRIVER
    ]
    return tuple(found)


def sja1000_missing() -> str | None:
    """A pair of controllers on one wire. Only emulated ones are taken: a real adapter may hang on a car."""
    if in_guest() and len(sja1000_names()) >= 2:
        return None
    return f"needs two emulated SJA1000 controllers: {VM_HINT}"


@cache
def disk_missing() -> str | None:
    """Loop devices and ext4."""
    if os.geteuid() != 0:
        return f"making and mounting disks needs root: {VM_HINT}"
    works("modprobe", "-q", "-a", "loop", "ext4")
    for program in ("losetup", "mkfs.ext4", "mount"):
        if shutil.which(program) is None:
            return f"needs {program}: apt-get install e2fsprogs mount"
    if not works("losetup", "-f"):
        return f"no free loop device: {VM_HINT}"
    return None


def clock_missing() -> str | None:
    """A wall clock that may be set: the guest's alone."""
    return None if in_guest() else f"sets the system clock, never that of a host: {VM_HINT}"


def need(missing: str | None) -> None:
    """Skip the test, saying how to enable it. The rig's own guest has everything: there it is a failure."""
    if missing is not None and in_guest():
        pytest.fail(f"the rig's own machine lacks something: {missing}", pytrace=False)
    if missing is not None:
        pytest.skip(missing)
