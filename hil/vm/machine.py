"""One virtual machine over the working tree, for one command: its command line, its time limit and its end.

Nothing is assumed of the host but QEMU: no KVM, no privileges. The guest sees the host's files, keeps what it writes to
itself, and gives back one folder. Two emulated SJA1000 controllers hang on one wire.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hil.vm.errors import RigError
from hil.vm.kernel import Kernel
from hil.vm.tool import ROOT

KVM_VARIABLE: Final = "OUTRIDER_HIL_KVM"
CPUS: Final = 2
MEMORY: Final = "3G"
END_S: Final = 10.0  # between asking QEMU to end and making it
DEVICES: Final = (
    "-object can-bus,id=rigbus",
    "-device kvaser_pci,canbus=rigbus",
    "-device kvaser_pci,canbus=rigbus",
    "-virtfs local,path=/,mount_tag=rigfast,security_model=none,readonly=on,multidevs=remap",
)


@dataclass(frozen=True)
class Machine:
    """``results``: the folder that the guest may write to."""

    vng: Path
    kernel: Kernel
    results: Path

    @property
    def kvm(self) -> bool:
        """Hardware virtualization, used only when asked for: /dev/kvm may exist and still hang."""
        return os.environ.get(KVM_VARIABLE) == "1"

    def command(self, inner: Sequence[str], environment: Mapping[str, str]) -> list[str]:
        """The command that boots the guest, runs ``inner`` in it and switches it off."""
        words = ["env", *(f"{k}={v}" for k, v in environment.items()), str(ROOT / "hil/vm/guest.sh"), str(self.results)]
        words += [sys.prefix, os.path.realpath(sysconfig.get_path("stdlib")), str(ROOT), *inner]
        return [
            str(self.vng),
            *(() if self.kvm else ("--disable-kvm",)),
            "--disable-microvm",
            "--force-9p",
            "--run",
            str(self.kernel.image),
            "--user=root",
            f"--cpus={CPUS}",
            f"--memory={MEMORY}",
            f"--rwdir={self.results}",
            f"--cwd={ROOT}",
            f"--qemu-opts={' '.join(DEVICES)}",
            "--",
            shlex.join(words),
        ]

    def run(self, inner: Sequence[str], environment: Mapping[str, str], limit_s: float) -> int:
        """Exit code of ``inner``. RigError when the guest brought none back within the limit.

        Whatever ends this process ends the guest: nothing of it outlives the call.
        """
        code_file = self.results / "exit"
        code_file.unlink(missing_ok=True)
        own = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        own["PATH"] = f"{self.vng.parent}:{own['PATH']}"  # vng calls its own helpers by name
        process: subprocess.Popen[bytes] | None = None
        try:
            with _signals_held():
                process = subprocess.Popen(
                    self.command(inner, environment),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,  # in order; a file QEMU would open anew, and write over itself
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=own,
                )
            stream = threading.Thread(target=_stream, args=(process,), daemon=True)
            stream.start()
            process.wait(timeout=limit_s)
            stream.join(END_S)
        except subprocess.TimeoutExpired:
            raise RigError(f"the virtual machine was not done within {limit_s:.0f} s (--limit) and was ended") from None
        finally:
            if process is not None:
                _end(process)
        try:
            return int(code_file.read_text())
        except (OSError, ValueError):
            raise RigError(
                f"the virtual machine ended with {process.returncode} and brought no result back: short of memory?"
            ) from None


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """What would end this program within the block, ends it behind: nothing is started that nobody knows of."""
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda got, _frame: came.append(got)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def _stream(process: subprocess.Popen[bytes]) -> None:
    """What the guest says, as it says it."""
    assert process.stdout is not None
    with process.stdout:
        while chunk := os.read(process.stdout.fileno(), 65536):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole group: vng, its helpers and QEMU."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=END_S)
