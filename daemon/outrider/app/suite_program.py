"""A drive of a suite through another release: its ``outrider replay --json``, as a process. Reads what it prints."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import IO, Any, Final

from outrider.app.suite import DriveTask, Inputs
from outrider.app.suite_replay import doubts
from outrider.errors import LinkError, SuiteError
from outrider.suite.observed import Observed, Observer

VERSION_TIMEOUT_S: Final = 60.0
MAX_LINE: Final = 1 << 20
_NEEDED: Final = ("seq", "kind", "phase", "level", "flags", "t0_us", "t_detect_us", "clock", "conf")


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
        summary: dict[str, Any] = {}
        with tempfile.TemporaryFile() as errors:
            with subprocess.Popen(_command(task, inputs), stdout=subprocess.PIPE, stderr=errors) as process:
                assert process.stdout is not None
                try:
                    for document in _documents(process.stdout, task):
                        if document.get("type") == "summary":
                            summary = document
                        _note(observer, document, task)
                except BaseException:
                    process.kill()
                    raise
            if process.returncode or not summary:
                raise LinkError(f"{task.program[0]} ended with {process.returncode}: {_last_line(errors)}")
        return observer.observed(
            task.name,
            inputs.fingerprint,
            duration_s=float(summary["seconds"]),
            distance_m=float(summary["distance_m"]),
            frames=int(summary.get("engine", {}).get("frames", 0)),
            notes=doubts(summary.get("sources", {})),
        )


def _command(task: DriveTask, inputs: Inputs) -> list[str]:
    options = [("-p", name) for name in task.profiles]
    options += [("--dbc", str(path)) for path in task.dbc] + [("--overlay", str(path)) for path in task.overlays]
    after = ["--after", f"{task.after_s:g}"] if task.after_s else []
    flat = [word for option in options for word in option]
    return [*task.program, "replay", "--json", *flat, *after, *(str(path) for path in inputs.files)]


def _documents(stream: IO[bytes], task: DriveTask) -> Iterator[dict[str, Any]]:
    while line := stream.readline(MAX_LINE + 1):
        try:
            document = json.loads(line) if len(line) <= MAX_LINE else None
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise SuiteError(f"{task.program[0]} prints what is no JSON Lines: {line[:80]!r}")
        yield document


def _note(observer: Observer, document: dict[str, Any], task: DriveTask) -> None:
    if document.get("type") == "trip":
        observer.note_trip(int(document.get("t_end_us", 0)))
    if document.get("type") != "event":
        return
    missing = [name for name in _NEEDED if name not in document]
    if missing:
        raise SuiteError(f"{task.program[0]} prints events without {', '.join(missing)}: another format")
    observer.note_report(document)


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read(1 << 16).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no word why"
