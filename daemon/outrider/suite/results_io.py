"""Files of a suite's run: written whole or not at all, read with a bound."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from outrider.errors import SuiteError
from outrider.files_io import read_file, replacing
from outrider.suite.results import Results, decode, encode

__all__ = ["read_results", "replacing", "write_results"]

MAX_BYTES: Final = 1 << 30


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
