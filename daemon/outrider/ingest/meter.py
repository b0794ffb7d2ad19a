"""What the receiver tells of its work beside counting it: how long things took, how far behind they are.

``NoMeter`` is for those who do not ask; ``metrics_io`` keeps it for Prometheus.
"""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """Called on the receiver's thread; must be quick."""

    def committed(self, seconds: float, messages: int) -> None:
        """A transaction with so many messages took so long to become durable."""
        ...

    def answered(self, seconds: float) -> None:
        """From taking the oldest message of a group off the connection to its acknowledgement being handed over."""
        ...

    def behind(self, records: int) -> None:
        """A stream's acknowledged position stands so many records behind the newest it sent: a hole, or none (0)."""
        ...

    def letter(self, cause: str) -> None:
        """A payload of no use, by class of reason (``core.DeadLetter.cause``), kept or not."""
        ...


class NoMeter:
    """Nobody asks."""

    def committed(self, seconds: float, messages: int) -> None:
        pass

    def answered(self, seconds: float) -> None:
        pass

    def behind(self, records: int) -> None:
        pass

    def letter(self, cause: str) -> None:
        pass
