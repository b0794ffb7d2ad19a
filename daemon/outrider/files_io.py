"""Files a person names: configuration, profiles, keys, recordings to read; tapes and drives to write.

Rule: only regular files are read, the small ones never beyond a limit. A pipe would hold the program
up for ever, a device such as ``/dev/zero`` would fill its memory.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

SMALL_FILE_BYTES: Final = 16 * 1024 * 1024


def require_regular(path: Path) -> None:
    """OSError unless ``path`` is a regular file; ``strerror`` says what it is and what to do. Never waits."""
    _check(path, path.stat().st_mode)


def read_file(path: Path, limit: int = SMALL_FILE_BYTES) -> bytes:
    """The whole content. OSError with a ``strerror`` for people: missing, not regular, above ``limit`` bytes."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe nobody writes to must not block
    with os.fdopen(handle, "rb") as file:
        _check(path, os.fstat(handle).st_mode)
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit} bytes", str(path))
    return data


def read_text(path: Path, limit: int = SMALL_FILE_BYTES) -> str:
    """As ``read_file``, UTF-8 (UnicodeDecodeError otherwise)."""
    return read_file(path, limit).decode("utf-8")


def make_private(path: Path) -> None:
    """A file that is not there yet becomes an empty one for its user and group alone. What refuses is left to the next
    who opens it."""
    with suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))


def _check(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "is a pipe, socket or device; name a regular file", str(path))


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of writing (device full, I/O error) name ``path``; the system names a file only where it opens one."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as err:
        if err.filename is not None or err.errno is None:
            raise
        raise OSError(err.errno, err.strerror, str(path)) from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` that takes its place when the block ends well, else goes. OSError names ``path``.

    A link stays a link, to the new file. What is there and no regular file (a device, a pipe) is itself written to.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        with naming(path):
            yield path
        return
    part = path.with_name(f".part-{path.name}")
    try:
        with naming(path):
            yield part
            part.replace(path)
    except OSError as err:
        raise OSError(err.errno, err.strerror, str(path)) from None
    finally:
        part.unlink(missing_ok=True)
