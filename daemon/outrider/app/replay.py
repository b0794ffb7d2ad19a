"""Replay: recordings or a tape through the pipeline, as fast as possible or at a multiple of real time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from outrider.app.pipeline import Output, Pipeline
from outrider.errors import RecordingError
from outrider.files_io import naming, require_regular
from outrider.model.event import Event, Phase, Snapshot, Trip
from outrider.ports import Clock, SourceItem

TAPE_CHUNK: Final = 1 << 14  # little: windows of the flight recorder are taken as soon as they are full, as in a car
ONE_ACCIDENT_US: Final = 10_000_000
# Counters of a recording that mean lost or doubtful content (docs/reference/sources.md).
DOUBTFUL: Final = (
    "malformed",
    "first_bad_line",
    "clamped",
    "wild_stamps",
    "late_items",
    "truncated",
    "clock_steps",
    "nmea_half_lines",
    "nmea_overlong",
    "nmea_checksum_errors",
    "nmea_malformed",
    "nmea_bad_position",
    "nmea_bad_time",
    "nmea_time_back",
)


@dataclass(slots=True)
class Tally:
    """What a replay brought: kept by feeding it every output."""

    events: list[Event] = field(default_factory=list)
    trips: list[Trip] = field(default_factory=list)
    first_us: int | None = None
    last: Snapshot | None = None
    snapshots: int = 0

    def note(self, output: Output) -> None:
        if isinstance(output, Event):
            self.events.append(output)
        elif isinstance(output, Trip):
            if output.t_end_us:
                self.trips.append(output)
        else:
            self.snapshots += 1
            self.last = output
            if self.first_us is None:
                self.first_us = output.t_us

    @property
    def seconds(self) -> float:
        """Length of the drive on its own time line."""
        if self.last is None or self.first_us is None:
            return 0.0
        return (self.last.t_us - self.first_us) / 1e6


class Pacer:
    """Holds a replay back to ``speed`` times real time; None = as fast as possible."""

    def __init__(self, clock: Clock, speed: float | None) -> None:
        self._clock = clock
        self._speed = speed
        self._start: tuple[int, int] | None = None
        self.released_us = 0  # clock when the last item was let through

    def wait_for(self, t_us: int) -> None:
        if self._speed is not None:
            self._hold(t_us, self._speed)
        self.released_us = self._clock.boottime_us()

    def _hold(self, t_us: int, speed: float) -> None:
        now = self._clock.boottime_us()
        if self._start is None:
            self._start = (now, t_us)
            return
        due = self._start[0] + (t_us - self._start[1]) / speed
        if due > now:
            self._clock.sleep((due - now) / 1e6)


class TapeFile:
    """A tape being written; an error of writing names it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")

    def write(self, data: bytes) -> None:
        with naming(self._path):
            self._file.write(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        try:
            with naming(self._path):
                self._file.close()
        except OSError:
            if err is None:
                raise


def replay_items(
    pipeline: Pipeline,
    items: Iterable[SourceItem],
    pacer: Pacer,
    *,
    after_us: int = 0,
    tape: TapeFile | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> None:
    """Feed a merged recording; ``on_progress`` gets the engine time reached.

    The end of a recording is not silence: time stops there unless ``after_us`` says how long the terminal stayed
    awake with nothing to hear.
    """
    if tape is not None:
        pipeline.engine.start_tape()
    reached = 0
    for item in items:
        pacer.wait_for(item.watermark_us)
        pipeline.feed(item)
        pipeline.advance(item.watermark_us)
        reached = max(reached, item.watermark_us)
        if tape is not None:
            tape.write(pipeline.engine.take_tape())
        if on_progress is not None:
            on_progress(item.watermark_us)
    pipeline.advance(max(reached, pipeline.engine.now_us()) + after_us)
    if tape is not None:
        tape.write(pipeline.engine.take_tape())
    pipeline.finish()


def replay_tape(pipeline: Pipeline, path: Path, on_progress: Callable[[int], None] | None = None) -> None:
    """Play a tape file; the outputs are byte-identical to those of the run that wrote it.

    RecordingError names the file: missing, empty, damaged, of another version or profile.
    """
    try:
        for chunk in _chunks(path):
            pipeline.play_tape(chunk)
            if on_progress is not None:
                on_progress(pipeline.engine.now_us())
        pipeline.finish()
        pipeline.end_tape()
    except RecordingError as err:
        raise err if err.path is not None else RecordingError(str(err), path=path) from None


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        require_regular(path)
        if not path.stat().st_size:
            raise RecordingError("is empty", path=path)
        file = path.open("rb")
    except OSError as err:
        raise RecordingError(f"cannot be read: {err.strerror}", path=path) from None
    with file:
        while chunk := file.read(TAPE_CHUNK):
            yield chunk


def summary(tally: Tally, pipeline: Pipeline, sources: dict[str, dict[str, int]] | None = None) -> dict[str, Any]:
    """JSON-ready summary of a replay; ``sources``: what each recording counted."""
    last = tally.last
    return {
        "seconds": round(tally.seconds, 3),
        "distance_m": round(last.distance_m, 1) if last else 0.0,
        "odometer_m": last.odometer_m if last else None,
        "snapshots": tally.snapshots,
        "trips": len(tally.trips),
        "events": len(tally.events),
        "crashes": accidents(tally.events),
        "sources": sources or {},
        "engine": _plain(pipeline.engine.stats()),
    }


def accidents(events: Sequence[Event]) -> int:
    """How many accidents the reports tell of: what lies within ``ONE_ACCIDENT_US`` is one, a cancelled one is none."""
    cancelled = {e.seq for e in events if e.phase is Phase.CANCELLED}
    moments = sorted({e.t0_us for e in events if e.kind.is_crash and e.seq not in cancelled})
    gaps = (after - before for before, after in pairwise(moments))
    return sum(gap > ONE_ACCIDENT_US for gap in gaps) + 1 if moments else 0


def _plain(stats: object) -> dict[str, Any]:
    import dataclasses

    document: dict[str, Any] = dataclasses.asdict(stats)  # type: ignore[call-overload]
    return document
