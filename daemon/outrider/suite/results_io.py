"""Files of a suite's run: written whole or not at all, read with a bound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from outrider.errors import SuiteError
from outrider.files_io import naming, read_file
from outrider.suite.results import Results, decode, encode

MAX_BYTES: Final = 1 << 30


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` that takes its place when the block ends well, else goes. OSError names ``path``."""
    part = path.with_name(f".part-{path.name}")
    try:
        with naming(path):
            yield part
            part.replace(path)
    except OSError as err:
        raise OSError(err.errno, err.strerror, str(path)) from None
    finally:
        part.unlink(missing_ok=True)


def write_results(results: Results, path: Path) -> None:
    with replacing(path) as part:
        part.write_bytes(encode(results))


def read_results(path: Path) -> Results:
    """SuiteError when the file cannot be read or holds no results of this format."""
    try:
        data = read_file(path, MAX_BYTES)
    except OSError as err:
        raise SuiteError(f"cannot be read: {err.strerror}", path=path) from None
    return decode(data, path)
