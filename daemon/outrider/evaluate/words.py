"""What the report, the page and the terminal say alike about a run. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from outrider.evaluate.results import Bar, Evaluation, RowResult

NOT_SCORED = "Not scored here: how complete the evidence is after a power cut (`make bench` draws the curve)."
GENERAL = (
    "Every number is told by data set and never pooled over sets. Intervals are 95 %. Thresholds are those of "
    "events.md; no row chose one. The weights of a crash's confidence are priors: there are too few labelled crashes "
    "to fit them, so 'confirmed' says less than 'found'."
)
SEEN = (
    "What the project has for development was seen while the detector was built: on it this row shows no "
    "generalisation. On recordings that were not, it is a test."
)


def verdict_of(bar: Bar) -> str:
    return "nothing to measure" if bar.met is None else "met" if bar.met else "not met"


def bars_of(rows: Sequence[RowResult]) -> list[tuple[str, Bar]]:
    return [(row.row, bar) for row in rows for bar in row.bars]


def whole_sentence(evaluation: Evaluation) -> str:
    """The run in one sentence."""
    bars = [bar for _, bar in bars_of(evaluation.rows) if bar.met is not None]
    met = sum(bool(bar.met) for bar in bars)
    missing = [row.row for row in evaluation.rows if row.missing]
    text = f"{met} of {len(bars)} bars met, {len(bars) - met} not met."
    if missing:
        text += f" Not scored for want of recordings: row {', '.join(missing)}."
    return text
