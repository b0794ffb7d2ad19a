"""Where the real recordings are: ``OUTRIDER_DATA``, else ``../shared/data`` beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def recording(name: str) -> Path:
    """Path of a recording; skips the test with its name when it is not there."""
    root = Path(os.environ.get("OUTRIDER_DATA", Path(__file__).parents[3] / "shared" / "data"))
    path = root / name
    if not path.exists():
        pytest.skip(f"needs the recording {path} (folder: OUTRIDER_DATA)")
    return path
