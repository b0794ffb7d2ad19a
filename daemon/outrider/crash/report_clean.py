"""A document made fit to be shown: what is not text for people in a name is shown as its code, endless names end.

Rule: every string of a document may come from a stranger. Signs that command the reader's screen (control signs, marks
that turn the direction of writing, halves of pairs) become ``\\u202e`` and the like; nothing else is taken away.
"""

from __future__ import annotations

import dataclasses
import math
import unicodedata
from typing import Any, Final, TypeVar

from outrider.i18n import _

LONGEST: Final = 300
ROWS: Final = 500  # of a table
LARGEST: Final = 1e12  # no measurement is larger, and no plot could hold it
_T = TypeVar("_T")


def clean(value: _T) -> _T:
    """The same value with all its strings shown safely; dataclasses and tuples all through."""
    return _clean(value)  # type: ignore[no-any-return]  # the same type comes back


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, tuple):
        if value and isinstance(value[0], float | int):
            return value
        return tuple(_clean(item) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {f.name: _clean(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **changes)
    return value


def measured(value: _T) -> _T:
    """The same value without numbers that nothing measures: they become not-a-number, which is shown as unknown."""
    return _measured(value)  # type: ignore[no-any-return]  # the same type comes back


def _measured(value: Any) -> Any:
    if isinstance(value, float):
        return value if abs(value) <= LARGEST else math.nan
    if isinstance(value, tuple):
        return tuple(_measured(item) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {f.name: _measured(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **changes)
    return value


def shown(text: str, longest: int = LONGEST) -> str:
    """``text`` as a line for people, cut with its length told."""
    cut = text if len(text) <= longest else text[:longest]
    safe = "".join(_code(sign) if _commands(sign) else sign for sign in cut)
    if cut is text:
        return safe
    return safe + (_("… ({count} signs in all)").format(count=len(text)) if longest >= LONGEST else "…")


def _commands(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def _code(sign: str) -> str:
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"
