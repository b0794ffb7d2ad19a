"""Several sources into one stream: items in order of their earliest content, each with the watermark of them all.

Rule: the watermark never passes anything that is still to come, so a consumer that processes up to it sees every input
in order of time. Look-ahead is one item a source; a recording is not opened before its first stamp is due. Ties go by
the order in which the sources were given. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from outrider.errors import RecordingError
from outrider.ports import ReplaySource, SourceItem


def merge(sources: Sequence[ReplaySource]) -> Iterator[SourceItem]:
    """One stream in order of time. A source that breaks gives its good items; its RecordingError is raised at the end,
    after what the others had to say."""
    lanes = [_Lane(n, source) for n, source in enumerate(sources)]
    broken: list[RecordingError] = []
    watermark = 0
    while True:
        waiting = [lane for lane in lanes if not lane.ended]
        if not waiting:
            break
        lane = min(waiting, key=lambda each: (each.due_us, each.pending is not None, each.number))
        if lane.pending is None:
            lane.fetch(broken)
            continue
        item = lane.take()
        lane.fetch(broken)
        watermark = max(watermark, _bound(lane, lanes))
        yield replace(item, watermark_us=watermark)
    if broken:
        raise broken[0]


def _bound(lane: _Lane, lanes: list[_Lane]) -> int:
    """Nothing older will come from any source, now that ``lane`` gave an item."""
    if all(each.ended for each in lanes):
        return max(each.reached_us for each in lanes)
    # Its own next item may be hours away: time goes as far as the item that was given, not to the next one.
    return min([lane.reached_us, *(each.due_us for each in lanes if not each.ended and each is not lane)])


class _Lane:
    """One source with the item that is next. ``due_us``: nothing older will come from it."""

    def __init__(self, number: int, source: ReplaySource) -> None:
        self.number = number
        self.ended = False
        self.pending: SourceItem | None = None
        self.reached_us = 0
        self._source = source
        self._items: Iterator[SourceItem] | None = None
        self.due_us: int = getattr(source, "first_us", 0)

    def fetch(self, broken: list[RecordingError]) -> None:
        """Make the next item pending, or end."""
        if self._items is None:
            self._items = self._source.items()
        try:
            self.pending = next(self._items, None)
        except RecordingError as err:
            self.pending = None
            broken.append(err)
        if self.pending is None:
            self.ended = True
            return
        earliest = earliest_us(self.pending)
        stats = getattr(self._source, "stats", None)
        if earliest < self.reached_us and stats is not None:
            stats.late_items += 1
        self.due_us = max(self.reached_us, earliest)

    def take(self) -> SourceItem:
        item = self.pending
        assert item is not None, "take() follows a fetch() that found something"
        self.pending = None
        self.reached_us = max(self.reached_us, item.watermark_us)
        self.due_us = self.reached_us
        return item


def earliest_us(item: SourceItem) -> int:
    """Time of the oldest thing in an item."""
    if item.frames is not None and len(item.frames):
        return item.frames.t_us_at(0)
    if item.fix is not None:
        return item.fix.t_us
    if item.imu:
        return item.imu[0].t_us
    if item.power is not None:
        return item.power.t_us
    return item.watermark_us if item.clock is None else item.clock[0]
