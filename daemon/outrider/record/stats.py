"""What the journal counts. Every counter: docs/reference/journal-format.md."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from outrider.model.record import Lane


@dataclass(slots=True)
class LaneStats:
    """durable, acknowledged: of the current epoch. shed: refused for lack of space; evicted: given up for space;
    thinned: given up so that the others may stay."""

    appended: int = 0
    durable: int = 0
    acknowledged: int = 0
    pending: int = 0
    shed: int = 0
    evicted: int = 0
    thinned: int = 0
    overrun: int = 0
    unreadable: int = 0
    bytes: int = 0


@dataclass(slots=True)
class JournalStats:
    """quarantined: files set aside. full: a lane could not get a segment when it last tried, or only
    one of the reserve. rewritten: segments packed or thinned. from_memory: emergency records
    that were offered to the receiver without being on flash."""

    epoch: int
    lanes: dict[Lane, LaneStats]
    full: bool = False
    quarantined: int = 0
    commits: int = 0
    segments_written: int = 0
    segments_reused: int = 0
    rewritten: int = 0
    from_memory: int = 0
    cursor_writes: int = 0
    faults: int = 0

    def document(self) -> dict[str, Any]:
        """JSON-ready; the epoch as 16 hex digits."""
        rest = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in ("epoch", "lanes")}
        lanes = {lane.name.lower(): dataclasses.asdict(stats) for lane, stats in self.lanes.items()}
        return {"epoch": f"{self.epoch:016x}", "lanes": lanes, **rest}
