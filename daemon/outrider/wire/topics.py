"""Topic names and which lane travels where. At most four levels and no dots (some brokers map them)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from outrider.errors import WireError
from outrider.model.record import Lane

DEVICE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
LEAVES: Final = {"d": "data", "e": "event", "s": "status", "a": "ack", "b": "beacon"}
_EVENT_LANES: Final = frozenset({Lane.EMERGENCY, Lane.LEDGER, Lane.EVENT})

# What a receiver subscribes to.
ALL_DATA: Final = "t/+/d"
ALL_EVENTS: Final = "t/+/e"
ALL_STATUS: Final = "t/+/s"
ALL_BEACONS: Final = "t/+/b"


def check_device(device: str) -> str:
    """The id itself; WireError unless 1..64 of A-Z a-z 0-9 _ - (it is a topic level, a client id and a file name)."""
    if not DEVICE_ID.fullmatch(device):
        raise WireError(f"device id {device[:80]!r}: use 1 to 64 of A-Z a-z 0-9 _ -")
    return device


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one device: ``t/{device}/{leaf}``."""

    device: str

    def __post_init__(self) -> None:
        check_device(self.device)

    @property
    def data(self) -> str:
        """Telemetry and bulk batches, terminal -> receiver."""
        return f"t/{self.device}/d"

    @property
    def event(self) -> str:
        """Emergency, ledger and event batches, terminal -> receiver."""
        return f"t/{self.device}/e"

    @property
    def status(self) -> str:
        """Retained birth document; the will replaces it."""
        return f"t/{self.device}/s"

    @property
    def ack(self) -> str:
        """Signed acknowledgements, receiver -> terminal."""
        return f"t/{self.device}/a"

    @property
    def beacon(self) -> str:
        """Beacons of a moving car, terminal -> receiver, QoS 0, not retained."""
        return f"t/{self.device}/b"

    def for_lane(self, lane: Lane) -> str:
        return self.event if lane in _EVENT_LANES else self.data


def parse(topic: str) -> tuple[str, str]:
    """(device, leaf) of a topic, leaf being one of LEAVES' keys; WireError for any other topic."""
    levels = topic.split("/")
    if len(levels) != 3 or levels[0] != "t" or levels[2] not in LEAVES:
        raise WireError(f"topic {topic[:120]!r} is not t/<device>/<{'|'.join(LEAVES)}>")
    return check_device(levels[1]), levels[2]
