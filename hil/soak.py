"""Days of driving at speed on this machine, with flat memory and descriptors: ``python -m hil.soak``.

The daemon runs as a process with a bus (interface "unix"), a GNSS receiver on a pty, a real mosquitto and the receiver.
Simulated drives follow each other, parked pauses between them, ``--speed`` times as fast as on the road; the clock of
the satellites goes on from drive to drive. Each half hour of driving one line is taken: memory, descriptors, threads,
journal, backlog, and everything that counts a loss. At the end the run fails when something was lost, when memory grew
faster than MAX_KIB_PER_HOUR (median slope after the warm-up, Theil-Sen), or when descriptors or threads were left.

Events are not judged. At 50 times the road's pace 10 ms of the scheduler's jitter are half a second of driving,
and the detector sees crashes where there were none; the more evidence there is to freeze, keep and send. Two of them
within one window share it (the engine's ``evidence_lost``), which is no loss of this run's.

    python -m hil.soak --hours 24 --speed 50 --out soak.txt      # half an hour
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import click

from hil.rig.gnss import GnssPty
from hil.rig.patience import Patience
from hil.rig.terminal import Terminal, usage
from outrider.clock import SystemClock
from outrider.engine import open_unix
from outrider.sim.drive import generate
from outrider.sim.scenario_io import load_scenario
from outrider.sim.write_io import write_drive
from outrider.sources.drive_io import Drive, load_drive
from outrider.sources.playback_io import Playback
from tests.support.broker import Broker
from tests.support.terminal import receiver_process

SCENARIOS: Final = ("city", "short", "city", "rear-end", "short", "city-crash")
PARKED_S: Final = 120.0  # of driving time between two drives: the bus is silent, the trip ends
SAMPLE_S: Final = 1800.0
WARM_UP_H: Final = 4.0  # rings are filled, segments are cut, caches are warm
MAX_KIB_PER_HOUR: Final = 64.0  # 1.5 MiB a day: a leak of one small object a second would be six
DEVICE: Final = "SOAK"
TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


def customer(speed: int) -> dict[str, dict[str, Any]]:
    """As customers have it; commits keep the machine's time, so they come as often on the road's."""
    journal = {"telemetry_commit_s": 10.0 / speed, "event_commit_s": 1.0 / speed, "telemetry_segment_kib": 1024}
    return {"engine": {"recorder_kib": 16_384}, "journal": journal | {"quota_mib": 64}}


@dataclass(frozen=True)
class Sample:
    """One line of the table. Times in hours of driving, memory in KiB. lost: whatever counts a loss, summed up."""

    hours: float
    pss_kib: int
    rss_kib: int
    receiver_pss_kib: int
    descriptors: int
    threads: int
    journal_kib: int
    backlog: int
    received: int
    frames: int
    lost: int
    cpu_percent: float

    @staticmethod
    def heading() -> str:
        return " ".join(f"{f.name:>{max(8, len(f.name))}}" for f in fields(Sample))

    def line(self) -> str:
        return " ".join(f"{getattr(self, f.name):>{max(8, len(f.name))}}" for f in fields(Sample))


def memory_kib(pid: int) -> tuple[int, int]:
    """(PSS, RSS)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in rollup}
    return sizes["Pss"], sizes["Rss"]


def cpu_s(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) * TICK_S


def size_kib(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) // 1024


LOSSES: Final = ("socket_lost", "controller_overflows", "dropped", "malformed", "delivery_errors", "failures")


def losses(status: dict[str, Any]) -> dict[str, int]:
    """Every counter of the status that says something was lost, by name."""
    found = {f"{s['name']}.{name}": s[name] for s in status["sources"] for name in LOSSES if s.get(name)}
    found |= {f"refused.{name}": n for name, n in status["refused"].items() if isinstance(n, int) and n}
    found |= {"engine.forced": status["engine"]["forced"]} if status["engine"].get("forced") else {}
    found |= {f"troubles.{name}": n for name, n in status["troubles"].items()}
    return found | {f"journal.{name}": n for name, n in _lanes_lost(status["journal"])}


def _lanes_lost(journal: dict[str, Any]) -> Iterator[tuple[str, int]]:
    for lane, counters in journal["lanes"].items():
        for name in ("overrun", "shed", "evicted", "unreadable"):
            if counters[name]:
                yield f"{lane}.{name}", int(counters[name])
    for name in ("faults", "quarantined"):
        if journal[name]:
            yield name, int(journal[name])


class Soak:
    """One run; ``sample`` at any time, ``verdict`` at the end."""

    def __init__(self, folder: Path, speed: int, hours: float, tell: Callable[[str], None], stack: ExitStack) -> None:
        self._speed, self._hours, self._tell = speed, hours, tell
        self._drives = simulate(folder)
        broker = Broker(folder)
        stack.callback(broker.kill)
        self._receiver = stack.enter_context(receiver_process(folder, broker.port, DEVICE))
        self._gnss = GnssPty(folder / "gnss")
        stack.callback(self._gnss.pull_out)
        channel = folder / "can.sock"
        self.terminal = Terminal(
            folder / "terminal",
            Patience.of_this_machine(),
            can=[{"interface": "unix", "channel": str(channel), "fd": True}],
            gnss=self._gnss.device,
            broker_port=broker.port,
            config=customer(speed),
            arguments=("--rig-speed", speed),
            device=DEVICE,
        )
        stack.callback(self.terminal.kill)
        self.terminal.start()
        self._sock = stack.enter_context(open_unix(channel))
        self.samples: list[Sample] = []
        self._begun_s = self._sampled_s = time.monotonic()
        self._sampled_cpu_s = cpu_s(self.terminal.pid)
        self._utc = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)

    @property
    def hours(self) -> float:
        """Hours of driving so far."""
        return (time.monotonic() - self._begun_s) * self._speed / 3600

    def run(self) -> None:
        """Drives and samples until the hours are over."""
        self._tell(Sample.heading())
        number = 0
        while self.hours < self._hours:
            drive = self._drives[number % len(self._drives)]
            self._play(restamped(drive, self._utc))
            self._utc += timedelta(seconds=drive.duration_us / 1e6 + PARKED_S)
            number += 1
            self._wait(PARKED_S)
        self.sample()

    def _play(self, drive: Drive) -> None:
        with Playback(
            drive, {0: self._sock.fileno()}, SystemClock(), gnss_fd=self._gnss.fd, speed=self._speed
        ) as playback:
            playback.start()
            while playback.running:
                self._wait(10.0)
            stats = playback.wait()
        assert stats.complete, f"the rig could not send everything: {stats}"

    def _wait(self, drive_s: float) -> None:
        """Lets the car drive on, and samples when it is time."""
        assert self.terminal.running, f"the daemon ended:\n{self.terminal.log()}"
        time.sleep(drive_s / self._speed)
        if self.hours * 3600 >= (len(self.samples) + 1) * SAMPLE_S:
            self.sample()

    def sample(self) -> None:
        pid = self.terminal.pid
        status = self.terminal.status()
        now, used = time.monotonic(), cpu_s(pid)
        pss, rss = memory_kib(pid)
        held = usage(pid)
        self.last = losses(status)
        self.samples.append(
            Sample(
                hours=round(self.hours, 2),
                pss_kib=pss,
                rss_kib=rss,
                receiver_pss_kib=memory_kib(self._receiver.pid)[0],
                descriptors=sum(held.descriptors.values()),
                threads=held.threads,
                journal_kib=size_kib(self.terminal.journal),
                backlog=backlog(status),
                received=self._receiver.count(),
                frames=sum(s.get("frames", 0) for s in status["sources"]),
                lost=sum(self.last.values()),
                cpu_percent=round(100 * (used - self._sampled_cpu_s) / (now - self._sampled_s), 1),
            )
        )
        self._sampled_s, self._sampled_cpu_s = now, used
        self._tell(self.samples[-1].line())

    def verdict(self) -> list[str]:
        """What is wrong, in sentences; nothing when all is well. Stops the terminal."""
        log_lines = [line for line in self.terminal.log().splitlines() if line.startswith(("WARNING", "ERROR"))]
        code = self.terminal.stop()
        wrong = [f"the daemon ended with {code}"] if code else []
        wrong += [f"the log has: {line}" for line in log_lines[:5]]
        wrong += [f"{name} is {count}" for name, count in self.last.items()]
        return wrong + judge([s for s in self.samples if s.hours >= min(WARM_UP_H, self._hours / 4)])


def backlog(status: dict[str, Any]) -> int:
    """Records on flash that nobody has acknowledged yet."""
    lanes = status["journal"]["lanes"].values()
    return sum(max(0, int(lane["durable"]) - int(lane["acknowledged"])) for lane in lanes)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Theil-Sen: the median of the slopes between all pairs; single outliers do not move it."""
    slopes = [(b - a) / (u - t) for (t, a), (u, b) in combinations(points, 2) if u > t]
    return statistics.median(slopes) if slopes else 0.0


def judge(samples: Sequence[Sample]) -> list[str]:
    """Whether anything grows."""
    if len(samples) < 4:
        return ["too few samples to judge: drive longer"]
    wrong = []
    for name in ("pss_kib", "rss_kib"):
        grown = slope([(s.hours, float(getattr(s, name))) for s in samples])
        if grown > MAX_KIB_PER_HOUR:
            wrong.append(f"{name} grows by {grown:.0f} KiB an hour of driving, at most {MAX_KIB_PER_HOUR:.0f}")
    for name in ("descriptors", "threads"):
        values = [int(getattr(s, name)) for s in samples]
        if min(values[len(values) // 2 :]) > max(values[: len(values) // 2]):
            wrong.append(f"{name} grow: {values}")
    return wrong


def simulate(folder: Path) -> list[Drive]:
    """The drives of a round, each with a seed of its own."""
    made: dict[tuple[str, int], Drive] = {}
    for number, name in enumerate(SCENARIOS):
        place = folder / f"drive{number}"
        place.mkdir()
        written = write_drive(generate(load_scenario(name), number), place)
        made[name, number] = load_drive(written.recordings)
    return list(made.values())


def restamped(drive: Drive, begin: datetime) -> Drive:
    """The drive as if it began at ``begin``: sentences name that date and time."""
    moved = begin - datetime.fromtimestamp(drive.zero_utc_us / 1e6, UTC)
    return replace(drive, sentences=tuple((t_us, restamp(text, moved)) for t_us, text in drive.sentences))


def restamp(sentence: bytes, moved: timedelta) -> bytes:
    """One sentence with its time of day, and in RMC its date, moved; checksum anew.

    The simulator's sentences: time in field 1 of RMC, GGA and GST, date in field 9 of RMC; others name no time. A
    sentence without a date moves by the time of day alone.
    """
    body = sentence.strip().partition(b"*")[0].removeprefix(b"$").split(b",")
    kind = body[0][2:]
    if kind not in {b"RMC", b"GGA", b"GST"} or not body[1]:
        return sentence
    day = body[9] if kind == b"RMC" and body[9] else b"010126"
    moment = datetime.strptime((day + body[1]).decode("ascii"), "%d%m%y%H%M%S.%f").replace(tzinfo=UTC) + moved
    body[1] = f"{moment:%H%M%S}.{moment.microsecond // 10_000:02}".encode("ascii")
    if kind == b"RMC" and body[9]:
        body[9] = f"{moment:%d%m%y}".encode("ascii")
    text = b",".join(body)
    check = 0
    for byte in text:
        check ^= byte
    return b"$" + text + f"*{check:02X}\r\n".encode("ascii")


@click.command()
@click.option("--hours", default=24.0, show_default=True, help="Hours of driving.")
@click.option("--speed", default=50, show_default=True, help="Times real time, 1 to 100.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the table here too, and a .json beside it.")
def main(hours: float, speed: int, out: Path | None) -> None:
    """Drive for hours; exit code 1 when something was lost or grew."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes started here end as well
    file = None if out is None else out.open("w", encoding="utf-8")

    def tell(text: str) -> None:
        for place in (sys.stdout, file):
            if place is not None:
                print(text, file=place, flush=True)

    with ExitStack() as stack:
        if file is not None:
            stack.enter_context(file)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak")))
        soak = Soak(folder, speed, hours, tell, stack)
        soak.run()
        wrong = soak.verdict()
        after = [s for s in soak.samples if s.hours >= min(WARM_UP_H, hours / 4)]
        grown = slope([(s.hours, float(s.pss_kib)) for s in after])
        tell(f"PSS slope {grown:+.1f} KiB an hour of driving over {len(after)} samples; {soak.hours:.1f} h driven")
        if out is not None:
            out.with_suffix(".json").write_text(json.dumps([asdict(s) for s in soak.samples], indent=1))
        for text in wrong:
            tell(f"FAILED: {text}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
