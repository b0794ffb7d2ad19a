"""What a simulated fleet does, and what came of it, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from outrider.errors import ConfigError
from outrider.ingest.keys import KeyRing
from outrider.ingest.options import BrokerOptions
from outrider.uplink.options import SendOptions
from outrider.wire.topics import DEVICE_ID

MAX_TERMINALS = 1000  # of one process: two threads and, in the clear, four sockets each


_MAX_PREFIX = 48  # a number and what tells this run from others follow


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """minutes: of driving, in the terminals' time; speed: how much faster than real that goes.

    outages: share of the time a terminal is out of coverage, in pieces of about a minute of its time. reboots: power
    cuts of each terminal an hour of its time; what it had been told of acknowledgements since the last one is
    forgotten, so it sends all of that again. storm: in the middle all connections are cut at once. clock_errors: share
    of the terminals whose clock is hours wrong or unknown for the first half. settle_s: how long to wait for the last
    acknowledgements. journal: directory for real journals on disk; None: in memory. sink: URL of the store to check;
    None: nothing is checked but that all was acknowledged.
    """

    broker: BrokerOptions
    keys: KeyRing
    terminals: int = 50
    minutes: float = 10.0
    speed: float = 10.0
    outages: float = 0.1
    reboots: float = 2.0
    storm: bool = True
    clock_errors: float = 0.1
    settle_s: float = 120.0
    seed: int = 1
    prefix: str = "sim"
    journal: Path | None = None
    sink: str | None = None
    register: str | None = None
    send: SendOptions | None = None  # instead of the usual ones in the terminals' time

    def __post_init__(self) -> None:
        if not 1 <= self.terminals <= MAX_TERMINALS:
            raise ConfigError(f"a fleet of {self.terminals}: one process takes 1 to {MAX_TERMINALS}; run several")
        if not DEVICE_ID.fullmatch(self.prefix) or len(self.prefix) > _MAX_PREFIX:
            raise ConfigError(f"prefix {self.prefix!r}: use 1 to {_MAX_PREFIX} of A-Z a-z 0-9 _ -")
        if not (0 <= self.outages <= 0.9 and 0 <= self.clock_errors <= 1 and self.reboots >= 0):
            raise ConfigError("outages must be 0 to 0.9, clock errors 0 to 1, reboots 0 or more")
        if not (self.minutes > 0 and 0.1 <= self.speed <= 1000 and self.settle_s >= 0):
            raise ConfigError("minutes must be more than 0, speed 0.1 to 1000, the time to settle 0 or more")


@dataclass(slots=True)
class Difference:
    """A stream that the store does not hold exactly as it was sent."""

    device: str
    epoch: int
    lane: str
    sent: int
    stored: int
    why: str


@dataclass(slots=True)
class FleetResult:
    """Counts of the whole fleet. Latencies: seconds from commit in the terminal to the acknowledgement at it, urgent
    records that were sent with a connection up, or not, alike. published: batches, each time one was sent."""

    terminals: int
    seconds: float
    records: dict[str, int] = field(default_factory=dict)
    unacknowledged: int = 0
    connects: int = 0
    cuts: int = 0
    reboots: int = 0
    published: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    acks: int = 0
    acks_refused: int = 0
    ack_p50_s: float | None = None
    ack_p99_s: float | None = None
    checked: bool = False
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Everything was acknowledged, and the store, where it was looked at, holds exactly that."""
        return not self.unacknowledged and not self.differences
