"""The 58 DBC files of the ``opendbc`` wheel for tests: found in the cache, downloaded once, or a skip that says how."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from outrider.profile.dbc_loader import load_dbc
from outrider.profile.dbc_model import Dbc
from tests.oracles.dbc_tables import WHEEL, corpus


@cache
def _folder() -> Path | None:
    return corpus()


def dbc_folder() -> Path:
    """Folder of the DBC files; skips the test when the wheel is neither cached nor to be had."""
    found = _folder()
    if found is None:
        pytest.skip(f"needs the DBC files of {WHEEL}: pip download --no-deps {WHEEL} -d ~/.cache/outrider")
    return found


def dbc_files() -> list[Path]:
    return sorted(dbc_folder().glob("*.dbc"))


@cache
def loaded(path: Path) -> Dbc:
    """One file as our loader reads it; kept, since several tests look at the same corpus."""
    return load_dbc(path.read_bytes(), path.name)
