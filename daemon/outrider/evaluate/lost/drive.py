"""One drive over a road: when it was where, and when nothing could be sent. Vectorised; no detector is known here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from outrider.evaluate.lost.road import STEP_M, Road, correlated
from outrider.evaluate.lost.world import World
from outrider.evaluate.samples import Array

_JAM_MPS: Final = 5.0
_SMOOTH_M: Final = 400.0
_LEAST_MPS: Final = 3.0
_TUNNEL: Final = 2


@dataclass(frozen=True, slots=True)
class Outage:
    """Nothing got through from begin_s to end_s. cause: dead zone, tunnel, stall, glitch, restart, reboot, cut off."""

    begin_s: float
    end_s: float
    cause: str

    @property
    def closes(self) -> bool:
        """The terminal's system lives and closes the connection."""
        return self.cause == "restart"

    @property
    def ends_connection(self) -> bool:
        return self.cause in ("restart", "reboot", "cut off")


@dataclass(frozen=True)
class Drive:
    """t, x, v: time [s], metres along the road and speed [m/s] on the road's grid; dbm: received there."""

    road: Road
    t: Array
    v: Array
    dbm: Array
    outages: list[Outage]
    hard_brakes: Array
    driver: float

    @property
    def seconds(self) -> float:
        return float(self.t[-1])

    def metres(self, at_s: Array | float) -> Array:
        return np.asarray(np.interp(at_s, self.t, np.arange(len(self.t)) * STEP_M))

    def speed(self, at_s: Array | float) -> Array:
        return np.asarray(np.interp(at_s, self.t, self.v))

    def signal(self, at_s: Array) -> Array:
        return np.asarray(np.interp(at_s, self.t, self.dbm))

    def in_tunnel(self, at_s: Array) -> Array:
        """In a tunnel with service: heard, but without a place of its own."""
        index = np.minimum((self.metres(at_s) / STEP_M).astype(int), len(self.road.tunnel) - 1)
        return np.asarray(self.road.tunnel[index] == _TUNNEL)

    def fast_km(self, limit_mps: float) -> float:
        """Kilometres driven at beacon speed."""
        return float((self.v >= limit_mps).sum()) * STEP_M / 1000


def draw_drive(road: Road, world: World, random: np.random.Generator) -> Drive:
    """One more drive over this road."""
    n = len(road.lat)
    driver = float(np.clip(random.normal(1.0, 0.08), 0.7, 1.25))
    v = _speeds(road, driver, random)
    t = np.concatenate([[0.0], np.cumsum(STEP_M * 2 / (v[1:] + v[:-1]))])
    change = random.normal(0, world.drive_db) + world.drift_db * correlated(random, n, world.shadow_m)
    dbm = road.field_dbm + change
    outages = _radio_outages(road, dbm, t, world, random) + _other_outages(float(t[-1]), world, random)
    brakes = np.sort(random.uniform(0, t[-1], random.poisson(road.km / world.hard_brake_km)))
    return Drive(road, t, v, dbm, merge(outages), brakes, driver)


def merge(outages: list[Outage]) -> list[Outage]:
    """In order and apart; of two that overlap one that ends the connection, else the longer one, gives the cause."""
    out: list[Outage] = []
    for one in sorted(outages, key=lambda o: o.begin_s):
        if out and one.begin_s <= out[-1].end_s:
            last = out.pop()
            main = max((last, one), key=lambda o: (o.ends_connection, o.end_s - o.begin_s))
            out.append(Outage(last.begin_s, max(last.end_s, one.end_s), main.cause))
        else:
            out.append(one)
    return out


def _speeds(road: Road, driver: float, random: np.random.Generator) -> Array:
    """The limit in the driver's way, with jams, smoothed to what a car does; from and to standstill."""
    n = len(road.lat)
    wanted = road.limit * driver * (1 + 0.05 * correlated(random, n, 2000.0))
    for _ in range(random.poisson(road.km / road.kind.jam_km)):
        begin = int(random.integers(0, n))
        wanted[begin : begin + round(random.uniform(500, 3000) / STEP_M)] = _JAM_MPS
    wanted[:8] = wanted[-8:] = _JAM_MPS
    width = round(_SMOOTH_M / STEP_M)
    padded = np.pad(wanted, width // 2, mode="edge")
    smooth = np.convolve(padded, np.full(width, 1 / width), "same")[width // 2 :][:n]
    return np.asarray(np.maximum(smooth, _LEAST_MPS))


def _radio_outages(road: Road, dbm: Array, t: Array, world: World, random: np.random.Generator) -> list[Outage]:
    """Stretches below the limit; the modem comes back some dB above it, and after a search."""
    state = np.where(dbm >= world.service_dbm + world.return_db, 1, np.where(dbm < world.service_dbm, 0, -1))
    state[0] = max(state[0], 0)
    up = state[np.maximum.accumulate(np.where(state >= 0, np.arange(len(state)), 0))]
    edges = np.flatnonzero(np.diff(np.concatenate([[1], up, [1]])))
    out = []
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        last = min(int(end), len(t) - 1)
        gone = float(t[last] - t[begin])
        search = world.search_s[0] + random.exponential(world.search_s[1])
        search += random.uniform(0, world.long_search_s) if gone > 60 else 0.0
        cause = "tunnel" if (road.tunnel[begin:last] == 1).any() else "dead zone"
        out.append(Outage(float(t[begin]), float(t[last]) + search, cause))
    return out


def _other_outages(seconds: float, world: World, random: np.random.Generator) -> list[Outage]:
    hours = seconds / 3600

    def times(per_h: float) -> Array:
        return np.asarray(random.uniform(0, seconds, random.poisson(per_h * hours)))

    def lognormal(given: tuple[float, float]) -> float:
        return float(given[0] * math.exp(given[1] * random.standard_normal()))

    out = [Outage(at, at + lognormal(world.stall_s), "stall") for at in times(world.stall_per_h)]
    out += [Outage(at, at + lognormal(world.glitch_s), "glitch") for at in times(world.glitch_per_h)]
    out += [Outage(at, at + random.uniform(5, 15), "restart") for at in times(world.restart_per_h)]
    out += [Outage(at, at + random.uniform(30, 60), "reboot") for at in times(world.reboot_per_h)]
    out += [Outage(at, seconds + 7200, "cut off") for at in times(world.cut_off_per_h)]
    return out
