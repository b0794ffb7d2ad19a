"""A drive of a suite on a live bus: ``outrider run`` as a process, frames sent in time, GNSS on a pseudo-terminal.

What was seen is read from the journal the daemon left: it is what the fleet would have got. The drive runs ``speed``
times as fast as it was, the daemon's time with it (``--rig-speed``). What the daemon says of the silence after the end
of the recording is not the drive's; ``after_s`` makes it so.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import tty
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from outrider.app.control import ask
from outrider.app.suite import DriveTask, Inputs
from outrider.app.suite_bus import alone_on
from outrider.clock import SystemClock
from outrider.engine import ensure_virtual, open_can, open_unix
from outrider.errors import LinkError, SuiteError
from outrider.model.event import Event, Trip
from outrider.model.record import BootInfo, Kind, SignalTable, StoredRecord
from outrider.record.inspect import inspect
from outrider.record.storage_io import DirectoryStorage
from outrider.sources.drive_io import Drive, load_drive
from outrider.sources.playback_io import Playback
from outrider.suite.observed import BASE_S, Observed, Observer
from outrider.wire.bodies import decode_body, table_id
from outrider.wire.rows import decode_row

START_TIMEOUT_S: Final = 60.0
END_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.05
PAST_END_S: Final = 2.0  # of the drive's time: two snapshots later nothing of the drive is on its way any more
SLACK_S: Final = 0.2  # of the drive's time: frames arrive a little later than they are due
LATE_LIMIT_S: Final = 0.4  # of the drive's time; a bus counts as lost after 0.5 s of silence (events.md, rule 14)
SLOWDOWNS: Final = 3
MAX_BUSES: Final = 16
_LOST: Final = ("socket_lost", "controller_overflows", "held")
_SPEED, _DISTANCE = "Vehicle.Outrider.Speed", "Vehicle.Outrider.Distance"
_ALONG, _ACROSS = "Vehicle.Acceleration.Longitudinal", "Vehicle.Acceleration.Lateral"


def check_interfaces(names: Sequence[str]) -> None:
    """LinkError unless the first interface is there and virtual; drives with more buses need more of them."""
    if not names:
        raise SuiteError("[suite] interfaces is empty: name at least one vcan interface")
    try:
        ensure_virtual(names[0])
    except LinkError as err:
        raise LinkError(
            f"{err}; for example: sudo modprobe vcan && sudo ip link add dev {names[0]} type vcan && "
            f"sudo ip link set up {names[0]}; or use --bus unix, which needs no CAN in the kernel"
        ) from None


class LiveRunner:
    """A ``DriveRunner`` for the buses unix and vcan.

    A machine that cannot keep up would stretch the drive and make gaps that were none: then the same again at half
    the speed, and a note that says so. LinkError when not even ``SLOWDOWNS`` times half is slow enough.
    """

    def run(self, task: DriveTask, inputs: Inputs) -> Observed:
        drive = load_drive(inputs.files)
        if not drive.frame_count:
            raise SuiteError(f"{task.name}: holds no CAN frames; a live bus needs some (use --bus replay)")
        notes: list[str] = []
        for speed in _speeds(task.speed):
            try:
                return _run_once(replace(task, speed=speed), drive, inputs, tuple(notes))
            except _TooSlowError as err:
                notes.append(str(err))
        raise LinkError(f"{notes[-1]}; run fewer drives at a time (--jobs) or on a machine with less to do")


class _TooSlowError(Exception):
    """Frames were sent so late that the drive was another one."""


def _speeds(speed: int) -> list[int]:
    """The speeds to try, fastest first."""
    return sorted({max(1, speed >> halved) for halved in range(SLOWDOWNS + 1)}, reverse=True)


def _run_once(task: DriveTask, drive: Drive, inputs: Inputs, notes: tuple[str, ...]) -> Observed:
    with tempfile.TemporaryDirectory(prefix="outrider-rig-") as folder:
        rig = _Rig(task, drive, Path(folder))
        shared = rig.channels if task.bus == "vcan" else []
        with alone_on(shared), _daemon(rig) as daemon:
            start_us = _play(rig, daemon)
            status = _wait_past(rig, daemon, rig.engine_us(start_us, drive.duration_us + _us(task.after_s)))
        return _observed(rig, start_us, status, inputs, notes)  # the daemon has committed what it had and ended


def _us(seconds: float) -> int:
    return round(seconds * 1e6)


@dataclass(slots=True)
class _Rig:
    """Where everything of one drive is."""

    task: DriveTask
    drive: Drive
    folder: Path

    @property
    def control(self) -> Path:
        return self.folder / "control.sock"

    @property
    def channels(self) -> list[str]:
        """A channel for each bus number up to the highest in use."""
        count = max(self.drive.buses) + 1
        if count > MAX_BUSES:
            raise SuiteError(f"{self.task.name}: bus {count - 1} is used; a terminal has at most {MAX_BUSES} buses")
        if self.task.bus == "unix":
            return [str(self.folder / f"bus{number}") for number in range(count)]
        if count > len(self.task.interfaces):
            raise SuiteError(f"{self.task.name}: needs {count} interfaces, [suite] interfaces names fewer")
        return list(self.task.interfaces[:count])

    def engine_us(self, start_us: int, t_us: int) -> int:
        """Engine time of a moment of the drive (contract of ``--rig-speed``)."""
        return start_us * self.task.speed + t_us

    def configuration(self, gnss: str) -> dict[str, Any]:
        """What the daemon is told; paths are absolute."""
        task = self.task
        interface = "unix" if task.bus == "unix" else "socketcan"
        return {
            "terminal": {"device": "suite", "data_directory": "data", "control_socket": str(self.control)},
            "vehicle": {
                "profiles": [str(Path(name).resolve()) if "/" in name else name for name in task.profiles],
                "dbc": [str(path.resolve()) for path in task.dbc],
                "overlays": [str(path.resolve()) for path in task.overlays],
            },
            "can": [{"interface": interface, "channel": channel, "fd": True} for channel in self.channels],
            "gnss": {"device": gnss, "baud_rate": 115_200},
        }


class _Daemon:
    """The running process."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, control: Path, gnss_fd: int) -> None:
        self.process = process
        self.gnss_fd = gnss_fd
        self._log = log
        self._control = control

    def status(self) -> dict[str, Any] | None:
        """What it says of itself; None while it does not answer. LinkError when it has ended."""
        if self.process.poll() is not None:
            raise LinkError(f"`outrider run` ended with {self.process.returncode}: {self.last_words()}")
        try:
            return ask(self._control, "status")
        except LinkError:
            return None

    def last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "no word why"


@contextmanager
def _daemon(rig: _Rig) -> Iterator[_Daemon]:
    """``outrider run`` until its buses are open; ended with the block, everything committed."""
    import tomlkit

    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        config, log = rig.folder / "outrider.toml", rig.folder / "log"
        config.write_text(tomlkit.dumps(rig.configuration(os.ttyname(slave))), encoding="utf-8")
        command = [sys.executable, "-m", "outrider", "run", "--config", str(config), "--log-level", "warning"]
        with log.open("wb") as file:
            process = subprocess.Popen([*command, "--rig-speed", str(rig.task.speed)], stdout=file, stderr=file)
        daemon = _Daemon(process, log, rig.control, master)
        try:
            _wait_up(daemon, len(rig.channels) + 1)
            yield daemon
            _end(daemon)
        except BaseException:  # what went wrong first is what is told; Ctrl-C stays one though the daemon heard it too
            with suppress(LinkError):
                _end(daemon)
            raise
    finally:
        os.close(slave)
        os.close(master)


def _wait_up(daemon: _Daemon, sources: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        status = daemon.status()
        states = [] if status is None else [source["state"] for source in status["sources"]]
        if len(states) == sources and set(states) <= {"up", "silent"}:
            return
        time.sleep(POLL_S)
    raise LinkError(f"`outrider run` does not come up in {START_TIMEOUT_S:.0f} s: {daemon.last_words()}")


def _end(daemon: _Daemon) -> None:
    if daemon.process.poll() is None:
        daemon.process.send_signal(signal.SIGTERM)
    try:
        code = daemon.process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        daemon.process.kill()
        daemon.process.wait()
        raise LinkError(f"`outrider run` does not end in {STOP_TIMEOUT_S:.0f} s") from None
    if code:
        raise LinkError(f"`outrider run` ended with {code}: {daemon.last_words()}")


def _play(rig: _Rig, daemon: _Daemon) -> int:
    """Send everything; CLOCK_BOOTTIME [us] of the drive's zero."""
    opened = open_unix if rig.task.bus == "unix" else open_can
    with ExitStack() as stack:
        sockets = {n: stack.enter_context(opened(channel)) for n, channel in enumerate(rig.channels)}
        fds = {number: sock.fileno() for number, sock in sockets.items()}
        speed = rig.task.speed
        playback = stack.enter_context(Playback(rig.drive, fds, SystemClock(), gnss_fd=daemon.gnss_fd, speed=speed))
        start_us = playback.start()
        while playback.running:
            daemon.status()
            _check_pace(playback, speed)
            time.sleep(POLL_S)
        stats = playback.wait()
        _check_pace(playback, speed)
    if not stats.complete:
        raise LinkError(f"not all of the drive could be sent: {stats}")
    return start_us


def _check_pace(playback: Playback, speed: int) -> None:
    late_s = playback.stats().frames.late_max_us * speed / 1e6
    if late_s > LATE_LIMIT_S:
        raise _TooSlowError(
            f"{speed} times real time is too fast for this machine now: frames came {late_s:.2f} s of the drive late"
        )


def _wait_past(rig: _Rig, daemon: _Daemon, until_us: int) -> dict[str, Any]:
    """The daemon's last status, when its time is past the drive's end."""
    deadline = time.monotonic() + END_TIMEOUT_S + rig.task.after_s / rig.task.speed
    while time.monotonic() < deadline:
        status = daemon.status()
        vehicle = status["vehicle"] if status is not None else None
        if status is not None and vehicle is not None and vehicle["t_us"] > until_us + _us(PAST_END_S):
            return status
        time.sleep(POLL_S)
    raise LinkError(f"`outrider run` has not come to the drive's end {END_TIMEOUT_S:.0f} s after it")


# -- what the journal says -----------------------------------------------------------------------------


def _observed(rig: _Rig, start_us: int, status: dict[str, Any], inputs: Inputs, notes: tuple[str, ...]) -> Observed:
    zero_us = rig.engine_us(start_us, 0)
    end_us = rig.engine_us(start_us, rig.drive.duration_us + _us(rig.task.after_s + SLACK_S))
    observer = Observer(origin_us=zero_us - _us(BASE_S), until_us=end_us)
    found = inspect(DirectoryStorage(rig.folder / "data" / "journal", read_only=True))
    if found.damage:
        raise LinkError(f"the journal is damaged: {found.damage[0]}")
    boot = _note_all(observer, sorted(found.records(), key=_when), zero_us)
    sources = [source for source in status["sources"] if not source["name"].startswith("gnss")]
    return observer.observed(
        rig.task.name,
        inputs.fingerprint,
        duration_s=round(rig.drive.duration_us / 1e6, 3),
        frames=int(status["engine"].get("frames", 0)),
        lost_frames=rig.drive.frame_count
        - sum(source.get("frames", 0) for source in sources)
        + int(status["refused"]["frames_refused"]),
        notes=notes,
        software=boot.software,
        algorithm=boot.algorithm,
    )


def _when(stored: StoredRecord) -> tuple[int, int]:
    return stored.record.t_us, stored.seq


def _note_all(observer: Observer, records: Sequence[StoredRecord], zero_us: int) -> BootInfo:
    """Give the observer what was recorded since the drive's zero; the boot record comes first."""
    boot: BootInfo | None = None
    tables: dict[int, SignalTable] = {}
    for stored in records:
        record = stored.record
        if record.kind is Kind.TELEMETRY:
            if record.t_us >= zero_us:
                _note_row(observer, record.t_us, record.body, tables)
            continue
        if record.kind not in {Kind.EVENT, Kind.TRIP, Kind.BOOT, Kind.SIGNAL_TABLE}:
            continue
        content = decode_body(record.kind, record.body)
        if isinstance(content, Event):
            observer.note(content)
        elif isinstance(content, Trip):
            observer.note_trip(content.t_end_us)
        elif isinstance(content, SignalTable):
            tables[table_id(content)] = content
        elif isinstance(content, BootInfo):
            boot = content
    if boot is None:
        raise LinkError("the journal holds no boot record: the daemon recorded nothing")
    return boot


def _note_row(observer: Observer, t_us: int, body: bytes, tables: dict[int, SignalTable]) -> None:
    row = decode_row(body)
    table = tables.get(row.table_id)
    if table is None:
        return
    specs = {spec.id: spec for spec in table.signals}
    values = {specs[n].path: value * specs[n].step + specs[n].offset for n, value in row.values if n in specs}
    observer.note_second(t_us, values.get(_SPEED), values.get(_ALONG), values.get(_ACROSS), values.get(_DISTANCE))
