"""What the terminal says of its buses, and what it does about them, on real interfaces and real drivers.

Emulated controllers have no bit timing: that a controller at a wrong rate reports errors is played here, not proven.
"""

from __future__ import annotations

import grp
import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hil.conftest import MakeTerminal
from hil.rig.can import SYS_NET, Sja1000, Vcan
from hil.rig.nursery import Launcher
from hil.rig.patience import Patience
from hil.rig.resources import VM_HINT, need
from hil.rig.slcan import ACTIVE, BUS_OFF, OVERFLOW, PASSIVE, SlcanAdapter, slcan_missing
from hil.rig.terminal import Terminal
from outrider.cli.bus import cli as bus_command
from outrider.link.helper_io import BusHelper, HelperOptions
from outrider.link.set_io import RecordingLinkSetter
from outrider.link.settings import LinkUp, encode_request
from tests.support.can_feed import CAN_ERR, classic

DRIVER = Path("/sys/bus/pci/drivers/kvaser_pci")
NOBODY = 65_534
ERR_BUS_OFF = CAN_ERR | 0x40
ERR_PROTOCOL = CAN_ERR | 0x88  # protocol violation, bus error


def bus(box: Terminal, name: object) -> dict[str, Any]:
    """The ``buses`` entry of one interface."""
    (found,) = [entry for entry in box.status()["buses"] if entry["name"] == str(name)]
    return dict(found)


def wait_condition(box: Terminal, name: object, condition: str) -> dict[str, Any]:
    box.wait(f"{name} is {condition}", lambda: bus(box, name)["condition"] == condition)
    return bus(box, name)


def command(*arguments: object) -> Result:
    """``outrider bus ...``: the very command, in this process."""
    return CliRunner().invoke(bus_command, [str(argument) for argument in arguments])


@pytest.fixture
def slcan(health: list[Terminal], patience: Patience) -> Iterator[SlcanAdapter]:
    """An adapter of the kernel's slcan driver, plugged in, on a silent wire."""
    need(slcan_missing())
    adapter = SlcanAdapter()
    yield adapter
    adapter.pull_out(patience)


@pytest.fixture
def helper_socket(slcan: SlcanAdapter, tmp_path: Path, launcher: Launcher, patience: Patience) -> Iterator[Path]:
    """The privileged helper as a process, allowed to set the adapter."""
    path = tmp_path / "bus.sock"
    process = launcher(("bus", "helper", "--allow", slcan.name, "--socket", path), tmp_path / "helper.log")
    patience.wait("the helper listens", path.exists)
    yield path
    process.kill()
    process.wait(patience.bound_s(10))
    path.unlink(missing_ok=True)


def test_error_frames_and_bus_off_on_a_virtual_bus(vcan: tuple[Vcan, ...], terminal: MakeTerminal) -> None:
    """Traffic is listening, errors alone a wrong rate, bus-off bus-off; good frames end each, silence is sleep."""
    box = terminal(can=[vcan[0]])
    box.expect_log("rigcan0: wrong-bitrate: .*check the wiring")
    box.expect_log("rigcan0: bus-off: ")
    with vcan[0].sender() as sender:
        sender.send(classic(0x100, b"\1"))
        assert wait_condition(box, vcan[0], "listening")["action"] == ""
        for _error in range(20):
            sender.send(classic(ERR_PROTOCOL, bytes(8)))
        assert "disturbed" in wait_condition(box, vcan[0], "wrong-bitrate")["reason"]
        sender.send(classic(0x100, b"\1"))
        wait_condition(box, vcan[0], "listening")
        sender.send(classic(ERR_BUS_OFF, bytes(8)))
        assert wait_condition(box, vcan[0], "bus-off")["requests"] == {}
        sender.send(classic(0x100, b"\1"))
        wait_condition(box, vcan[0], "listening")
    asleep = wait_condition(box, vcan[0], "asleep")
    assert asleep["lost"] == {"controller": 0, "socket": 0, "queue": 0}


def test_a_bus_that_goes_and_comes_back_is_opened_at_once(vcan: tuple[Vcan, ...], terminal: MakeTerminal) -> None:
    """Down and up, deleted and made anew: each told apart, and opened because the link is back, not by the back-off."""
    box = terminal(can=[vcan[1]])
    box.allow_log("rigcan1.*(Network is down|No such device)")  # of the source, and of python-can
    vcan[1].down()
    assert "outrider bus set" in wait_condition(box, vcan[1], "down")["action"]
    box.wait("it tries in vain", lambda: box.source("rigcan1").get("failures", 0) >= 1)
    vcan[1].make()
    box.wait("it is open again", lambda: box.source("rigcan1")["state"] in {"up", "silent"})
    vcan[1].remove()
    wait_condition(box, vcan[1], "missing")
    box.wait("it has lost it", lambda: box.source("rigcan1")["state"] not in {"up", "silent"})
    vcan[1].make()
    box.wait("it is open again", lambda: box.source("rigcan1")["state"] in {"up", "silent"})
    box.wait("that was asked for", lambda: bus(box, vcan[1])["requests"].get("reopen", 0) >= 1)
    with vcan[1].sender() as sender:
        sender.send(classic(0x100, b"\1"))
    wait_condition(box, vcan[1], "listening")


def test_controllers_listening_and_not(sja1000: tuple[Sja1000, Sja1000], terminal: MakeTerminal) -> None:
    """A controller that only listens is fine, one that acknowledges is told loudly; mode and counters are read."""
    first, second = sja1000
    first.configure(listen_only="on", berr_reporting="on")
    box = terminal(can=[{"channel": first.name, "bitrate": 500_000}, {"channel": second.name}])
    box.expect_log(f"{second}: wrong-mode: .*acknowledges")
    with second.sender() as sender:
        for _frame in range(5):  # as many as the controller's 64 bytes hold, however slow the guest is
            sender.send(classic(0x123, b""))
    listening = wait_condition(box, first, "listening")
    box.wait("all are counted", lambda: box.source(first.name)["frames"] == 5)
    assert listening["link"]["mode"] == "listen-only"
    assert (listening["link"]["bitrate"], listening["link"]["state"]) == (500_000, "ERROR-ACTIVE")
    assert wait_condition(box, second, "wrong-mode")["link"]["mode"] == "active"
    shown = command("status", first.name, "--socket", box.socket, "--json")
    (document,) = json.loads(shown.stdout)
    assert (document["kind"], document["sample_point"], document["rx_packets"] >= 5) == ("can", 0.875, True)
    assert document["error_reporting"] is True
    assert document["daemon"]["condition"] == "listening"
    assert first.name in command("list").stdout


def test_a_controller_is_pulled_out_and_plugged_in(terminal: MakeTerminal, sja1000: tuple[Sja1000, Sja1000]) -> None:
    """Its driver lets go of the hardware: missing. Back it is fresh and down; set again, it is opened at once."""
    first, second = sja1000
    first.configure(listen_only="on")
    box = terminal(can=[first.name])
    box.allow_log(rf"\b{first}\b")
    slot = (SYS_NET / first.name / "device").resolve().name
    (DRIVER / "unbind").write_text(slot)
    try:
        wait_condition(box, first, "missing")
    finally:
        (DRIVER / "bind").write_text(slot)
    assert first.exists
    wait_condition(box, first, "down")
    first.configure(listen_only="on")
    box.wait("it is open again", lambda: box.source(first.name)["state"] in {"up", "silent"})
    with second.sender() as sender:
        sender.send(classic(0x123, bytes(8)))
    wait_condition(box, first, "listening")


def test_an_adapter_is_set_and_restarted_by_the_helper(
    slcan: SlcanAdapter, helper_socket: Path, terminal: MakeTerminal, tmp_path: Path
) -> None:
    """Fresh from the factory: set as configured, listening only. Bus-off: restarted. Both by the helper alone.

    Frames that the controller itself lost are counted as lost there, and nowhere else.
    """
    box = terminal(
        can=[{"channel": slcan.name, "link": "helper", "bitrate": 500_000}],
        config={"bus": {"helper_socket": str(helper_socket)}},
        wait=False,
    )
    box.allow_log("socketcan:can[0-9]+: .*Network is down")
    box.expect_log(f"{slcan}: error-passive: .*check the wiring")
    box.expect_log(f"{slcan}: bus-off: .*a restart is asked for")
    box.wait("the adapter is opened, listening only", lambda: slcan.opened == "L")
    assert slcan.rate == 500_000
    box.wait("the bus is open", lambda: box.source(slcan.name)["state"] in {"up", "silent"})
    slcan.wire = 500_000
    wait_condition(box, slcan, "listening")
    slcan.says(PASSIVE)
    wait_condition(box, slcan, "error-passive")
    slcan.says(ACTIVE)
    wait_condition(box, slcan, "listening")
    slcan.wire = None
    slcan.commands.clear()
    slcan.says(BUS_OFF)
    box.wait("it was restarted", lambda: slcan.commands[-1:] == ["L"])
    slcan.wire = 500_000
    restarted = wait_condition(box, slcan, "listening")
    assert restarted["requests"]["restart"] >= 1
    assert restarted["helper_refusal"] == ""
    box.tolerate("controller_overflows")
    slcan.says(OVERFLOW, OVERFLOW)
    box.wait("two overflows", lambda: bus(box, slcan)["lost"]["controller"] == 2)
    assert bus(box, slcan)["lost"] == {"controller": 2, "socket": 0, "queue": 0}
    log = (tmp_path / "helper.log").read_text(encoding="utf-8")
    assert "RestartLink" in log
    assert "SetLink" in log
    assert "Traceback" not in log


@pytest.mark.parametrize(("wire", "outcome"), [(250_000, "found"), (None, "asleep"), (800_000, "failed")])
def test_detecting_the_rate(slcan: SlcanAdapter, tmp_path: Path, wire: int | None, outcome: str) -> None:
    """An adapter that hears errors at wrong rates: found and left listening; silence and strangers are left down."""
    slcan.wire = wire
    found, rates = tmp_path / "found.json", ("--bitrate", 500_000, "--bitrate", 250_000)
    done = command("detect", slcan.name, *rates, "--found", found, "--socket", tmp_path / "none", "--json")
    document = json.loads(done.stdout)
    assert document["outcome"] == outcome
    assert document["bitrate"] == (wire if outcome == "found" else None)
    assert (done.exit_code, slcan.is_up) == ((0, True) if outcome == "found" else (1, False))
    assert "O" not in slcan.commands, "it never acknowledged"
    assert found.exists() is (outcome == "found")


def ask_as(user: int, groups: list[int], path: Path, go: int) -> tuple[int, int]:
    """A child that becomes this user, waits for a byte on ``go``, and asks; its pid, and where it tells the answer."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(groups)
            os.setgid(user)
            os.setuid(user)
            os.read(go, 1)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.connect(str(path))
                sock.sendall(encode_request(LinkUp("can0")))
                os.write(tell, sock.recv(4096))
        finally:
            os._exit(0)
    os.close(tell)
    return pid, told


def test_the_helper_hears_its_group_alone() -> None:
    """Whatever the mode of its socket has become, the kernel says who asks: a stranger is refused, a member is not."""
    if os.geteuid():
        pytest.skip(f"becomes other users, which needs root: {VM_HINT}")
    group = grp.getgrnam("users")
    setter = RecordingLinkSetter()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "bus.sock")
        ready, go = os.pipe()
        children = [ask_as(NOBODY, groups, path, ready) for groups in ([], [group.gr_gid])]
        service = BusHelper(HelperOptions(path, frozenset({"can0"}), group.gr_name), setter)
        service.open()
        path.chmod(0o666)
        stop, wake = threading.Event(), os.eventfd(0)
        thread = threading.Thread(target=service.serve, args=(stop, wake))
        thread.start()
        os.write(go, b"go")
        answers = []
        for pid, told in children:
            os.waitpid(pid, 0)
            answers.append(os.read(told, 4096))
            os.close(told)
        stop.set()
        os.eventfd_write(wake, 1)
        thread.join()
        service.close()
        for fd in (ready, go, wake):
            os.close(fd)
    assert b"you may not ask" in answers[0]
    assert json.loads(answers[1]) == {"ok": True}
    assert setter.requests == [LinkUp("can0")]
