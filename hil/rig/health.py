"""What must be true after every test: nothing lost, nothing said that was not expected, nothing left behind.

The checks return sentences, one for each thing that is wrong; the fixture ``health`` fails the test with all of them.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hil.rig.can import interfaces
from hil.rig.terminal import Terminal, Usage, journal, usage
from outrider.model.record import Lane

# Losses by where they are counted, in the order a frame passes them.
SOURCE_LOSSES: Final = ("controller_overflows", "socket_lost", "dropped", "delivery_errors", "malformed")
REFUSED_LOSSES: Final = ("frames_refused", "fixes_refused", "clocks_refused")
DESCRIPTOR_SLACK: Final = 4  # a client that connects, a segment being changed, a program being asked; leaks grow on
PIPES_OF_A_QUESTION: Final = 6  # both ends of output, errors and the start of a process
ENDED: Final = "ended"
FINE: Final = re.compile(r"(INFO|DEBUG) [\w.]+: ")


@dataclass(frozen=True)
class Surroundings:
    """What the rig's own process and machine held before a test."""

    interfaces: frozenset[str]
    children: frozenset[int]
    threads: frozenset[str]
    usage: Usage

    @classmethod
    def now(cls) -> Surroundings:
        threads = frozenset(f"{t.name} ({t.ident})" for t in threading.enumerate())
        return cls(frozenset(interfaces()), frozenset(children()), threads, usage(os.getpid()))


def children() -> set[int]:
    """Processes that this one or its children have started and that still are there, zombies among them."""
    found: set[int] = set()
    look_at = [os.getpid()]
    while look_at:
        new = _children_of(look_at.pop()) - found
        found |= new
        look_at += new
    return found


def _children_of(pid: int) -> set[int]:
    found: set[int] = set()
    with suppress(OSError):  # it ended while we looked
        for task in (Path("/proc") / str(pid) / "task").iterdir():
            found.update(map(int, (task / "children").read_text().split()))
    return found


def left_behind(before: Surroundings, after: Surroundings) -> list[str]:
    """What a test forgot to take away, or took away that was not its own."""
    wrong = [f"interface {name} was left behind" for name in sorted(after.interfaces - before.interfaces)]
    wrong += [f"interface {name} is gone" for name in sorted(before.interfaces - after.interfaces)]
    new = {pid: _command(pid) for pid in sorted(after.children - before.children)}
    wrong += [f"process {pid} ({command}) was left running" for pid, command in new.items() if command != ENDED]
    wrong += [f"thread {name} was left running" for name in sorted(after.threads - before.threads)]
    wrong += _grown(before.usage, after.usage, "the test", slack=0)
    return wrong


def terminal_ill(terminal: Terminal) -> list[str]:
    """What is wrong with a terminal that has been stopped."""
    wrong = [*log_ill(terminal), *_journal_ill(terminal)]
    if terminal.last_status is not None:
        wrong += status_ill(terminal.last_status, terminal.tolerated)
    if terminal.usage_up is not None and terminal.usage_end is not None and "descriptors" not in terminal.tolerated:
        wrong += _grown(terminal.usage_up, terminal.usage_end, "the terminal", slack=DESCRIPTOR_SLACK)
    return [f"{terminal.directory.name}: {text}" for text in wrong]


def status_ill(status: Mapping[str, Any], tolerated: frozenset[str] = frozenset()) -> list[str]:
    """Losses that a status document tells of, by place and counter."""
    found: list[tuple[str, str, int]] = []
    for source in status["sources"]:
        found += [(source["name"], name, source.get(name, 0)) for name in SOURCE_LOSSES]
    found += [(bus["name"], "controller_overflows", bus["lost"]["controller"]) for bus in status["buses"]]
    found += [("engine", name, int(count)) for name, count in status["refused"].items() if name in REFUSED_LOSSES]
    found += [("writer", f"refused_{lane}", count) for lane, count in status["writer"]["refused"].items()]
    found += [("writer", "failed_commits", status["writer"]["failed_commits"])]
    found += [("daemon", f"trouble: {what}", count) for what, count in status["troubles"].items()]
    return [f"{where}: {name} = {count}" for where, name, count in found if count and name not in tolerated]


def log_ill(terminal: Terminal) -> list[str]:
    """Lines that nobody expected, and expected ones that did not come."""
    lines = [line for line in terminal.log().splitlines() if line.strip()]
    known = [re.compile(pattern) for pattern in (*terminal.expected_log, *terminal.allowed_log)]
    wrong = [
        f"unexpected log line: {line}"
        for line in lines
        if not FINE.match(line) and not any(pattern.search(line) for pattern in known)
    ]
    missing = [p for p in terminal.expected_log if not any(re.search(p, line) for line in lines)]
    return wrong + [f"this log line never came: {pattern}" for pattern in missing]


def _journal_ill(terminal: Terminal) -> list[str]:
    if "journal" in terminal.tolerated or not terminal.journal.exists():
        return []
    try:
        report = json.loads(journal("verify", "--json", terminal.journal))
    except AssertionError as err:
        return [str(err)]
    gaps = [gap for gap in report["gaps"] if gap["reason"] not in terminal.tolerated]
    wrong = [f"the journal has a gap: {gap}" for gap in gaps]
    if report["quarantined"] and "quarantined" not in terminal.tolerated:
        wrong.append(f"the journal set files aside: {report['quarantined']}")
    return wrong


def _grown(before: Usage, after: Usage, whose: str, *, slack: int) -> list[str]:
    wrong = []
    for kind, count in after.descriptors.items():
        had = before.descriptors.get(kind, 0)
        if kind == "segment":
            had = max(had, len(Lane))  # one for each lane that was written to by now
        if kind == "pipe" and slack:
            had += PIPES_OF_A_QUESTION  # the moment may be one in which the terminal asks `ip`
        if count > had + slack:
            wrong.append(f"{whose} leaked descriptors of kind {kind!r}: {had} before, {count} after")
    if after.threads > before.threads + slack:
        wrong.append(f"{whose} leaked threads: {before.threads} before, {after.threads} after")
    return wrong


def _command(pid: int) -> str:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ENDED  # a program that somebody asked something, and that has answered since
