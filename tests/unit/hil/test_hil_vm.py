"""hil/vm: the kernel from its package, the machine that must end, the system's programs played by small scripts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hil.vm.errors import RigError
from hil.vm.kernel import KERNEL_VARIABLE, MODULES, Kernel, find_kernel
from hil.vm.machine import Machine
from hil.vm.tool import ROOT, requirements

VERSION = "6.1.0-99-amd64"
WAIT_S = 20.0


def script(folder: Path, name: str, body: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="ascii")
    path.chmod(0o755)
    return path


def kernel_tree(place: Path, modules: tuple[str, ...] = MODULES) -> Path:
    """An unpacked package: image and modules."""
    image = place / "boot" / f"vmlinuz-{VERSION}"
    image.parent.mkdir(parents=True)
    image.write_bytes(bytes(1 << 20))
    folder = place / "lib" / "modules" / VERSION / "kernel"
    folder.mkdir(parents=True)
    for name in modules:
        (folder / f"{name.replace('-', '_')}.ko.xz").touch()
    return image


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose apt knows one kernel; its scripts write what they were called with into ``calls``."""
    bin_ = tmp_path / "bin"
    log = f'echo "$0 $*" >>{tmp_path}/calls'
    script(bin_, "apt-cache", f"{log}\necho linux-image-amd64\necho '  Depends: linux-image-{VERSION}'")
    script(bin_, "apt-get", f"{log}\ntouch linux-image.deb")
    kernel_tree(tmp_path / "packed")
    script(bin_, "dpkg-deb", f'{log}\ncp -r {tmp_path}/packed "$3"')
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(KERNEL_VARIABLE, raising=False)
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "host", "1", "1", "x86_64")))
    return tmp_path


def calls(machine: Path) -> list[str]:
    return [Path(line.split()[0]).name + " " + line.split()[1] for line in (machine / "calls").read_text().splitlines()]


def test_the_kernel_is_fetched_once(debian: Path) -> None:
    """Downloaded and unpacked the first time, found the second; nothing half-made stays beside it."""
    first = find_kernel()
    assert first.version == VERSION
    assert first.image == debian / "cache/outrider/kernel" / VERSION / "boot" / f"vmlinuz-{VERSION}"
    assert calls(debian) == ["apt-cache depends", "apt-get download", "dpkg-deb -x"]
    assert find_kernel() == first
    assert calls(debian)[3:] == ["apt-cache depends"]
    assert [path.name for path in (debian / "cache/outrider/kernel").iterdir()] == [VERSION]


@pytest.mark.parametrize("program", ["apt-get", "dpkg-deb"])
def test_a_failed_fetch_leaves_nothing(debian: Path, program: str) -> None:
    """The next run starts afresh, and the error has the program's own words."""
    script(debian / "bin", program, "echo out of luck >&2; exit 100")
    with pytest.raises(RigError, match="out of luck"):
        find_kernel()
    assert list((debian / "cache/outrider/kernel").iterdir()) == []


def test_a_kernel_without_can_is_refused(debian: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lacks a module that the tests load is named before anything is booted."""
    image = kernel_tree(debian / "own", modules=MODULES[:-2])
    monkeypatch.setenv(KERNEL_VARIABLE, str(image))
    with pytest.raises(RigError, match=f"no module {', '.join(MODULES[-2:])}"):
        find_kernel()
    monkeypatch.setenv(KERNEL_VARIABLE, str(debian / "nowhere"))
    with pytest.raises(RigError, match="is no kernel"):
        find_kernel()


def test_other_machines_are_told_what_to_do(debian: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No kernel is guessed for them."""
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "host", "1", "1", "aarch64")))
    with pytest.raises(RigError, match="modprobe vcan"):
        find_kernel()


def machine(folder: Path, body: str) -> Machine:
    """A machine whose virtme-ng is a script; ``$1`` onwards is its command line."""
    results = folder / "results"
    results.mkdir()
    vng = script(folder / "bin", "vng", body)
    return Machine(vng, Kernel(folder / "vmlinuz", VERSION), results)


def test_the_code_comes_from_the_guest(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Not from virtme-ng, which does not always know; and what the guest says is passed on."""
    box = machine(tmp_path, f"echo from the guest; echo 7 >{tmp_path}/results/exit; exit 255")
    assert box.run(["true"], {}, WAIT_S) == 7
    assert capfd.readouterr().out == "from the guest\n"


def test_a_guest_that_dies_is_an_error(tmp_path: Path) -> None:
    """Also when an earlier run left a result there."""
    box = machine(tmp_path, "exit 0")
    (box.results / "exit").write_text("0")
    with pytest.raises(RigError, match="brought no result back"):
        box.run(["true"], {}, WAIT_S)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def wait_gone(pid: int) -> None:
    end = time.monotonic() + WAIT_S
    while not gone(pid):
        assert time.monotonic() < end, f"process {pid} lives on"
        time.sleep(0.02)  # the kernel tells nobody


def test_a_guest_that_hangs_is_ended_whole(tmp_path: Path) -> None:
    """After the limit, with everything it had started."""
    box = machine(tmp_path, f"sleep 600 & echo $! >{tmp_path}/pid; wait")
    with pytest.raises(RigError, match="not done within"):
        box.run(["true"], {}, 1.0)
    wait_gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_its_guest(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and a CI that gives up leave no virtual machine behind."""
    machine(tmp_path, f"sleep 600 & echo $! >{tmp_path}/pid; wait")
    program = f"""
import signal
from pathlib import Path
from hil import run
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
from hil.vm.kernel import Kernel
run.find_vng = lambda: Path({str(tmp_path / "bin/vng")!r})
run.find_kernel = lambda: Kernel(Path("vmlinuz"), "1")
run.prepare_all = run._compile = lambda *a, **k: None
run._need = lambda packages: None
run.RESULTS = Path({str(tmp_path / "results")!r})
run.main(["--vm"])
"""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'daemon'}"}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.PIPE)
    end = time.monotonic() + WAIT_S
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.02)  # another process tells nobody
    process.send_signal(number)
    process.communicate(timeout=WAIT_S)
    assert process.returncode != 0
    wait_gone(int((tmp_path / "pid").read_text()))


def test_no_kvm_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/kvm may exist and hang."""
    box = machine(tmp_path, "")
    monkeypatch.delenv("OUTRIDER_HIL_KVM", raising=False)
    assert "--disable-kvm" in box.command(["true"], {})
    monkeypatch.setenv("OUTRIDER_HIL_KVM", "1")
    assert "--disable-kvm" not in box.command(["true"], {})


def test_arguments_reach_the_guest_as_they_are(tmp_path: Path) -> None:
    """Quotes and blanks in what is run survive the shell of the guest."""
    words = ["pytest", "-k", "clock and not 'gnss'", "a\\b$c"]
    last = machine(tmp_path, "").command(words, {"NAME": "a value"})[-1]
    program = f"for word in {last}; do printf '%s\\n' \"$word\"; done"
    lines = subprocess.run(["sh", "-c", program], check=True, capture_output=True, text=True).stdout.splitlines()
    assert lines[-4:] == words
    assert "NAME=a value" in lines


def test_virtme_ng_stays_out_of_the_product() -> None:
    """It is GPL-2.0: in the extra that only the rig installs, and in none that installs beside Outrider."""
    assert any(word.startswith("virtme-ng") for word in requirements())
    other = (ROOT / "pyproject.toml").read_text(encoding="utf-8").replace(requirements()[0], "", 1)
    assert "virtme" not in other
