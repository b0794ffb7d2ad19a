"""A drive played to ``outrider run`` as a process, on Unix buses and a pty, and what it made of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tty
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outrider.app.control import ask
from outrider.app.session import ReplaySession
from outrider.clock import SystemClock
from outrider.engine import open_unix
from outrider.errors import LinkError
from outrider.model.event import Event, Trip
from outrider.model.record import Kind, StoredRecord
from outrider.record.inspect import inspect
from outrider.record.storage_io import DirectoryStorage
from outrider.sources.drive_io import Drive
from outrider.sources.open_io import BASE_US
from outrider.sources.playback_io import Playback, PlaybackStats
from outrider.wire.bodies import decode_body, encode_body
from tests.support.terminal import outrider, wait_until

CONFIG = """
[terminal]
device = "LIVE"
data_directory = "data"
control_socket = "{folder}/control.sock"
[vehicle]
profiles = {profiles}
dbc = {dbc}
[engine]
tape_directory = "tapes"
recorder_kib = 8192
[journal]
telemetry_commit_s = 0.2
event_commit_s = 0.1
"""
BUS = """[[can]]
interface = "unix"
channel = "{folder}/bus{number}.sock"
"""
GNSS = """[gnss]
device = "{tty}"
baud_rate = 115200
"""


@dataclass(frozen=True)
class Vehicle:
    """What car the recording is of."""

    profiles: Sequence[str]
    dbc: Sequence[Path] = ()


@dataclass(frozen=True)
class Moment:
    """An event as both sides tell it; times in microseconds from the drive's zero."""

    kind: str
    phase: str
    t0_us: int
    detected_us: int
    event: Event


@dataclass(frozen=True)
class Told:
    """What the terminal said of a drive."""

    moments: list[Moment]
    trips: list[Trip]  # that have ended


@dataclass(frozen=True)
class Lived:
    """What a played drive left behind."""

    zero_us: int  # engine time of the drive's zero
    told: Told  # moments up to ``after_s`` beyond the drive's end
    playback: PlaybackStats
    status: dict[str, Any]  # of the last moment
    records: list[StoredRecord]
    tape: Path
    log: str


class LiveTerminal:
    """The daemon with as many Unix buses as the drive has, and a receiver's line."""

    def __init__(self, folder: Path, vehicle: Vehicle, buses: int, speed: int, more: str = "") -> None:
        """more: further sections of the configuration."""
        self.folder, self.speed, self.buses = folder, speed, buses
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        profiles, dbc = list(vehicle.profiles), [str(path) for path in vehicle.dbc]
        text = CONFIG.format(folder=folder, profiles=json.dumps(profiles), dbc=json.dumps(dbc))
        text += "".join(BUS.format(folder=folder, number=n) for n in range(buses))
        self._line = (
            folder / "gnss"
        )  # a name of its own: numbers of ptys come back, and a daemon may look for an old one
        self._line.symlink_to(os.ttyname(self._slave))
        text += GNSS.format(tty=self._line) + more
        (folder / "outrider.toml").write_text(text, encoding="utf-8")
        with (folder / "daemon.log").open("wb") as log:
            arguments = ("run", "--config", folder / "outrider.toml", "--rig-speed", speed)
            self.process = subprocess.Popen(outrider(*arguments), stdout=log, stderr=log)

    def wait_up(self) -> None:
        wait_until("daemon is up", lambda: all(s["state"] in {"up", "silent"} for s in self.status()["sources"]))

    def status(self) -> dict[str, Any]:
        assert self.process.poll() is None, self.log()
        try:
            return ask(self.folder / "control.sock", "status")
        except LinkError:
            return {"sources": [{"state": "away"}], "engine": {}, "vehicle": None}

    def log(self) -> str:
        return (self.folder / "daemon.log").read_text(encoding="utf-8", errors="replace")

    def freeze(self) -> None:
        """What a terminal without power looks like from outside: it says nothing, and closes no connection."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0, self.log()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self._slave)


@contextmanager
def live_terminal(folder: Path, vehicle: Vehicle, buses: int, speed: int, more: str = "") -> Iterator[LiveTerminal]:
    box = LiveTerminal(folder, vehicle, buses, speed, more)
    try:
        yield box
    finally:
        box.close()


def live(folder: Path, drive: Drive, vehicle: Vehicle, speed: int, after_s: float) -> Lived:
    """Plays the drive, waits until the engine has come ``after_s`` seconds of the drive beyond its end, stops."""
    with live_terminal(folder, vehicle, max(drive.buses) + 1, speed) as box, ExitStack() as stack:
        box.wait_up()
        sockets = {n: stack.enter_context(open_unix(folder / f"bus{n}.sock")) for n in drive.buses}
        fds = {n: sock.fileno() for n, sock in sockets.items()}
        playback = stack.enter_context(Playback(drive, fds, SystemClock(), gnss_fd=box.master, speed=speed))
        start_us = playback.start() * speed
        done = playback.wait(drive.duration_us / 1e6 / speed + 60)
        end_us = start_us + drive.duration_us + round(after_s * 1e6)
        wait_until("the tail is judged", lambda: (box.status()["vehicle"] or {}).get("t_us", 0) > end_us)
        status = box.status()
        box.end()
        records = list(inspect(DirectoryStorage(folder / "data" / "journal", read_only=True)).records())
        [tape] = (folder / "tapes").iterdir()
        events = [decode_body(r.record.kind, r.record.body) for r in records if r.record.kind is Kind.EVENT]
        found = [moment(event, start_us) for event in events]
        trips = [decode_body(r.record.kind, r.record.body) for r in records if r.record.kind is Kind.TRIP]
        told = Told([m for m in found if m.detected_us <= end_us - start_us], [t for t in trips if t.t_end_us])
        return Lived(start_us, told, done, status, records, tape, box.log())


def moment(event: Event, zero_us: int) -> Moment:
    names = event.kind.name.lower(), event.phase.name.lower()
    return Moment(*names, event.t0_us - zero_us, event.t_detect_us - zero_us, event)


def replayed(files: Sequence[Path], vehicle: Vehicle, after_s: float) -> Told:
    """The same drive by ``outrider replay``: what its journal would hold."""
    found: list[Moment] = []
    trips: list[Trip] = []

    def note(output: object) -> None:
        if isinstance(output, Trip) and output.t_end_us:
            trips.append(output)
        if isinstance(output, Event) and output.phase.name != "BEGIN":  # not kept: its END tells the whole story
            found.append(moment(decode_body(Kind.EVENT, encode_body(output)), BASE_US))

    options = {"profiles": list(vehicle.profiles), "dbc": list(vehicle.dbc)}
    with ReplaySession.open(files, on_output=note, **options) as session:  # type: ignore[arg-type]
        session.run(after_s=after_s)
    return Told(found, trips)
