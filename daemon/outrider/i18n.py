"""Texts a person reads go through ``_``: English in the source, other languages in ``locale/`` (gettext).

The language comes from LANGUAGE, LC_ALL, LC_MESSAGES, LANG at the first use, never at import.
"""

from __future__ import annotations

import gettext
from functools import cache
from pathlib import Path

DOMAIN = "outrider"


@cache
def _translations() -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, Path(__file__).parent / "locale", fallback=True)


def _(message: str) -> str:
    """The message in the user's language. Use with ``%(name)s`` or ``.format`` after translation, never before."""
    return _translations().gettext(message)


def ngettext(singular: str, plural: str, n: int) -> str:
    return _translations().ngettext(singular, plural, n)
