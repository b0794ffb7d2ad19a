"""``Tally``: what the uplink counts and remembers for its status, over all connections. Decides nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from outrider.uplink.stall import Why
from outrider.uplink.traffic import PING_BYTES, TcpCount


@dataclass(slots=True)
class Tally:
    """counters: events by name (docs/internals/uplink.md). sent, received: bytes by the names of ``traffic``; of ended
    connections where they are counted by connection. Times are boottime, us; None: never. progress_us: the log's cursor
    moved. trouble: what ended the last connection, until the cursor moves."""

    counters: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)
    last_puback_us: int | None = None
    last_ack_us: int | None = None
    progress_us: int | None = None
    trouble: Why | None = None
    last_error: str | None = None

    def ended(self, count: TcpCount, pings: tuple[int, int]) -> None:
        """A connection of this traffic is over."""
        sent, received = self.traffic(count, pings)
        self.sent.update(Counter(sent) - self.sent)
        self.received.update(Counter(received) - self.received)

    def traffic(self, count: TcpCount, pings: tuple[int, int]) -> tuple[dict[str, int], dict[str, int]]:
        """Sent and received, with a connection that is open."""
        sent = self.sent + Counter(link=count.sent, segments=count.segments_sent, ping=PING_BYTES * pings[0])
        received = self.received + Counter(
            link=count.received, segments=count.segments_received, ping=PING_BYTES * pings[1]
        )
        return dict(sent), dict(received)
