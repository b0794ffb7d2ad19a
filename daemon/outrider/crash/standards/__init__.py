"""One crash in the terms of the standards an expert asks for. Each view is a pure function of the document.

Rule: a value is given under the standard's own name, in its unit and with its signs; what the terminal or the car
cannot tell is there too, with the reason. No view claims conformity: the terminal is no approved EDR and no AECS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from outrider.crash.document import CrashDocument
from outrider.crash.standards import cfr563, ecall_msd, gb39732, gb45672, unr160

VIEWS: Final[dict[str, Callable[[CrashDocument], dict[str, Any]]]] = {
    "cfr563": cfr563.view,
    "ecall-msd": ecall_msd.view,
    "gb39732": gb39732.view,
    "gb45672": gb45672.view,
    "unr160": unr160.view,
}
