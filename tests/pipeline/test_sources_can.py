"""Live CAN on real python-can interfaces: in-process, over multicast, and over a serial line that is pulled out."""

from __future__ import annotations

import os
import queue
import socket
import threading
import tty
from pathlib import Path

import can
import pytest

from outrider.clock import SystemClock
from outrider.model.frame import BRS, EFF, FD, FRAME, RTR
from outrider.ports import SourceItem
from outrider.sources.can_io import CanOptions, CanSource

WAIT_S = 30.0
FAST = (0.01, 0.05)
Frame = tuple[int, int, int, int, int, bytes]


class Listener:
    """Collects frames of a source."""

    def __init__(self, options: CanOptions) -> None:
        self.source = CanSource(options, SystemClock())
        self._items: queue.Queue[SourceItem] = queue.Queue()

    def __enter__(self) -> Listener:
        self.source.start(self._items.put)
        return self

    def __exit__(self, *_: object) -> None:
        self.source.stop()

    def wait_for(self, state: str) -> None:
        pause = threading.Event()
        for _ in range(int(WAIT_S / 0.005)):
            if self.source.state()["state"] == state:
                return
            pause.wait(0.005)
        raise AssertionError(f"not {state} after {WAIT_S} s: {self.source.state()}")

    def frames(self, count: int) -> list[Frame]:
        """(t_us, id, bus, flags, length, data) of the next ``count`` frames."""
        got: list[Frame] = []
        while len(got) < count:
            batch = self._items.get(timeout=WAIT_S).frames
            assert batch is not None
            got += [(*f[:5], f[6][: f[4]]) for f in FRAME.iter_unpack(batch.buffer)]
        return got


MESSAGES = [
    can.Message(arbitration_id=0x123, is_extended_id=False, data=b"abc"),
    can.Message(arbitration_id=0x18FEF100, is_extended_id=True, data=bytes(8)),
    can.Message(arbitration_id=0x7FF, is_extended_id=False, is_remote_frame=True, dlc=4),
]
EXPECTED = [
    (0x123, 2, 0, 3, b"abc"),
    (0x18FEF100, 2, EFF, 8, bytes(8)),
    (0x7FF, 2, RTR, 4, bytes(4)),
]


def test_the_virtual_bus_loses_nothing() -> None:
    """20,000 frames in order, with engine times between sending and now."""
    clock = SystemClock()
    with Listener(CanOptions("virtual", "test_sources", bus=2, back_off_s=FAST)) as listener:
        listener.wait_for("up")
        with can.Bus(interface="virtual", channel="test_sources") as sender:
            begin_us = clock.boottime_us()
            for n in range(20_000):
                sender.send(can.Message(arbitration_id=n % 2048, is_extended_id=False, data=n.to_bytes(4, "big")))
            got = listener.frames(20_000)
            end_us = clock.boottime_us()
        state = listener.source.state()
    assert [int.from_bytes(f[5], "big") for f in got] == list(range(20_000))
    times = [f[0] for f in got]
    assert times == sorted(times)
    assert begin_us - 1000 <= times[0] <= times[-1] <= end_us
    assert state["frames"] == 20_000
    assert not {"dropped", "failures", "restamped", "malformed"} & state.keys()


def test_every_kind_of_frame_over_the_virtual_bus() -> None:
    """Standard, extended, remote."""
    with Listener(CanOptions("virtual", "test_kinds", bus=2, back_off_s=FAST)) as listener:
        listener.wait_for("up")
        with can.Bus(interface="virtual", channel="test_kinds") as sender:
            for message in MESSAGES:
                sender.send(message)
            assert [f[1:] for f in listener.frames(3)] == EXPECTED


@pytest.fixture
def group() -> tuple[str, int]:
    """A multicast group on a free port, where the kernel has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    address = "239.74.163.2"
    try:
        with (
            can.Bus(interface="udp_multicast", channel=address, port=port, hop_limit=0) as a,
            can.Bus(interface="udp_multicast", channel=address, port=port, hop_limit=0) as b,
        ):
            a.send(can.Message(arbitration_id=1))
            if b.recv(2.0) is None:
                pytest.skip("this machine does not loop multicast back: enable multicast on an interface")
    except (can.CanError, OSError) as err:
        pytest.skip(f"no multicast here ({err}): enable it on an interface")
    return address, port


def test_fd_frames_over_multicast(group: tuple[str, int]) -> None:
    """udp_multicast carries FD with its flags, between two sockets of the kernel."""
    address, port = group
    options = CanOptions(
        "udp_multicast", address, fd=True, options={"port": port, "hop_limit": 0}, bus=1, back_off_s=FAST
    )
    with Listener(options) as listener:
        listener.wait_for("up")
        with can.Bus(interface="udp_multicast", channel=address, port=port, hop_limit=0) as sender:
            for n in range(100):
                sender.send(
                    can.Message(
                        arbitration_id=n, is_extended_id=False, is_fd=True, bitrate_switch=True, data=bytes([n] * 64)
                    )
                )
            got = listener.frames(100)
    assert [f[1:] for f in got] == [(n, 1, FD | BRS, 64, bytes([n] * 64)) for n in range(100)]


class SerialAdapter:
    """The far end of an slcan adapter: a pseudo-terminal behind a stable name, which can be pulled out."""

    def __init__(self, link: Path) -> None:
        self._link = link
        self._master = -1
        self.heard = b""

    def plug_in(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(os.ttyname(slave))
        self._slave = slave

    def pull_out(self) -> None:
        self._link.unlink()
        os.close(self._slave)
        os.close(self._master)

    def says(self, line: bytes) -> None:
        os.write(self._master, line)

    def wait_opened(self) -> bytes:
        """Everything up to the command that opens the channel: L listen-only, O for sending."""
        while not self.heard.endswith((b"L\r", b"O\r")):
            self.heard += os.read(self._master, 100)
        heard, self.heard = self.heard, b""
        return heard


def test_slcan_over_a_serial_line_that_is_pulled_out_and_back(tmp_path: Path) -> None:
    """Listen-only by default; unplugged it is down and says so; plugged in again frames go on."""
    adapter = SerialAdapter(tmp_path / "adapter")
    adapter.plug_in()
    options = CanOptions(
        "slcan", str(tmp_path / "adapter"), bitrate=500_000, options={"sleep_after_open": 0}, bus=2, back_off_s=FAST
    )
    with Listener(options) as listener:
        assert b"S6\r" in adapter.wait_opened()
        listener.wait_for("up")
        adapter.says(b"t1233616263\rT18FEF10080000000000000000\rr7FF4\r")
        assert [f[1:] for f in listener.frames(3)] == EXPECTED
        adapter.pull_out()
        listener.wait_for("down")
        assert listener.source.state()["failures"] >= 1
        adapter.plug_in()
        assert adapter.wait_opened().endswith(b"L\r")
        listener.wait_for("up")
        adapter.says(b"t1233616263\r")
        assert [f[1:] for f in listener.frames(1)] == EXPECTED[:1]
        assert listener.source.state()["opened"] == 2
    adapter.pull_out()
