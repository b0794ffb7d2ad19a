"""Room ahead of need: what is written anew, or given up, before a lane finds no room. Bounded steps.

Order: what is closed is packed, which loses nothing; the oldest bulk goes; the oldest telemetry is thinned. What
then still does not fit is given up when a segment is needed (``retention``): the oldest bulk, telemetry, event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from outrider.model.record import Lane
from outrider.ports import Guard, Storage
from outrider.record.format import BLOCK, PACKED, PLAIN, THINNED, blocks_for
from outrider.record.options import SHED_ORDER, URGENT, JournalOptions
from outrider.record.repair import Random
from outrider.record.retention import Retention
from outrider.record.rewrite import Rewriter
from outrider.record.segment import Segment
from outrider.record.stream import LogStream

PACKABLE: Final = (Lane.TELEMETRY, Lane.EVENT, Lane.LEDGER, Lane.EMERGENCY)  # evidence lies close from the start
MAX_SOURCES: Final = 64
_USABLE: Final = 0.9  # of a block, on average: a record is not cut
_THINNED_SHARE: Final = 0.25  # of the bytes, assumed; when it is more the work is begun anew with fewer segments
_WORTH: Final = 0.25  # packing has to give back this share


@dataclass(frozen=True, slots=True)
class Plan:
    """Neighbouring segments of a stream, to become one of this form."""

    stream: LogStream
    sources: tuple[Segment, ...]
    form: int


class Tidy:
    """Plans, and does the writing; ``journal`` puts what is finished in its place."""

    def __init__(self, storage: Storage, options: JournalOptions, retention: Retention, rng: Random) -> None:
        self._storage = storage
        self._options = options
        self._retention = retention
        self._rng = rng
        self._work: Rewriter | None = None

    @property
    def busy(self) -> bool:
        return self._work is not None

    def plan(self, lanes: Sequence[Lane]) -> Plan | None:
        """The next segments to write anew so that these lanes get room; without loss where that is possible."""
        patience = self._retention.patience(self._storage.free_bytes())
        for lane in PACKABLE:
            pressed = lane in lanes or (lane in URGENT and len(lanes) == len(SHED_ORDER))
            packing = self._packing(lane, patience) if pressed else None
            if packing is not None:
                return packing
        if patience or Lane.TELEMETRY not in lanes or self._retention.may_give_up(Lane.BULK, lanes):
            return None
        return self._thinning()

    def begin(self, plan: Plan) -> None:
        limit = self._options.lanes[plan.stream.lane].segment_bytes
        self._work = Rewriter(
            self._storage, plan.stream, plan.sources, form=plan.form, limit_bytes=limit, rng=self._rng
        )

    def step(self, guard: Guard) -> Rewriter | None:
        """One piece. The work, when it is done and can be put in its place. JournalError: refused, and given up."""
        work = self._work
        assert work is not None, "begin first"
        try:
            if not work.is_current:
                self.abandon()
                return None
            if not work.step(guard):
                return None
        except BaseException:
            self.abandon()
            raise
        if work.failed:
            self.abandon()
            if work.taken:
                self.begin(Plan(work.stream, tuple(work.sources[: work.taken]), work.form))
            else:
                self._mark(work)
            return None
        self._work = None
        return work

    def abandon(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            work.abandon()

    def _mark(self, work: Rewriter) -> None:
        """One segment alone that becomes no smaller is not tried again until the next start."""
        work.sources[0].stubborn = True

    def _closed(self, lane: Lane) -> list[tuple[LogStream, list[Segment]]]:
        """By stream, oldest epoch first: what may be written anew."""
        return [(stream, self._retention.closed(stream)) for stream in self._retention.of(lane)]

    def _packing(self, lane: Lane, least: int) -> Plan | None:
        """least: bytes that it has to give back."""
        limit = self._options.lanes[lane].segment_bytes
        for stream, closed in self._closed(lane):
            for index, segment in enumerate(closed):
                if segment.form != PLAIN or segment.stubborn:
                    continue
                begin = index - (index > 0 and _takes_more(closed[index - 1], PACKED, limit))
                sources = _run(closed[begin:], PACKED, limit)
                if _saved(sources, PACKED) >= max(least, _WORTH * sum(each.bytes for each in sources)):
                    return Plan(stream, tuple(sources), PACKED)
        return None

    def _thinning(self) -> Plan | None:
        limit = self._options.lanes[Lane.TELEMETRY].segment_bytes
        for stream, closed in self._closed(Lane.TELEMETRY):
            index = next((i for i, each in enumerate(closed) if _is_whole(each)), None)
            if index is None:
                continue
            begin = index - (index > 0 and _takes_more(closed[index - 1], THINNED, limit))
            sources = _run(closed[begin:], THINNED, limit)
            wanted = self._retention.wanted(self._storage.free_bytes())
            while len(sources) > 1 + index - begin and _saved(sources[:-1], THINNED) >= wanted:
                sources.pop()
            return Plan(stream, tuple(sources), THINNED)
        return None


def _is_whole(segment: Segment) -> bool:
    return segment.form != THINNED and not segment.stubborn


def _takes_more(before: Segment, form: int, limit: int) -> bool:
    """A file made like that which is small yet: so that there are few."""
    return before.form == form and before.bytes <= limit // 2


def _run(closed: Sequence[Segment], form: int, limit: int) -> list[Segment]:
    """From the first on, as many as one file is likely to hold. A packing ends where somebody packed or thinned."""
    run: list[Segment] = []
    dense = 0.0
    for segment in closed[:MAX_SOURCES]:
        fits = _is_whole(segment) if form == THINNED else segment.form == PLAIN and not segment.stubborn
        dense += _dense(segment, form)
        if run and (not fits or _bytes_of(dense) > limit):
            break
        run.append(segment)
    return run


def _dense(segment: Segment, form: int) -> float:
    return segment.dense * (_THINNED_SHARE if form == THINNED != segment.form else 1.0)


def _bytes_of(dense: float) -> int:
    """Of a file with so many bytes of records."""
    return BLOCK + blocks_for(round(dense / _USABLE)) * BLOCK


def _saved(sources: Sequence[Segment], form: int) -> int:
    return sum(each.bytes for each in sources) - _bytes_of(sum(_dense(each, form) for each in sources))
