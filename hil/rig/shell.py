"""Programs of the system that the rig calls: privileged ones through sudo where the rig is not root."""

from __future__ import annotations

import os
import subprocess


class ToolError(RuntimeError):
    """A system program failed; the text is its own."""


def run(*command: object, check: bool = True) -> str:
    """Standard output of a command. ToolError with its words when it fails and ``check`` is set."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise ToolError(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip() or done.returncode}")
    return done.stdout


def privileged(*command: object, check: bool = True) -> str:
    """As ``run``, with the rights of root."""
    return run(*(() if os.geteuid() == 0 else ("sudo", "-n")), *command, check=check)


def works(*command: object) -> bool:
    """Whether a privileged command succeeds."""
    try:
        privileged(*command)
    except (ToolError, OSError):
        return False
    return True
