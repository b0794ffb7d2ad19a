"""How the state of links is read: a seam, the program `ip` behind it, and a fake that plays recorded answers.

Rule: reading takes a bounded time and needs no privilege.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from typing import Final, Protocol

from outrider.errors import LinkError
from outrider.link.names import checked_name
from outrider.link.report import LinkReport, parse_link, parse_links

IP_TIMEOUT_S: Final = 5.0
MAX_OUTPUT: Final = 4 << 20
_SBIN: Final = ("/usr/sbin", "/sbin")  # where `ip` is, and what a service's PATH may lack


class LinkState(Protocol):
    """Reads links."""

    def read(self, name: str) -> LinkReport | None:
        """The interface now; None when there is none of that name. LinkError when nobody can say."""
        ...

    def read_all(self) -> list[LinkReport]:
        """Every CAN interface of the machine. LinkError."""
        ...


class IpLinkState:
    """Asks the program `ip` of iproute2."""

    def read(self, name: str) -> LinkReport | None:
        done = run_ip("-j", "-d", "-s", "link", "show", "dev", checked_name(name))
        if done.returncode == 0:
            return parse_link(done.stdout, name)
        if b"does not exist" in done.stderr or b"Cannot find device" in done.stderr:
            return None
        raise LinkError(f"{name}: {complaint(done)}")

    def read_all(self) -> list[LinkReport]:
        done = run_ip("-j", "-d", "-s", "link", "show")
        if done.returncode != 0:
            raise LinkError(complaint(done))
        return parse_links(done.stdout)


class RecordedLinkState:
    """A fake: plays answers of `ip`, one after the other, the last one for ever.

    An answer is the output, None for a missing interface, or a LinkError to be raised.
    """

    def __init__(self, answers: dict[str, Iterable[bytes | LinkError | None]]) -> None:
        self._answers = {name: list(each) for name, each in answers.items()}

    def read(self, name: str) -> LinkReport | None:
        queue = self._answers.get(name, [None])
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, LinkError):
            raise answer
        return None if answer is None else parse_link(answer, name)

    def read_all(self) -> list[LinkReport]:
        reports = [self.read(name) for name in self._answers]
        return [report for report in reports if report is not None]


def run_ip(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Runs `ip` in the C locale. LinkError when it is not there, hangs or floods; its exit code is the caller's."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SBIN))
    program = shutil.which("ip", path=path)
    if program is None:
        raise LinkError("the program `ip` was not found; install iproute2")
    try:
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=IP_TIMEOUT_S,
            check=False,
            env={"PATH": path, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise LinkError(f"`ip` gave no answer within {IP_TIMEOUT_S:.0f} s") from None
    except OSError as err:
        raise LinkError(f"`ip` cannot be run: {err.strerror}") from None
    if len(done.stdout) > MAX_OUTPUT:
        raise LinkError(f"the answer of `ip` is longer than {MAX_OUTPUT} bytes")
    return done


def complaint(done: subprocess.CompletedProcess[bytes]) -> str:
    """What `ip` said went wrong, in one line."""
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    words = " ".join(line.strip() for line in lines[:3]) or f"exit code {done.returncode}"
    return f"`ip` failed: {words[:200]}"
