"""The libraries that only reports need; a terminal in a car goes without them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

from outrider.errors import InputError

_NEEDS: Final = {
    "--junit": ("junitparser",),
    "--html": ("jinja2", "matplotlib"),
    "--update": ("tomlkit",),
    "a live bus": ("tomlkit",),
}


def need(wanted: Mapping[str, object]) -> None:
    """InputError that names the extra when a library is missing for one of the ``wanted`` things that are true; asked
    before anything runs."""
    for what, asked in wanted.items():
        missing = [name for name in _NEEDS[what] if asked and find_spec(name) is None]
        if missing:
            raise InputError(
                f"{what} needs {' and '.join(missing)}, not installed here: pip install 'outrider[workstation]'"
            )
