"""A drive on the bus and in `outrider replay` gives the same events; the tape left behind gives the same records.

Each drive is played to a terminal of its own on a bus of its own: two parts in real time, and whole drives ten times as
fast. They take three minutes together.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pytest

from hil.rig.agreement import Content, Tolerance, disagreements, final, set_aside, shifted
from hil.rig.can import SYS_NET, Vcan
from hil.rig.drives import WHOLE, PreparedDrive, data_folder, load, prepare_all
from hil.rig.gnss import GnssPty
from hil.rig.health import terminal_ill
from hil.rig.nursery import Launcher
from hil.rig.patience import Patience
from hil.rig.punctual import Span, late_spans
from hil.rig.resources import vcan_missing
from hil.rig.terminal import Terminal
from hil.rig.unix_bus import UnixBus
from outrider.app.session import ReplaySession
from outrider.clock import SystemClock
from outrider.model.frame import FRAME
from outrider.model.record import Kind, Lane
from outrider.record.inspect import inspect
from outrider.record.storage_io import DirectoryStorage
from outrider.sources.drive_io import Drive, load_drive
from outrider.sources.playback_io import Playback, PlaybackStats
from tests.support.can_feed import seen

REPLAY_BASE_US: Final = 1_000_000  # the time line of a replay begins at one second
REAL_TIME: Final = 10  # priority of what sends
TELLING: Final = {
    Kind.EVENT,
    Kind.TRIP,
    Kind.TELEMETRY,
    Kind.SIGNAL_TABLE,
    Kind.EVIDENCE,
    Kind.CRASH,
}  # kinds that come from the drive alone
# An emulated processor does not keep up with ten times 400 frames a second of a car whose sensor is on the bus.
EMULATED: Final = Patience.of_this_machine().factor >= 4
LANES: Final = (  # side by side; within a lane one after the other
    (("city-crash-end", 1),),
    (("canedge", 10), ("canedge-part", 1)),
    *(((("city-crash", 10),),) if WHOLE or not EMULATED else ()),
    *(((("canedge-whole", 10),),) if WHOLE else ()),
)
PLAYS: Final = tuple(play for lane in LANES for play in lane)
AGAIN_S: Final = 150.0  # a drive is played again only when it takes no longer than this
# Seconds of the machine by which an event may lie elsewhere, times the speed: docs/internals/hil.md says why.
JITTER_S: Final = 0.1


@dataclass
class Played:
    """A drive that was played to its end, and the terminal that heard it, stopped."""

    drive: PreparedDrive
    content: Drive
    speed: int
    terminal: Terminal
    stats: PlaybackStats
    zero_us: int  # engine time of the drive's beginning

    @property
    def late_s(self) -> float:
        """The latest frame, in seconds of the drive."""
        return self.stats.frames.late_max_us / 1e6 * self.speed

    @cached_property
    def found(self) -> list[Content]:
        """What the terminal recorded until the end of the drive, on the drive's time line."""
        return final(shifted(self.terminal.events(), self.zero_us), until_s=self.content.duration_us / 1e6)

    @cached_property
    def expected(self) -> list[Content]:
        return final(shifted(self.drive.events, REPLAY_BASE_US))

    @cached_property
    def comparable(self) -> tuple[list[Content], list[Content]]:
        """Expected and found, without what the sender spoilt by being late; all of it when that agrees."""
        if not disagreements(self.expected, self.found, self.tolerance)[0]:
            return self.expected, self.found
        return set_aside(self.expected, self.found, self._late_spans())

    @property
    def tolerance(self) -> Tolerance:
        return Tolerance(t_s=JITTER_S * self.speed)

    @property
    def spoilt(self) -> bool:
        """Less than half of the events can be compared: the machine was too busy to play the drive in time."""
        return len(self.comparable[0]) < len(self.expected) / 2

    def _late_spans(self) -> list[Span]:
        heard = [frame for path in self.tapes() for frame in seen(path.read_bytes())]
        recorded = [(frame[0], frame[2]) for frame in FRAME.iter_unpack(self.content.frames)]
        buses = [
            ([t_us for t_us, bus in recorded if bus == number], [frame.t_us for frame in heard if frame.bus == place])
            for place, number in enumerate(self.content.buses)
        ]
        return late_spans(buses, self.zero_us)

    def tapes(self) -> list[Path]:
        return sorted((self.terminal.directory / "tapes").glob("*.tape"))


@dataclass
class Stage:
    """What one drive needs while it is played."""

    drive: PreparedDrive
    content: Drive
    speed: int
    buses: tuple[Vcan | UnixBus, ...]
    gnss: GnssPty
    folder: Path
    terminal: Terminal = field(init=False)


Table = dict[str, Any]


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, patience: Patience, launcher: Launcher
) -> Iterator[dict[str, Future[Played]]]:
    """All drives that the chosen tests want, played; what went wrong with one comes out in its own test."""
    functions = [item for item in request.session.items if isinstance(item, pytest.Function)]
    wanted = {item.callspec.params.get("play") for item in functions if hasattr(item, "callspec")}
    if not load("city-crash"):
        prepare_all()
    with ExitStack() as stack:
        stages: dict[str, Stage] = {}
        for name, speed in (play for play in PLAYS if play in wanted):
            drive = load(name)
            if drive is not None:
                stages[name] = _stage(stack, drive, speed, tmp_path_factory.mktemp(name))
                _start(stack, stages[name], patience, launcher)
        plays: dict[str, Future[Played]] = {name: Future() for name in stages}
        with ThreadPoolExecutor(len(LANES)) as pool:
            for lane in LANES:
                pool.submit(_play_lane, [stages[name] for name, _speed in lane if name in stages], plays, patience)
        for name, stage in stages.items():
            if plays[name].exception() or not plays[name].result().spoilt or not _can_play_again(stage):
                continue
            slower = replace(stage, speed=stage.speed // 2, folder=tmp_path_factory.mktemp(name))
            print(f"{name}: the machine was too busy for x{stage.speed}, again at x{slower.speed}")
            _start(stack, slower, patience, launcher)
            plays[name] = Future()
            _play_lane([slower], plays, patience)
        yield plays


def _stage(stack: ExitStack, drive: PreparedDrive, speed: int, folder: Path) -> Stage:
    """Buses of its own for a drive: virtual ones where the kernel has them."""
    content = load_drive(drive.files)
    buses: list[Vcan | UnixBus] = []
    for number in content.buses:
        if vcan_missing() is None:
            bus = Vcan(f"rig{len(list(SYS_NET.iterdir()))}play{number}")
            bus.make()
            stack.callback(bus.remove)
            buses.append(bus)
        else:
            buses.append(UnixBus(folder / f"bus{number}.sock"))
    gnss = GnssPty(folder / "gnss")
    stack.callback(gnss.pull_out)
    return Stage(drive, content, speed, tuple(buses), gnss, folder)


def _start(stack: ExitStack, stage: Stage, patience: Patience, launcher: Launcher) -> None:
    """The terminal of a stage, listening."""
    tables: list[Table] = [
        bus.table if isinstance(bus, UnixBus) else {"channel": bus.name, "fd": True} for bus in stage.buses
    ]
    stage.terminal = Terminal(
        stage.folder,
        patience,
        can=tables,
        gnss=stage.gnss.device if stage.content.sentences else None,
        arguments=() if stage.speed == 1 else ("--rig-speed", stage.speed),
        launcher=launcher,
        config={
            "vehicle": {"profiles": list(stage.drive.profiles), "dbc": [str(path) for path in stage.drive.dbc]},
            "engine": {"recorder_kib": 16384, "tape_directory": "tapes"},
        },
    )
    stage.terminal.start()
    stack.callback(stage.terminal.kill)


def _can_play_again(stage: Stage) -> bool:
    return not EMULATED and stage.speed > 1 and stage.content.duration_us / 1e6 / (stage.speed // 2) <= AGAIN_S


def _play_lane(stages: list[Stage], plays: dict[str, Future[Played]], patience: Patience) -> None:
    """One after the other; what goes wrong with one is kept for its own test."""
    for stage in stages:
        try:
            plays[stage.drive.name].set_result(_play(stage, patience))
        except BaseException as err:  # noqa: BLE001  the test of this drive raises it again
            plays[stage.drive.name].set_exception(err)


def _play(stage: Stage, patience: Patience) -> Played:
    """``_play_through``; a terminal with which something went wrong does not run on beside the others."""
    try:
        return _play_through(stage, patience)
    finally:
        stage.terminal.kill()


def _play_through(stage: Stage, patience: Patience) -> Played:
    """Play to the end, wait until the terminal has counted everything, and stop it before more time goes by."""
    drive, box, speed = stage.content, stage.terminal, stage.speed
    with ExitStack() as stack:
        senders = [stack.enter_context(bus.sender()) for bus in stage.buses]
        fds = {number: sender.fileno() for number, sender in zip(drive.buses, senders, strict=True)}
        gnss_fd = stage.gnss.fd if drive.sentences else None
        playback = stack.enter_context(Playback(drive, fds, SystemClock(), gnss_fd=gnss_fd, speed=speed))
        zero_us = playback.start() * speed
        _prefer("player")
        stats = playback.wait(drive.duration_us / 1e6 / speed + patience.bound_s(30))
    try:
        box.wait("all frames are counted", lambda: _frames(box) + _lost(box) >= drive.frame_count)
    except AssertionError as err:
        raise AssertionError(f"{err}: {drive.frame_count} sent, {stats}, {box.status()['sources']}") from None
    assert not _lost(box), f"{stage.drive.name} x{speed}: {_lost(box)} frames lost: {box.status()['sources']}"
    box.wait("the engine has got there", lambda: _engine_us(box) >= zero_us + drive.duration_us - 1_000_000)
    assert box.stop() == 0
    return Played(stage.drive, drive, speed, box, stats, zero_us)


def _prefer(name: str) -> None:
    """Threads of this name before all others, where the rig may say so: a late frame is another drive."""
    for thread in threading.enumerate():
        if thread.name == name and thread.native_id is not None:
            with suppress(PermissionError, ProcessLookupError):
                os.sched_setscheduler(thread.native_id, os.SCHED_FIFO, os.sched_param(REAL_TIME))


def _lost(box: Terminal) -> int:
    return sum(source.get("socket_lost", 0) for source in box.status()["sources"])


def _frames(box: Terminal) -> int:
    return sum(source.get("frames", 0) for source in box.status()["sources"])


def _engine_us(box: Terminal) -> int:
    vehicle = box.status()["vehicle"]
    return int(vehicle["t_us"]) if vehicle else 0


@pytest.fixture(params=PLAYS, ids=[f"{name} x{speed}" for name, speed in PLAYS])
def play(request: pytest.FixtureRequest, played: dict[str, Future[Played]], health: list[Terminal]) -> Played:
    """One of the drives, played."""
    name, _speed = request.param
    if name not in played:
        pytest.skip(f"needs the recordings in {data_folder()} (OUTRIDER_DATA)")
    return played[name].result()


def test_live_equals_replay(play: Played, record_property: Callable[[str, object], None]) -> None:
    """Same events in the same order, with times, sizes and places within the stated tolerances; nothing lost."""
    assert play.stats.complete, play.stats
    compared, found = play.comparable
    wrong, most = disagreements(compared, found, play.tolerance)
    print(
        f"{play.drive.name} x{play.speed}: {len(compared)} of {len(play.expected)} events compared, at most {most}, "
        f"{play.content.frame_count} frames, the latest by {play.late_s:.3f} s of the drive"
    )
    record_property("events_compared", f"{len(compared)} of {len(play.expected)}")
    in_time = not play.spoilt or play.speed > 1 or EMULATED  # the tape and the counts hold all the same
    assert in_time, "the machine was too busy to play the drive in time: run it again"
    assert not wrong, "\n".join(wrong)
    assert not terminal_ill(play.terminal)


def test_tape_gives_the_same_records(play: Played, tmp_path: Path) -> None:
    """What the terminal put into its journal comes out of its tape again, byte for byte."""
    tapes = play.tapes()
    assert len(tapes) == 1
    again = tmp_path / "journal"
    profiles = {"profiles": play.drive.profiles, "dbc": play.drive.dbc}
    with ReplaySession.open(tapes, journal=again, **profiles) as session:  # type: ignore[arg-type]
        session.run()
        assert not session.deliver()["lost"]
    first, second = _telling(play.terminal.journal, TELLING), _telling(again, TELLING)
    assert len(first) > 10
    assert first == second


def _telling(directory: Path, kinds: set[Kind]) -> list[tuple[Lane, Kind, int, bytes]]:
    records = [stored.record for stored in inspect(DirectoryStorage(directory, read_only=True)).records()]
    return [(r.lane, r.kind, r.t_us, bytes(r.body)) for r in records if r.kind in kinds]
