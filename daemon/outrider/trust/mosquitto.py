"""A mosquitto configuration that ties what a client may say to who it is: text only.

Two listeners. Terminals: the certificate's name is the user name *and* the client id, whatever the client asks for, so
nobody can take another's session; topics are those of the name. Receivers: the same authority and access list, but
client ids of their own choice (several workers share one certificate), and therefore on an address that terminals can
not reach, by default loopback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RECEIVER: Final = "receiver.outrider"  # the dot: no device can bear the name
_TERMINAL_WRITES: Final = ("e", "d", "s", "b")
_RECEIVER_READS: Final = ("t/+/e", "t/+/d", "t/+/s", "t/+/b")


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where the broker listens. address "" = all."""

    port: int = 8883
    address: str = ""
    receiver_port: int = 8884
    receiver_address: str = "127.0.0.1"


def render_config(directory: Path, listeners: Listeners, *, user: str | None) -> str:
    """mosquitto.conf. directory: absolute, of the authority. user: to run as when started by root (None: mosquitto's
    own; the files must then be readable by it)."""
    tls = [
        f"cafile {directory / 'roots.pem'}",
        f"certfile {directory / 'server.pem'}",
        f"keyfile {directory / 'server.key'}",
        f"crlfile {directory / 'crl.pem'}",
        "tls_version tlsv1.2",
        "require_certificate true",
        "use_identity_as_username true",
    ]
    lines = [
        "# Made by outrider ca init; edit at will. outrider ca revoke and rotate send SIGHUP, by pid_file.",
        f"pid_file {directory / 'mosquitto.pid'}",
        *([f"user {user}"] if user else []),
        f"acl_file {directory / 'acl'}",
        "set_tcp_nodelay true",
        "max_queued_messages 0",
        "max_inflight_messages 256",  # a receiver commits so many at a time; 20 unless said
        "message_size_limit 1048576",
        "",
        "# terminals: the certificate decides who it is",
        f"listener {listeners.port} {listeners.address}".rstrip(),
        *tls,
        "use_username_as_clientid true",
        "",
        "# receivers: keep terminals away from this address",
        f"listener {listeners.receiver_port} {listeners.receiver_address}".rstrip(),
        *tls,
    ]
    return "\n".join([*lines, ""])


def render_acl(readers: Sequence[str] = _RECEIVER_READS) -> str:
    """The access list: a terminal speaks under its own name only; only the receiver acknowledges."""
    lines = ["# %u: the name in the client's certificate", f"user {RECEIVER}"]
    lines += [f"topic read {topic}" for topic in readers]
    lines += ["topic write t/+/a", ""]
    lines += [f"pattern write t/%u/{leaf}" for leaf in _TERMINAL_WRITES]
    lines += ["pattern read t/%u/a", ""]
    return "\n".join(lines)
