"""Which segment goes first: quotas, a full device, and what the receiver already has. Decides; ``journal`` acts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from outrider.model.record import Lane
from outrider.record.cursor import StreamKey
from outrider.record.options import SHED_ORDER, JournalOptions
from outrider.record.segment import Segment
from outrider.record.stream import LogStream


class Retention:
    """Looks at the journal's own streams and active segments. Emergency and ledger are never given up."""

    def __init__(
        self, options: JournalOptions, streams: Mapping[StreamKey, LogStream], active: Mapping[Lane, Segment]
    ) -> None:
        self._options = options
        self._streams = streams
        self._active = active

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
        """The stream whose oldest segment goes: first lane first, oldest epoch first, never a segment in use."""
        for lane in lanes:
            for (_epoch, own), stream in self._streams.items():
                if own is lane and stream.segments and not self._in_use(stream.segments[0]):
                    return stream
        return None

    def _in_use(self, segment: Segment) -> bool:
        return any(segment is active for active in self._active.values())

    def released(self) -> list[Segment]:
        """Takes out of the streams, and returns, the segments whose numbers are all acknowledged."""
        gone = []
        for stream in self._streams.values():
            while stream.segments and stream.segments[0].last_seq <= stream.acknowledged:
                if self._in_use(stream.segments[0]):
                    break
                gone.append(stream.segments.pop(0))
        return gone
