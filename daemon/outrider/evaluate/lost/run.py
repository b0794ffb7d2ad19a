"""A fleet drives for long. Recorded: the score of every silence of ordinary driving, and of cars that were lost.

The dead-man learns as it goes. A silence or loss bears how often the fleet had passed that road before, so that one run
shows what the knowledge of the ground is worth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from outrider.evaluate.lost.drive import Drive, draw_drive
from outrider.evaluate.lost.link import deliver
from outrider.evaluate.lost.ride import Loss, Ride, Rider, Silence
from outrider.evaluate.lost.road import draw_road
from outrider.evaluate.lost.watch import Watch
from outrider.evaluate.lost.world import World
from outrider.evaluate.samples import Array

_BETWEEN_DRIVES_S: Final = 20_000.0
_CARS: Final = 50


@dataclass
class Experience:
    """All of a run. km: at beacon speed, by kind of road and knowledge: (kind, passes before) -> km."""

    silences: list[Silence] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    km: dict[tuple[str, int], float] = field(default_factory=dict)
    road_km: float = 0.0

    def driven_km(self, passes: int = 0) -> float:
        """At beacon speed, on roads passed at least so often before."""
        return sum(km for (_kind, before), km in self.km.items() if before >= passes)


@dataclass(frozen=True, slots=True)
class Extent:
    """roads: of each kind. passes: how often each is driven on average. losses: one in so many km of a drive."""

    roads: int = 5
    passes: int = 150
    loss_km: float = 40.0


class Fleet:
    """One run of a world. Times go on from drive to drive, cars take turns."""

    def __init__(self, world: World, extent: Extent, make: Callable[[], Watch], seed: tuple[int, ...]) -> None:
        self._world = world
        self._extent = extent
        self._watch = make()
        self._seed = seed
        self._clock = 1_750_000_000.0
        self.experience = Experience()
        random = np.random.default_rng([*seed, 0])
        self._roads = [draw_road(kind, world, random) for kind in world.kinds for _ in range(extent.roads)]
        self._passes = [0] * len(self._roads)
        self.experience.road_km = sum(road.km for road in self._roads)

    def run(self) -> Experience:
        share = np.array([road.kind.share / road.kind.route_km for road in self._roads])
        share /= share.sum()
        order = np.random.default_rng([*self._seed, 1])
        for number in range(len(self._roads) * self._extent.passes):
            index = int(order.choice(len(self._roads), p=share))
            self._drive(index, number, np.random.default_rng([*self._seed, 2, number]))
        return self.experience

    def _drive(self, index: int, number: int, random: np.random.Generator) -> None:
        road, passes = self._roads[index], self._passes[index]
        drive = draw_drive(road, self._world, random)
        beacons, messages = deliver(drive, self._world, random)
        key = (road.kind.name, passes)
        km = drive.fast_km(self._world.beacon_kmh / 3.6)
        self.experience.km[key] = self.experience.km.get(key, 0.0) + km
        ride = Ride(
            self._watch, self._world, drive, beacons, Rider(self._clock, f"car-{number % _CARS}", number, passes)
        )
        losses = _loss_times(drive, self._world, random.poisson(km / self._extent.loss_km), random)
        for found in ride.play(messages, losses, random):
            if isinstance(found, Loss):
                self.experience.losses.append(found)
            else:
                self.experience.silences.append(found)
        self._passes[index] += 1
        self._clock += drive.seconds + _BETWEEN_DRIVES_S


def _loss_times(drive: Drive, world: World, count: int, random: np.random.Generator) -> list[float]:
    """Moments at beacon speed, in order."""
    times = np.sort(random.uniform(0, drive.seconds, 3 * count))
    fast = times[drive.speed(times) * 3.6 >= world.beacon_kmh]
    kept: Array = np.sort(random.permutation(fast)[:count])
    return [float(at) for at in kept]
