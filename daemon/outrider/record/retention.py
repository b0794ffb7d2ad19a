"""Which segment goes first: quotas, a full device, and what the receiver already has. Decides; ``journal`` acts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from outrider.model.record import Lane
from outrider.record.cursor import StreamKey
from outrider.record.options import SHED_ORDER, JournalOptions
from outrider.record.segment import Segment
from outrider.record.stream import LogStream


class Retention:
    """Looks at the journal's own streams. Emergency and ledger are never given up.

    The newest segment of a lane in the current epoch stays, whatever it holds: its presence proves on opening that the
    end of the log is not lost.
    """

    def __init__(self, options: JournalOptions, streams: Mapping[StreamKey, LogStream], epoch: int) -> None:
        self._options = options
        self._streams = streams
        self._epoch = epoch

    def _bytes(self, lane: Lane | None = None) -> int:
        return sum(s.bytes for (_epoch, own), s in self._streams.items() if lane is None or own is lane)

    def over_quota(self, lane: Lane, size: int) -> Sequence[Lane]:
        """The lanes to take from, in order, before the lane gets another ``size`` bytes; none when it may have them."""
        quota = self._options.lanes[lane].quota_bytes
        if quota is not None and lane in SHED_ORDER and self._bytes(lane) + size > quota:
            return [lane]
        if self._bytes() + size > self._options.quota_bytes:
            return SHED_ORDER
        return ()

    def below(self, lane: Lane) -> Sequence[Lane]:
        """Lanes that make room for this one on a full device, the least important first."""
        return [low for low in SHED_ORDER if low > lane]

    def victim(self, lanes: Sequence[Lane]) -> LogStream | None:
        """The stream whose oldest segment goes: first lane first, oldest epoch first."""
        for lane in lanes:
            for (_epoch, own), stream in self._streams.items():
                if own is lane and self._may_go(stream):
                    return stream
        return None

    def _may_go(self, stream: LogStream) -> bool:
        """Its oldest segment."""
        return len(stream.segments) > (1 if stream.epoch == self._epoch else 0)

    def released(self) -> list[Segment]:
        """Takes out of the streams, and returns, the segments whose numbers are all acknowledged."""
        gone = []
        for stream in self._streams.values():
            while self._may_go(stream) and stream.segments[0].last_seq <= stream.acknowledged:
                gone.append(stream.segments.pop(0))
        return gone
