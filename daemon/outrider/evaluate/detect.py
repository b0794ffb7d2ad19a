"""Runs the detector over samples and sorts what it said. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np

from outrider.engine import MotionDetector
from outrider.engine import Pulse as Captured
from outrider.evaluate.samples import SAMPLE, Samples
from outrider.model.event import Event, EventKind, Phase

HARSH: Final = {
    EventKind.HARSH_BRAKE: "brake",
    EventKind.HARSH_ACCEL: "accel",
    EventKind.HARSH_CORNER: "corner",
    EventKind.LANE_CHANGE: "lane",
}


def feed(detector: MotionDetector, samples: Samples) -> list[Event]:
    """Events that the samples cause."""
    return detector.push(raw(samples))


def raw(samples: Samples) -> memoryview:
    """The bytes of the ``otr_sample`` structs, not copied when they lie in one piece."""
    return memoryview(cast(Any, np.ascontiguousarray(samples, dtype=SAMPLE).view(np.uint8)))


def detect(samples: Samples, imu_range_g: float = 0.0, motion: Mapping[str, float] | None = None) -> list[Event]:
    """Events of a new detector."""
    return feed(MotionDetector(imu_range_g, motion), samples)


def alarms(events: Iterable[Event]) -> list[Event]:
    """The first word (suspect or confirmed) of every event of the emergency lane."""
    first: dict[int, Event] = {}
    for event in events:
        if event.kind.is_crash:
            first.setdefault(event.seq, event)
    return list(first.values())


def captured(events: Iterable[Event], seq: int) -> Event | None:
    """The phase of a crash in which its delta-V is final."""
    return next((e for e in events if e.seq == seq and e.phase is Phase.UPDATE), None)


def is_confirmed(events: Iterable[Event]) -> bool:
    """Some crash was called certain."""
    return any(e.kind is EventKind.CRASH and e.phase is Phase.CONFIRMED for e in events)


def final_kinds(events: Sequence[Event]) -> list[EventKind]:
    """What each incident turned out to be: the kind of its last phase. Alarms withdrawn without a new name are out."""
    last: dict[int, Event] = {}
    for event in events:
        if event.kind < EventKind.HARSH_BRAKE:
            last[event.seq] = event
    return [e.kind for _, e in sorted(last.items()) if not (e.phase is Phase.CANCELLED and e.kind.is_crash)]


@dataclass(frozen=True, slots=True)
class Episode:
    """One harsh manoeuvre as detected: class, begin and end [s], and when it was told."""

    kind: str
    begin_s: float
    end_s: float
    told_s: float
    peak_g: float


def episodes(events: Sequence[Event]) -> list[Episode]:
    """Harsh manoeuvres that have ended, in order of their ends."""
    told = {e.seq: e.t_detect_us / 1e6 for e in events if e.phase is Phase.BEGIN}
    return [
        Episode(HARSH[e.kind], e.t0_us / 1e6, e.t_end_us / 1e6, told.get(e.seq, e.t_detect_us / 1e6), e.peak_g or 0.0)
        for e in events
        if e.phase is Phase.END and e.kind in HARSH
    ]


__all__ = ["Captured", "Episode", "alarms", "captured", "detect", "episodes", "feed", "final_kinds", "is_confirmed"]
