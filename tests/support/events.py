"""An event with nothing known, to be filled in with ``dataclasses.replace``."""

from __future__ import annotations

from outrider.model.event import Event, EventFlag, EventKind, Phase

EVENT = Event(
    seq=1,
    kind=EventKind.HARSH_BRAKE,
    phase=Phase.END,
    level=1,
    flags=EventFlag(0),
    src_mask=0,
    rule=0,
    t0_us=0,
    t_detect_us=0,
    t_end_us=0,
)
