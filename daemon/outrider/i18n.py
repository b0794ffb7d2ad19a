"""Texts a person reads go through ``_``: English in the source, other languages in ``locale/`` (gettext).

The language comes from LANGUAGE, LC_ALL, LC_MESSAGES, LANG at the first use, never at import; a page asked for in
another one is made inside ``in_language``.
"""

from __future__ import annotations

import gettext
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Final

DOMAIN = "outrider"
LANGUAGES: Final = {"en": "en", "zh": "zh_CN"}  # as people name them -> folder of the catalogue
_chosen: Final[ContextVar[str | None]] = ContextVar("language", default=None)


@cache
def _translations(language: str | None = None) -> gettext.NullTranslations:
    languages = None if language is None else [LANGUAGES[language]]
    return gettext.translation(DOMAIN, Path(__file__).parent / "locale", languages, fallback=True)


@contextmanager
def in_language(language: str) -> Iterator[None]:
    """Texts made inside are in ``language`` (of LANGUAGES), whatever the user's is; of this thread or task only."""
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r}: one of {', '.join(LANGUAGES)}")
    token = _chosen.set(language)
    try:
        yield
    finally:
        _chosen.reset(token)


def _(message: str) -> str:
    """The message in the user's language. Use with ``%(name)s`` or ``.format`` after translation, never before."""
    return _translations(_chosen.get()).gettext(message)


def in_english() -> bool:
    """Whether texts come out as in the source: the user's language is English, or one without a catalogue."""
    return not isinstance(_translations(_chosen.get()), gettext.GNUTranslations)


def ngettext(singular: str, plural: str, n: int) -> str:
    return _translations(_chosen.get()).ngettext(singular, plural, n)
