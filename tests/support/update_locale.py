"""Extracts the texts for people from the source, updates the Chinese catalogue, compiles it."""

from __future__ import annotations

from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po as babel_read_po
from babel.messages.pofile import write_po

HEADER = """# Texts of Outrider for people.
# Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
#"""
PACKAGE = Path(__file__).parents[2] / "daemon" / "outrider"


def extract() -> list[str]:
    """All message ids of the source, sorted."""
    found = extract_from_dir(PACKAGE, keywords={"_": None, "ngettext": (1, 2)})
    ids = {message if isinstance(message, str) else message[0] for _file, _line, message, _c, _ctx in found}
    return sorted(ids | command_help())


def command_help() -> set[str]:
    """Help lines of the command table, which are translated when they are shown."""
    from outrider.cli.main import COMMANDS

    return {text for _module, text in COMMANDS.values()}


def po_path(language: str) -> Path:
    return PACKAGE / "locale" / language / "LC_MESSAGES" / "outrider.po"


def mo_path(language: str) -> Path:
    return po_path(language).with_suffix(".mo")


def read_po(language: str) -> Catalog:
    with po_path(language).open("rb") as file:
        return babel_read_po(file, locale=language)


def update(language: str) -> list[str]:
    """Bring the catalogue up to date; returns the texts that still need a translation."""
    old = read_po(language) if po_path(language).exists() else Catalog(locale=language)
    new = Catalog(
        locale=language,
        project="outrider",
        version="1",
        header_comment=HEADER,
        msgid_bugs_address="",
        last_translator="The Outrider authors",
        language_team="",
        creation_date=old.creation_date,
        revision_date=old.creation_date,
        fuzzy=False,
    )
    for message_id in extract():
        known = old.get(message_id)
        new.add(message_id, known.string if known else "")
    po_path(language).parent.mkdir(parents=True, exist_ok=True)
    with po_path(language).open("wb") as file:
        write_po(file, new, width=120, omit_header=False, sort_output=True)
    with mo_path(language).open("wb") as file:
        write_mo(file, read_po(language))
    return [str(m.id) for m in new if m.id and not m.string]


if __name__ == "__main__":
    for text in update("zh_CN"):
        print("needs a translation:", text)
