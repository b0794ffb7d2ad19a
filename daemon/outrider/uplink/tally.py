"""``Tally``: what the uplink counts and remembers for its status, over all connections. Decides nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """counters: events by name (docs/internals/uplink.md). sent, received: payload bytes by lane name, ``status``,
    ``ack``; ``link``: TCP bytes of ended connections. Times are boottime, us; None: never."""

    counters: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)
    last_puback_us: int | None = None
    last_ack_us: int | None = None
    last_error: str | None = None
