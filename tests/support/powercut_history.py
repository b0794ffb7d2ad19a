"""What a workload of the cut test did and was promised, by position in the storage's log."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from outrider.model.record import Lane, Record
from outrider.record.mounting import KeptMounting

T = TypeVar("T")
StreamKey = tuple[int, Lane]  # epoch, lane
Place = tuple[int, Lane, int]  # epoch, lane, seq


@dataclass
class States(Generic[T]):
    """Values of a small state, each with the positions between which it was written."""

    writes: list[tuple[int, int, T]] = field(default_factory=list)

    def allowed(self, done: int) -> list[T | None]:
        """What may be read after a cut at ``done``: the last one that was promised, or one that was under way."""
        promised = [value for _begun, ended, value in self.writes if ended <= done]
        under_way = [value for begun, ended, value in self.writes if begun < done < ended]
        return [promised[-1] if promised else None, *under_way]


@dataclass
class History:
    """What happened, each with the number of operations logged when it had happened (or may have begun).

    epochs: when an opening had returned. cursor_lost: when the medium lost it. tidied: when room was made ahead of
    need, which may thin telemetry.
    """

    appended: dict[Place, list[tuple[int, Record]]] = field(default_factory=lambda: defaultdict(list))
    committed: list[tuple[int, Place, Record]] = field(default_factory=list)
    acknowledged: list[tuple[int, int, Lane, int]] = field(default_factory=list)
    evicted: list[tuple[int, StreamKey, int]] = field(default_factory=list)
    epochs: list[tuple[int, int]] = field(default_factory=list)
    cursor_lost: list[int] = field(default_factory=list)
    tidied: list[int] = field(default_factory=list)
    mountings: States[KeptMounting] = field(default_factory=States)
    pages: States[bytes] = field(default_factory=States)
    kills: int = 0
    failed_syncs: int = 0
