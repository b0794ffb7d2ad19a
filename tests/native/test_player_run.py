"""The player on datagram sockets: each frame at its time, in order, none left out, and a way to stop it."""

from __future__ import annotations

import math
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from outrider.engine import Player, PlayStats, ensure_virtual, open_can, open_unix
from outrider.errors import EngineError, LinkError
from outrider.model.frame import ERR, FD, RTR, FrameBatch
from tests.support.can_feed import pair

DEADLINE_S = 60.0
SO_TIMESTAMPNS = 35
SLACK_US = 500  # the offset of the two clocks is read after the fact; it may be slewed meanwhile


def boot_us() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class Sink(threading.Thread):
    """Receives on one socket: (bus, boot time of sending, datagram), until it has ``count`` of them."""

    def __init__(self, sock: socket.socket, bus: int, count: int) -> None:
        super().__init__()
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.settimeout(DEADLINE_S)
        self.sock, self.bus, self.count = sock, bus, count
        self.got: list[tuple[int, int, bytes]] = []
        self.start()

    def run(self) -> None:
        while len(self.got) < self.count:
            data, control, _flags, _address = self.sock.recvmsg(100, 200)
            seconds, nanoseconds = struct.unpack("qq", control[0][2])
            offset_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.time_ns()
            self.got.append((self.bus, (seconds * 1_000_000_000 + nanoseconds + offset_ns) // 1000, data))


@contextmanager
def buses(*counts: int) -> Iterator[tuple[dict[int, int], list[Sink]]]:
    """Descriptors by bus number and who receives so many frames on each."""
    with ExitStack() as stack:
        fds, sinks = {}, []
        for bus, count in enumerate(counts):
            sender, receiver = (stack.enter_context(s) for s in pair())
            fds[bus] = sender.fileno()
            sinks.append(Sink(receiver, bus, count))
            stack.callback(sinks[-1].join)
        yield fds, sinks


def drive(times: list[int], bus_count: int = 1, flags: int = 0) -> FrameBatch:
    """Frame n is of bus n mod bus_count and carries n."""
    batch = FrameBatch()
    for n, t_us in enumerate(times):
        batch.append(t_us, 0x100 + n % bus_count, n.to_bytes(4, "little"), flags, n % bus_count)
    return batch


def number(datagram: bytes) -> int:
    return int.from_bytes(datagram[8:12], "little")


@pytest.mark.parametrize("speed", [1.0, 10.0, 0.5])
def test_each_frame_leaves_at_its_time_and_no_earlier(speed: float) -> None:
    """Held against the oracle start + (t - first) / speed, over several calls; the start is real boot time."""
    times = [7_000_000 + n * 3_000 for n in range(40)]
    with buses(40) as (fds, [sink]), Player(fds, speed=speed) as player:
        assert player.start_boot_us == 0
        before = boot_us()
        player.play(drive(times[:25]))
        rest = FrameBatch()
        rest.extend_raw(drive(times).buffer[25 * 80 :])
        stats = player.play(rest)
        start = player.start_boot_us
        assert before <= start <= boot_us()
        sink.join(DEADLINE_S)
    assert [number(data) for _bus, _t, data in sink.got] == list(range(40))
    due = [start + (t - times[0]) / speed for t in times]
    assert all(at >= wanted - SLACK_US for (_bus, at, _data), wanted in zip(sink.got, due, strict=True))
    assert (stats.sent, stats.refused, stats.unrouted) == (40, 0, 0)
    assert 0 <= stats.late_p99_us <= stats.late_max_us


def test_a_given_time_line_is_kept() -> None:
    """Frames and other players may share one zero; the first frame is then due where it lies on it."""
    with buses(1) as (fds, [sink]), Player(fds) as player:
        start = boot_us() + 30_000
        player.start(start, 1_000_000)
        player.play(drive([1_020_000]))
        sink.join(DEADLINE_S)
        assert player.start_boot_us == start
        with pytest.raises(EngineError, match="has started"):
            player.start(start, 0)
    assert sink.got[0][1] >= start + 20_000 - SLACK_US


def test_buses_keep_their_order_and_that_among_each_other() -> None:
    """1,200 frames of three buses, 2 ms apart, at 20 times the speed: each bus in order, and all of them by time."""
    times = [n * 2_000 for n in range(1200)]
    with buses(400, 400, 400) as (fds, sinks), Player(fds, speed=20.0) as player:
        assert player.play(drive(times, 3)).sent == 1200
        for sink in sinks:
            sink.join(DEADLINE_S)
    for sink in sinks:
        assert [number(data) for _bus, _t, data in sink.got] == list(range(sink.bus, 1200, 3))
    order = [number(data) for _bus, _t, data in sorted((m for s in sinks for m in s.got), key=lambda m: m[1])]
    moved = [abs(n - place) for place, n in enumerate(order)]
    assert max(moved) <= 3 * 10 * 2  # a window spans 1 ms of the machine: 10 frames


def test_no_pace_means_as_fast_as_the_receivers_take() -> None:
    """An hour of frames at once; a socket that is full is waited for, nothing is lost."""
    times = [n * 1_000_000 for n in range(3600)]
    with buses(1800, 1800) as (fds, sinks), Player(fds, speed=math.inf) as player:
        stats = player.play(drive(times, 2))
        for sink in sinks:
            sink.join(DEADLINE_S)
    assert (stats.sent, stats.late_max_us) == (3600, 0)
    for sink in sinks:
        assert [number(data) for _bus, _t, data in sink.got] == list(range(sink.bus, 3600, 2))


def test_a_full_socket_is_waited_for_and_the_wait_is_counted() -> None:
    """Nobody reads at first: the player waits; once somebody does, every frame arrives, late and in order."""
    sender, receiver = pair()
    with sender, receiver, Player({0: sender.fileno()}) as player:
        stats: list[PlayStats] = []
        thread = threading.Thread(target=lambda: stats.append(player.play(drive([0] * 5000))))
        thread.start()
        deadline = time.monotonic() + DEADLINE_S
        while not player.stats().waits:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        sink = Sink(receiver, 0, 5000)
        sink.join(DEADLINE_S)
        thread.join(DEADLINE_S)
    assert [number(data) for _bus, _t, data in sink.got] == list(range(5000))
    assert stats[0].sent == 5000
    assert stats[0].waits >= 1
    assert stats[0].waited_us > 0
    assert stats[0].late_max_us > 0


def test_every_kind_of_frame_and_what_is_passed_over() -> None:
    """Classic, FD, error and remote frames go; a bus without a socket and an impossible frame are counted."""
    batch = FrameBatch()
    batch.append(0, 0x100, b"\1")
    batch.append(0, 0x101, bytes(64), FD)
    batch.append(0, 0x40, bytes(8), ERR)
    batch.append(0, 0x102, b"", RTR)
    batch.append(0, 0x103, b"\1", 0, 9)
    batch.append(0, 0x104, bytes(9))  # more than a classic frame holds
    with buses(4) as (fds, [sink]), Player(fds) as player:
        stats = player.play(batch)
        sink.join(DEADLINE_S)
    assert [len(data) for _bus, _t, data in sink.got] == [16, 72, 16, 16]
    assert [struct.unpack_from("=I", data)[0] for *_x, data in sink.got] == [0x100, 0x101, 0x20000040, 0x40000102]
    assert (stats.sent, stats.refused, stats.unrouted, stats.last_error) == (4, 1, 1, "")


def test_a_receiver_that_is_gone_and_one_that_comes_again(tmp_path: Path) -> None:
    """Frames for nobody are refused with the reason; when somebody binds the path anew the drive goes on there."""
    path = tmp_path / "bus.sock"
    first = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    first.bind(str(path))
    with open_unix(path) as sock, Player({0: sock.fileno()}) as player:
        assert player.play(drive([0])).sent == 1
        first.close()
        stats = player.play(drive([1, 2]))
        assert (stats.sent, stats.refused, stats.last_error) == (1, 2, "Connection refused")
        path.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as second:
            second.bind(str(path))
            stats = player.play(drive([3, 4, 5]))
            assert (stats.sent, stats.refused, stats.reconnects) == (4, 2, 1)
            assert [number(second.recv(100)) for _ in range(3)] == [0, 1, 2]


def test_stop_ends_a_wait_for_time_and_one_for_room() -> None:
    """From another thread, at once, for good; what was not sent is not counted as sent."""
    sender, receiver = pair()
    with sender, receiver:
        for frames in (drive([0, 3_600_000_000]), drive([0] * 5000)):
            with Player({0: sender.fileno()}) as player:
                thread = threading.Thread(target=player.play, args=(frames,))
                thread.start()
                deadline = time.monotonic() + DEADLINE_S
                while not player.stats().sent and not player.stats().waits:
                    assert time.monotonic() < deadline
                    time.sleep(0.001)
                player.stop()
                thread.join(DEADLINE_S)
                assert not thread.is_alive()
                assert player.stopped
                sent = player.stats().sent
                assert sent < len(frames)
                assert player.play(frames).sent == sent, "a stopped player sends no more"


class GiveUpError(Exception):
    pass


def test_a_signal_runs_its_handler_and_the_rest_is_played() -> None:
    """A handler that returns costs nothing; one that raises ends the call."""
    heard: list[int] = []
    old = signal.signal(signal.SIGUSR1, lambda number, _frame: heard.append(number))
    try:
        with buses(2) as (fds, [sink]), Player(fds) as player:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            assert player.play(drive([0, 300_000])).sent == 2
            sink.join(DEADLINE_S)
        assert heard == [signal.SIGUSR1]

        def give_up(_number: int, _frame: object) -> None:
            raise GiveUpError

        signal.signal(signal.SIGUSR1, give_up)
        with buses(1) as (fds, [sink]), Player(fds) as player:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            with pytest.raises(GiveUpError):
                player.play(drive([0, 3_600_000_000]))
    finally:
        signal.signal(signal.SIGUSR1, old)


def test_other_threads_run_while_frames_wait() -> None:
    """The interpreter lock is released: a thread that only counts gets on while the player sleeps."""
    with buses(2) as (fds, _sinks), Player(fds) as player:
        thread = threading.Thread(target=player.play, args=(drive([0, 200_000]),))
        thread.start()
        turns = 0
        while thread.is_alive():
            turns += 1
        thread.join()
    assert turns > 100


def test_wrong_arguments_are_errors(tmp_path: Path) -> None:
    """Speeds that are none, descriptors that are no sockets, frames that are cut, calls after close."""
    for speed in (0.0, -1.0, math.nan):
        with pytest.raises(EngineError, match="argument"):
            Player({}, speed=speed)
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    file = (tmp_path / "file").open("wb")
    with file, pytest.raises(OSError, match="no socket"):
        Player({0: file.fileno()})
    with pytest.raises(OSError, match="Bad file descriptor"):
        Player({0: 9999})
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before
    player = Player({})
    with pytest.raises(ValueError, match="whole number"):
        player.play(b"x" * 79)
    assert player.play(b"").sent == 0
    player.close()
    player.close()
    player.stop()
    with pytest.raises(EngineError, match="closed"):
        player.play(b"")


def test_times_of_any_size_do_not_break_the_time_line() -> None:
    """Stamps at the ends of 64 bits, and ones that fall: sent at once or never due, no overflow."""
    with buses(3) as (fds, [sink]), Player(fds) as player:
        assert player.play(drive([0, -(2**63), -5])).sent == 3
        sink.join(DEADLINE_S)
        thread = threading.Thread(target=player.play, args=(drive([2**63 - 1]),))
        thread.start()
        player.stop()
        thread.join(DEADLINE_S)
        assert player.stats().sent == 3


# ---- where frames may go -----------------------------------------------------------------------------


def interface(sys_net: Path, name: str, *, device: bool = False) -> str:
    (sys_net / name).mkdir()
    if device:
        (sys_net / name / "device").mkdir()
    return name


def test_nothing_is_sent_on_a_real_bus_by_accident(tmp_path: Path) -> None:
    """Hardware and serial-line adapters are refused unless they are meant; virtual interfaces are fine,
    whatever the length of their queue (1000 on many kernels)."""
    kinds = {"vcan0": "vcan", "vx0": "vxcan", "can0": "can", "slcan0": None, "fake0": "vcan"}
    for name, kind in kinds.items():
        interface(tmp_path, name, device=name in {"can0", "fake0"})
        if kind in {"vcan", "vxcan"} and name != "fake0":
            ensure_virtual(name, sys_net=tmp_path, kind_of=kinds.get)
            continue
        with pytest.raises(LinkError, match=f"{name}: has hardware behind it"):
            ensure_virtual(name, sys_net=tmp_path, kind_of=kinds.get)
        ensure_virtual(name, real=True, sys_net=tmp_path, kind_of=kinds.get)


@pytest.mark.parametrize("name", ["", "nowhere", "../net/lo", "/"])
def test_an_interface_that_is_none(tmp_path: Path, name: str) -> None:
    """Also names that are paths: no such interface, even when it is meant."""
    with pytest.raises(LinkError, match="no such network interface"):
        ensure_virtual(name, real=True, sys_net=tmp_path)


def test_opening_what_is_not_there(tmp_path: Path) -> None:
    """One line with the reason."""
    with pytest.raises(LinkError, match="no such network interface"):
        open_can("nocan7")
    for path in (tmp_path / "bus.sock", tmp_path / ("x" * 200)):
        with pytest.raises(LinkError, match="is the daemon running"):
            open_unix(path)


def test_order_is_by_place_not_by_time() -> None:
    """A frame older than the one before it goes right after it."""
    with buses(3) as (fds, [sink]), Player(fds, speed=100.0) as player:
        player.play(drive([0, 500_000, 100_000]))
        sink.join(DEADLINE_S)
    assert [number(data) for *_x, data in sink.got] == [0, 1, 2]
    assert all(a[1] <= b[1] for a, b in pairwise(sink.got))
