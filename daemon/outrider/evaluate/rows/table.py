"""The table: which row is scored by what. Pure, but for row I, which reads a clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final

from outrider.evaluate.layouts import CRASH_TESTS, DRIVES, OBD_LOGS, PULSES, STRETCHES, TRIPS, WINDOWS, Layout
from outrider.evaluate.lost.watch import Lookout
from outrider.evaluate.recordings import MissingError, Recordings
from outrider.evaluate.results import RowResult
from outrider.evaluate.rows import (
    cost_io,
    crash_windows,
    cuts,
    false_alarms,
    harsh,
    injected,
    lost,
    mounting,
    robustness,
    scenarios,
    sensor_model,
)
from outrider.evaluate.rows.effort import Effort

Score = Callable[[Recordings, Effort], RowResult]

ROWS: Final[dict[str, tuple[str, Score, Sequence[Layout]]]] = {
    "A": ("Crash windows", crash_windows.score, (WINDOWS,)),
    "B": ("Injected crashes", injected.score, (PULSES, DRIVES)),
    "C": ("Sensor model", sensor_model.score, (CRASH_TESTS,)),
    "D": ("False alarms", false_alarms.score, (DRIVES, OBD_LOGS, STRETCHES, TRIPS)),
    "E": ("Harsh driving", harsh.score, (TRIPS,)),
    "F": ("Mounting", mounting.score, (DRIVES,)),
    "G": ("Without an IMU", cuts.score, (OBD_LOGS, DRIVES)),
    "H": ("Robustness", robustness.score, (WINDOWS, DRIVES, PULSES)),
    "I": ("Cost", cost_io.score, ()),
}


def score_rows(
    recordings: Recordings,
    wanted: Iterable[str],
    effort: Effort,
    lookout: Lookout | None = None,
    plays: scenarios.Plays | None = None,
) -> Iterator[RowResult]:
    """The wanted rows in turn; one whose recordings are missing says so and the next follows.

    Row J needs a lookout, row K somebody who plays scenarios.
    """
    rows: dict[str, tuple[str, Score, Sequence[Layout]]] = {
        **ROWS,
        "J": (lost.TITLE, partial(_lost, lookout), ()),
        "K": (scenarios.TITLE, partial(_scenarios, plays), ()),
    }
    for name in wanted:
        title, score, layouts = rows[name]
        try:
            yield score(recordings, effort)
        except MissingError as err:
            yield RowResult(row=name, title=title, layouts=layouts, missing=str(err))


def _lost(lookout: Lookout | None, _recordings: Recordings, effort: Effort) -> RowResult:
    if lookout is None:
        raise MissingError("no dead-man to score was handed in")
    return lost.score(lookout, effort)


def _scenarios(plays: scenarios.Plays | None, _recordings: Recordings, effort: Effort) -> RowResult:
    if plays is None:
        raise MissingError("nobody to play scenarios was handed in")
    return scenarios.score(plays, effort)
