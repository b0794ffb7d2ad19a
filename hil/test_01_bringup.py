"""The rig itself, in the order in which it comes up. When one of these fails, look here first."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from hil.conftest import MakeTerminal
from hil.rig.can import FD_MTU, Sja1000, Vcan
from hil.rig.disk import GuestDisk
from hil.rig.gnss import GnssPty
from hil.rig.patience import Patience
from tests.support.broker import Broker
from tests.support.can_feed import classic, fd_frame

CANFD_FDF = 0x04  # linux/can.h: the kernel marks every FD frame it hands on


def _receiver(bus: Vcan | Sja1000, patience: Patience) -> socket.socket:
    sock = bus.sender()
    sock.settimeout(patience.bound_s(5))
    return sock


def test_vcan_carries_classic_and_fd_frames(vcan: tuple[Vcan, ...], patience: Patience) -> None:
    """Four buses are up with room for FD, and what goes in comes out, on the same bus alone."""
    assert [bus.mtu for bus in vcan] == [FD_MTU] * 4
    frames = [classic(0x123, b"\1\2\3"), fd_frame(0x456, bytes(range(64)), CANFD_FDF)]
    with ExitStack() as stack:
        listeners = [stack.enter_context(_receiver(bus, patience)) for bus in vcan]
        sender = stack.enter_context(vcan[1].sender())
        for frame in frames:
            sender.send(frame)
        assert [listeners[1].recv(FD_MTU) for _ in frames] == frames
        for number in (0, 2, 3):
            listeners[number].setblocking(False)
            assert _nothing(listeners[number])


def _nothing(sock: socket.socket) -> bool:
    try:
        sock.recv(FD_MTU)
    except BlockingIOError:
        return True
    return False


def test_controllers_talk_to_each_other(sja1000: tuple[Sja1000, Sja1000], patience: Patience) -> None:
    """A frame sent by one emulated controller arrives at the other."""
    first, second = sja1000
    frame = classic(0x7DF, bytes(8))
    with first.sender() as sender, _receiver(second, patience) as listener:
        sender.send(frame)
        assert listener.recv(FD_MTU) == frame


def test_serial_line(gnss_pty: GnssPty) -> None:
    """What the receiver says is read from its device name; pulled out, the name is gone."""
    with gnss_pty.device.open("rb", buffering=0) as port:
        gnss_pty.says(b"$GNTXT*00\r\n")
        assert port.read(64) == b"$GNTXT*00\r\n"
    gnss_pty.pull_out()
    assert not gnss_pty.device.exists()
    gnss_pty.plug_in()
    assert gnss_pty.device.exists()


def test_disk_is_ext4_with_the_options_of_the_image(guest_disk: GuestDisk) -> None:
    """A file system that is really one: files survive unmounting."""
    (guest_disk.path / "kept").write_bytes(b"kept")
    guest_disk.unmount()
    assert not (guest_disk.path / "kept").exists()
    guest_disk.mount()
    assert (guest_disk.path / "kept").read_bytes() == b"kept"
    assert "noatime" in guest_disk.options()


def test_terminal_starts_answers_and_stops(
    terminal: MakeTerminal, vcan: tuple[Vcan, ...], gnss_pty: GnssPty, broker: Broker
) -> None:
    """A terminal with a bus, a receiver and a broker opens all of them, says so, and ends clean."""
    box = terminal(can=[vcan[0]], gnss=gnss_pty.device, broker_port=broker.port)
    status = box.status()
    assert status["device"] == "RIG1"
    assert {source["name"] for source in status["sources"]} == {f"socketcan:{vcan[0]}", f"gnss:{gnss_pty.device}"}
    box.wait("it is connected to the broker", lambda: box.status()["uplink"]["connected"])
    with vcan[0].sender() as sender:
        sender.send(classic(0x100, b"\1"))
    box.wait("the frame is counted", lambda: box.source(str(vcan[0])).get("frames") == 1)
    box.wait("the engine's time has begun", lambda: box.status()["vehicle"])
    assert box.stop() == 0
    assert any(record["kind"] == "boot" for record in box.records())
