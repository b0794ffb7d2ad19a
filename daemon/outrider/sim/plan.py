"""The driver: a plan of speeds along the route and the foot that follows it.

Owns the decisions a driver takes (how fast, when to brake, how hard); what the car can do is ``powertrain.py`` and
``vehicle.py``. Accelerations are m/s2, + forward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Final

from outrider.sim.route import Route
from outrider.sim.scenario import Scenario
from outrider.sim.tables import Driver, Leg

G: Final = 9.80665
_LOOK_AHEAD: Final = 8  # targets considered at once
_WANDER_TAU_S: Final = 12.0
_CRAWL: Final = 0.6  # m/s: nobody brakes ever more softly towards the line


@dataclass(frozen=True, slots=True)
class Limit:
    """From ``begin_m`` on: drive ``speed`` m/s, speed up with at most ``accel``."""

    begin_m: float
    speed: float
    accel: float


@dataclass(frozen=True, slots=True)
class Target:
    """Be at ``speed`` when passing ``at_m``, braking with about ``brake``; ``stop_s`` of standing if it is a stop."""

    at_m: float
    speed: float
    brake: float
    stop_s: float | None = None
    final: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    limits: tuple[Limit, ...]
    targets: tuple[Target, ...]


def make_plan(scenario: Scenario, route: Route, rng: Random) -> Plan:
    """``rng``: where a leg does not say how hard, the driver is sometimes brisker and sometimes gentler."""
    driver = scenario.driver
    limits: list[Limit] = []
    targets: list[Target] = []
    previous = math.inf
    for number, stretch in enumerate(route.stretches):
        leg = stretch.leg
        speed = _leg_speed(leg, driver)
        mood = rng.uniform(0.75, 1.25)
        brake = (leg.brake_g or driver.brake_g * mood) * G
        limits.append(Limit(stretch.begin_m, speed, (leg.accel_g or driver.accel_g * rng.uniform(0.8, 1.2)) * G))
        if speed < previous:
            before = route.stretches[number - 1].leg if number else leg
            targets.append(Target(stretch.begin_m, speed, (before.brake_g or driver.brake_g) * G))
        previous = speed
        targets += [Target(stretch.begin_m + b.at_m, b.to_kmh / 3.6, b.brake_g * G) for b in leg.braking]
        last = number == len(route.stretches) - 1
        if leg.stop_s is not None or last:
            targets.append(Target(stretch.end_m, 0.0, brake, leg.stop_s or 0.0, last))
            previous = 0.0
    crash = scenario.crash
    if crash is not None and crash.leg is not None and crash.speed_kmh is not None:
        targets.append(Target(route.place(crash.leg, crash.at_m), crash.speed_kmh / 3.6, 0.6 * G))
    return Plan(tuple(limits), tuple(sorted(targets, key=lambda target: target.at_m)))


def _leg_speed(leg: Leg, driver: Driver) -> float:
    speed = leg.speed_kmh / 3.6
    if leg.radius_m is not None:
        speed = min(speed, math.sqrt((leg.corner_g or driver.corner_g) * G * leg.radius_m))
    return speed


class Foot:
    """Follows the plan: free acceleration towards the limit, constant deceleration towards targets, bounded jerk.

    ``command`` is called once per step and returns the wanted acceleration. ``at_end`` once the last stop is made.
    """

    def __init__(self, plan: Plan, wander: float, rng: Random) -> None:
        self._limits, self._targets = plan.limits, plan.targets
        self._limit = self._target = 0
        self._braking: Target | None = None
        self._wait_until: float | None = None
        self._wander, self._ou, self._rng = wander, 0.0, rng
        self._wanted = 0.0
        self.at_end = not plan.targets

    def command(self, t: float, h: float, s: float, v: float) -> float:
        self._advance(s, v)
        if self._stands(t, s, v):
            self._wanted = 0.0
            return 0.0
        wanted = self._free(h, v)
        jerk = 2.5 + 8.0 * max(0.0, wanted) / G
        braking = self._brake(s, v)
        if braking is not None:
            wanted = min(wanted, braking[0])
            jerk = _brake_jerk(braking[1])
        elif wanted < self._wanted:
            jerk = 3.0
        elif self._wanted < 0.0:  # off the brake
            jerk = 5.0 + 18.0 * -self._wanted / G
        self._wanted += max(-jerk * h, min(jerk * h, wanted - self._wanted))
        return self._wanted

    def _advance(self, s: float, v: float) -> None:
        while self._limit + 1 < len(self._limits) and s >= self._limits[self._limit + 1].begin_m:
            self._limit += 1
        while self._target < len(self._targets):
            target = self._targets[self._target]
            if s < target.at_m or target.stop_s is not None:
                break
            self._target += 1

    def _stands(self, t: float, s: float, v: float) -> bool:
        """At a stop: wait, then go on with the next target."""
        if v > 0.0 or self._target >= len(self._targets):
            return self.at_end and v == 0.0
        target = self._targets[self._target]
        if target.stop_s is None or s < target.at_m - 4.0:
            return False
        if target.final:
            self.at_end = True
            return True
        if self._wait_until is None:
            self._wait_until = t + target.stop_s
        if t < self._wait_until:
            return True
        self._wait_until = None
        self._braking = None
        self._target += 1
        return False

    def _free(self, h: float, v: float) -> float:
        limit = self._limits[self._limit]
        if self._wander:
            keep = math.exp(-h / _WANDER_TAU_S)
            self._ou = keep * self._ou + math.sqrt(1.0 - keep * keep) * self._wander * self._rng.gauss(0.0, 1.0)
        wanted = (limit.speed * (1.0 + self._ou) - v) * 0.45
        return max(-0.07 * G, min(limit.accel, wanted))

    def _brake(self, s: float, v: float) -> tuple[float, float] | None:
        """(wanted acceleration, deceleration meant) when a target ahead calls for the brake."""
        best: tuple[float, float] | None = None
        for target in self._targets[self._target : self._target + _LOOK_AHEAD]:
            if v <= target.speed:
                if self._braking is target and target.speed > 0.0:
                    self._braking = None
                continue
            way = max(target.at_m - s, 0.02)
            change = v * v - target.speed * target.speed
            needed = change / (2.0 * way)
            # the foot needs its time: the way lost until the brake is full counts before the decision
            rise = 0.5 * v * target.brake / _brake_jerk(target.brake)
            late = target is self._braking or change >= 2.0 * target.brake * max(way - rise, 0.02)
            if target.speed == 0.0 and v < _CRAWL:
                needed = max(needed, 0.6 * target.brake)
            if late and (best is None or needed > -best[0]):
                self._braking = target
                best = (-min(needed, 1.2 * target.brake), target.brake)
        return best


def _brake_jerk(brake: float) -> float:
    """How fast a driver steps on the brake [m/s3]: 8 for an ordinary stop, 28 in an emergency."""
    share = brake / G
    return 4.0 + 52.0 * share * math.sqrt(share)
