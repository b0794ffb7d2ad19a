"""One drive as the dead-man sees it: the score of each of its silences, and of losses tried at moments of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from outrider.evaluate.lost.drive import Drive
from outrider.evaluate.lost.link import Beacons, Message
from outrider.evaluate.lost.watch import Alarm, Watch
from outrider.evaluate.lost.world import World
from outrider.model.beacon import Beacon
from outrider.model.event import Event, EventFlag, EventKind, Phase

FIRST_PROBE_S: Final = 6.0
_STEP_S, _LATER_S, _GROWTH = 1.0, 30.0, 1.05
WATCHED_S: Final = 3600.0
LOSS_WATCHED_S: Final = 120.0
HELD_S: Final = 1.0
IN_TIME_S: Final = 15.0
_DEGREE_M: Final = 111_195.0
_BRAKING_SEEN_S, _SNAPSHOT_S = 0.7, 1.0  # so long until the mean of the last second is hard braking; looked at so often
_AWAKE_S: Final = 20.0  # a dead-man that is not called for longer takes itself to have slept


@dataclass(frozen=True, slots=True)
class Course:
    """Scores of one silence as it grew: (seconds since the reference, score, error of the place in m), only where the
    score rose."""

    steps: tuple[tuple[float, float, float], ...]

    def first(self, threshold: float) -> tuple[float, float] | None:
        """(seconds, error) where the threshold is reached; None never."""
        return next(((at, error) for at, score, error in self.steps if score >= threshold), None)


@dataclass(frozen=True, slots=True)
class Silence:
    """Of ordinary driving, longer than ``FIRST_PROBE_S``. passes: of the fleet over this road before."""

    kind: str
    passes: int
    cause: str
    seconds: float
    course: Course


@dataclass(frozen=True, slots=True)
class Loss:
    """A car lost at speed. covered: what was sent at the impact would have got through, and it would have been heard
    within 15 s had it driven on. event_out: its crash event got out; braking_out: a beacon that tells of the braking
    did. held: the same with ``HELD_S`` of stored energy."""

    kind: str
    passes: int
    covered: bool
    event_out: bool
    braking_out: bool
    course: Course
    held: Course


@dataclass(frozen=True, slots=True)
class Rider:
    """Who drives. begin: UTC [s] of the drive's zero; passes: of the fleet over this road before."""

    begin: float
    device: str
    boot: int
    passes: int


class Ride:
    """One drive played to the dead-man, with losses tried on branches of it."""

    def __init__(self, watch: Watch, world: World, drive: Drive, beacons: Beacons, rider: Rider) -> None:
        self._watch, self._world, self._drive, self._beacons = watch, world, drive, beacons
        self._begin, self._device = rider.begin, rider.device
        self._boot, self._passes = rider.boot, rider.passes
        lat, lon, heading = drive.road.at(drive.metres(beacons.sent_s))
        self._place = (lat, lon, heading, drive.speed(beacons.sent_s), drive.in_tunnel(beacons.sent_s))
        self._dbm = drive.signal(beacons.sent_s)

    def play(
        self, messages: list[Message], losses: list[float], random: np.random.Generator
    ) -> Iterator[Silence | Loss]:
        """Everything in order of time."""
        waiting = list(losses)
        heard = -math.inf
        for number, message in enumerate(messages):
            while waiting and waiting[0] < message.through_s:
                lost = waiting.pop(0)
                if math.isfinite(heard):
                    yield self._lose(lost, heard, random)
            if message.at_s - heard > FIRST_PROBE_S and math.isfinite(heard):
                yield from self._silence(heard, message.at_s)
            self._hear(self._watch, message)
            heard = message.at_s if message.kind != "will" else heard
            if number == len(messages) - 1:
                yield from self._silence(heard, heard + WATCHED_S)

    def _hear(self, watch: Watch, message: Message) -> None:
        at = self._begin + message.at_s
        if message.kind == "beacon":
            watch.beacon(self._device, at, self._make(message.index))
        elif message.kind == "birth":
            watch.birth(self._device, at)
        else:
            watch.will(self._device, at)

    def _make(self, i: int) -> Beacon:
        lat, lon, heading, speed, hidden = self._place
        known = not hidden[i]
        sent = float(self._beacons.sent_s[i])
        return Beacon(
            boot_id=self._boot,
            t_us=int(sent * 1e6) + 60_000_000,
            utc_us=int((self._begin + sent) * 1e6),
            lat_deg=float(lat[i]) if known else None,
            lon_deg=float(lon[i]) if known else None,
            hacc_m=self._world.hacc_m if known else None,
            speed_mps=float(speed[i]),
            heading_deg=float(heading[i]) if known else None,
            signal_dbm=int(self._dbm[i]) if self._world.signal_known else None,
            decel_mps2=float(self._beacons.decel[i]),
            interval_s=int(self._beacons.interval[i]),
        )

    def _silence(self, heard: float, until: float) -> Iterator[Silence]:
        steps = _probe(self._watch, self._device, self._begin, heard, until, None)
        if steps:
            cause, course = self._cause(heard, until), Course(tuple(steps))
            yield Silence(self._drive.road.kind.name, self._passes, cause, until - heard, course)

    def _cause(self, heard: float, until: float) -> str:
        found = [o for o in self._drive.outages if o.begin_s < until and o.end_s > heard - 1]
        return max(found, key=lambda o: o.end_s - o.begin_s).cause if found else "beacons lost"

    def _lose(self, impact: float, heard: float, random: np.random.Generator) -> Loss:
        """The car hits something at ``impact``; what has left by then arrives, then nothing."""
        world, drive = self._world, self._drive
        cut = impact + random.uniform(0, world.cut_s)
        watch = self._watch.branch(self._device)
        braking = self._brake(watch, impact, cut, random)
        heard = max(heard, braking or heard)
        event = impact + random.uniform(*world.trigger_s) + world.event_s
        speed = float(drive.speed(impact))
        rest = float(drive.metres(impact)) + speed**2 / (2 * random.uniform(*world.skid_mps2))
        lat, lon, _heading = drive.road.at(np.array([rest]))
        after = _After(watch, self._device, self._begin, impact, (float(lat[0]), float(lon[0])))
        open_then = self._beacons.is_open(event)
        out = open_then and event <= cut + world.holdup_s
        told = event + world.latency_s[0]
        held = after.course(heard, told) if open_then and event <= cut + HELD_S and not out else None
        course = after.course(heard, told if out else None)
        later = self._beacons
        heard_on = (later.through_s > cut) & (later.sent_s > cut - 1) & (later.arrived_s <= cut + IN_TIME_S + 0.5)
        covered = bool(heard_on.any()) and later.is_open(impact)
        name = drive.road.kind.name
        return Loss(name, self._passes, covered, out, braking is not None, course, held or course)

    def _brake(self, watch: Watch, impact: float, cut: float, random: np.random.Generator) -> float | None:
        """The driver brakes before the impact. When a beacon tells of it and gets out: when it arrived."""
        world = self._world
        onset = impact - random.exponential(world.braking_s)
        if random.random() >= world.brakes_before:
            return None
        due = (
            (self._beacons.sent_s > onset + _BRAKING_SEEN_S)
            & (self._beacons.sent_s <= cut)
            & np.isfinite(self._beacons.through_s)
        )
        at = [float(s) for s in self._beacons.sent_s[due]]
        told = onset + _BRAKING_SEEN_S + random.uniform(0, _SNAPSHOT_S)
        if world.braking_beacon and told <= cut:
            at.append(told)
        at = [s for s in at if self._beacons.is_open(s)]
        if not at:
            return None
        sent = min(at)
        lat, lon, heading = self._drive.road.at(self._drive.metres(np.array([sent])))
        beacon = Beacon(
            self._boot, int(sent * 1e6) + 60_000_001, None, float(lat[0]), float(lon[0]), world.hacc_m,
            float(self._drive.speed(sent)), float(heading[0]), None, 6.0, int(world.beacon_s),
        )  # fmt: skip
        arrived = sent + world.latency_s[0]
        watch.beacon(self._device, self._begin + arrived, beacon)
        return arrived


@dataclass(frozen=True, slots=True)
class _After:
    """What is said after an impact, with and without the crash event."""

    watch: Watch
    device: str
    begin: float
    impact: float
    truth: tuple[float, float]

    def course(self, heard: float, event: float | None) -> Course:
        watch = self.watch.branch(self.device)
        if event is not None:
            heard = max(heard, event)
            watch.crash(self.device, self.begin + heard, _CRASH)
        until = self.impact + LOSS_WATCHED_S
        steps = _probe(watch, self.device, self.begin, heard, until, self.truth)
        return Course(tuple((at + heard - self.impact, score, error) for at, score, error in steps))


def _probe(  # noqa: PLR0917  one silence: who, when it began, until when, and the truth about it
    watch: Watch, device: str, begin: float, heard: float, until: float, truth: tuple[float, float] | None
) -> list[tuple[float, float, float]]:
    """The silence from ``heard`` to ``until``: (seconds of it, score, error) wherever the score rose."""
    steps: list[tuple[float, float, float]] = []
    silence = FIRST_PROBE_S
    best, ticked = -math.inf, begin + heard
    while heard + silence < until and silence < WATCHED_S:
        now = begin + heard + silence
        if now - ticked >= _AWAKE_S:
            watch.tick(now)
            ticked = now
        alarm = watch.judgement(device, now)
        if alarm is not None and alarm.score > best:
            best = alarm.score
            steps.append((silence, best, _error(alarm, truth)))
        silence = silence + _STEP_S if silence < _LATER_S else silence * _GROWTH
    return steps


def _error(alarm: Alarm, truth: tuple[float, float] | None) -> float:
    place = alarm.place()
    if truth is None or place is None:
        return math.inf
    north = (place[0] - truth[0]) * _DEGREE_M
    east = (place[1] - truth[1]) * _DEGREE_M * math.cos(math.radians(truth[0]))
    return math.hypot(north, east)


_CRASH: Final = Event(
    seq=1, kind=EventKind.CRASH, phase=Phase.SUSPECT, level=1, flags=EventFlag(0), src_mask=0, rule=0, t0_us=0,
    t_detect_us=0, t_end_us=0, lat_deg=None, lon_deg=None, hacc_m=None, heading_deg=None, clock=0, impact_no=0,
    conf=0.5, dv_kmh=None, dv_long_kmh=None, dv_lat_kmh=None, dv_time_ms=None, peak_g=None, peak_vert_g=None,
    mean_g=None, asi=None, pdof_deg=None, dur_ms=None, v_pre_kmh=None, v_post_kmh=None, limit=None,
)  # fmt: skip
