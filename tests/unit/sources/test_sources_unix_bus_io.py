"""A bus without a kernel bus: any sender, kernel stamps, a path that is never taken from a living process."""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from outrider.clock import SystemClock
from outrider.engine import Capture, CaptureOptions, Engine, open_unix, player_io
from outrider.errors import ConfigError, LinkError
from outrider.sources.can_io import CanOptions
from outrider.sources.captured_io import CaptureDesk
from outrider.sources.unix_bus_io import MAX_PATH_BYTES, PLAYER_SUFFIX, UnixBus, UnixBusSource
from tests.support.can_feed import classic, fd_frame, seen, taped_engine

DEADLINE_S = 60.0


class Bench:
    def __init__(self, engine: Engine, desk: CaptureDesk, channel: Path) -> None:
        self.engine, self.desk, self.tape = engine, desk, b""
        self.source = UnixBusSource(CanOptions("unix", str(channel), back_off_s=(0.001, 0.002)), SystemClock(), desk)

    def start(self) -> None:
        self.source.start(lambda _item: pytest.fail("frames go past deliver"))

    def serve_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, self.source.state()
            self.desk.serve(0.02)
            self.engine.take()
            self.tape += self.engine.take_tape()

    def up(self) -> None:
        self.serve_until(lambda: self.source.state().get("receive_buffer"))


@contextmanager
def bench(channel: Path) -> Iterator[Bench]:
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    with taped_engine() as engine, Capture(engine, CaptureOptions(gather_us=0, merge_window_us=0)) as capture:
        desk = CaptureDesk(capture)
        box = Bench(engine, desk, channel)
        try:
            yield box
        finally:
            box.source.stop()
            desk.close()
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before, "a descriptor was left open"


@contextmanager
def sender(channel: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(str(channel))
        yield sock


def test_frames_of_any_sender_are_traffic_with_the_time_of_sending(tmp_path: Path) -> None:
    """Two senders, classic and FD: none is an echo, each has the time at which it was sent, not read."""
    channel = tmp_path / "bus.sock"
    with bench(channel) as box:
        box.start()
        box.up()
        assert stat.S_IMODE(channel.stat().st_mode) == 0o600
        times = []
        with sender(channel) as one, sender(channel) as two:
            for n, sock in enumerate((one, two, one)):
                before = SystemClock().boottime_us()
                sock.send(fd_frame(0x101, bytes(64)) if n == 1 else classic(0x100, bytes([n])))
                times.append((before, SystemClock().boottime_us()))
        box.serve_until(lambda: box.engine.stats().frames == 3)
        box.serve_until(lambda: len(seen(box.tape)) == 3)
        state = box.source.state()
    frames = seen(box.tape)
    assert [f.can_id for f in frames] == [0x100, 0x101, 0x100]
    slack_us = 200  # the two clocks are read in turn
    assert all(a - slack_us <= f.t_us <= b + slack_us for f, (a, b) in zip(frames, times, strict=True))
    assert "echoes" not in state
    assert "restamped" not in state
    assert not channel.exists(), "the path is given back"


def test_a_sender_that_is_ahead_waits_and_nothing_is_lost(tmp_path: Path) -> None:
    """A socket that is not read takes a few datagrams and then makes the sender wait; all of them arrive in order."""
    channel = tmp_path / "bus.sock"
    with bench(channel) as box:
        box.start()
        box.up()
        with sender(channel) as sock:
            sock.setblocking(False)
            sent = 0
            while sent < 3000:
                try:
                    sock.send(classic(0x100, sent.to_bytes(4, "little")))
                    sent += 1
                except BlockingIOError:
                    goal = sent
                    box.serve_until(lambda: box.engine.stats().frames >= goal)  # noqa: B023  # called at once
        box.serve_until(lambda: len(seen(box.tape)) == 3000)
    assert [int.from_bytes(f.data, "little") for f in seen(box.tape)] == list(range(3000))
    assert all(a.t_us <= b.t_us for a, b in pairwise(seen(box.tape)))


def sent_without_waiting(sock: socket.socket, limit: int) -> int:
    """How many frames the kernel takes while nobody reads."""
    sock.setblocking(False)
    for n in range(limit):
        try:
            sock.send(classic(0x100, n.to_bytes(4, "little")))
        except BlockingIOError:
            return n
    return limit


def test_a_player_has_the_bus_and_its_own_buffer(tmp_path: Path) -> None:
    """Hundreds of frames wait without holding up the player, none is lost; others may send when it has gone."""
    channel = tmp_path / "bus.sock"
    with bench(channel) as box:
        box.start()
        box.up()
        with open_unix(channel) as player:
            box.serve_until(lambda: refused(channel))
            sent = sent_without_waiting(player, 100)
            assert sent == 100, "far more than net.unix.max_dgram_qlen"
        box.serve_until(lambda: not refused(channel))
        box.serve_until(lambda: len(seen(box.tape)) == 100)
        with open_unix(channel) as second:
            second.send(classic(0x101, bytes(4)))
            box.serve_until(lambda: box.engine.stats().frames == 101)
            with pytest.raises(LinkError, match="another player has it"):
                open_unix(channel)
    assert [int.from_bytes(f.data, "little") for f in seen(box.tape)] == [*range(100), 0]
    assert list(tmp_path.iterdir()) == []


def refused(channel: Path) -> bool:
    """Whether the bus takes nothing from a sender without the player's name."""
    try:
        with sender(channel):
            return False
    except PermissionError:
        return True


def test_the_name_of_a_dead_player_is_taken_over(tmp_path: Path) -> None:
    """SIGKILL leaves the name behind; the next player has the bus all the same."""
    channel = tmp_path / "bus.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(f"{channel}{PLAYER_SUFFIX}")
    with bench(channel) as box:
        box.start()
        box.up()
        with open_unix(channel):
            box.serve_until(lambda: refused(channel))


def test_both_sides_mean_the_same_name() -> None:
    """The bus looks for what the player binds."""
    assert PLAYER_SUFFIX == player_io.PLAYER_SUFFIX


def test_what_is_no_frame_is_counted(tmp_path: Path) -> None:
    """Datagrams of another size are malformed, the next frame is read."""
    channel = tmp_path / "bus.sock"
    with bench(channel) as box:
        box.start()
        box.up()
        with sender(channel) as sock:
            for datagram in (b"", b"x" * 15, b"x" * 500, classic(0x100, b"\1")):
                sock.send(datagram)
        box.serve_until(lambda: box.engine.stats().frames == 1)
        assert box.source.state()["malformed"] == 3


def test_a_socket_that_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    """After SIGKILL the path is still there; the next daemon takes it."""
    channel = tmp_path / "bus.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(channel))
    with bench(channel) as box:
        box.start()
        box.up()
        with sender(channel) as sock:
            sock.send(classic(0x100, b"\1"))
        box.serve_until(lambda: box.engine.stats().frames == 1)


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_path_that_a_living_process_holds_is_refused(tmp_path: Path, kind: socket.SocketKind) -> None:
    """Another daemon's bus, or any other service's socket: an error that says so, and the other one keeps it."""
    channel = tmp_path / "bus.sock"
    with socket.socket(socket.AF_UNIX, kind) as other:
        other.bind(str(channel))
        if kind is socket.SOCK_STREAM:
            other.listen()
        inode = channel.stat().st_ino
        with bench(channel) as box, pytest.raises(LinkError, match="another process receives there"):
            box.start()
        with pytest.raises(LinkError, match=str(channel)):
            UnixBus(channel)
        assert channel.stat().st_ino == inode


def test_two_buses_on_one_path(tmp_path: Path) -> None:
    """The second is down and says why; the first goes on."""
    channel = tmp_path / "bus.sock"
    first = UnixBus(channel)
    try:
        with pytest.raises(LinkError, match="another process"):
            UnixBus(channel)
    finally:
        first.shutdown()
    assert not channel.exists()


def test_closing_leaves_a_strangers_socket_alone(tmp_path: Path) -> None:
    """Somebody removed our path and put his own there: it stays."""
    channel = tmp_path / "bus.sock"
    bus = UnixBus(channel)
    channel.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(channel))
        bus.shutdown()
        assert channel.exists()


def test_the_socket_is_lost_and_made_again(tmp_path: Path) -> None:
    """A bus that fails is opened again at the same path."""
    channel = tmp_path / "bus.sock"
    with bench(channel) as box:
        box.start()
        box.up()
        box.source.lost("torn out")
        box.serve_until(lambda: box.source.state().get("opened") == 2)
        box.serve_until(lambda: box.source.state()["state"] == "up" and channel.exists())
        with sender(channel) as sock:
            sock.send(classic(0x100, b"\1"))
        box.serve_until(lambda: box.engine.stats().frames == 1)
        assert box.source.stats.last_error == "torn out"


@pytest.mark.parametrize(
    ("channel", "reason"),
    [
        ("bus.sock", "absolute path"),
        ("{tmp}/" + "x" * 108, f"at most {MAX_PATH_BYTES}"),
        ("{tmp}/missing/bus.sock", "there is no directory .*/missing; make it first"),
        ("{tmp}/file", "is no socket"),
    ],
)
def test_a_channel_that_can_never_work_is_an_error_at_the_start(tmp_path: Path, channel: str, reason: str) -> None:
    """Relative, too long, without a directory, a file of somebody's: one line that says what to do."""
    (tmp_path / "file").write_text("precious", encoding="ascii")
    path = Path(channel.format(tmp=tmp_path))
    with bench(path) as box, pytest.raises(ConfigError, match=reason):
        box.start()
    assert (tmp_path / "file").read_text(encoding="ascii") == "precious"


def test_the_longest_path_works(tmp_path: Path) -> None:
    """107 bytes are enough for the kernel, 108 are not."""
    folder = Path("/tmp") / f"o{os.getpid()}"  # pytest's own folders may be too long for the sum
    folder.mkdir()
    try:
        channel = folder / ("x" * (MAX_PATH_BYTES - len(str(folder)) - 1))
        bus = UnixBus(channel)
        bus.shutdown()
    finally:
        folder.rmdir()
