"""The product on the rig: ``outrider run`` as a process of its own, with its configuration, log, status and journal."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import tomli_w
from click.testing import CliRunner

from hil.rig.nursery import Launcher, Process, anew
from hil.rig.patience import POLL_S, Patience
from outrider.app.control import ask
from outrider.cli.journal import cli as journal_command
from outrider.errors import LinkError
from tests.support.terminal import KEY

OPEN_STATES: Final = {"up", "silent"}
CAPTURED: Final = ("socketcan:", "unix:")  # read by the native capture, which then tells of its buffer
SAMPLES: Final = 3  # looks at what a process holds: the least of them is what it keeps
START_BENCH_S: Final = 20.0
STOP_BENCH_S: Final = 15.0

# Small and quick: what a test waits for should come soon. Everything else stays as customers have it.
DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "vehicle": {"profiles": ["simcar"]},
    "engine": {"recorder_kib": 1024},
    "journal": {"telemetry_commit_s": 0.5, "event_commit_s": 0.1, "telemetry_segment_kib": 64},
}


@dataclass(frozen=True)
class Usage:
    """What a process holds open."""

    descriptors: dict[str, int] = field(default_factory=dict)  # by kind: "socket", "journal file", ...
    threads: int = 0


class Terminal:
    """Fulfils ``TerminalLike``. Made by the fixture ``terminal``; the folder is the test's own.

    ``config`` is the configuration file as a dict, laid over ``DEFAULTS``; device, data directory and control socket
    are set here. ``can``: names of SocketCAN interfaces, or whole ``[[can]]`` tables.
    """

    def __init__(
        self,
        directory: Path,
        patience: Patience,
        *,
        can: Sequence[object] = (),
        gnss: object | None = None,
        broker_port: int | None = None,
        config: Mapping[str, Mapping[str, Any]] | None = None,
        arguments: Sequence[object] = (),
        device: str = "RIG1",
        launcher: Launcher = anew,
    ) -> None:
        self.directory: Final = directory
        self.device: Final = device
        self.socket: Final = directory / "control.sock"
        self.config_file: Final = directory / "outrider.toml"
        self.exit_code: int | None = None
        self.last_status: dict[str, Any] | None = None  # of the moment before it was stopped
        self.usage_up: Usage | None = None
        self.usage_end: Usage | None = None
        self._patience = patience
        self._arguments = arguments
        self._launch = launcher
        self._process: Process | None = None
        self._expected: list[str] = []
        self._allowed: list[str] = []
        self._tolerated: set[str] = set()
        directory.mkdir(parents=True, exist_ok=True)
        document = self._document(can, gnss, broker_port, config or {})
        self.data: Final = directory / str(document["terminal"]["data_directory"])
        self.config_file.write_text(tomli_w.dumps(document), encoding="utf-8")

    def _document(
        self,
        can: Sequence[object],
        gnss: object | None,
        broker_port: int | None,
        config: Mapping[str, Mapping[str, Any]],
    ) -> dict[str, Any]:
        terminal = {"device": self.device, "data_directory": "data", "control_socket": str(self.socket)}
        document: dict[str, Any] = {"terminal": terminal}
        document["can"] = [dict(bus) if isinstance(bus, Mapping) else {"channel": str(bus), "fd": True} for bus in can]
        if gnss is not None:
            document["gnss"] = {"device": str(gnss), "baud_rate": 115_200}
        if broker_port is not None:
            key = self.directory / "ack.key"
            key.write_text(KEY, encoding="ascii")
            document["uplink"] = {"host": "127.0.0.1", "port": broker_port, "tls": False, "ack_key_file": str(key)}
        for section, values in [*DEFAULTS.items(), *config.items()]:
            document[section] = document.get(section, {}) | values
        return document

    # -- what a test declares about it ------------------------------------------------------------------

    def expect_log(self, pattern: str) -> None:
        """A log line matching this regular expression must come, and is no reason for concern."""
        self._expected.append(pattern)

    def allow_log(self, pattern: str) -> None:
        """A log line matching this may come."""
        self._allowed.append(pattern)

    def tolerate(self, *counters: str) -> None:
        """Counters (docs/reference/sources.md, docs/operate/daemon.md) that this test raises on purpose."""
        self._tolerated.update(counters)

    @property
    def expected_log(self) -> tuple[str, ...]:
        return tuple(self._expected)

    @property
    def allowed_log(self) -> tuple[str, ...]:
        return tuple(self._allowed)

    @property
    def tolerated(self) -> frozenset[str]:
        return frozenset(self._tolerated)

    # -- the process --------------------------------------------------------------------------------------

    def start(self, *, wait: bool = True) -> None:
        """Start it; with ``wait``, return when every source is open."""
        assert self._process is None, "it runs already"
        self.exit_code = None
        arguments = ("run", "--config", self.config_file, *self._arguments)
        self._process = self._launch(arguments, self.directory / "daemon.log")
        if wait:
            self.wait_up()

    @property
    def pid(self) -> int:
        assert self._process is not None, "it does not run"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait_up(self) -> None:
        """Until every source is open and every bus is read."""
        self.wait("the terminal has opened all its sources", self._is_up, START_BENCH_S)
        self.usage_up = usage(self.pid)

    def _is_up(self) -> bool:
        try:
            sources = self.status()["sources"]
        except LinkError:
            return False
        return all(
            source["state"] in OPEN_STATES and ("receive_buffer" in source or not source["name"].startswith(CAPTURED))
            for source in sources
        )

    def wait(self, what: str, condition: Any, bench_s: float = 30.0) -> None:
        """Until ``condition()`` holds, while the process lives."""

        def checked() -> object:
            assert self.running, f"the terminal ended while waiting for: {what}\n{self.log()}"
            return condition()

        self._patience.wait(what, checked, bench_s)

    def stop(self) -> int:
        """SIGTERM and its exit code; status and usage of the last moment are kept for the health check."""
        assert self._process is not None, "it does not run"
        self.look()
        self.signal(signal.SIGTERM)
        return self._ended(STOP_BENCH_S)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._ended(STOP_BENCH_S)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def ended(self, bench_s: float = STOP_BENCH_S) -> int:
        """Wait for it to end by itself; the exit code."""
        return self._ended(bench_s)

    def _ended(self, bench_s: float) -> int:
        assert self._process is not None
        self.exit_code = self._process.wait(timeout=self._patience.bound_s(bench_s))
        self._process = None
        return self.exit_code

    # -- what it says ---------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """The document of ``outrider status --json``. LinkError when it does not answer."""
        return ask(self.socket, "status")

    def look(self) -> None:
        """Keep status and usage of this moment for the health check."""
        try:
            self.last_status = self.status()
            self.usage_end = usage(self.pid)
        except (LinkError, OSError):
            pass  # a terminal that does not answer is judged by its log and its exit code

    def source(self, name: str) -> dict[str, Any]:
        """State of the source whose name ends with this, such as an interface's."""
        found = [source for source in self.status()["sources"] if source["name"].endswith(name)]
        assert len(found) == 1, f"{name}: {len(found)} sources"
        return dict(found[0])

    def log(self) -> str:
        return (self.directory / "daemon.log").read_text(encoding="utf-8", errors="replace")

    @property
    def journal(self) -> Path:
        return self.data / "journal"

    def records(self, *lanes: str) -> list[dict[str, Any]]:
        """Records of the journal as ``outrider journal export`` prints them; of these lanes only, when any are named.

        Rows of telemetry take long to describe where Python is slow.
        """
        chosen: list[tuple[str, ...]] = [("--lane", lane) for lane in lanes] or [()]
        texts = [journal("export", *option, self.journal) for option in chosen]
        return [json.loads(line) for text in texts for line in text.splitlines()]

    def events(self) -> list[dict[str, Any]]:
        """The event records of the journal, in order of time: ``content`` of each."""
        records = [r for r in self.records("emergency", "event") if r["kind"] == "event"]
        return [r["content"] for r in sorted(records, key=lambda r: int(r["t_us"]))]


def journal(*arguments: object) -> str:
    """Output of ``outrider journal ...``: the very command, in this process: a Python start is dear in a guest."""
    done = CliRunner().invoke(journal_command, [str(argument) for argument in arguments], catch_exceptions=False)
    if done.exit_code:
        raise AssertionError(f"outrider journal {' '.join(map(str, arguments))}: {done.exit_code}: {done.output}")
    return done.stdout


def usage(pid: int) -> Usage:
    """Descriptors by kind, and threads, of a process: what it has all the while we look, not what comes and goes."""
    looks = [_usage_now(pid)]
    while len(looks) < SAMPLES:
        time.sleep(POLL_S)  # a program that was being asked may end meanwhile
        looks.append(_usage_now(pid))
    kinds = {kind: min(look.descriptors.get(kind, 0) for look in looks) for kind in looks[0].descriptors}
    return Usage(kinds, min(look.threads for look in looks))


def _usage_now(pid: int) -> Usage:
    kinds: dict[str, int] = {}
    for fd in (Path("/proc") / str(pid) / "fd").iterdir():
        try:
            kind = _kind(str(fd.readlink()))
        except OSError:
            continue  # closed while we looked
        kinds[kind] = kinds.get(kind, 0) + 1
    return Usage(kinds, len(list((Path("/proc") / str(pid) / "task").iterdir())))


def _kind(target: str) -> str:
    if target.endswith(".seg"):
        return "segment"
    if target.startswith("/"):
        return "device" if target.startswith("/dev/") else "file"
    return target.split(":", 1)[0]  # "socket:[123]", "pipe:[...]", "anon_inode:[eventpoll]"
