"""Settings of the receiver as plain data; units are in the names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from outrider.ingest.keys import KeyRing
from outrider.ingest.watch.deadman import DeadManOptions


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
    qos: int = 1
    shared: str | None = None  # the group among whose members the broker divides the messages; None: all are ours


@dataclass(frozen=True, slots=True)
class NatsOptions:
    """How to take messages from the JetStream stream behind NATS's MQTT listener.

    servers: of the cluster, as ``nats://host:port`` or ``tls://host:port``; any that answers is used. tls: also for
    ``nats://``, as with a file of authorities or a certificate. durable: the consumer that all workers share; it is
    made when missing. stream, prefix: where NATS keeps MQTT messages of QoS 1. ack_wait_s: what a worker does not
    confirm for so long is given to another. hand_out: messages this worker holds at most; max_ack_pending: all workers
    together. replicas: of the stream, where it has to be made because no terminal was ever connected. listen_only: hear
    all messages and take none.
    """

    servers: tuple[str, ...] = ("nats://127.0.0.1:4222",)
    durable: str = "outrider-ingest"
    stream: str = "$MQTT_msgs"
    prefix: str = "$MQTT.msgs."
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    username: str | None = None
    password: str | None = None
    credentials_file: Path | None = None
    connect_timeout_s: float = 5.0
    ack_wait_s: float = 30.0
    hand_out: int = 512
    max_ack_pending: int = 20_000
    replicas: int = 3
    listen_only: bool = False


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
    sink: str | None = None  # URL of a sink instead of ``database`` (sinks_io)
    register: str | None = None  # URL of the register of a shelf
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
    nats: NatsOptions | None = None  # instead of ``broker``
    watch_only: bool = False  # hear everything for the watch over vanished cars; store and acknowledge no record
