"""The highest rate at which nothing is lost: Outrider's capture, `candump -l`, and python-can with cantools.

Each receiver is a process with 8 MiB of receive buffer a bus. A rate counts when the sender kept it, every frame
arrived, and the receiver was done within a tenth of the run's time after the last frame (a reader that is too slow
would else live on its buffer). Rates are multiples of a full bus, in steps of 2^(1/4).
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from hil.bench.load import FULL_BUS, Traffic, head, play
from hil.bench.readers import RECEIVE_BUFFER
from outrider.model.frame import FrameBatch

RUN_S: Final = 2.5
STEP: Final = 2 ** (1 / 4)
SETTLE: Final = 0.1  # of the run's time may pass between the last frame and the reader's being done
TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


class Asked:
    """``readers.py`` as a process."""

    def __init__(self, kind: str, dbc: Path, channels: Sequence[str]) -> None:
        command = [sys.executable, "-m", "hil.bench.readers", kind, str(dbc), *channels]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._pipe(self._process.stdout).readline() == "ready\n", f"{kind} did not start"
        self._before = self._ask()["frames"]

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe

    def _ask(self) -> dict[str, Any]:
        pipe = self._pipe(self._process.stdin)
        pipe.write("\n")
        pipe.flush()
        answer: dict[str, Any] = json.loads(self._pipe(self._process.stdout).readline())
        return answer

    def begin(self) -> None:
        self._before = self._ask()["frames"]

    def arrived(self, wanted: int, settle_s: float) -> int:
        """Frames since ``begin``, as soon as all are there, or when nothing more comes."""
        deadline = time.monotonic() + settle_s
        while True:
            got = int(self._ask()["frames"]) - self._before
            if got >= wanted or time.monotonic() > deadline:
                return got
            time.sleep(0.01)

    def drain(self) -> None:
        """Until a slow reader has read what was left."""
        last = -1
        while (now := int(self._ask()["frames"])) != last:
            last = now
            time.sleep(0.3)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class Candump:
    """`candump -l`: counts by the lines of its log; it has to end to have written them all."""

    def __init__(self, channels: Sequence[str]) -> None:
        self._channels = channels
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def begin(self) -> None:
        self.close()
        self._folder = tempfile.TemporaryDirectory()
        command = ["candump", "-l", "-r", str(RECEIVE_BUFFER), *self._channels]
        self._process = subprocess.Popen(command, cwd=self._folder.name, stdout=subprocess.DEVNULL, stderr=2)
        while not self._logs():  # made after its sockets are bound
            assert self._process.poll() is None, "candump ended"
            time.sleep(0.02)

    def _logs(self) -> list[Path]:
        return list(Path(self._folder.name).glob("candump-*.log")) if self._folder else []

    def _cpu_s(self) -> float:
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_S

    def arrived(self, wanted: int, settle_s: float) -> int:
        """When the time to settle is over, or it was idle for three ticks."""
        assert self._process is not None
        deadline, used = time.monotonic() + settle_s, -1.0
        while time.monotonic() < deadline and (now := self._cpu_s()) != used:
            used = now
            time.sleep(3 * TICK_S)
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        return sum(log.read_bytes().count(b"\n") for log in self._logs())

    def drain(self) -> None:
        """Nothing is left: each run has its own process."""

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._folder is not None:
            self._folder.cleanup()
        self._process = self._folder = None


Receiver = Asked | Candump


@dataclass(frozen=True)
class Trial:
    """One rate: what was reached, and whether it holds."""

    rate: float  # frames a second over all buses, as the sender really sent
    good: bool
    kept: bool  # the sender kept the pace
    missing: int


def trial(receiver: Receiver, channels: Sequence[str], batch: FrameBatch, speed: float) -> Trial:
    """Plays for RUN_S at ``speed`` full buses."""
    count = min(len(batch), max(len(channels), round(FULL_BUS * speed * RUN_S) * len(channels)))
    part = head(batch, count)
    receiver.begin()
    begin = time.monotonic()
    play(channels, part, speed)
    took = time.monotonic() - begin
    planned = count / (FULL_BUS * len(channels) * speed)
    got = receiver.arrived(count, SETTLE * max(RUN_S, took))
    kept = took <= planned * 1.1 + 0.05
    receiver.drain()
    return Trial(count / took, kept and got == count, kept, count - got)


def highest(try_step: Callable[[int], Trial], first: int) -> tuple[Trial | None, Trial]:
    """Climbs in steps of two while it holds, then looks at the one between. (highest good, lowest bad)."""
    step, good, bad = first, None, try_step(first)
    if bad.good:
        while bad.good:
            good, step = bad, step + 2
            bad = try_step(step)
    else:
        while not bad.good and step > -40:
            step -= 2
            now = try_step(step)
            if now.good:
                good = now
                break
            bad = now
        step += 2
    between = try_step(step - 1)
    return (between, bad) if between.good else (good, between)


def measure(kinds: Sequence[str], channels: Sequence[str], dbc: Path, log: Callable[[str], None]) -> dict[str, Any]:
    """Highest lossless frames a second for each receiver, and the ratios."""
    batch = Traffic(dbc).batch(RUN_S * 4, len(channels))
    result: dict[str, Any] = {}
    for kind in kinds:
        with ExitStack() as stack:
            receiver: Receiver = Candump(channels) if kind == "candump" else Asked(kind, dbc, channels)
            stack.callback(receiver.close)

            def try_step(step: int, receiver: Receiver = receiver, kind: str = kind) -> Trial:
                found = trial(receiver, channels, batch, STEP**step)
                log(f"{kind} on {len(channels)}: {found}")
                return found

            good, bad = highest(try_step, -16 if kind == "python-can" else -2)
        result[kind.replace("-", "_")] = {
            "frames_per_s": 0 if good is None else round(good.rate),
            "share_of_full_buses": 0 if good is None else round(good.rate / FULL_BUS / len(channels), 3),
            "ended_by": "sender" if not bad.kept else "loss" if bad.missing > 0 else "time",
        }
    rates = {kind: max(1, row["frames_per_s"]) for kind, row in result.items()}
    for peer in ("candump", "python_can"):
        if peer in rates and "outrider" in rates:
            result[f"outrider_to_{peer}"] = round(rates["outrider"] / rates[peer], 2)
    assert all(math.isfinite(rate) for rate in rates.values())
    return result
