"""A drive of a suite through another release: its ``outrider replay --json``, as a process. Reads what it prints.

Nothing it prints is taken on trust: lines, types and ranges are checked, and what does not fit is one SuiteError.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import IO, Annotated, Any, Final, NoReturn, TypeVar

import msgspec

from outrider.app.suite import DriveTask, Inputs
from outrider.app.suite_replay import doubts
from outrider.errors import LinkError, SuiteError
from outrider.suite.observed import EARLIEST_S, LATEST_S, Observed, Observer, checked

VERSION_TIMEOUT_S: Final = 60.0
MAX_LINE: Final = 1 << 20
_T = TypeVar("_T")
_Micros = Annotated[int, msgspec.Meta(ge=round(EARLIEST_S * 1e6), le=round(LATEST_S * 1e6))]


class _Report(msgspec.Struct):
    """An event, as far as findings need it. Sizes are held against their ranges in the end (``checked``)."""

    seq: int
    kind: str
    phase: str
    level: int
    flags: list[str]
    t0_us: _Micros
    t_detect_us: _Micros
    clock: int
    conf: float | None
    dv_kmh: float | None = None
    peak_g: float | None = None
    dur_ms: float | None = None
    v_pre_kmh: float | None = None
    v_post_kmh: float | None = None
    lat_deg: float | None = None
    lon_deg: float | None = None


class _Trip(msgspec.Struct):
    t_end_us: int = 0


class _Engine(msgspec.Struct):
    frames: int = 0


class _Summary(msgspec.Struct):
    """The last line."""

    seconds: float
    distance_m: float
    engine: _Engine = msgspec.field(default_factory=_Engine)
    sources: dict[str, dict[str, int]] = {}


def find_program(name: str) -> tuple[str, ...] | None:
    """The command of a program given as path or name; None when there is none."""
    found = shutil.which(name)
    return None if found is None else (found,)


def program_version(program: tuple[str, ...]) -> str:
    """What ``--version`` says. LinkError for what is no outrider."""
    try:
        answer = subprocess.run([*program, "--version"], capture_output=True, timeout=VERSION_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as err:
        raise LinkError(f"{program[0]}: cannot be run: {err}") from None
    text = answer.stdout.decode(errors="replace").strip()
    version = re.fullmatch(r"outrider, version (\S+)", text)
    if answer.returncode or version is None:
        raise LinkError(f"{program[0]}: is no outrider: `--version` says {text[:80]!r}")
    return version[1]


class ProgramRunner:
    """A ``DriveRunner``. What the program cannot do (a missing option, a profile it does not know) is its error."""

    def run(self, task: DriveTask, inputs: Inputs) -> Observed:
        observer = Observer()
        summary: _Summary | None = None
        with tempfile.TemporaryFile() as errors:
            with subprocess.Popen(_command(task, inputs), stdout=subprocess.PIPE, stderr=errors) as process:
                assert process.stdout is not None
                try:
                    for document in _documents(process.stdout, task):
                        if document.get("type") == "summary":
                            summary = _read(document, _Summary, task)
                        _note(observer, document, task)
                except BaseException:
                    process.kill()
                    raise
            if process.returncode:
                raise LinkError(f"{task.program[0]} ended with {process.returncode}: {_last_line(errors)}")
        if summary is None:
            raise SuiteError("prints no summary: cut short, or another format", path=task.program[0])
        return _result(observer, summary, task, inputs)


def _result(observer: Observer, summary: _Summary, task: DriveTask, inputs: Inputs) -> Observed:
    try:
        return checked(
            observer.observed(
                task.name,
                inputs.fingerprint,
                duration_s=summary.seconds,
                distance_m=summary.distance_m,
                frames=summary.engine.frames,
                notes=doubts(summary.sources),
            )
        )
    except msgspec.ValidationError as err:
        raise SuiteError(f"prints what no drive can be: {err}", path=task.program[0]) from None


def _command(task: DriveTask, inputs: Inputs) -> list[str]:
    options = [("-p", name) for name in task.profiles]
    options += [("--dbc", str(path)) for path in task.dbc] + [("--overlay", str(path)) for path in task.overlays]
    after = ["--after", f"{task.after_s:g}"] if task.after_s else []
    flat = [word for option in options for word in option]
    return [*task.program, "replay", "--json", *flat, *after, *(str(path) for path in inputs.files)]


def _documents(stream: IO[bytes], task: DriveTask) -> Iterator[dict[str, Any]]:
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            _refuse(line, number, task)
        try:
            document = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            _refuse(line, number, task)
        yield document


def _refuse(line: bytes, number: int, task: DriveTask) -> NoReturn:
    raise SuiteError(f"prints what is no JSON Lines: line {number}: {line[:80]!r}", path=task.program[0]) from None


def _note(observer: Observer, document: dict[str, Any], task: DriveTask) -> None:
    if document.get("type") == "trip":
        observer.note_trip(_read(document, _Trip, task).t_end_us)
    if document.get("type") == "event":
        observer.note_report(msgspec.structs.asdict(_read(document, _Report, task)))


def _read(document: dict[str, Any], kind: type[_T], task: DriveTask) -> _T:
    """SuiteError for a field that is missing, of another type or out of its range."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as err:
        raise SuiteError(f"prints {document['type']}s of another format: {err}", path=task.program[0]) from None


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read(1 << 16).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no word why"
