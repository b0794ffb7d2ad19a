"""What a row of the table brings: numbers for programs, tables and bars for people, pictures for the report.

``RowResult.numbers`` and all but the pictures are the JSON document (docs/reference/cli-schema.json, ``evaluation``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from outrider.evaluate.layouts import Layout
from outrider.evaluate.samples import Array

FORMAT: Final = "outrider-evaluation/1"
Cell = str | int | float | None
Verdict = Literal["hit", "miss", "false", "plain"]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table for people. Numbers are already rounded to what they carry."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the detector, and what was measured. ``met`` None: nothing to measure it on."""

    what: str
    limit: str
    measured: str
    met: bool | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a panel; ``dots``: single points. Colours by ``role``: main, second, third, fourth, faint."""

    label: str
    x: Array
    y: Array
    role: str = "main"
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment or a stretch of time with a word beside it."""

    label: str
    begin: float
    end: float
    verdict: Verdict = "plain"


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes: curves, marks over them, level lines across."""

    y_label: str
    curves: Sequence[Curve]
    marks: Sequence[Mark] = ()
    levels: Sequence[tuple[str, float]] = ()
    legend: bool = True


@dataclass(frozen=True, slots=True)
class Picture:
    """Panels under one another with one x axis. ``verdict`` decides where the report puts it: misses first."""

    title: str
    sentence: str
    panels: Sequence[Panel]
    verdict: Verdict = "plain"
    x_label: str = "s"


@dataclass(kw_only=True)
class RowResult:
    """One row. ``missing``: why nothing was scored; ``method``: how; ``limits``: what it does not show."""

    row: str
    title: str
    layouts: Sequence[Layout]
    method: str = ""
    limits: str = ""
    seen: str = ""
    missing: str | None = None
    numbers: dict[str, Any] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """What stands in the JSON file."""
        return {
            "row": self.row,
            "title": self.title,
            "data": [layout.title for layout in self.layouts],
            "missing": self.missing,
            "numbers": tidy(self.numbers),
            "bars": [msgspec.to_builtins(bar) for bar in self.bars],
            "tables": tidy([msgspec.to_builtins(table) for table in self.tables]),
        }


@dataclass(frozen=True)
class Evaluation:
    """A whole run. ``files``: how many of each layout; ``left_out``: file and reason."""

    folder: str
    software: str
    algorithm: str
    seed: int
    files: dict[str, int]
    left_out: dict[str, str]
    rows: Sequence[RowResult]

    def document(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "software": self.software,
            "algorithm": self.algorithm,
            "seed": self.seed,
            "files": self.files,
            "left_out": self.left_out,
            "rows": [row.document() for row in self.rows],
        }


def tidy(value: Any) -> Any:
    """For JSON: floats to six digits, what is not finite as null, tuples as lists."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): tidy(item) for name, item in value.items()}
    return [tidy(item) for item in value] if isinstance(value, list | tuple) else value


def share(value: float | None, digits: int = 2) -> str:
    """A share or another number for people; an en dash for none."""
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def interval(ends: tuple[float, float], digits: int = 2) -> str:
    return f"{ends[0]:.{digits}f} to {ends[1]:.{digits}f}"


def at_least(what: str, limit: float, measured: float | None, *, digits: int = 2, note: str = "") -> Bar:
    """A bar from below."""
    met = None if measured is None else measured >= limit
    return Bar(what=what, limit=f"≥ {limit:g}", measured=_told(measured, "", digits), met=met, note=note)


def at_most(what: str, limit: float, measured: float | None, *, unit: str = "", digits: int = 2, note: str = "") -> Bar:
    """A bar from above."""
    met = None if measured is None else measured <= limit
    return Bar(what=what, limit=f"≤ {limit:g}{unit}", measured=_told(measured, unit, digits), met=met, note=note)


def within(what: str, low: float, high: float, measured: float | None, *, digits: int = 2, note: str = "") -> Bar:
    """A bar from both sides."""
    met = None if measured is None else low <= measured <= high
    return Bar(what=what, limit=f"{low:g} to {high:g}", measured=_told(measured, "", digits), met=met, note=note)


def exactly(what: str, limit: int, measured: int, note: str = "") -> Bar:
    """A count that must be this one."""
    return Bar(what=what, limit=f"= {limit}", measured=str(measured), met=measured == limit, note=note)


def _told(measured: float | None, unit: str, digits: int) -> str:
    return "–" if measured is None else f"{measured:.{digits}f}{unit}"
