"""How many emergencies of one kind a day are stored: what a broken sensor makes of the emergency lane is bounded.

A bucket for each kind of event: ``per_day`` at once, and as many again spread over a day. An emergency beyond it is
held back and counted, unless it differs from those stored: more severe than any of them, or with other evidence of its
own (an airbag, the speed collapsed, the bus fell silent, the car stands). A sensor that is broken repeats itself; a
crash of a car that has one does not look like it. Pure: what it knows of time is what records say (``PoweredTime``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from outrider.model.event import CrashEvidence, Event, EventFlag

DAY_US: Final = 86_400_000_000
DEFAULT_PER_DAY: Final = 24
MAX_DIFFERENT: Final = 32  # that pass a day beyond the bucket for looking different; more severe ones always pass
WITNESSES: Final = (
    CrashEvidence.AIRBAG
    | CrashEvidence.COLLAPSE
    | CrashEvidence.STANDING
    | CrashEvidence.SILENCE
    | CrashEvidence.ROLLOVER
)
_DV_STEP_KMH: Final = 10.0


@dataclass(frozen=True, slots=True)
class CapOptions:
    """per_day: emergencies of a kind; of_kind: other numbers for single kinds, by name in small letters."""

    per_day: int = DEFAULT_PER_DAY
    of_kind: Mapping[str, int] = field(default_factory=dict)

    def limit(self, kind: str) -> int:
        return self.of_kind.get(kind, self.per_day)


class Rank(msgspec.Struct, frozen=True, order=True):
    """How severe: protective systems fired or the car turned over; level; change of velocity in steps of 10 km/h."""

    fired: bool = False
    level: int = 0
    steps: int = 0

    @classmethod
    def of(cls, event: Event) -> Rank:
        fired = event.flags & (EventFlag.AIRBAG | EventFlag.ROLLOVER) or event.evidence & CrashEvidence.AIRBAG
        return cls(bool(fired), event.level, int((event.dv_kmh or 0.0) / _DV_STEP_KMH))


class Held(msgspec.Struct):
    """What was held back of a kind and not yet told for good. Times: CLOCK_BOOTTIME of these boots."""

    events: int = 0
    records: int = 0
    first_boot: int = 0
    first_us: int = 0
    last_boot: int = 0
    last_us: int = 0
    worst: Rank = Rank()
    worst_dv_kmh: float = 0.0
    told_at_us: int | None = None  # powered time
    untold: int = 0  # events since then
    begun_at_us: int = 0


class Bucket(msgspec.Struct):
    """Of one kind. tokens: emergencies that may be stored now. best, seen: of those stored since it was last full."""

    tokens: float
    at_us: int = 0
    best: Rank = Rank()
    seen: list[int] = msgspec.field(default_factory=list)
    different: int = 0
    held: Held | None = None


class EmergencyCap:
    """``now_us`` in all calls: powered time, which never goes back."""

    def __init__(self, options: CapOptions, buckets: dict[str, Bucket] | None = None) -> None:
        self._options = options
        self.buckets = buckets or {}

    def _bucket(self, kind: str, now_us: int) -> Bucket:
        limit = self._options.limit(kind)
        bucket = self.buckets.get(kind)
        if bucket is None:
            bucket = self.buckets[kind] = Bucket(float(limit), now_us)
        gone = max(0, now_us - bucket.at_us)
        bucket.at_us = max(bucket.at_us, now_us)
        bucket.tokens = min(float(limit), bucket.tokens + limit * gone / DAY_US)
        if bucket.tokens >= limit:
            bucket.best, bucket.seen, bucket.different = Rank(), [], 0
        return bucket

    def begins(self, event: Event, now_us: int) -> bool:
        """A new emergency: True when it is stored."""
        bucket = self._bucket(_name(event), now_us)
        if bucket.tokens >= 1.0:
            bucket.tokens -= 1.0
            self._note(bucket, event)
            return True
        return self.differs(event, now_us)

    def differs(self, event: Event, now_us: int) -> bool:
        """Held back so far: does what is known of it now set it apart from those stored? True: it is stored."""
        bucket = self._bucket(_name(event), now_us)
        if Rank.of(event) > bucket.best:
            self._note(bucket, event)
            return True
        if _witness(event) and _witness(event) not in bucket.seen and bucket.different < MAX_DIFFERENT:
            bucket.different += 1
            self._note(bucket, event)
            return True
        return False

    def stored(self, event: Event, now_us: int) -> None:
        """More is known of an emergency that is stored: what follows is compared with it."""
        self._note(self._bucket(_name(event), now_us), event)

    def _note(self, bucket: Bucket, event: Event) -> None:
        bucket.best = max(bucket.best, Rank.of(event))
        if _witness(event) not in bucket.seen:
            bucket.seen.append(_witness(event))

    def held_back(self, event: Event, boot_id: int, records: int, now_us: int) -> Held:
        """It is over and was not stored. What is held of its kind by now."""
        bucket = self._bucket(_name(event), now_us)
        held = bucket.held
        if held is None:
            held = bucket.held = Held(first_boot=boot_id, first_us=event.t0_us, begun_at_us=now_us)
        held.events += 1
        held.untold += 1
        held.records += records
        held.last_boot, held.last_us = boot_id, event.t0_us
        held.worst = max(held.worst, Rank.of(event))
        held.worst_dv_kmh = max(held.worst_dv_kmh, event.dv_kmh or 0.0)
        return held

    @property
    def tripped(self) -> bool:
        """The next emergency of some kind would have to be different."""
        return any(bucket.tokens < 1.0 for bucket in self.buckets.values())

    @property
    def full(self) -> bool:
        """Nothing is to be remembered but the time."""
        return all(b.tokens >= self._options.limit(kind) and b.held is None for kind, b in self.buckets.items())

    def end_of_day(self, kind: str) -> None:
        """What was held of this kind has been told for good; counting begins anew."""
        self.buckets[kind].held = None


class PoweredTime(msgspec.Struct):
    """Time as far as records prove it: CLOCK_BOOTTIME while the terminal runs, and between two runs what UTC says, at
    most a day each time and never backwards. A clock that jumps gives a day at most, and takes nothing."""

    at_us: int = 0
    boot_id: int = 0
    boot_us: int = 0  # newest CLOCK_BOOTTIME seen of that boot
    since_us: int = 0  # the first one
    utc_us: int | None = None  # at ``boot_us`` of the boot before, as anchor for the time between
    anchor_us: int | None = None  # UTC minus CLOCK_BOOTTIME in this boot
    credited_us: int = 0

    def note(self, boot_id: int, t_us: int) -> int:
        """A record of the running boot. The powered time."""
        if boot_id != self.boot_id:
            self.utc_us = None if self.anchor_us is None else self.boot_us + self.anchor_us
            self.boot_id, self.boot_us, self.since_us = boot_id, t_us, t_us
            self.anchor_us, self.credited_us = None, 0
        elif t_us > self.boot_us:
            self.at_us += t_us - self.boot_us
            self.boot_us = t_us
        return self.at_us

    def note_utc(self, t_us: int, utc_us: int) -> None:
        """UTC at ``t_us`` of the running boot."""
        self.anchor_us = utc_us - t_us
        if self.utc_us is None:
            return
        between = min(DAY_US, self.since_us + self.anchor_us - self.utc_us)
        more = max(0, between - self.credited_us)
        self.credited_us += more
        self.at_us += more


class CapState(msgspec.Struct):
    """What survives a restart."""

    time: PoweredTime = msgspec.field(default_factory=PoweredTime)
    buckets: dict[str, Bucket] = msgspec.field(default_factory=dict)
    version: int = 1


def _name(event: Event) -> str:
    return event.kind.name.lower()


def _witness(event: Event) -> int:
    return int(event.evidence & WITNESSES)
