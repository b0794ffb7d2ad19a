"""What was odd in a file and what was done about it: one line a person can act on. Bounded, never silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_ANOMALIES: Final = 5000


@dataclass(frozen=True, slots=True)
class Anomaly:
    """``file``:``line`` (1-based, 0 = the file as a whole) holds something odd.

    code: stable kebab-case word for programs (docs/reference/profiles.md lists them). found: what is there.
    action: what the loader did with it.
    """

    file: str
    line: int
    code: str
    found: str
    action: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.found}; {self.action}"


class AnomalyLog:
    """Collects anomalies of one file up to MAX_ANOMALIES; ``suppressed`` counts the rest."""

    __slots__ = ("_items", "file", "suppressed")

    def __init__(self, file: str) -> None:
        self.file = file
        self.suppressed = 0
        self._items: list[Anomaly] = []

    def add(self, line: int, code: str, found: str, action: str) -> None:
        if len(self._items) >= MAX_ANOMALIES:
            self.suppressed += 1
            return
        self._items.append(Anomaly(self.file, line, code, found, action))

    def result(self) -> tuple[Anomaly, ...]:
        """All anomalies in order of line; the last one tells how many were not kept, if any."""
        items = sorted(self._items, key=lambda a: a.line)
        if self.suppressed:
            items.append(Anomaly(self.file, 0, "too-many", f"{self.suppressed} more anomalies", "not listed"))
        return tuple(items)
