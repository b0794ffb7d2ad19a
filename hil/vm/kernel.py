"""A kernel that has CAN: Debian's, unpacked from its package into the cache, never installed.

    ~/.cache/outrider/kernel/6.1.0-56-amd64/boot/vmlinuz-6.1.0-56-amd64
                                           /lib/modules/6.1.0-56-amd64/...

A version is unpacked beside its place and renamed into it, so that what is there is whole. The package is fetched by
apt, which checks its signature and hash.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from hil.vm.errors import RigError

KERNEL_VARIABLE: Final = "OUTRIDER_HIL_KERNEL"
METAPACKAGES: Final = {"x86_64": "linux-image-amd64"}
# What the tests load. Each is a module of Debian's kernel; a kernel without them is refused before it is booted.
MODULES: Final = ("can", "can-raw", "vcan", "kvaser_pci", "loop", "dm-log-writes", "dm-flakey", "9p", "9pnet_virtio")


@dataclass(frozen=True)
class Kernel:
    """``image``: the file to boot; the modules lie in lib/modules beside its boot folder."""

    image: Path
    version: str


def cache_folder() -> Path:
    """Where downloads of the rig are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "outrider"


def find_kernel() -> Kernel:
    """The kernel named by the environment, else the one apt names now, from the cache or fetched. RigError."""
    named = os.environ.get(KERNEL_VARIABLE)
    if named:
        return _checked(Path(named))
    folder = cache_folder() / "kernel"
    package = _package()
    version = package.removeprefix("linux-image-")
    if not (folder / version).exists():
        _fetch(package, folder / version)
    return _checked(folder / version / "boot" / f"vmlinuz-{version}")


def _package() -> str:
    """The package that holds the kernel, such as linux-image-6.1.0-56-amd64."""
    machine = os.uname().machine
    if machine not in METAPACKAGES:
        raise RigError(
            f"the rig boots x86-64 kernels only and this is {machine}: load vcan here (`modprobe vcan`) and run it "
            f"with --native, or name a kernel in {KERNEL_VARIABLE}"
        )
    meta = METAPACKAGES[machine]
    found = _depends(meta)
    if found is None:
        _update()
        found = _depends(meta)
    if found is None:
        raise RigError(f"apt does not know {meta}: is this Debian? Name a kernel image in {KERNEL_VARIABLE}")
    return found


def _depends(meta: str) -> str | None:
    words = _output("apt-cache", "depends", "--important", meta).split()
    return next((word for word in words if word.startswith("linux-image-") and word != meta), None)


def _update() -> None:
    sudo = () if os.geteuid() == 0 else ("sudo", "-n")
    done = subprocess.run([*sudo, "apt-get", "update", "-qq"], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RigError(f"the package lists are empty; please run: sudo apt-get update ({done.stderr.strip()})")


def _fetch(package: str, place: Path) -> None:
    """Download and unpack, then move it into place in one step."""
    place.parent.mkdir(parents=True, exist_ok=True)
    click.echo(f"rig: fetching {package} (about 70 MB, once)", err=True)
    work = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        work.chmod(0o755)  # apt gives up its rights when it downloads
        _must(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", package], work)
        archive = next(work.glob("*.deb"), None)
        if archive is None:
            raise RigError(f"apt-get download {package} left no package")
        _must(["dpkg-deb", "-x", archive.name, "tree"], work)
        _checked(work / "tree" / "boot" / f"vmlinuz-{place.name}")
        _install(work / "tree", place)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _install(tree: Path, place: Path) -> None:
    try:
        tree.rename(place)
    except OSError:
        if not place.exists():  # else another run was quicker
            raise


def _checked(image: Path) -> Kernel:
    """The kernel, or RigError naming what it lacks."""
    version = image.name.removeprefix("vmlinuz-")
    modules = image.parent.parent / "lib" / "modules" / version
    if not image.is_file() or image.stat().st_size < 1 << 20:
        raise RigError(f"{image} is no kernel: delete {image.parent.parent} and run again")
    present = {path.name.split(".")[0].replace("_", "-") for path in modules.rglob("*.ko*")}
    missing = [name for name in MODULES if name.replace("_", "-") not in present]
    if missing:
        raise RigError(f"the kernel {image} has no module {', '.join(missing)}; delete its folder and run again")
    return Kernel(image, version)


def _must(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    except OSError as err:
        raise RigError(f"{command[0]}: {err.strerror}; the rig's virtual machine needs Debian's tools") from None
    if done.returncode:
        raise RigError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout
    except OSError:
        return ""
