"""Running a suite: each drive through a runner, in this process or several, judged as it comes.

A drive that cannot be run (an unreadable recording, a daemon that does not start) is a result with an error, and the
others go on. Bounded: of each drive only its findings and a short trace are kept; simulated drives are written to a
temporary folder for as long as they run.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from outrider import __version__
from outrider.app.suite_workers import started
from outrider.engine import ALGORITHM
from outrider.errors import BugError, OutriderError, SuiteError
from outrider.suite.load_io import LoadedSuite
from outrider.suite.model import Drive, Suite
from outrider.suite.observed import Observed
from outrider.suite.results import Results, make_results
from outrider.suite.verdict import DriveVerdict, judge

MAX_JOBS: Final = 64


@dataclass(frozen=True, slots=True)
class DriveTask:
    """One drive, ready to be run by another process: every path as it is, nothing to be looked up."""

    name: str
    files: tuple[Path, ...]
    scenario: str | None
    seed: int
    after_s: float
    profiles: tuple[str, ...]
    dbc: tuple[Path, ...]
    overlays: tuple[Path, ...]
    bus: str
    speed: int
    interfaces: tuple[str, ...] = ()
    program: tuple[str, ...] = ()  # another release's command; empty = this one


@dataclass(frozen=True, slots=True)
class Inputs:
    """A task's recordings on disk and their fingerprint."""

    files: tuple[Path, ...]
    fingerprint: str


class DriveRunner(Protocol):
    """Puts one drive through the software and tells what came out."""

    def run(self, task: DriveTask, inputs: Inputs) -> Observed:
        """Errors are those of the parts; they become the drive's result."""
        ...


@dataclass(slots=True)
class SuiteRun:
    """What ``run_suite`` is asked for, and what it found: ``verdicts`` grow in the order of the suite."""

    loaded: LoadedSuite
    bus: str
    speed: int
    only: Sequence[str] = ()
    jobs: int = 1
    program: tuple[str, ...] = ()
    verdicts: list[DriveVerdict] = field(default_factory=list)

    @property
    def suite(self) -> Suite:
        return self.loaded.suite

    def drives(self) -> list[Drive]:
        """Those asked for. SuiteError for a name the suite does not have."""
        unknown = sorted(set(self.only) - {drive.name for drive in self.suite.drive})
        if unknown:
            names = ", ".join(repr(drive.name) for drive in self.suite.drive)
            raise SuiteError(f"has no drive {', '.join(map(repr, unknown))}; it has {names}", path=self.loaded.path)
        return [drive for drive in self.suite.drive if not self.only or drive.name in self.only]

    def results(self, software: str = __version__, algorithm: str | None = ALGORITHM) -> Results:
        """What was run so far, as a document."""
        return make_results(
            self.suite.suite, self.verdicts, software=software, algorithm=algorithm, bus=self.bus, speed=self.speed
        )


def run_suite(run: SuiteRun, on_done: Callable[[DriveVerdict], None] = lambda _verdict: None) -> None:
    """Run the drives; ``on_done`` hears each as it is judged, in the order of the suite."""
    drives = run.drives()
    tasks = [task_of(run, drive) for drive in drives]
    check_bus(tasks)
    with _observations(tasks, run.jobs) as observations:
        for drive, observed in zip(drives, observations, strict=True):
            verdict = judge(drive, observed, run.suite.suite.tolerances)
            run.verdicts.append(verdict)
            on_done(verdict)


def task_of(run: SuiteRun, drive: Drive) -> DriveTask:
    """The drive with everything looked up in the suite."""
    loaded = run.loaded
    return DriveTask(
        name=drive.name,
        files=tuple(loaded.files(drive)),
        scenario=loaded.scenario(drive),
        seed=drive.seed,
        after_s=drive.after_s,
        profiles=tuple(loaded.profiles(drive)),
        dbc=tuple(loaded.dbc(drive)),
        overlays=tuple(loaded.overlays(drive)),
        bus=run.bus,
        speed=run.speed,
        interfaces=run.suite.suite.interfaces,
        program=run.program,
    )


def check_bus(tasks: Sequence[DriveTask]) -> None:
    """LinkError or ConfigError when the bus the drives want cannot work on this machine, before anything runs."""
    if tasks and tasks[0].bus == "vcan" and not tasks[0].program:
        from outrider.app.suite_live import check_interfaces

        check_interfaces(tasks[0].interfaces)


@contextmanager
def _observations(tasks: Sequence[DriveTask], jobs: int) -> Iterator[Iterator[Observed]]:
    """What each task gave, in order. The drives of a kernel bus come one after the other: they share it."""
    workers = 1 if tasks and tasks[0].bus == "vcan" else min(jobs, MAX_JOBS, len(tasks))
    if workers <= 1:
        yield map(run_task, tasks)
        return
    with started(workers, run_task, list(tasks)) as futures:
        yield (_outcome(future) for future in futures)


def _outcome(future: Future[Observed]) -> Observed:
    from concurrent.futures.process import BrokenProcessPool

    try:
        return future.result()
    except BrokenProcessPool:
        raise BugError("a process that ran a drive died; run again with --jobs 1") from None


def run_task(task: DriveTask) -> Observed:
    """One drive from its recordings to what was seen. What goes wrong with the drive is part of the answer."""
    fingerprint = ""
    try:
        with materialised(task) as inputs:
            fingerprint = inputs.fingerprint
            return _runner(task).run(task, inputs)
    except OutriderError as err:
        return _failed(task, fingerprint, str(err), err.exit_code)
    except OSError as err:
        return _failed(task, fingerprint, f"{err.filename or task.name}: {err.strerror or err}", 74)


def _failed(task: DriveTask, fingerprint: str, error: str, code: int) -> Observed:
    return Observed(
        name=task.name,
        inputs=fingerprint,
        duration_s=0.0,
        distance_m=0.0,
        trips=0,
        findings=(),
        error=error,
        error_code=code,
    )


def _runner(task: DriveTask) -> DriveRunner:
    if task.program:
        from outrider.app.suite_program import ProgramRunner

        return ProgramRunner()
    if task.bus == "replay":
        from outrider.app.suite_replay import ReplayRunner

        return ReplayRunner()
    from outrider.app.suite_live import LiveRunner

    return LiveRunner()


@contextmanager
def materialised(task: DriveTask) -> Iterator[Inputs]:
    """The recordings of a task; simulated ones are written first and gone afterwards."""
    if task.scenario is None:
        yield Inputs(task.files, fingerprint_of(task.files, task.after_s))
        return
    from outrider.sim.drive import generate
    from outrider.sim.scenario_io import load_scenario
    from outrider.sim.write_io import write_drive

    scenario = load_scenario(task.scenario)
    with tempfile.TemporaryDirectory(prefix="outrider-drive-") as folder:
        files = write_drive(generate(scenario, task.seed), Path(folder)).recordings
        yield Inputs(files, fingerprint_of(files, task.after_s))


def fingerprint_of(files: Sequence[Path], after_s: float) -> str:
    """SHA-256 over what is put in: the content of the recordings, in order, and the time after them."""
    whole = hashlib.sha256(f"{after_s:g}".encode())
    for path in files:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()
