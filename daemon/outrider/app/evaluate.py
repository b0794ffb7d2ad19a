"""Composition of the scoring: recordings of a folder, read with the product's own readers, through the rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from outrider import __version__
from outrider.engine import ALGORITHM
from outrider.errors import InputError

if TYPE_CHECKING:
    from outrider.app.scenarios import Outcome
    from outrider.evaluate.loaders_io import FolderRecordings
    from outrider.evaluate.lost.watch import Lookout
    from outrider.evaluate.results import Evaluation, RowResult
    from outrider.evaluate.rows.effort import Effort


def need_libraries(html: bool) -> None:
    """InputError that names the extra when a library is missing; asked before anything runs."""
    names = ("numpy", "asammdf", *(("jinja2", "matplotlib") if html else ()))
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise InputError(
            f"scoring needs {' and '.join(missing)}, not installed here: pip install 'outrider[workstation]'"
        )


def open_recordings(folder: Path) -> FolderRecordings:
    """The recordings of a folder; MissingError when there is no such folder."""
    from outrider.evaluate.loaders_io import FolderRecordings

    return FolderRecordings(folder, read_frames)


def read_frames(path: Path) -> bytes:
    """All frames of an MDF4 log in order of time. RecordingError names what is damaged."""
    from outrider.sources.mf4_io import Mf4Reader
    from outrider.sources.stats import SourceStats

    return b"".join(Mf4Reader(path).chunks(SourceStats()))


def make_lookout() -> Lookout:
    """The receiver's dead-man for row J: it never raises an alarm there, but is asked what each silence would give."""
    from outrider.evaluate.lost.watch import Lookout
    from outrider.ingest.watch.deadman import CoverageMap, DeadMan, DeadManOptions

    never = DeadManOptions(threshold=math.inf)
    return Lookout(lambda: DeadMan(never, CoverageMap(never.max_cells)), DeadManOptions().threshold)


def play_scenarios(effort: Effort) -> Iterator[Outcome]:
    """For row K: the bundled scenarios as many kinds of cars, with ``effort.full`` as all."""
    from outrider.app.scenarios import VARIANTS, play_all
    from outrider.sim.scenario_io import bundled_scenarios

    variants = [variant for variant in VARIANTS if effort.full or variant.usual]
    return play_all(list(bundled_scenarios().values()), variants, effort.seed)


def run_evaluation(
    recordings: FolderRecordings,
    rows: Sequence[str],
    effort: Effort,
    on_row: Callable[[RowResult], None] = lambda _row: None,
) -> Evaluation:
    """Score the rows; ``on_row`` hears of each as it is done. MissingError when not one could be scored."""
    from outrider.evaluate.recordings import MissingError
    from outrider.evaluate.results import Evaluation
    from outrider.evaluate.rows.table import score_rows

    done: list[RowResult] = []
    for row in score_rows(recordings, rows, effort, make_lookout(), play_scenarios):
        done.append(row)
        on_row(row)
    if all(row.missing for row in done):
        raise MissingError("no row could be scored: " + "; ".join(row.missing or "" for row in done))
    return Evaluation(
        folder=str(recordings.folder),
        software=__version__,
        algorithm=ALGORITHM,
        seed=effort.seed,
        files={key: len(paths) for key, paths in recordings.files.items()},
        left_out=dict(recordings.left_out),
        rows=done,
    )
