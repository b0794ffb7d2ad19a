"""A GNSS receiver for test rigs: recorded sentences written to a serial line (a pty) in time.

As a receiver does, it does not wait for anybody: what nobody takes within ``PATIENCE_S`` is lost, and counted. The
sentences of one epoch are written together, at the time that the epoch is valid for.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from outrider.ports import Clock

PATIENCE_S: Final = 1.0


@dataclass(slots=True)
class NmeaPlayStats:
    """late_max_us: of an epoch behind its due time, microseconds of the machine."""

    sentences: int = 0
    lost: int = 0
    late_max_us: int = 0
    last_error: str = ""


class NmeaPlayer:
    """Writes each sentence at ``start_boot_us + (t_us - zero_us) / speed``, as ``Player`` does with frames.

    sentences: (t_us, text) in order of time. fd: made non-blocking; stays the caller's.
    """

    def __init__(self, fd: int, clock: Clock, *, speed: float = 1.0) -> None:
        os.set_blocking(fd, False)
        self.stats = NmeaPlayStats()
        self._fd = fd
        self._clock = clock
        self._speed = speed
        self._stop = threading.Event()

    def play(self, sentences: Sequence[tuple[int, bytes]], start_boot_us: int, zero_us: int = 0) -> NmeaPlayStats:
        """Writes all of them; returns after the last or after ``stop``."""
        for t_us, text, count in _epochs(sentences):
            due_us = start_boot_us + round((t_us - zero_us) / self._speed)
            left_us = due_us - self._clock.boottime_us()
            if self._stop.wait(max(0.0, left_us / 1e6)):
                break
            self.stats.late_max_us = max(self.stats.late_max_us, self._clock.boottime_us() - due_us)
            self._write(text, count)
        return self.stats

    def stop(self) -> None:
        """Makes ``play`` return, now and from now on. From any thread."""
        self._stop.set()

    def _write(self, text: bytes, count: int) -> None:
        """An epoch, in as many pieces as the line takes."""
        left = memoryview(text)
        try:
            while left and not self._stop.is_set():
                if not select.select([], [self._fd], [], PATIENCE_S)[1]:
                    raise TimeoutError("nobody reads the line")
                left = left[os.write(self._fd, left) :]
        except OSError as err:
            self.stats.lost += count
            self.stats.last_error = err.strerror or str(err)
        else:
            self.stats.sentences += count if not left else 0


def _epochs(sentences: Sequence[tuple[int, bytes]]) -> Iterator[tuple[int, bytes, int]]:
    """(time, text, how many sentences) of what belongs together."""
    for t_us, group in groupby(sentences, key=lambda each: each[0]):
        texts = [text for _t, text in group]
        yield t_us, b"".join(texts), len(texts)
