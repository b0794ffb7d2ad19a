"""The demo: simulate a drive, run it through the real chain on this machine, compare what arrived with the truth.

simulator -> files -> replay (engine, journal on disk, uplink) -> MQTT broker -> receiver process -> SQLite. Nothing is
special-cased for the demo: the parts are those of the daemon and of ``outrider ingest``, on 127.0.0.1.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from outrider.app.broker_io import HOST, loopback_broker
from outrider.app.judge import Match, judge
from outrider.app.pipeline import Output
from outrider.app.replay import Tally
from outrider.app.session import ReplaySession
from outrider.clock import SystemClock
from outrider.errors import LinkError
from outrider.ingest.sinks.store_io import Store
from outrider.model.event import Event
from outrider.model.record import Lane
from outrider.sim.drive import generate
from outrider.sim.scenario_io import load_scenario
from outrider.sim.write_io import Written, write_drive

DEVICE: Final = "demo"
PROFILE: Final = "simcar"


class View(Protocol):
    """What the demo tells while it runs."""

    def step(self, text: str) -> None: ...

    def progress(self, share: float) -> None: ...

    def output(self, output: Output) -> None: ...


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo found. Latencies: wall-clock milliseconds after the triggering sample entered the engine."""

    out: str
    broker: str
    speed: float
    drive_s: float
    distance_m: float
    matches: list[Match]
    crash_durable_ms: float | None
    crash_acknowledged_ms: float | None
    written: int
    received: int
    identical: bool
    messages: int
    telemetry_bytes_per_record: float
    link_bytes: int

    @property
    def ok(self) -> bool:
        """Everything arrived, and every event of the truth was found, and nothing else."""
        return self.identical and all(m.verdict not in {"missed", "extra"} for m in self.matches)


class Stopwatch:
    """Wall-clock moments of the first emergency record: found, durable, acknowledged. Hooks come from three threads."""

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._marks: dict[str, int] = {}

    def mark(self, name: str, at_us: int | None = None) -> None:
        with self._lock:
            self._marks.setdefault(name, at_us if at_us is not None else self._clock.boottime_us())

    def since_ms(self, begin: str, end: str) -> float | None:
        with self._lock:
            if begin not in self._marks or end not in self._marks:
                return None
            return (self._marks[end] - self._marks[begin]) / 1000


def run_demo(out: Path, scenario: str, *, speed: float, seed: int, view: View) -> DemoResult:
    """Run it all; LinkError when no broker or receiver comes up."""
    _prepare(out)
    written = _simulate(out, scenario, seed, view)
    with loopback_broker(out) as (broker, port):
        view.step(f"{broker} on {HOST}:{port}, receiver into {out / 'received.sqlite'}")
        with _receiver(out, port):
            return _drive(out, written, (broker, port), speed, view)


def _prepare(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name in ("journal", "drive"):
        shutil.rmtree(out / name, ignore_errors=True)
    for old in out.glob("received.sqlite*"):
        old.unlink()
    key = secrets.token_hex(32)
    (out / "ack.key").write_text(key + "\n", encoding="ascii")
    (out / "keys.toml").write_text(f'[devices]\n{DEVICE} = "{key}"\n', encoding="ascii")


def _simulate(out: Path, scenario: str, seed: int, view: View) -> Written:
    view.step(f"simulating {scenario}")
    return write_drive(generate(load_scenario(scenario), seed), out / "drive", progress=view.progress)


@contextmanager
def _receiver(out: Path, port: int) -> Iterator[None]:
    """``outrider ingest`` as its own process, until the context closes."""
    command = [sys.executable, "-m", "outrider", "ingest", "--json", "--broker", f"{HOST}:{port}"]
    command += ["--db", str(out / "received.sqlite"), "--key-file", str(out / "keys.toml")]
    with (out / "receiver.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
            if process.poll() is not None:
                raise LinkError(f"the receiver ended with {process.returncode}; see {out / 'receiver.log'}")
        finally:
            process.terminate()
            process.wait(timeout=20)


def _drive(out: Path, written: Written, at: tuple[str, int], speed: float, view: View) -> DemoResult:
    (broker, port), clock, tally = at, SystemClock(), Tally()
    watch = Stopwatch(clock)
    truth = json.loads(written.truth.read_text(encoding="utf-8"))

    def on_output(output: Output) -> None:
        tally.note(output)
        if isinstance(output, Event) and output.kind.is_crash:
            watch.mark("sample", session.released_us)
        view.output(output)

    with ReplaySession.open(
        written.recordings,
        profiles=[PROFILE],
        journal=out / "journal",
        broker=f"{HOST}:{port}",
        device=DEVICE,
        ack_key_file=out / "ack.key",
        on_output=on_output,
        on_durable=_mark_emergency(watch, "durable"),
        on_acknowledged=_mark_emergency(watch, "acknowledged"),
    ) as session:
        view.step(f"driving {truth['duration_s'] / 60:.0f} minutes at {speed:g} times real time")
        session.run(speed=speed, on_progress=lambda t_us: view.progress(t_us / 1e6 / truth["duration_s"]))
        view.step("delivering")
        session.deliver()
        assert session.delivery is not None
        assert session.delivery.uplink is not None
        status = session.delivery.uplink.status()
        assert session.digest is not None
        sent = session.digest.digests()
        written_count = sum(session.intake.stats.put.values())
    received = _received_digest(out / "received.sqlite")
    return DemoResult(
        out=str(out),
        broker=broker,
        speed=speed,
        drive_s=round(tally.seconds, 1),
        distance_m=round(tally.last.distance_m, 1) if tally.last else 0.0,
        matches=judge(truth, tally.events),
        crash_durable_ms=watch.since_ms("sample", "durable"),
        crash_acknowledged_ms=watch.since_ms("sample", "acknowledged"),
        written=written_count,
        received=sum(count for count, _digest in received.values()),
        identical=bool(received) and sent == received,
        messages=status.counters.get("published", 0),
        telemetry_bytes_per_record=_bytes_per_record(status.sent_bytes, received),
        link_bytes=status.sent_bytes.get("link", 0),
    )


def _mark_emergency(watch: Stopwatch, name: str) -> Callable[..., None]:
    def hook(_epoch: int, lane: Lane, _seq: int, *_rest: int) -> None:
        if lane is Lane.EMERGENCY:
            watch.mark(name)

    return hook


def _received_digest(path: Path) -> dict[tuple[int, Lane], tuple[int, str]]:
    with Store.open(path, read_only=True) as store:
        return store.digest(DEVICE)


def _bytes_per_record(sent: Mapping[str, int], received: dict[tuple[int, Lane], tuple[int, str]]) -> float:
    count = sum(n for (_epoch, lane), (n, _digest) in received.items() if lane is Lane.TELEMETRY)
    return round(sent.get("telemetry", 0) / count, 2) if count else 0.0
