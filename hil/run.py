"""``make hil``: the tests of the rig on virtual CAN, here where the kernel has it, else in a virtual machine.

Usage: python -m hil.run [--native | --vm] [--limit S] [--module M] [ARGUMENTS...]
ARGUMENTS go to pytest (``-k name``, ``hil/test_01_bringup.py::test_x``), or to another module run in its place.
Exit code: that of pytest; 1 when a test of the virtual bus was skipped; 69 when the rig cannot be brought up.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final, NoReturn

import click

from hil.rig.drives import prepare_all
from hil.rig.patience import PATIENCE_VARIABLE
from hil.rig.resources import IN_GUEST_VARIABLE, vcan_missing
from hil.verdict import judge
from hil.vm.errors import RigError
from hil.vm.kernel import find_kernel
from hil.vm.machine import Machine
from hil.vm.tool import ROOT, find_vng

RESULTS: Final = ROOT / "build" / "hil" / "results"
RESULTS_VARIABLE: Final = "OUTRIDER_HIL_RESULTS"
EMULATED_PATIENCE: Final = 8.0  # QEMU without KVM is 15 to 30 times slower than its host, most bounds are ample
KVM_PATIENCE: Final = 2.0
UNAVAILABLE: Final = 69
PACKAGES: Final = (
    "qemu-system-x86_64=qemu-system-x86", "udevadm=udev", "modprobe=kmod", "file=file", "ip=iproute2",
    "busybox=busybox-static", "mkfs.ext4=e2fsprogs", "mosquitto=mosquitto", "dmsetup=dmsetup",
)  # fmt: skip
NATIVE_PACKAGES: Final = ("ip=iproute2", "mosquitto=mosquitto")


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--native/--vm", default=None, help="Here, or in a virtual machine. Default: here if there is vcan.")
@click.option("--limit", default=1500.0, show_default=True, help="Seconds after which the run is ended.")
@click.option("--module", help="Run this Python module in place of pytest.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def main(native: bool | None, limit: float, module: str | None, arguments: tuple[str, ...]) -> None:
    """Run the tests of the rig."""
    signal.signal(signal.SIGTERM, _interrupt)
    here = vcan_missing() is None if native is None else native
    RESULTS.mkdir(parents=True, exist_ok=True)
    junit = RESULTS / "hil.xml"
    junit.unlink(missing_ok=True)
    if module is None and _plays_drives(arguments):
        prepare_all(say=_say)
    command = [sys.executable, "-m", module, *arguments] if module else _pytest(arguments, junit, guest=not here)
    try:
        code = _run_here(command, limit) if here else _run_in_guest(command, limit)
    except RigError as err:
        _fail(f"error: {err}", UNAVAILABLE)
    if module is None:
        verdict = judge(junit, guest=not here)
        for text in verdict.wrong:
            click.echo(f"rig: {text}", err=True)
        code = code or (1 if verdict.wrong else 0)
    sys.exit(code)


def _plays_drives(arguments: tuple[str, ...]) -> bool:
    """Whether a file that plays prepared drives is among those to run."""
    named = [word for word in arguments if word.startswith("hil/")]
    return not named or any(part in word for word in named for part in ("live_replay", "suites", "scenarios"))


def _pytest(arguments: tuple[str, ...], junit: Path, *, guest: bool) -> list[str]:
    """The whole of hil/ unless files are named. Times and caches of the tests stay out of the tree.

    An emulated machine on a shared one stands still now and then: what fails there is run once more, and told (RERUN).
    """
    named = any(word.startswith("hil/") for word in arguments)
    again = ("--reruns", "1") if guest else ("-p", "no:rerunfailures")
    return [
        sys.executable, "-m", "pytest", *(() if named else ("hil",)), "-v", "-p", "no:cacheprovider", "-p", "no:xdist",
        *again, f"--junitxml={junit}", "-o", "junit_family=xunit1", "--durations=12", *arguments,
    ]  # fmt: skip


def _environment(guest: bool) -> dict[str, str]:
    """What the tests are told about the machine they run on."""
    patience = os.environ.get(PATIENCE_VARIABLE)
    if patience is None:
        patience = str(
            1.0 if not guest else KVM_PATIENCE if os.environ.get("OUTRIDER_HIL_KVM") == "1" else EMULATED_PATIENCE
        )
    given = {k: v for k, v in os.environ.items() if k == "OUTRIDER_DATA" or k.startswith("OUTRIDER_HIL_")}
    return given | {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'daemon'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "OPENBLAS_NUM_THREADS": "1",  # numpy comes with a recording's reader, and would leave threads behind
        "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/hypothesis",
        PATIENCE_VARIABLE: patience,
        IN_GUEST_VARIABLE: "1" if guest else "0",
        RESULTS_VARIABLE: str(RESULTS),
    }


def _run_here(command: list[str], limit_s: float) -> int:
    _need(NATIVE_PACKAGES)
    click.echo("rig: on this machine's own kernel", err=True)
    try:
        environment = os.environ | _environment(guest=False)
        return subprocess.run(command, cwd=ROOT, env=environment, timeout=limit_s, check=False).returncode
    except subprocess.TimeoutExpired:
        raise RigError(f"not done within {limit_s:.0f} s (--limit)") from None


def _run_in_guest(command: list[str], limit_s: float) -> int:
    _need(PACKAGES)
    _need_static_busybox()
    _compile()
    machine = Machine(find_vng(), find_kernel(), RESULTS)
    click.echo(f"rig: booting {machine.kernel.version} in a virtual machine", err=True)
    return machine.run(command, {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", **_environment(guest=True)}, limit_s)


def _need(packages: tuple[str, ...]) -> None:
    """The Debian packages, by command."""
    if subprocess.run([ROOT / ".ci/need", *packages], check=False).returncode:
        raise RigError("packages are missing, see above")


def _need_static_busybox() -> None:
    """The guest starts with nothing but busybox: one that needs libraries would not run there."""
    path = shutil.which("busybox") or "/bin/busybox"
    told = subprocess.run(["file", "-L", path], check=False, capture_output=True, text=True).stdout
    if "statically linked" not in told:
        raise RigError(f"{path} needs libraries; please run: sudo apt-get install busybox-static")


def _compile() -> None:
    """Byte code beside the sources: the slow guest, which cannot write there, would compile at every start."""
    folders = [str(ROOT / name) for name in ("daemon", "hil", "tests/support", "tests/oracles")]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *folders], check=False, env=_writing())


def _writing() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    click.echo(text, err=True)


def _fail(text: str, code: int) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
