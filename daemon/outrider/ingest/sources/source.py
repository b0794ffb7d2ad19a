"""Where messages come from, as the receiver sees it: a connection that hands them out and takes back what is safe.

A source keeps a message until ``confirm``: what was handed out and never confirmed comes again, from the engine
upstream or from the terminal. So the order is always: commit, confirm here, then acknowledge to the terminal. How many
messages may be handed out and unconfirmed is bounded by the source (back-pressure: the engine upstream keeps the rest).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from outrider.wire.topics import ALL_BEACONS, ALL_DATA, ALL_EVENTS, ALL_STATUS

RECORDS = (ALL_DATA, ALL_EVENTS, ALL_STATUS)
EVERYTHING = (*RECORDS, ALL_BEACONS)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it came. retained: an old one that the broker kept. token: what the source confirms it by."""

    topic: str
    payload: bytes
    retained: bool = False
    token: Any = None


class Source(Protocol):
    """One connection, open. Used by one thread. LinkError when it is gone; then it is closed and another one opened."""

    @property
    def publishing(self) -> int:
        """Messages published and not yet taken by the other side."""
        ...

    def backlog(self) -> int | None:
        """Messages that wait upstream and were handed to nobody, where the other side tells; else None."""
        ...

    def poll(self, timeout_s: float) -> list[Incoming]:
        """Messages that came, after waiting at most timeout_s for the first."""
        ...

    def confirm(self, messages: Iterable[Incoming]) -> None:
        """They are stored for good: the engine upstream may forget them."""
        ...

    def publish(self, topic: str, payload: bytes) -> bool:
        """To a terminal; False when the connection is gone. It may be lost: the terminal sends again then."""
        ...

    def is_answered(self) -> bool:
        """The other side has been heard lately: a silence is not its own."""
        ...

    def close(self) -> None:
        """Goodbye where possible. Idempotent; what was not confirmed comes again."""
        ...


class Connector(Protocol):
    """Makes connections, and remembers between them what it learnt of the other side."""

    def connect(self, topics: tuple[str, ...]) -> Source:
        """A new connection that hands out what is published on these topics. LinkError when there is none to be had."""
        ...
