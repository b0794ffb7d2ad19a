"""The page of benchmarks, written by several commands: each owns one part and leaves the others as they are.

<!-- make bench -->
...
<!-- end of make bench -->
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

INTRO = (
    "# Benchmarks\n\n"
    "Written by `make bench`, `make bench-uplink` and `make bench-hil`; do not edit by hand. Peers run beside\n"
    "Outrider in the same run, since absolute times move with the machine: quote the ratios.\n\n"
)


def put(page: str, owner: str, text: str) -> str:
    """``page`` with the part of ``owner`` replaced, or appended when it has none; the rest unchanged."""
    begin, end = f"<!-- {owner} -->\n", f"<!-- end of {owner} -->\n"
    part = begin + "\n" + text.strip() + "\n\n" + end
    before, found, rest = page.partition(begin)
    if not found:
        return (page or INTRO).rstrip() + "\n\n" + part
    return before + part + rest.partition(end)[2]


def write(path: Path, owner: str, text: str) -> None:
    """``put`` on a file, which may be missing."""
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(put(page, owner, text), encoding="utf-8")


def machine() -> str:
    """Date and machine of a run, one line."""
    about = (
        f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    )
    return f"{datetime.now(UTC):%Y-%m-%d}, {about}.\n\n"


def table(document: Any) -> str:
    """Every leaf of a JSON document as a row."""
    rows = "".join(f"| {name} | {value} |\n" for name, value in leaves(document))
    return "| what | value |\n|---|---|\n" + rows


def leaves(document: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """(dotted path, value) of every leaf."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from leaves(value, (*path, str(key)))
    elif isinstance(document, list) and any(isinstance(item, dict | list) for item in document):
        for number, item in enumerate(document):
            yield from leaves(item, (*path, str(number)))
    else:
        yield ".".join(path), json.dumps(document, ensure_ascii=False)
