"""A receiver on a pty: each epoch at its time, whole; nobody who reads too slowly holds it up for ever."""

from __future__ import annotations

import os
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from outrider.clock import SystemClock
from outrider.sources import nmea_player_io
from outrider.sources.nmea_player_io import NmeaPlayer

DEADLINE_S = 60.0
SENTENCES = [(n // 2 * 20_000, f"$GP{n:03}*00\r\n".encode()) for n in range(20)]


@contextmanager
def line() -> Iterator[tuple[int, int]]:
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        yield master, slave
    finally:
        os.close(master)
        os.close(slave)


def read(fd: int, size: int) -> bytes:
    got = b""
    while len(got) < size:
        got += os.read(fd, size - len(got))
    return got


@pytest.mark.parametrize("speed", [1.0, 10.0])
def test_each_epoch_is_written_at_its_time(speed: float) -> None:
    """No byte leaves before start + t / speed; all bytes arrive in order."""
    clock = SystemClock()
    with line() as (master, slave):
        player = NmeaPlayer(master, clock, speed=speed)
        start = clock.boottime_us() + 10_000
        times = []

        def listen() -> None:
            for _t, text in SENTENCES:
                assert read(slave, len(text)) == text
                times.append(clock.boottime_us())

        thread = threading.Thread(target=listen)
        thread.start()
        stats = player.play(SENTENCES, start)
        thread.join(DEADLINE_S)
    assert (stats.sentences, stats.lost) == (20, 0)
    assert all(at >= start + t / speed for at, (t, _text) in zip(times, SENTENCES, strict=True))
    assert stats.late_max_us >= 0


def test_a_line_that_nobody_reads_loses_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pty holds some kilobytes; then epochs are lost and counted, and playing goes on to its end."""
    monkeypatch.setattr(nmea_player_io, "PATIENCE_S", 0.001)
    with line() as (master, _slave):
        long = [(n, b"$" + b"x" * 500 + b"\r\n") for n in range(100)]
        stats = NmeaPlayer(master, SystemClock()).play(long, SystemClock().boottime_us())
    assert stats.sentences + stats.lost == 100
    assert stats.sentences > 0
    assert stats.lost > 0
    assert stats.last_error


def test_a_line_that_is_gone_is_counted() -> None:
    """A descriptor that takes nothing more: lost, with the reason."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        stats = NmeaPlayer(write_end, SystemClock()).play(SENTENCES[:3], SystemClock().boottime_us())
    finally:
        os.close(write_end)
    assert (stats.sentences, stats.lost, stats.last_error) == (0, 3, "Broken pipe")


def test_stopping_ends_the_wait() -> None:
    """From another thread, for good."""
    with line() as (master, _slave):
        player = NmeaPlayer(master, SystemClock())
        later = [(0, b"$A*00\r\n"), (3_600_000_000, b"$B*00\r\n")]
        thread = threading.Thread(target=player.play, args=(later, SystemClock().boottime_us()))
        thread.start()
        deadline = time.monotonic() + DEADLINE_S
        while not player.stats.sentences:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        player.stop()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
        assert player.play(later, 0).sentences == 1
