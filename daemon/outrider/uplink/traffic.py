"""Names and sizes of what goes over the socket, for status and data budget. Pure.

By name, each way, since start: whole MQTT packets of each lane (``emergency`` .. ``bulk``), ``status``, ``beacon``,
``ack`` (what the receiver says), ``puback``, ``ping``; ``link``: bytes of TCP payload, with TLS, connecting and, sent,
what was repeated; ``segments``: TCP segments, for an estimate of headers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class TcpCount:
    """Bytes of TCP payload and segments of one connection."""

    sent: int = 0
    received: int = 0
    segments_sent: int = 0
    segments_received: int = 0


PUBACK_BYTES: Final = 4
PING_BYTES: Final = 2


def publish_bytes(topic: str, payload: int, *, qos: int, v5: bool) -> int:
    """Size of a PUBLISH packet without properties. payload: bytes."""
    rest = 2 + len(topic) + 2 * (qos > 0) + v5 + payload
    return 1 + _length_bytes(rest) + rest


def _length_bytes(length: int) -> int:
    """Of the variable length that MQTT puts in front."""
    return 1 + (length > 127) + (length > 16_383) + (length > 2_097_151)
