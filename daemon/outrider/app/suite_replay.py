"""A drive of a suite as a replay in this process: no bus, as fast as possible, the same result every time."""

from __future__ import annotations

from collections.abc import Mapping

from outrider import __version__
from outrider.app.replay import DOUBTFUL
from outrider.app.session import ReplaySession
from outrider.app.suite import DriveTask, Inputs
from outrider.engine import ALGORITHM
from outrider.suite.observed import Observed, Observer


class ReplayRunner:
    """A ``DriveRunner``."""

    def run(self, task: DriveTask, inputs: Inputs) -> Observed:
        observer = Observer()
        with ReplaySession.open(
            inputs.files,
            profiles=task.profiles,
            dbc=task.dbc,
            overlay=task.overlays,
            on_output=observer.note,
        ) as session:
            session.run(after_s=task.after_s)
            stats = session.pipeline.stats
            return observer.observed(
                task.name,
                inputs.fingerprint,
                frames=session.pipeline.engine.stats().frames,
                lost_frames=stats.frames_refused,
                notes=doubts(session.source_counters()),
                software=__version__,
                algorithm=ALGORITHM,
            )


def doubts(sources: Mapping[str, Mapping[str, int]]) -> tuple[str, ...]:
    """A line for each recording that was not taken whole."""
    lines = []
    for name, counters in sources.items():
        drops = ", ".join(f"{key} {counters[key]}" for key in DOUBTFUL if key in counters)
        if drops:
            lines.append(f"{name}: not all of it could be used: {drops}")
    return tuple(lines)
