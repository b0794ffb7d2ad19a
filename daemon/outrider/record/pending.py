"""What one lane has been given and not yet written: records with their numbers, and gaps for what was refused."""

from __future__ import annotations

from outrider.model.record import Gap, GapReason, Kind, Lane, Record
from outrider.record.format import record_bytes
from outrider.record.hole import Hole, gap_record


class Pending:
    """``items`` are (seq, record), ascending; all numbers from ``first`` to ``next_seq`` - 1 are accounted for."""

    def __init__(self, epoch: int, lane: Lane, next_seq: int) -> None:
        self._epoch = epoch
        self._lane = lane
        self.first = next_seq
        self.next_seq = next_seq
        self.items: list[tuple[int, Record]] = []
        self.bytes = 0
        self._shed_to = 0

    def add(self, record: Record) -> int:
        seq = self.next_seq
        self.items.append((seq, record))
        self.bytes += record_bytes(record)
        self.next_seq += 1
        return seq

    def lose(self, count: int, reason: GapReason, boot_id: int, t_us: int) -> None:
        """``count`` records never came this far: they get numbers, and a GAP in their place."""
        first, last = self.next_seq, self.next_seq + count - 1
        self.next_seq = last
        self.add(Hole(first, last, reason, boot_id, t_us).record(self._epoch, self._lane).record)

    def shed(self, reason: GapReason) -> int:
        """Everything waiting becomes one GAP. The numbers newly lost."""
        if not self.items:
            return 0
        last, newest = self.items[-1]
        before = self._lost_already()
        gap = gap_record(self._lane, Gap(self._epoch, self.first, last, reason), newest)
        self.items = [(last, gap)]
        self._shed_to = last
        self.bytes = record_bytes(gap)
        return last - self.first + 1 - before

    @property
    def shed_first(self) -> Record | None:
        """The GAP record of what was shed, when it is the first that waits; it names ``first`` up to its number."""
        return self.items[0][1] if self.items and self.items[0][0] == self._shed_to else None

    def _lost_already(self) -> int:
        """Numbers that were lost before they came here have no record of their own."""
        held = sum(1 for _seq, record in self.items if record.kind != Kind.GAP)
        return self.next_seq - self.first - held

    def done(self, count: int) -> None:
        """The first ``count`` items are durable."""
        self.first = self.items[count - 1][0] + 1
        self.bytes -= sum(record_bytes(record) for _seq, record in self.items[:count])
        del self.items[:count]
