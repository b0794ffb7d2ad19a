"""One receiver per database: a lock file beside it (``<database>.lock``) names the process and goes free with it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from outrider.errors import JournalError, JournalLockedError


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Held inside the context. JournalLockedError names the process that has it; JournalError: cannot be made."""
    path = Path(f"{database}.lock")
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as err:
        raise JournalError(f"{path}: {err.strerror}") from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = os.read(file, 20).decode("ascii", errors="replace").strip()
            holder = int(pid) if pid.isdigit() else None
            raise JournalLockedError(f"{database} is used by another receiver (pid {pid or '?'})", holder) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(file)
