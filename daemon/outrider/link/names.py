"""Names of network interfaces, as the kernel allows them; nothing else ever reaches a command line."""

from __future__ import annotations

import re
from typing import Final

from outrider.errors import LinkError

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")  # IFNAMSIZ is 16 with its end


def checked_name(name: str) -> str:
    """``name``. LinkError for what cannot be an interface (and could be an option of a program)."""
    if not _NAME.fullmatch(name):
        raise LinkError(f"{name!r} cannot be the name of a CAN interface")
    return name
