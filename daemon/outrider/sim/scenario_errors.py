"""Where in a scenario document an error is: the line of a key, the nearest known key. Pure."""

from __future__ import annotations

import difflib
import re
from typing import Any, get_args, get_origin, get_type_hints

from outrider.errors import ScenarioError
from outrider.sim.tables import Table


def check_keys(value: Any, kind: Any, path: tuple[str | int, ...], text: str, where: object) -> None:
    """Unknown keys, anywhere in the document: named with the nearest known one."""
    table = _table_type(kind)
    if isinstance(value, list) and table is not None:
        for i, item in enumerate(value):
            check_keys(item, kind, (*path, i), text, where)
        return
    if not isinstance(value, dict) or table is None:
        return
    hints = get_type_hints(table, include_extras=True)
    for key, item in value.items():
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(hints))}"
            raise ScenarioError(f"unknown key {key!r}; {hint}", path=where, line=line_of(text, (*path, key)))
        check_keys(item, hints[key], (*path, key), text, where)


def _table_type(kind: Any) -> type[Table] | None:
    """The table class within ``X``, ``X | None`` or ``tuple[X, ...]``."""
    if isinstance(kind, type) and issubclass(kind, Table):
        return kind
    if get_origin(kind) is None:
        return None
    for part in get_args(kind):
        found = _table_type(part)
        if found is not None:
            return found
    return None


def path_of(message: str) -> tuple[str | int, ...]:
    """msgspec's ``$.leg[2].speed_kmh`` as a tuple."""
    found = re.search(r"`\$([^`]*)`", message)
    parts = re.findall(r"\.([A-Za-z_]\w*)|\[(\d+)\]", found.group(1)) if found else []
    return tuple(name or int(index) for name, index in parts)


def line_of(text: str, path: tuple[str | int, ...]) -> int | None:
    """The 1-based line where ``path`` is set, as far as the plain layout of tables and keys tells."""
    counts: dict[str, int] = {}
    table: tuple[str | int, ...] = ()
    best: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*(\[\[?)\s*([\w.\-]+)\s*\]", line)
        if header:
            names = header.group(2).split(".")
            if header.group(1) == "[[":
                counts[header.group(2)] = counts.get(header.group(2), -1) + 1
                for inner in [name for name in counts if name.startswith(header.group(2) + ".")]:
                    del counts[inner]
            table = _indexed(names, counts)
            if table == path[: len(table)] and len(table):
                best = number
            continue
        key = re.match(r"\s*([\w\-]+)\s*=", line)
        if key and (*table, key.group(1)) == path[: len(table) + 1]:
            return number
    return best


def _indexed(names: list[str], counts: dict[str, int]) -> tuple[str | int, ...]:
    path: list[str | int] = []
    for depth, name in enumerate(names):
        path.append(name)
        index = counts.get(".".join(names[: depth + 1]))
        if index is not None:
            path.append(index)
    return tuple(path)
