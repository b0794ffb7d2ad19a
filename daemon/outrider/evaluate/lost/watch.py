"""The seam to what is scored: a dead-man, as this simulation sees one. The real one is handed in from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from outrider.model.beacon import Beacon
from outrider.model.event import Event


class Alarm(Protocol):
    """What a silence would give now."""

    @property
    def score(self) -> float: ...

    def place(self) -> tuple[float, float] | None:
        """Where the car most likely is: latitude, longitude."""
        ...


class Watch(Protocol):
    """Receives what a receiver receives; never raises an alarm itself, but says what each silence would give."""

    def beacon(self, device: str, received_utc_s: float, beacon: Beacon) -> None: ...

    def birth(self, device: str, received_utc_s: float) -> None: ...

    def will(self, device: str, received_utc_s: float) -> None: ...

    def crash(self, device: str, received_utc_s: float, event: Event) -> None: ...

    def tick(self, now_utc_s: float) -> Any: ...

    def judgement(self, device: str, now_utc_s: float) -> Alarm | None:
        """None while a silence means nothing yet; ``tick`` is called before."""
        ...

    def branch(self, device: str) -> Watch:
        """A copy that knows one terminal, to try what would be said if."""
        ...


@dataclass(frozen=True, slots=True)
class Lookout:
    """What is scored. make: a new one that has learnt nothing; threshold: the score from which it raises an alarm."""

    make: Callable[[], Watch]
    threshold: float
