"""The car that nobody drives any more: thrown by impacts, sliding to rest, or turning over.

Owns its velocity over ground and the forces on it; where it is and what the sensors feel stays with ``vehicle.py``.
Rule: during a pulse nothing else acts (tyre forces are a few per cent of it), so that the change of velocity is the
pulse's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Final

from outrider.sim.crash import Pulse
from outrider.sim.plan import G
from outrider.sim.rollover import Tumble
from outrider.sim.scenario import Scenario
from outrider.sim.tables import Again, Crash, Rollover

_SPIN_LOSS: Final = 3.2  # rad/s2: tyres against a turning car
_AFTER_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Impact:
    """One impact: ``offset_s`` after the first contact."""

    offset_s: float
    spec: Crash | Again
    pulse: Pulse

    def holds(self, since: float) -> bool:
        """The pulse lasts."""
        return self.offset_s <= since < self.offset_s + self.pulse.duration_s

    def rings(self, since: float) -> bool:
        """It swings back."""
        return self.offset_s <= since < self.offset_s + self.pulse.total_s + _AFTER_S


def make_impacts(crash: Crash | None, seed: int) -> tuple[Impact, ...]:
    """The impacts of a scenario in order."""
    if crash is None:
        return ()
    first = Impact(0.0, crash, Pulse(crash, Random(f"{seed}:crash")))
    more = (
        Impact(spec.after_s, spec, Pulse(spec, Random(f"{seed}:crash:{i}")))
        for i, spec in enumerate(sorted(crash.again, key=lambda spec: spec.after_s))
    )
    return (first, *more)


@dataclass(slots=True)
class Extra:
    """What is added to the body beside drive and road: accelerations [m/s2], angles [rad] and their rates [rad/s]."""

    forward: float = 0.0
    left: float = 0.0
    up: float = 0.0
    pitch: float = 0.0
    pitch_rate: float = 0.0
    roll: float = 0.0
    roll_rate: float = 0.0


@dataclass(slots=True)
class Push:
    """Accelerations over one step along the car and to its left [m/s2], and what the body feels beside them."""

    along: float
    across: float
    extra: Extra


class FreeBody:
    """One step after another from the moment of release; ``world`` is the velocity over ground (east, north)."""

    def __init__(self, scenario: Scenario, impacts: tuple[Impact, ...]) -> None:
        self._impacts = impacts
        self._rollover = scenario.rollover
        self._slide_g = scenario.crash.slide_g if scenario.crash is not None else 0.0
        self.tumble: Tumble | None = None
        self.tripped: float | None = None  # since the release [s]
        self.trip_speed = 0.0
        self.world = (0.0, 0.0)
        self.spin = 0.0

    def release(self, speed: float, course: float, yaw: float) -> None:
        """From here on the car is free."""
        self.world = (speed * math.cos(course), speed * math.sin(course))
        self.spin = yaw

    @property
    def turning_over(self) -> bool:
        return self.tumble is not None

    def busy(self, since: float) -> bool:
        """Something still acts, so that a standing car need not stay."""
        if self._rollover is not None:
            return self.tumble is None or not self.tumble.settled
        return any(impact.rings(since) for impact in self._impacts)

    def awaits(self, since: float) -> bool:
        """Something acts or is still to come."""
        last = self._impacts[-1] if self._impacts else None
        return self.busy(since) or (last is not None and since < last.offset_s)

    def step(self, since: float, course: float, h: float) -> Push:
        """What acts from ``since`` to ``since + h``."""
        if self._rollover is not None:
            return self._roll_over(self._rollover, since, course, h)
        return self._thrown(since, course, h)

    def move(self, push: Push, course: float, still: bool, h: float) -> tuple[float, float]:
        """New velocity over ground; ``still``: what is nearly nothing is nothing."""
        cos, sin = math.cos(course), math.sin(course)
        east = self.world[0] + (push.along * cos - push.across * sin) * h
        north = self.world[1] + (push.along * sin + push.across * cos) * h
        if still and math.hypot(east, north) < 0.02:
            east = north = 0.0
            self.spin = 0.0
        self.world = (east, north)
        return self.world

    def _thrown(self, since: float, course: float, h: float) -> Push:
        along = across = 0.0
        extra = Extra()
        for impact in self._impacts:
            pulse, at = impact.pulse, since - impact.offset_s
            a, b = pulse.velocity(at), pulse.velocity(at + h)
            x, y, z = ((new - old) / h for old, new in zip(a, b, strict=True))
            along, across, extra.up = along + x, across + y, extra.up + z
            self.spin += math.radians(impact.spec.yaw_dps) * (pulse.progress(at + h) - pulse.progress(at))
            # the body dives about 0.35 degree for each 10 km/h and comes back
            dive = math.radians(0.126) * pulse.delta_v * math.cos(math.radians(impact.spec.pdof_deg))
            pitch, later = _dive(at / pulse.duration_s), _dive((at + h) / pulse.duration_s)
            extra.pitch += dive * later
            extra.pitch_rate += dive * (later - pitch) / h
        if not any(impact.holds(since) for impact in self._impacts):
            slide = self._slide(self._slide_g * G, course, h)
            along, across = along + slide[0], across + slide[1]
        return Push(along, across, extra)

    def _slide(self, limit: float, course: float, h: float) -> tuple[float, float]:
        """Friction against the way the car moves over ground, along its axes; never turns it round."""
        east, north = self.world
        speed = math.hypot(east, north)
        self.spin -= math.copysign(min(abs(self.spin), _SPIN_LOSS * h), self.spin)
        if speed == 0.0:
            return 0.0, 0.0
        size = min(limit, speed / h)
        cos, sin = math.cos(course), math.sin(course)
        x, y = -size * east / speed, -size * north / speed
        return x * cos + y * sin, y * cos - x * sin

    # ---- turning over -------------------------------------------------------------------------------

    def _roll_over(self, spec: Rollover, since: float, course: float, h: float) -> Push:
        """Breaks away and turns, digs in, turns over."""
        if self.tumble is None and since < spec.slide_s:
            share = since / spec.slide_s
            slide = self._slide(spec.slide_g * G, course, h)
            self.spin = math.radians(spec.yaw_deg) / spec.slide_s * (1.0 - math.cos(2.0 * math.pi * share))
            return Push(*slide, Extra())
        if self.tumble is None:
            self.tumble, self.tripped, self.trip_speed = Tumble(spec), since, math.hypot(*self.world)
        tumble = self.tumble
        self.spin -= math.copysign(min(abs(self.spin), _SPIN_LOSS * h), self.spin)
        east, north = self.world
        cos, sin = math.cos(course), math.sin(course)
        moved = tumble.step(east * cos + north * sin, north * cos - east * sin, h)
        if tumble.settled:
            moved.along, moved.across = -(east * cos + north * sin) / h, -(north * cos - east * sin) / h
            self.spin = 0.0
        return Push(moved.along, moved.across, Extra(up=moved.up, roll=tumble.roll, roll_rate=moved.roll_rate))


def _dive(x: float) -> float:
    """Pitch of the impact over time in pulse durations: up within one, back within five."""
    if x <= 0.0 or x >= 6.0:
        return 0.0
    if x < 1.0:
        return 0.5 * (1.0 - math.cos(math.pi * x))
    return 0.5 * (1.0 + math.cos(math.pi * (x - 1.0) / 5.0))
