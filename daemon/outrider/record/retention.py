"""Which segment goes first: quotas, a full device, and what the receiver already has. Decides; ``journal`` acts.

Rules: emergency and ledger are never given up, nor is the evidence of the last ``KEPT_EVENTS`` crashes; the receiver's
acknowledgement alone frees those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from outrider.model.record import Lane
from outrider.record.cursor import StreamKey
from outrider.record.evidence_label import EvidenceLabel
from outrider.record.options import MARGIN_BYTES, SHED_ORDER, JournalOptions
from outrider.record.segment import Segment
from outrider.record.stream import LogStream

HEADROOM_SEGMENTS: Final = 4  # so many telemetry segments are to be free before they are needed
KEPT_EVENTS: Final = 3  # as many as event data recorders must hold (GB 39732-2020)


class Retention:
    """Looks at the journal's own streams.

    The newest segment of a lane in the current epoch stays, whatever it holds: its presence proves on opening that the
    end of the log is not lost.
    """

    def __init__(self, options: JournalOptions, streams: Mapping[StreamKey, LogStream], epoch: int) -> None:
        self._options = options
        self._streams = streams
        self._epoch = epoch
        self._largest = options.lanes[Lane.TELEMETRY].segment_bytes
        self._headroom = min(HEADROOM_SEGMENTS * self._largest, options.quota_bytes // 8)

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

    def wanted(self, free_bytes: int) -> int:
        """How many bytes too few are left, of the sum of the quotas or on the device, for what comes soon."""
        room = min(self._options.quota_bytes - self._bytes(), free_bytes - MARGIN_BYTES)
        return max(0, self._headroom - room)

    def patience(self, free_bytes: int) -> int:
        """What packing has to give back to be done now: while there is room for two segments it waits for more to do,
        and nothing is given up. 0: it is time."""
        wanted = self.wanted(free_bytes)
        return 2 * self._largest if wanted and self._headroom - wanted >= 2 * self._largest else 0

    def pressed(self, free_bytes: int) -> Sequence[Lane]:
        """The lanes that have to make room soon; all that can when the sum or the device is nearly full."""
        if self.wanted(free_bytes):
            return SHED_ORDER
        return [lane for lane in SHED_ORDER if self._is_near_quota(lane)]

    def _is_near_quota(self, lane: Lane) -> bool:
        own = self._options.lanes[lane]
        ahead = min(HEADROOM_SEGMENTS * own.segment_bytes, (own.quota_bytes or 0) // 8)
        return own.quota_bytes is not None and self._bytes(lane) + ahead > own.quota_bytes

    def may_give_up(self, lane: Lane, lanes: Sequence[Lane]) -> bool:
        """This one of the pressed lanes has something that goes before others lose anything."""
        return lane in lanes and self.victim([lane]) is not None

    def of(self, lane: Lane) -> list[LogStream]:
        """The streams of a lane, the current epoch last."""
        own = [stream for (_epoch, each), stream in self._streams.items() if each is lane]
        return sorted(own, key=lambda stream: stream.epoch == self._epoch)

    def closed(self, stream: LogStream) -> list[Segment]:
        """Segments nobody writes to any more and that are not all acknowledged. The newest one of the current epoch is
        left alone: it proves the end of the log."""
        ended = stream.segments[:-1] if stream.epoch == self._epoch else stream.segments
        return [segment for segment in ended if segment.last_seq > stream.acknowledged]

    def below(self, lane: Lane, *, evidence: bool = False) -> Sequence[Lane]:
        """Lanes that make room for this one on a full device, the least important first.

        For the evidence of a crash: older evidence beyond what is kept, then telemetry.
        """
        return (Lane.BULK, Lane.TELEMETRY) if evidence else [low for low in SHED_ORDER if low > lane]

    def victim(self, lanes: Sequence[Lane]) -> LogStream | None:
        """The stream whose oldest segment goes: first lane first, oldest epoch first."""
        kept = self._kept_events()
        for lane in lanes:
            for (_epoch, own), stream in self._streams.items():
                if own is lane and self._may_go(stream) and kept.isdisjoint(stream.segments[0].events):
                    return stream
        return None

    def _kept_events(self) -> set[EvidenceLabel]:
        """The newest events that there is evidence of."""
        bulk = [stream for (_epoch, lane), stream in self._streams.items() if lane is Lane.BULK]
        bulk.sort(key=lambda stream: stream.epoch == self._epoch)
        seen = [label for stream in bulk for segment in stream.segments for label in segment.events]
        return set(list(dict.fromkeys(reversed(seen)))[:KEPT_EVENTS])

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
