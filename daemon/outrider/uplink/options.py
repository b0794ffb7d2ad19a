"""Settings and state of the uplink as plain data. Units are in the names; nothing here does anything."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from outrider.errors import ConfigError
from outrider.wire.topics import check_device


class AckMode(Enum):
    """Whose word frees flash.

    RECEIVER: the signed acknowledgement a receiver publishes after its own commit.
    BROKER: the broker's PUBACK. For clouds without our receiver; a broker that loses what it confirmed (mosquitto does
    when killed) loses it for good, since the terminal has freed it.
    """

    RECEIVER = "receiver"
    BROKER = "broker"


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """TLS with verification; there is no way to turn verification off.

    ca_file: PEM of the authorities to trust (None: the system's). certificate_file and key_file: PEM, for mutual TLS.
    """

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Proxy:
    """kind: "http" (CONNECT) or "socks5". It is told the broker's name, not its address."""

    kind: str
    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def parse_proxy(url: str, username: str | None = None, password: str | None = None) -> Proxy:
    """``http://HOST:PORT`` or ``socks5://HOST:PORT``. ConfigError for anything else."""
    shown = url.rpartition("@")[2]  # a password that somebody wrote there is not for logs
    wrong = ConfigError(f"uplink: proxy {shown!r} is no address; write http://HOST:PORT or socks5://HOST:PORT")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.username is not None or parts.password is not None:  # not into an error message
        raise ConfigError("uplink: proxy holds a user; use proxy_username and proxy_password_file")
    if parts.scheme not in {"http", "socks5"} or not parts.hostname or not port or parts.path not in {"", "/"}:
        raise wrong
    return Proxy(parts.scheme, parts.hostname, port, username, password)


@dataclass(frozen=True, slots=True)
class SendOptions:
    """Sizes and times of sending. ConfigError for a combination that could never send."""

    batch_records: int = 60
    backfill_records: int = 300  # telemetry batches while at least so many wait
    batch_age_s: float = 60.0  # telemetry waits at most so long for a full batch
    batch_bytes: int = 65_536  # of record bodies, before encoding
    window_messages: int = 8  # without PUBACK; the broker's Receive Maximum may lower it
    window_bytes: int = 32_768
    emergency_bytes: int = 8_192  # of window_bytes, kept free for the emergency lane
    queue_s: float = 0.4  # what an emergency may have to wait for on the way; less of the others is sent then
    ack_window_bytes: int = 65_536  # beyond the cursor, telemetry and bulk each; a quarter of it for each urgent lane
    ack_timeout_s: float = 15.0  # from PUBACK to acknowledgement, doubled each time up to the cap
    ack_timeout_cap_s: float = 600.0
    emergency_ack_timeout_s: float = 5.0
    emergency_ack_timeout_cap_s: float = 60.0
    puback_timeout_s: float = 30.0
    emergency_puback_timeout_s: float = 10.0  # of an emergency, while no other PUBACK comes either

    def __post_init__(self) -> None:
        if self.batch_records < 1 or self.backfill_records < 1 or self.batch_bytes < 1:
            raise ConfigError("uplink: a batch needs at least one record and one byte")
        if not 1 <= self.window_messages <= 8:
            raise ConfigError(f"uplink: window of {self.window_messages} messages; use 1 to 8")
        if not 0 < self.emergency_bytes < self.window_bytes:
            raise ConfigError("uplink: emergency_bytes must be more than 0 and less than window_bytes")


@dataclass(frozen=True, slots=True)
class UplinkOptions:
    """Everything the uplink needs to know. ConfigError for a bad device id or missing acknowledgement key.

    ack_key: shared with the receiver, at least 16 bytes; may be empty in BROKER mode only.
    """

    host: str
    port: int
    device: str
    ack_key: bytes = field(default=b"", repr=False)
    ack: AckMode = AckMode.RECEIVER
    tls: TlsOptions | Callable[[], ssl.SSLContext] | None = None  # callable: a context for the next connection
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    keepalive_s: int = 120  # longer than telemetry waits: while driving no ping is needed
    connect_timeout_s: float = 15.0
    backoff_s: float = 1.0
    backoff_cap_s: float = 300.0
    emergency_backoff_cap_s: float = 10.0  # while something in the emergency lane waits
    others: tuple[tuple[str, int], ...] = ()  # (host, port) to go to while host does not answer, in this order
    prefer_s: float = 900.0  # on another one: look after about so long whether host is there again
    proxy: Proxy | None = None
    stall_s: float = 900.0  # nothing acknowledged for so long although something waits: the upload stalls
    send: SendOptions = SendOptions()

    def __post_init__(self) -> None:
        check_device(self.device)
        if self.ack is AckMode.RECEIVER and len(self.ack_key) < 16:
            raise ConfigError('uplink: ack = "receiver" needs an acknowledgement key of at least 16 bytes')


@dataclass(frozen=True, slots=True)
class UplinkStatus:
    """A moment of the uplink. Ages in seconds, None = never. Counters count since start; docs/internals/uplink.md
    tells what each one means, its normal value and what to do."""

    alive: bool  # its threads run; false while the daemon does is a fault of ours
    connected: bool
    protocol: str | None
    last_puback_age_s: float | None
    last_ack_age_s: float | None
    backlog: Mapping[str, int]  # durable records not acknowledged, by lane
    oldest_age_s: Mapping[str, float]  # of the oldest of them, by lane; of an earlier boot: at least so old
    broker: str | None  # HOST:PORT of the connection, or of the next one
    stalled: str | None  # why the upload does not get on (stall.Why); None: it does, or nothing waits
    paused: str | None  # what the data budget holds back now (budget.Hold)
    in_flight_messages: int
    in_flight_bytes: int
    unacknowledged_bytes: int  # sent beyond the cursor
    probing: bool  # acknowledgements do not come: one batch at a time, at growing intervals
    last_error: str | None
    counters: Mapping[str, int]
    sent_bytes: Mapping[str, int]  # traffic.py says by what names
    received_bytes: Mapping[str, int]


def age_s(then_us: int | None, now_us: int) -> float | None:
    """Seconds since then; None for never."""
    return None if then_us is None else (now_us - then_us) / 1e6
