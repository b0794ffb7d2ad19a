"""What becomes of a drive's beacons: sent, held up by a gap and repeated, dropped while there is no connection."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from outrider.evaluate.lost.drive import Drive, Outage
from outrider.evaluate.lost.world import World
from outrider.evaluate.samples import Array

_CONNECT_S: Final = 15.0  # an attempt without an answer
_BACKOFF_S: Final = (1.0, 300.0)
_HARD_BRAKE_S: Final = 1.5
_HARD_BRAKE_MPS2: Final = 5.0
_NEVER: Final = math.inf


@dataclass(frozen=True)
class Beacons:
    """Beacons of a drive in order of sending. sent_s: arrays; through_s: when it left for good (inf: never);
    interval: 0 announces the end; decel [m/s2]. closed: from when to when nothing new got through."""

    sent_s: Array
    through_s: Array
    arrived_s: Array
    interval: Array
    decel: Array
    closed: tuple[tuple[float, float], ...]

    def is_open(self, at_s: float) -> bool:
        """Something sent now gets through now."""
        return not any(begin <= at_s < end for begin, end in self.closed)


@dataclass(frozen=True, slots=True)
class Message:
    """What the receiver sees and when. kind: beacon, birth, will; index: of the beacon."""

    at_s: float
    through_s: float
    kind: str
    index: int = -1


def deliver(drive: Drive, world: World, random: np.random.Generator) -> tuple[Beacons, list[Message]]:
    """The beacons of a drive and all that arrives of it, in order of arrival."""
    sent, interval, decel = _schedule(drive, world)
    through = sent.copy()
    through[random.random(len(sent)) < world.lost_beacons] = _NEVER
    extra: list[Message] = []
    closed = []
    for outage in drive.outages:
        back, messages = _through_gap(outage, sent, through, world, random)
        closed.append((outage.begin_s, back))
        extra += messages
    delay = world.latency_s[0] * np.exp(world.latency_s[1] * random.standard_normal(len(sent)))
    arrived = np.maximum.accumulate(np.where(np.isfinite(through), through + delay, 0.0))
    arrived[~np.isfinite(through)] = _NEVER
    beacons = Beacons(sent, through, arrived, interval, decel, tuple(closed))
    heard = np.flatnonzero(np.isfinite(arrived))
    extra += [Message(float(arrived[i]), float(through[i]), "beacon", int(i)) for i in heard]
    return beacons, sorted(extra, key=lambda m: m.at_s)


def _schedule(drive: Drive, world: World) -> tuple[Array, Array, Array]:
    """A beacon every so many seconds at speed, and one more that says that it was the last."""
    ticks = np.arange(0.0, drive.seconds, world.beacon_s)
    fast = drive.speed(ticks) * 3.6 >= world.beacon_kmh
    last = np.concatenate([[False], fast[:-1] & ~fast[1:]])
    sent = ticks[fast | last]
    interval = np.where(fast, world.beacon_s, 0.0)[fast | last]
    if world.braking_beacon:
        at = drive.hard_brakes[drive.speed(drive.hard_brakes) * 3.6 >= world.beacon_kmh] + 1.0
        sent, interval = np.concatenate([sent, at]), np.concatenate([interval, np.full(len(at), world.beacon_s)])
        order = np.argsort(sent, kind="stable")
        sent, interval = sent[order], interval[order]
    decel = np.zeros(len(sent))
    for at_s in drive.hard_brakes:
        decel[(sent >= at_s + 0.8) & (sent <= at_s + _HARD_BRAKE_S + 0.2)] = _HARD_BRAKE_MPS2
    return sent, interval, decel


def _through_gap(
    outage: Outage, sent: Array, through: Array, world: World, random: np.random.Generator
) -> tuple[float, list[Message]]:
    """Put off or drop what was sent in the gap. When something new gets through again; births and wills it causes."""
    inside = np.flatnonzero((sent >= outage.begin_s) & (sent < outage.end_s))
    survives = outage.end_s - outage.begin_s < random.uniform(*world.dead_after_s) and not outage.ends_connection
    if survives:
        again = repeated_at(float(sent[inside[0]]), outage.end_s, world) if len(inside) else outage.end_s
        late = np.flatnonzero((sent >= outage.begin_s) & (sent < again))
        through[late] = np.where(np.isfinite(through[late]), again, _NEVER)
        return again, []
    back = connected_at(outage, world, random)
    through[(sent >= outage.begin_s) & (sent < back)] = _NEVER
    birth = Message(back + 0.3, back, "birth")
    will = [Message(outage.begin_s + 0.2, outage.begin_s, "will")] if outage.closes else []
    return back, [*will, birth]


def repeated_at(first_s: float, open_s: float, world: World) -> float:
    """When TCP repeats what it first sent at first_s, at the earliest after the gap: evenly spaced for
    ``linear_timeouts`` times, then at doubling distances (at most 120 s, as in Linux)."""
    at, wait = first_s, world.rto_s
    for count in range(10_000):
        if at >= open_s:
            return at
        at += wait
        if count >= world.linear_timeouts:
            wait = min(2 * wait, 120.0)
    return at


def connected_at(outage: Outage, world: World, random: np.random.Generator) -> float:
    """When the uplink is connected again: it notices the death, then tries with a doubling, jittered back-off."""
    if outage.closes or outage.cause == "reboot":
        return outage.end_s + 1.0
    at = outage.begin_s + random.uniform(*world.dead_after_s)
    bound = _BACKOFF_S[0]
    while at < outage.end_s:
        at += min(_CONNECT_S, outage.end_s - at) + random.uniform(0, bound)
        bound = min(2 * bound, _BACKOFF_S[1])
    return at + 0.5
