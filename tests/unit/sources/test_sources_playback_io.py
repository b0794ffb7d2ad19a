"""A drive on sockets and a line at once: one zero for both, complete or saying what was not."""

from __future__ import annotations

import os
import select
import socket
import threading
import tty
from pathlib import Path

import pytest

from outrider.clock import SystemClock
from outrider.model.frame import FRAME
from outrider.sources.drive_io import Drive
from outrider.sources.playback_io import Playback
from tests.support.can_feed import classic, pair

DEADLINE_S = 60.0


def drive(step_us: int = 1_000, buses: int = 1) -> Drive:
    frames = b"".join(FRAME.pack(n * step_us, 0x100, n % buses, 0, 1, 0, bytes([n])) for n in range(100))
    sentences = tuple((n * 10 * step_us, b"$GP%02d*00\r\n" % n) for n in range(10))
    return Drive("test", frames, sentences, 0, 99 * step_us)


def collected(sock: socket.socket, count: int) -> list[bytes]:
    sock.settimeout(DEADLINE_S)
    return [sock.recv(100) for _ in range(count)]


def read_exactly(fd: int, count: int) -> bytes:
    """A terminal hands on what is written to it when the kernel gets to it: one read may find a part."""
    got = b""
    while len(got) < count and select.select([fd], [], [], DEADLINE_S)[0]:
        got += os.read(fd, count - len(got))
    return got


def test_frames_and_sentences_from_one_zero() -> None:
    """Everything arrives; the player says when each moment of the drive is."""
    sender, receiver = pair()
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        with (
            sender,
            receiver,
            Playback(drive(), {0: sender.fileno()}, SystemClock(), gnss_fd=master, speed=5.0) as play,
        ):
            assert play.start_boot_us == 0
            before = SystemClock().boottime_us()
            start = play.start()
            assert start == play.start_boot_us >= before
            assert play.boot_us(50_000) == start + 10_000
            got: list[bytes] = []
            thread = threading.Thread(target=lambda: got.extend(collected(receiver, 100)))
            thread.start()
            stats = play.wait(DEADLINE_S)
            thread.join(DEADLINE_S)
            assert not play.running
        assert got == [classic(0x100, bytes([n])) for n in range(100)]
        assert (stats.frames.sent, stats.gnss.sentences, stats.complete) == (100, 10, True)
        assert read_exactly(slave, 100) == b"".join(b"$GP%02d*00\r\n" % n for n in range(10))
    finally:
        os.close(master)
        os.close(slave)


def test_what_was_not_sent_shows() -> None:
    """Frames of a bus that nobody named: not complete."""
    sender, receiver = pair()
    with sender, receiver, Playback(drive(10, 2), {0: sender.fileno()}, SystemClock()) as play:
        play.start()
        collected(receiver, 50)
        stats = play.wait(DEADLINE_S)
    assert (stats.frames.sent, stats.frames.unrouted, stats.complete) == (50, 50, False)


def test_leaving_stops_what_runs() -> None:
    """A drive of 100 s is not waited for, nothing is left open."""
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    sender, receiver = pair()
    with sender, receiver:
        with Playback(drive(1_000_000), {0: sender.fileno()}, SystemClock()) as play:
            play.start()
            with pytest.raises(TimeoutError, match="still playing"):
                play.wait(0.01)
            assert play.running
        assert not play.running
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before
