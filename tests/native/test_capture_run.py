"""The capture on datagram sockets: nothing lost, nothing out of order, every way back to the owner."""

from __future__ import annotations

import errno
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.engine import Capture, CaptureEnd, CaptureOptions, Engine
from outrider.errors import EngineError
from outrider.model.fix import Fix, FixType
from outrider.model.frame import ERR, FD
from tests.oracles.can_datagram import oracle
from tests.support.can_feed import CAN_ERR, Seen, classic, fd_frame, pair, seen, taped_engine

NO_WAIT = CaptureOptions(gather_us=0, merge_window_us=0)
DEADLINE_S = 60.0


class Bench:
    """An engine with a tape, a capture on it, and a sender for each bus."""

    def __init__(self, engine: Engine, capture: Capture, buses: int) -> None:
        self.engine, self.capture = engine, capture
        self.tape = b""
        self.senders: list[socket.socket] = []
        self.receivers: list[socket.socket] = []  # the capture has its own copy
        for bus in range(buses):
            sender, receiver = pair()
            capture.add(receiver.fileno(), bus)
            self.receivers.append(receiver)
            self.senders.append(sender)

    def run(self, timeout_s: float = 0.0) -> CaptureEnd:
        end = self.capture.run(timeout_s)
        self.engine.take()
        self.tape += self.engine.take_tape()
        return end

    def until(self, frames: int) -> list[Seen]:
        """Runs until the engine has processed so many frames."""
        deadline = time.monotonic() + DEADLINE_S
        while self.engine.stats().frames < frames:
            assert time.monotonic() < deadline, self.engine.stats()
            self.run(0.05)
        return seen(self.tape)


@contextmanager
def bench(buses: int = 1, options: CaptureOptions = NO_WAIT, **engine_options: int) -> Iterator[Bench]:
    with taped_engine(max(1, buses), **engine_options) as engine, Capture(engine, options) as capture:
        box = Bench(engine, capture, buses)
        try:
            yield box
        finally:
            for sock in box.senders + box.receivers:
                sock.close()


def test_frames_come_through_with_their_bus_flags_and_times() -> None:
    """Classic, FD and error frames; stamped between sending and now; in order."""
    with bench() as box:
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
        for datagram in (classic(0x100, b"\5"), fd_frame(0x200, bytes(64)), classic(0x40 | CAN_ERR, bytes(8))):
            box.senders[0].send(datagram)
        got = box.until(3)
        after = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
        stats = box.capture.stats(0)
    assert [(f.can_id, f.bus, f.flags, len(f.data)) for f in got] == [
        (0x100, 0, 0, 1),
        (0x200, 0, FD, 64),
        (0x40, 0, ERR, 8),
    ]
    assert before - 1_000 <= got[0].t_us <= got[1].t_us <= got[2].t_us <= after
    assert (stats.frames, stats.error_frames, stats.errors["bus_off"], stats.restamped) == (3, 1, 1, 0)


def test_error_frames_are_counted_by_class() -> None:
    """Each bit of the class has its counter; an overflow of the controller has one more."""
    with bench() as box:
        for bit in range(10):
            box.senders[0].send(classic(CAN_ERR | 1 << bit, bytes([0, 0x01]) + bytes(6)))
        box.senders[0].send(classic(CAN_ERR | 0x204, bytes([0, 0x10]) + bytes(6)))
        box.until(11)
        stats = box.capture.stats(0)
    assert list(stats.errors.values()) == [1, 1, 2, 1, 1, 1, 1, 1, 1, 2]
    assert (stats.error_frames, stats.controller_overflows) == (11, 1)


def test_malformed_datagrams_are_counted_and_the_others_pass() -> None:
    """Every wrong size between good frames."""
    sizes = [n for n in range(100) if n not in {16, 72}]
    with bench() as box:
        for size in sizes:
            box.senders[0].send(bytes(size))
            box.senders[0].send(classic(0x100, bytes([size])))
            box.run()
        got = box.until(len(sizes))
        stats = box.capture.stats(0)
    assert [f.data[0] for f in got] == sizes
    assert (stats.malformed, stats.frames) == (len(sizes), len(sizes))


def feed(sender: socket.socket, count: int, bus: int) -> None:
    for n in range(count):
        sender.send(classic(0x100 + bus, n.to_bytes(4, "little")))


def test_200000_frames_of_four_buses_without_loss() -> None:
    """As fast as four threads can send: all there, each bus in order, times never falling, no frame late."""
    each = 50_000
    with bench(4, CaptureOptions()) as box:
        threads = [threading.Thread(target=feed, args=(s, each, n)) for n, s in enumerate(box.senders)]
        for thread in threads:
            thread.start()
        got = box.until(4 * each)
        for thread in threads:
            thread.join()
        stats = [box.capture.stats(bus) for bus in range(4)]
        engine = box.engine.stats()
    assert [s.frames for s in stats] == [each] * 4
    assert all(s.reads < each / 2 for s in stats), "frames are read in batches"
    for bus in range(4):
        assert [int.from_bytes(f.data, "little") for f in got if f.bus == bus] == list(range(each))
    assert all(a.t_us <= b.t_us for a, b in pairwise(got))
    assert (engine.late, engine.refused) == (0, 0)


def test_a_burst_larger_than_the_inbox_waits_in_the_socket() -> None:
    """An inbox of 16 frames: reading pauses (held), the kernel keeps the rest, nothing is lost."""
    with bench(options=CaptureOptions(gather_us=0, merge_window_us=500_000), frame_inbox=16) as box:
        sender = box.senders[0]
        sender.setblocking(False)
        sent = 0
        while True:
            try:
                sender.send(classic(0x100, sent.to_bytes(4, "little")))
            except BlockingIOError:
                break
            sent += 1
        assert sent > 16
        got = box.until(sent)
        stats = box.capture.stats(0)
    assert [int.from_bytes(f.data, "little") for f in got] == list(range(sent))
    assert stats.frames == sent
    assert stats.socket_lost == 0


def test_buses_are_merged_by_time() -> None:
    """Frames sent in turn on three buses come out in the order they were sent, however they are read."""
    order = [random.Random(3).randrange(3) for _ in range(2000)]
    with bench(3, CaptureOptions(gather_us=2_000)) as box:

        def send() -> None:
            for n, bus in enumerate(order):
                box.senders[bus].send(classic(0x100, n.to_bytes(4, "little")))

        thread = threading.Thread(target=send)
        thread.start()
        got = box.until(len(order))
        thread.join()
        assert box.engine.stats().late == 0
    by_time: dict[int, list[int]] = {}
    for f in got:
        by_time.setdefault(f.t_us, []).append(int.from_bytes(f.data, "little"))
    flat = [n for numbers in by_time.values() for n in sorted(numbers)]  # within a microsecond the bus decides
    assert flat == list(range(len(order)))


def test_what_the_kernel_drops_is_counted() -> None:
    """A socket with a small buffer that nobody reads: frames sent = frames read + socket_lost."""
    with taped_engine() as engine, closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as receiver:
        receiver.bind(("127.0.0.1", 0))
        with (
            Capture(engine, CaptureOptions(receive_buffer=2048, gather_us=0, merge_window_us=0)) as capture,
            closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender,
        ):
            capture.add(receiver.fileno(), 0)
            sender.connect(receiver.getsockname())
            for _ in range(500):
                sender.send(classic(0x100, b"\1"))
            capture.run(0.0)
            sender.send(classic(0x100, b"\2"))  # the counter travels with the next frame
            capture.run(0.0)
            stats = capture.stats(0)
    assert stats.socket_lost > 0
    assert stats.frames + stats.socket_lost == 501
    assert stats.receive_buffer < 65_536


def test_wake_returns_once_and_stop_for_good() -> None:
    """wake: from another thread, also before run. stop: every run returns at once."""
    with bench() as box:
        box.capture.wake()
        assert box.run(DEADLINE_S) is CaptureEnd.WAKE
        assert box.run(0.0) is CaptureEnd.TIMEOUT
        thread = threading.Thread(target=box.capture.wake)
        thread.start()
        assert box.run(DEADLINE_S) is CaptureEnd.WAKE
        thread.join()
        box.capture.stop()
        assert box.run(DEADLINE_S) is CaptureEnd.STOP
        assert box.run(DEADLINE_S) is CaptureEnd.STOP


def test_wake_and_stop_end_the_gathering_too() -> None:
    """A second of gathering does not hold up the owner."""
    with bench(options=CaptureOptions(gather_us=1_000_000)) as box:
        box.senders[0].send(classic(0x100))
        box.capture.wake()
        assert box.run(DEADLINE_S) is CaptureEnd.WAKE
        box.capture.stop()
        assert box.run(DEADLINE_S) is CaptureEnd.STOP


def test_a_signal_gives_python_its_turn() -> None:
    """SIGUSR1 ends run, and its handler runs."""
    seen_signal: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: seen_signal.append(number))
    try:
        with bench() as box:
            main = threading.main_thread().ident
            assert main is not None
            entered = threading.Event()

            def send() -> None:
                entered.wait(DEADLINE_S)
                while not seen_signal:
                    signal.pthread_kill(main, signal.SIGUSR1)
                    time.sleep(0.01)  # the first may come before the wait begins

            thread = threading.Thread(target=send)
            thread.start()
            entered.set()
            assert box.run(DEADLINE_S) is CaptureEnd.SIGNAL
            thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_socket_that_was_shut_down_is_a_lost_bus_after_its_last_frame() -> None:
    """What was sent before is processed, the loss is told once, other buses go on, the number can be used again."""
    with bench(2) as box:
        box.senders[0].send(classic(0x100, b"\1"))
        box.receivers[0].shutdown(socket.SHUT_RDWR)
        ends = [box.run(0.0) for _ in range(3)]
        assert len(box.until(1)) == 1
        assert ends.count(CaptureEnd.LOST) == 1
        assert box.capture.stats(0).lost_errno == errno.EPIPE
        assert box.run(0.0) is CaptureEnd.TIMEOUT
        box.senders[1].send(classic(0x101, b"\2"))
        assert len(box.until(2)) == 2
        box.capture.remove(0)
        sender, receiver = pair()
        with sender, receiver:
            box.capture.add(receiver.fileno(), 0)
            sender.send(classic(0x100, b"\3"))
            assert len(box.until(3)) == 3


def test_a_socket_error_is_a_lost_bus_with_its_reason() -> None:
    """A connected UDP socket whose peer refuses reports ECONNREFUSED, as a link that goes down reports ENETDOWN."""
    with taped_engine() as engine, Capture(engine, NO_WAIT) as capture:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as closed:
            closed.bind(("127.0.0.1", 0))
            address = closed.getsockname()
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as receiver:
            receiver.connect(address)
            capture.add(receiver.fileno(), 0)
            receiver.send(b"x")  # answered by "port unreachable"
            assert capture.run(DEADLINE_S) is CaptureEnd.LOST
            assert os.strerror(capture.stats(0).lost_errno) == "Connection refused"
            assert capture.run(0.0) is CaptureEnd.TIMEOUT


def test_outputs_that_need_room_come_back() -> None:
    """No frame and no snapshot is lost when the queue of outputs fills up: run says so."""
    with taped_engine(output_capacity=160) as engine, Capture(engine, NO_WAIT) as capture:
        engine.offer_fix(Fix(1_000_000, FixType.NONE))
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
        step, t_us = 50_000_000, now - 6_000_000_000
        ends, taken = set(), 0
        while t_us < now:
            engine.offer_fix(Fix(t_us, FixType.NONE))
            t_us += step
            ends.add(capture.run(0.0))
            taken += len(engine.take())
        while (end := capture.run(0.0)) is not CaptureEnd.TIMEOUT:
            ends.add(end)
            taken += len(engine.take())
        assert taken + len(engine.take()) == engine.stats().snapshots


def test_wrong_calls_are_refused() -> None:
    """A number without an inbox, a number in use, no socket, options out of range, use after close."""
    with taped_engine(2) as engine:
        with Capture(engine) as capture, closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
            with pytest.raises(EngineError, match="2 frame inboxes"):
                capture.add(sock.fileno(), 2)
            capture.add(sock.fileno(), 1)
            with pytest.raises(EngineError, match="already"):
                capture.add(sock.fileno(), 1)
            read_end, write_end = os.pipe()
            try:
                with pytest.raises(OSError, match="cannot be captured"):
                    capture.add(read_end, 0)
            finally:
                os.close(read_end)
                os.close(write_end)
            with pytest.raises(EngineError):
                capture.run(-1.0)
            with pytest.raises(EngineError):
                capture.stats(99)
            capture.remove(1)
            capture.remove(1)
        with pytest.raises(EngineError, match="closed"):
            capture.run(0.0)
        capture.wake()
        capture.close()
        with pytest.raises(EngineError):
            Capture(engine, CaptureOptions(gather_us=-1))


def test_the_tape_is_taken_in_time() -> None:
    """A tape block of 4 KiB and 2000 FD frames: nothing is missing on the tape."""
    with bench(tape_bytes=4096) as box:
        thread = threading.Thread(target=lambda: [box.senders[0].send(fd_frame(0x1, bytes(64))) for _ in range(2000)])
        thread.start()
        got = box.until(2000)
        thread.join()
    assert len(got) == 2000


DATAGRAMS = st.one_of(st.binary(max_size=80), st.binary(min_size=16, max_size=16), st.binary(min_size=72, max_size=72))


@settings(max_examples=50, deadline=None)
@given(st.lists(DATAGRAMS, max_size=30))
def test_any_datagrams_are_frames_or_counted(datagrams: list[bytes]) -> None:
    """Random bytes through a socket: what the oracle calls a frame arrives as it says, the rest is malformed."""
    good = [frame for frame in (oracle(d, 0) for d in datagrams) if frame is not None]
    with bench() as box:
        for datagram in datagrams:
            box.senders[0].send(datagram)
            box.run()
        got = box.until(len(good))
        stats = box.capture.stats(0)
    assert [(f.can_id, f.flags) for f in got] == [frame[:2] for frame in good]
    assert stats.malformed == len(datagrams) - len(good)


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_no_descriptor_is_left_behind() -> None:
    """Opened and closed many times with buses inside."""
    before = open_descriptors()
    for _ in range(20):
        with bench(4):
            pass
    assert open_descriptors() == before


def test_engine_time_may_run_faster_than_the_machine() -> None:
    """Scale 10: stamps, watermark and the newest frame's time are ten times CLOCK_BOOTTIME, no frame is late."""
    with bench(2, CaptureOptions(gather_us=0, merge_window_us=0, time_scale=10)) as box:
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
        for n in range(200):
            box.senders[n % 2].send(classic(0x100, bytes([n])))
            if n % 50 == 0:
                box.run()
        got = box.until(200)
        after = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
        assert box.engine.stats().late == 0
        assert before * 10 <= box.engine.now_us() <= after * 10
        assert box.capture.stats(1).last_us == max(f.t_us for f in got if f.bus == 1)
    assert all((before - 1_000) * 10 <= f.t_us <= after * 10 and f.t_us % 10 == 0 for f in got)
    assert all(a.t_us <= b.t_us for a, b in pairwise(got))


@pytest.mark.parametrize("scale", [0, -1, 101])
def test_a_time_scale_that_is_none(scale: int) -> None:
    """Refused when the capture is made."""
    with taped_engine() as engine, pytest.raises(EngineError, match="capture options"):
        Capture(engine, CaptureOptions(time_scale=scale))
