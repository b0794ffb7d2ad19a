"""What the road does to the car: unevenness, potholes, humps and kerbs through tyre and suspension.

Each axle is a quarter-car model (sprung mass, unsprung mass, spring, damper, tyre); unevenness is white noise in
vertical velocity (ISO 8608: displacement spectrum G(n0) (n/n0)^-2, n0 = 0.1 1/m), obstacles are smooth profiles
rounded by the tyre's contact patch. An obstacle's slope also pushes the car forwards and backwards. What shakes faster
than the model (structure, engine) is added as white noise that grows with the root of speed, sized on a recorded drive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Final

from outrider.sim.plan import G
from outrider.sim.route import Route
from outrider.sim.tables import Kerb, Leg, Surface

WHEELBASE_M: Final = 2.65
TRACK_M: Final = 1.54
_PATCH_M: Final = 0.16  # length over which a tyre rounds an edge

# G(n0) in m3: smooth ISO class A, city between A and B, worn between B and C.
_ROUGHNESS: Final[dict[Surface, float]] = {"smooth": 4e-6, "city": 14e-6, "worn": 60e-6}
# White noise of structure and engine along x, y, z: m/s2 at 1 m/s, growing with the root of speed; rad/s alike.
_SHAKE: Final = (0.034, 0.042, 0.075)
_SHAKE_RATE: Final = (0.00060, 0.00160, 0.00058)
_SURFACE_SHAKE: Final[dict[Surface, float]] = {"smooth": 0.85, "city": 1.0, "worn": 1.5}
_SHAKE_HZ: Final = 120.0
_FINE_S: Final = 0.0095
_ENGINE_SHAKE: Final = 0.02  # m/s2 at idle

# Quarter cars, two wheels together: shares of the car's mass, and stiffnesses for 1450 kg.
_SPRUNG_SHARE: Final = 0.445
_UNSPRUNG_KG: Final = 78.0
_SPRING: Final = 46_000.0
_DAMPER: Final = 3_900.0
_TYRE: Final = 420_000.0


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Height [m] over [begin, end] along the path; ``side`` +1 left wheels only, -1 right wheels only, 0 both."""

    kind: str  # pothole, bump, kerb
    begin_m: float
    end_m: float
    height_m: float
    side: int
    aside: float = 0.0  # push to the left for each push backwards by a rising edge
    echo: bool = False  # the same edge under the other wheels

    def height(self, s: float) -> float:
        x = s - self.begin_m
        length = self.end_m - self.begin_m
        if x <= 0.0 or x >= length:
            return 0.0
        if self.kind == "kerb":
            edge = min(x, length - x) / _PATCH_M
            return self.height_m * (1.0 if edge >= 1.0 else 0.5 - 0.5 * math.cos(math.pi * edge))
        if self.kind == "pothole":
            edge = min(x, length - x) / max(_PATCH_M, 0.35 * length)
            return self.height_m * (1.0 if edge >= 1.0 else 0.5 - 0.5 * math.cos(math.pi * edge))
        return self.height_m * 0.5 * (1.0 - math.cos(2.0 * math.pi * x / length))


def obstacles_of(route: Route) -> tuple[Obstacle, ...]:
    """All obstacles of the route in order."""
    found: list[Obstacle] = []
    for stretch in route.stretches:
        found += _leg_obstacles(stretch.leg, stretch.begin_m)
    return tuple(sorted(found, key=lambda item: item.begin_m))


def _leg_obstacles(leg: Leg, begin: float) -> list[Obstacle]:
    sides = {"left": 1, "right": -1, "both": 0}
    return [
        *(
            Obstacle("pothole", begin + p.at_m, begin + p.at_m + p.length_m, -p.depth_mm / 1e3, sides[p.side])
            for p in leg.pothole
        ),
        *(Obstacle("bump", begin + b.at_m, begin + b.at_m + b.length_m, b.height_mm / 1e3, 0) for b in leg.bump),
        *(item for k in leg.kerb for item in _kerb(k, begin + k.at_m)),
    ]


def _kerb(kerb: Kerb, at: float) -> list[Obstacle]:
    """Square on: one side's wheels. At an angle the edge crosses the way of the other wheels further on."""
    height, end = kerb.height_mm / 1e3, at + kerb.over_m
    side = {"left": 1, "right": -1, "both": 0}[kerb.side]
    if kerb.angle_deg >= 90.0 or side == 0:
        return [Obstacle("kerb", at, end, height, side)]
    cot = 1.0 / math.tan(math.radians(kerb.angle_deg))
    later, aside = TRACK_M * cot, -side * cot
    return [
        Obstacle("kerb", at, end, height, side, aside),
        Obstacle("kerb", at + later, end + later, height, -side, aside, echo=True),
    ]


class QuarterCar:
    """One axle: vertical motion of body and wheels over the road's height (two wheels as one)."""

    __slots__ = ("_ms", "_mu", "accel", "body", "body_rate", "tyre_force", "wheel", "wheel_rate")

    def __init__(self, mass_kg: float) -> None:
        self._ms, self._mu = mass_kg * _SPRUNG_SHARE, _UNSPRUNG_KG
        self.body = self.body_rate = self.wheel = self.wheel_rate = 0.0
        self.accel = self.tyre_force = 0.0

    def step(self, road_begin: float, road_end: float, h: float) -> None:
        """Advance by ``h`` while the road under the tyre goes from one height to another; ``accel`` is the mean."""
        count = max(1, math.ceil(h / 0.0026))
        dt = h / count
        before = self.body_rate
        static = (self._ms + self._mu) * G
        for i in range(count):
            road = road_begin + (road_end - road_begin) * (i + 0.5) / count
            strut = _SPRING * (self.wheel - self.body) + _DAMPER * (self.wheel_rate - self.body_rate)
            tyre = max(-static, _TYRE * (road - self.wheel))  # a wheel in the air pulls with nothing
            self.body_rate += strut / self._ms * dt
            self.wheel_rate += (tyre - strut) / self._mu * dt
            self.body += self.body_rate * dt
            self.wheel += self.wheel_rate * dt
        self.accel = (self.body_rate - before) / h
        self.tyre_force = static + tyre


@dataclass(slots=True)
class Shaking:
    """What one step of road adds: forward, left and vertical acceleration [m/s2], pitch and roll of the body [rad]."""

    forward: float = 0.0
    left: float = 0.0
    heave: float = 0.0
    pitch: float = 0.0  # + nose down
    pitch_rate: float = 0.0
    roll: float = 0.0  # roll the road asks for; the body follows in its own time


class Road:
    """The road under a car: ``step`` once per step with the path covered."""

    def __init__(self, route: Route, mass_kg: float, step_s: float, rng: Random) -> None:
        self._route, self._rng, self._mass = route, rng, mass_kg
        self._obstacles = obstacles_of(route)
        self._next = 0  # first obstacle that is not yet behind the rear axle
        self._front, self._rear = QuarterCar(mass_kg), QuarterCar(mass_kg)
        self._heights = [0.0, 0.0]  # unevenness under each axle
        self._last = [0.0, 0.0]
        self._tilt = 0.0  # road roll from left and right wheels on different ground [rad]
        self.obstacles = self._obstacles
        # the noise is sized for steps of 10 ms; shorter ones show more of its band, up to where structures answer
        self._dense = math.sqrt(0.01 / step_s) if step_s < _FINE_S else 1.0
        self._pass = 1.0 - math.exp(-2.0 * math.pi * _SHAKE_HZ * step_s) if step_s < _FINE_S else 1.0
        self._smooth = [0.0] * 6

    def step(self, s: float, v: float, h: float, surface: Surface) -> Shaking:
        out = Shaking()
        while self._next < len(self._obstacles) and s - WHEELBASE_M > self._obstacles[self._next].end_m:
            self._next += 1
        rough = 2.0 * math.pi * 0.1 * math.sqrt(_ROUGHNESS[surface] * v * h / 2.0)
        for axle, (car, at) in enumerate(((self._front, s), (self._rear, s - WHEELBASE_M))):
            # a long wave is not felt as unevenness: the height leaks back to zero
            height = self._heights[axle] * (1.0 - 0.4 * h) + rough * self._rng.gauss(0.0, 1.0)
            self._heights[axle] = height
            under = self._under(at)
            road = height + sum(bump * (0.5 if item.side else 1.0) for item, bump, _slope in under)
            car.step(self._last[axle], road, h)
            self._last[axle] = road
            out.heave += 0.5 * car.accel
            for item, bump, slope in under:
                # force of the road normal to its slope; one wheel of the axle carries half of it
                push = car.tyre_force * slope * (0.5 if item.side else 1.0) / self._mass
                out.forward -= push
                out.left += push * item.aside
                out.roll += 0.5 * item.side * bump / TRACK_M
        self._tilt = self._tilt * (1.0 - 0.4 * h) + rough / TRACK_M * self._rng.gauss(0.0, 1.0)
        out.roll += self._tilt
        out.pitch = (self._rear.body - self._front.body) / WHEELBASE_M
        out.pitch_rate = (self._rear.body_rate - self._front.body_rate) / WHEELBASE_M
        return out

    def _under(self, at: float) -> list[tuple[Obstacle, float, float]]:
        """The obstacles under an axle at ``at`` with height and slope there."""
        found = []
        for item in self._obstacles[self._next : self._next + 4]:
            if item.begin_m < at < item.end_m:
                slope = (item.height(at + 0.05) - item.height(at - 0.05)) / 0.1
                found.append((item, item.height(at), slope * 0.5))
        return found

    def shake(self, v: float, rpm: float, surface: Surface) -> tuple[float, float, float, float, float, float]:
        """White noise of structure and engine: accelerations [m/s2] and rates [rad/s]."""
        gauss = self._rng.gauss
        root = math.sqrt(v) * _SURFACE_SHAKE[surface]
        idle = _ENGINE_SHAKE if rpm > 0.0 else 0.0
        if root == 0.0 and idle == 0.0:
            return 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        sizes = (*(size * root + idle for size in _SHAKE), *(size * root for size in _SHAKE_RATE))
        if self._pass == 1.0:
            x, y, z, p, q, r = (size * gauss(0.0, 1.0) for size in sizes)
            return x, y, z, p, q, r
        for i, size in enumerate(sizes):
            self._smooth[i] += self._pass * (self._dense * size * gauss(0.0, 1.0) - self._smooth[i])
        x, y, z, p, q, r = self._smooth
        return x, y, z, p, q, r
