"""A run as a Markdown page: tables, bars, method and limits; no picture. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from outrider.evaluate.layouts import LAYOUTS
from outrider.evaluate.results import Bar, Cell, Evaluation, RowResult
from outrider.evaluate.words import GENERAL, NOT_SCORED, verdict_of, whole_sentence

_HEAD = """# How good the detector is

Written by `make evaluate` (`outrider evaluate DIR --markdown`): do not edit. The same command scores recordings it has
not seen, laid out the same way. What the detector does and why: [events](events.md).
"""


def page(evaluation: Evaluation) -> str:
    """The whole page."""
    parts = [_HEAD, *_run(evaluation), *_data(evaluation)]
    for row in evaluation.rows:
        parts += _row(row)
    return "\n".join(parts).rstrip() + "\n"


def _run(evaluation: Evaluation) -> list[str]:
    return [
        f"outrider {evaluation.software}, algorithm {evaluation.algorithm}, seed {evaluation.seed}.",
        f"**{whole_sentence(evaluation)}**",
        "",
        GENERAL,
        "",
        NOT_SCORED,
        "",
    ]


def _data(evaluation: Evaluation) -> list[str]:
    rows = [
        (layout.title, layout.origin, evaluation.files.get(layout.key, 0), layout.licence, layout.what)
        for layout in LAYOUTS
    ]
    columns = ("data", "set known to us", "files", "licence of that set", "told by")
    note = (
        "Files are found by their content anywhere in the folder. No recording is part of the project. What it has for "
        "development was in sight while the detector was built; the rows say more."
    )
    left = [f"- left out: `{name}`: {why}" for name, why in evaluation.left_out.items()]
    return ["## Data", "", *table_lines(columns, rows), "", note, *left, ""]


def _row(row: RowResult) -> list[str]:
    out = [f"## {row.row}. {row.title}", ""]
    if row.missing:
        return [*out, f"Not scored: {row.missing}", ""]
    if row.bars:
        out += [*bars_lines(row.bars), ""]
    for table in row.tables:
        out += [f"**{table.title}**", "", *table_lines(table.columns, table.rows), ""]
        out += [table.note, ""] if table.note else []
    for name, text in (("Method", row.method), ("Limits", row.limits), ("Seen", row.seen)):
        out += [f"*{name}.* {text}", ""] if text else []
    return out


def bars_lines(bars: Iterable[Bar]) -> list[str]:
    """Bars as a Markdown table."""
    rows = [(bar.what, bar.limit, bar.measured, _strong(verdict_of(bar)), bar.note) for bar in bars]
    return table_lines(("bar", "asked", "measured", "", ""), rows)


def _strong(word: str) -> str:
    return f"**{word}**" if word == "not met" else word


def table_lines(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> list[str]:
    """A Markdown table, one line a row."""
    lines = ["| " + " | ".join(map(_cell, columns)) + " |", "|" + "---|" * len(columns)]
    return lines + ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]


def _cell(value: Cell) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")
