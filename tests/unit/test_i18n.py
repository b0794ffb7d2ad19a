"""Every text for people exists in Chinese, and the compiled catalogue is the one of the source.

After changing texts::

    .venv/bin/python tests/support/update_locale.py

then translate the empty ``msgstr`` in ``daemon/outrider/locale/zh_CN/LC_MESSAGES/outrider.po`` and run it again.
"""

from __future__ import annotations

import io
import re

import pytest
from babel.messages.mofile import write_mo

from outrider import i18n
from tests.support.update_locale import extract, mo_path, read_po

PLACE = re.compile(r"\{[a-z_]*[^}]*\}|%\([a-z_]+\)[sd]")


def test_every_text_is_translated() -> None:
    """No message of the source is missing or empty in zh_CN, none is left over."""
    messages = {m for m in extract() if m}
    catalog = read_po("zh_CN")
    known = {m.id for m in catalog if m.id}
    assert messages - known == set(), "run tests/support/update_locale.py"
    assert known - messages == set(), "run tests/support/update_locale.py"
    assert [m.id for m in catalog if m.id and not m.string] == []


def test_translations_keep_the_places() -> None:
    """A translation names the same placeholders as the original."""
    for message in read_po("zh_CN"):
        if message.id:
            assert sorted(PLACE.findall(str(message.id))) == sorted(PLACE.findall(str(message.string))), message.id


def test_compiled_catalogue_is_current() -> None:
    """The .mo file in the tree is what the .po file gives."""
    buffer = io.BytesIO()
    write_mo(buffer, read_po("zh_CN"))
    assert mo_path("zh_CN").read_bytes() == buffer.getvalue(), "run tests/support/update_locale.py"


def test_language_is_chosen_at_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """LANGUAGE=zh_CN gives Chinese, an unknown language English."""
    try:
        monkeypatch.setenv("LANGUAGE", "zh_CN")
        i18n._translations.cache_clear()
        assert i18n._("crash") == "碰撞"
        monkeypatch.setenv("LANGUAGE", "tlh")
        i18n._translations.cache_clear()
        assert i18n._("crash") == "crash"
    finally:
        i18n._translations.cache_clear()


def test_a_page_can_ask_for_its_own_language(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside ``in_language`` it is that one, afterwards the user's again; unknown ones are refused."""
    monkeypatch.setenv("LANGUAGE", "en")
    i18n._translations.cache_clear()
    with i18n.in_language("zh"):
        assert i18n._("crash") == "碰撞"
        with i18n.in_language("en"):
            assert i18n._("crash") == "crash"
        assert i18n._("crash") == "碰撞"
    assert i18n._("crash") == "crash"
    with pytest.raises(ValueError, match="one of en, zh"), i18n.in_language("tlh"):
        pass
    i18n._translations.cache_clear()
