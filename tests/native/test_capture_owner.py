"""What the capture owes its owner: news of a crash at once, room for outputs, and no frame lost while he is away."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest

from outrider.engine import Capture, CaptureEnd, CaptureOptions, Engine
from outrider.model.event import Event, Phase, Snapshot
from outrider.model.frame import EFF, FD, FRAME, FRAME_SIZE, FrameBatch
from tests.support.can_feed import CAN_EFF, classic, fd_frame, pair, seen, taped_engine
from tests.support.crash_drive import crash_drive, options, profile

DEADLINE_S = 60.0


def boot_us() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def datagram(frames: FrameBatch, index: int) -> bytes:
    _t, can_id, _bus, flags, length, _zero, data = FRAME.unpack_from(frames.buffer, index * FRAME_SIZE)
    word = can_id | (CAN_EFF if flags & EFF else 0)
    return fd_frame(word, data[:length]) if flags & FD else classic(word, data[:length])


def test_a_crash_returns_at_once_and_its_first_output_is_the_suspicion() -> None:
    """A drive up to 0.1 s before the crash, then the pulse sample by sample over a socket: URGENT, long before the time
    that run was given is over; and the next run is quiet again."""
    drive = crash_drive()
    begin_us = drive.trigger_us - 100_000
    with (
        Engine(profile().tables, options(frame_inboxes=2)) as engine,
        Capture(engine, CaptureOptions(gather_us=0)) as capture,
    ):
        sender, receiver = pair()
        capture.add(receiver.fileno(), 0)
        at_us = boot_us() + 300_000 - begin_us
        history = drive.batch(0, begin_us, at_us, bus=1)
        assert engine.offer_frames(history, inbox=1) == len(history)
        live = drive.batch(begin_us, drive.trigger_us + 500_000, at_us)
        ended = threading.Event()

        def send() -> None:
            for n in range(len(live)):
                ended.wait(max(0.0, (live.t_us_at(n) - boot_us()) / 1e6))
                if ended.is_set():
                    return
                sender.send(datagram(live, n))

        thread = threading.Thread(target=send)
        thread.start()
        try:
            end = capture.run(DEADLINE_S)
        finally:
            ended.set()
            thread.join()
            sender.close()
            receiver.close()
        assert end is CaptureEnd.URGENT
        events = [o for o in engine.take() if isinstance(o, Event) and o.kind.is_crash]
        assert [e.phase for e in events] == [Phase.SUSPECT]
        assert capture.run(0.0) is not CaptureEnd.URGENT, "told once"


def test_frames_wait_while_the_owner_does_not_take_outputs() -> None:
    """Half an hour of snapshots nobody takes: run comes back with OUTPUT each time, the inbox fills, then the socket,
    then the sender waits. When the owner takes, everything is there and in order."""
    past, sent = 1800, 3000
    with (
        taped_engine(2, output_capacity=160, frame_inbox=2048) as engine,
        Capture(engine, CaptureOptions(gather_us=0, merge_window_us=0)) as capture,
    ):
        sender, receiver = pair()
        capture.add(receiver.fileno(), 0)
        history, now = FrameBatch(), boot_us()
        for n in range(past):
            history.append(now + (n - past) * 1_000_000, 0x7FF, n.to_bytes(4, "little"), bus=1)
        assert engine.offer_frames(history, inbox=1) == past

        def feed() -> None:
            for n in range(sent):
                sender.send(classic(0x100, n.to_bytes(4, "little")))

        thread = threading.Thread(target=feed)
        thread.start()
        try:
            deadline = time.monotonic() + DEADLINE_S
            while not capture.stats(0).held:
                assert time.monotonic() < deadline
                assert capture.run(0.01) is CaptureEnd.OUTPUT
            stuck = engine.stats()
            assert capture.run(0.0) is CaptureEnd.OUTPUT
            assert engine.stats().frames == stuck.frames, "no output, no progress"
            outputs, tape = [], b""
            while engine.stats().frames < past + sent:
                assert time.monotonic() < deadline, engine.stats()
                outputs += engine.take()
                tape += engine.take_tape()
                capture.run(0.01)
            outputs += engine.take()
            tape += engine.take_tape()
        finally:
            receiver.close()
            thread.join()
            sender.close()
        stats, bus = engine.stats(), capture.stats(0)
    frames = seen(tape)
    assert [int.from_bytes(f.data, "little") for f in frames if f.bus == 1] == list(range(past))
    assert [int.from_bytes(f.data, "little") for f in frames if f.bus == 0] == list(range(sent))
    assert sum(isinstance(o, Snapshot) for o in outputs) == stats.snapshots >= past - 1
    assert (bus.frames, bus.socket_lost, bus.malformed, stats.refused) == (sent, 0, 0, 0)
    assert bus.held > 0


@pytest.mark.parametrize(
    "bad",
    [
        classic(0x100, length=9),
        classic(0x100, length=255),
        fd_frame(0x100, length=65),
        fd_frame(0x100, length=255),
        classic(0x800),  # 29 bits without the flag that says so
        classic(0x1FFFFFFF),
        fd_frame(0x12345678),
        b"",
        b"\0",
        classic(0x100)[:15],
        classic(0x100) + b"\0",
        fd_frame(0x100)[:71],
        fd_frame(0x100) + b"\0",
        bytes(2048),  # CAN XL: longer than any slot
    ],
    ids=lambda bad: f"{len(bad)}-{bad[:5].hex()}",
)
def test_no_frame_between_two_good_ones_in_one_batch_is_dropped_and_counted(bad: bytes) -> None:
    """Whatever it is, its neighbours keep content, order and stamps of their own."""
    with (
        taped_engine() as engine,
        Capture(engine, CaptureOptions(gather_us=0, merge_window_us=0)) as capture,
    ):
        sender, receiver = pair()
        with sender, receiver:
            capture.add(receiver.fileno(), 0)
            for content in (classic(0x100, b"\1"), bad, fd_frame(0x101, b"\2"), bad, classic(0x102, b"\3")):
                sender.send(content)
            deadline = time.monotonic() + DEADLINE_S
            while engine.stats().frames < 3:
                assert time.monotonic() < deadline
                capture.run(0.05)
            stats = capture.stats(0)
            got = seen(engine.take_tape())
    assert [(f.can_id, f.data) for f in got] == [(0x100, b"\1"), (0x101, b"\2"), (0x102, b"\3")]
    assert all(a.t_us <= b.t_us for a, b in pairwise(got))
    assert (stats.frames, stats.malformed, stats.reads, stats.lost_errno) == (3, 2, 1, 0)
