"""Roads: curves, limits, tunnels and the radio field along them, on a grid of 25 m. Drawn once, driven often."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from outrider.evaluate.lost.world import RoadKind, World
from outrider.evaluate.samples import Array

STEP_M: Final = 25.0
NO_SERVICE_DBM: Final = -200.0
_DEGREE_M: Final = 111_195.0
_TUNNEL_KM: Final = (0.2, 0.6, 10.0)  # least, median, most
_TUNNEL_SIGMA: Final = 0.8
_AREA_DEG: Final = 4.0
_TAIL: Final = 5  # a correlation is followed over so many of its lengths


@dataclass(frozen=True)
class Road:
    """One direction of a road. Arrays over the grid: place [deg], heading [deg], limit [m/s], field [dBm], tunnel."""

    kind: RoadKind
    lat: Array
    lon: Array
    heading: Array
    limit: Array
    field_dbm: Array
    tunnel: Array

    @property
    def km(self) -> float:
        return len(self.lat) * STEP_M / 1000

    def at(self, metres: Array) -> tuple[Array, Array, Array]:
        """Latitude, longitude and heading so far along."""
        x = np.arange(len(self.lat)) * STEP_M
        heading = np.interp(metres, x, self.heading) % 360.0
        return np.interp(metres, x, self.lat), np.interp(metres, x, self.lon), heading


def draw_road(kind: RoadKind, world: World, random: np.random.Generator) -> Road:
    """A road of this kind."""
    n = round(kind.route_km * 1000 * random.uniform(0.7, 1.3) / STEP_M)
    heading = random.uniform(0, 360) + np.degrees(np.cumsum(correlated(random, n, 400.0) * STEP_M / kind.turn_m))
    angle = np.radians(heading)
    lat = random.uniform(48, 48 + _AREA_DEG) + np.cumsum(np.cos(angle)) * STEP_M / _DEGREE_M
    lon = random.uniform(8, 8 + _AREA_DEG) + np.cumsum(np.sin(angle) / np.cos(np.radians(lat))) * STEP_M / _DEGREE_M
    tunnel = _tunnels(kind, world, n, random)
    field = _field(kind, world, n, random)
    field[tunnel == 1] = NO_SERVICE_DBM
    return Road(kind, lat, lon, heading, _limits(kind, n, random), field, tunnel)


def correlated(random: np.random.Generator, n: int, over_m: float) -> Array:
    """Gaussian noise of variance 1 with an exponential correlation over so many metres (Gudmundson, 1991)."""
    reach = max(1, round(_TAIL * over_m / STEP_M))
    kernel = np.exp(-np.arange(reach) * STEP_M / over_m)
    white = random.standard_normal(n + reach - 1)
    return np.asarray(np.convolve(white, kernel / math.sqrt(float((kernel**2).sum())), "valid"))


def _field(kind: RoadKind, world: World, n: int, random: np.random.Generator) -> Array:
    """Received power whose share below the service limit is the kind's."""
    spread = math.hypot(world.shadow_db, world.terrain_db)
    share = min(0.5, kind.unserved * world.unserved_times)
    mean = world.service_dbm - NormalDist(0, spread).inv_cdf(share)
    fast = world.shadow_db * correlated(random, n, world.shadow_m)
    return np.asarray(mean + fast + world.terrain_db * correlated(random, n, world.terrain_m))


def _tunnels(kind: RoadKind, world: World, n: int, random: np.random.Generator) -> Array:
    """0 open road, 1 tunnel without service, 2 tunnel with service (but without GNSS)."""
    out = np.zeros(n)
    least, median, most = _TUNNEL_KM
    for _ in range(random.poisson(n * STEP_M / 1000 / kind.tunnel_km * world.tunnels_times)):
        km = float(np.clip(median * math.exp(_TUNNEL_SIGMA * random.standard_normal()), least, most))
        begin = int(random.integers(0, n))
        out[begin : begin + round(km * 1000 / STEP_M)] = 2 if random.random() < kind.served_tunnels else 1
    return out


def _limits(kind: RoadKind, n: int, random: np.random.Generator) -> Array:
    """Limits in stretches of 1 to 5 km [m/s]."""
    out = np.empty(n)
    at = 0
    while at < n:
        end = at + round(random.uniform(1000, 5000) / STEP_M)
        out[at:end] = random.choice(kind.limits_kmh) / 3.6
        at = end
    return out
