"""Settings of the receiver as plain data; units are in the names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from outrider.ingest.deadman import DeadManOptions
from outrider.ingest.keys import KeyRing


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """How to reach the broker. tls: verify against ca_file, or the system's authorities when it is None.

    persistent: the broker keeps a session (and queues for us) while we are away. probe_s: after so long without a word
    from the broker it is asked for one.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    client_id: str = "outrider-ingest"
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    username: str | None = None
    password: str | None = None
    keepalive_s: int = 30
    probe_s: float = 3.0
    connect_timeout_s: float = 10.0
    persistent: bool = True
    session_expiry_s: int = 7 * 86_400
    receive_maximum: int = 256  # messages the broker may have with us unconfirmed: the bound of the intake queue


@dataclass(frozen=True, slots=True)
class ReceiverOptions:
    """Where to store, whom to answer, how to commit.

    group_delay_s: telemetry waits at most so long for company in a commit; events do not wait. group_limit_s: a commit
    comes after so much work at the latest, so that acknowledgements are not late when decoding a backlog takes long.
    deadman: when a silent car has vanished; None: nobody watches. keep_s: how often the last beacons, and
    keep_coverage_s: how often what was learnt of coverage, goes to the database.
    """

    broker: BrokerOptions = field(default_factory=BrokerOptions)
    database: Path = Path("outrider.db")
    keys: KeyRing = field(default_factory=KeyRing)
    group_delay_s: float = 0.02
    group_messages: int = 256
    group_limit_s: float = 0.25
    max_message_bytes: int = 1 << 20
    max_dead_letters: int = 10_000
    backoff_cap_s: float = 30.0
    deadman: DeadManOptions | None = field(default_factory=DeadManOptions)
    keep_s: float = 10.0
    keep_coverage_s: float = 600.0
