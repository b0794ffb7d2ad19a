"""The dead-man: is a silent car out of coverage, or lost? A small state machine for each car; pure.

::

    beacon, interval > 0 ──> ARMED ──silence, surprising──> VANISHED ──any message──> cleared
         ^                     │  └──too long──> given up
         └── any beacon ───────┴── beacon with interval 0, link of ours down, sleep of ours ──> idle

Times are seconds of UTC by the receiver's own clock, passed in; the terminal's clock decides nothing. Give it every
message and a ``tick`` about once a second. Hostile times, places and orders do no harm beyond the car that sends them.
Not thread-safe. What is learnt is in ``CoverageMap``; the judgement is in ``deadman_score``.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from outrider.i18n import _
from outrider.ingest.watch.deadman_alarm import Cleared, Vanished
from outrider.ingest.watch.deadman_car import Car, Fix, fix_of, speed_of
from outrider.ingest.watch.deadman_coverage import SILENT_S, CoverageMap, PlaceRecord, signal_class
from outrider.ingest.watch.deadman_crowd import Crowd
from outrider.ingest.watch.deadman_options import DeadManOptions
from outrider.ingest.watch.deadman_place import distance_m
from outrider.ingest.watch.deadman_score import Score, Silence, score
from outrider.model.beacon import Beacon
from outrider.model.event import Event, EventKind, Phase

__all__ = ["Cleared", "CoverageMap", "DeadMan", "DeadManOptions", "Vanished"]

Place = tuple[float, float]
_SIGNALS = 3  # beacons over which a signal falls
_CRASH_COUNTS_S = 60.0
_CLOSED_AT_ONCE_S = 12.0  # a will so soon after the last sign of life is no keepalive that ran out
_OWN_MOST = 20_000
_TIME_MOST_S = 1e11
_LEAST_STEP_S = 0.05  # never at the same moment again, however times are rounded
_HELD_STEP_S = 3.0  # one of many silent cars is looked at again so often
_LATE_STEP = 1.05  # after half a minute a silence is judged in growing steps


class DeadMan:
    """All cars of a receiver. ``coverage`` is learnt into and may be shared or kept by the caller."""

    def __init__(self, options: DeadManOptions, coverage: CoverageMap) -> None:
        self._options = options
        self._coverage = coverage
        self._cars: dict[str, Car] = {}
        self._queue: list[tuple[float, str]] = []
        self._out: list[Vanished | Cleared] = []
        self._now = -math.inf
        self._shift = 0.0
        self._counts: Counter[str] = Counter()
        self._crowd = Crowd(options, (), self._now)

    # ---- what is heard ------------------------------------------------------------------------------

    def beacon(self, device: str, received_utc_s: float, beacon: Beacon) -> None:
        """A beacon came. One that is older than the newest (it was under way for long) is a sign of life only."""
        now = self._time(received_utc_s)
        car = self._car(device)
        if self._is_old(car, beacon, now):
            self._counts["old_beacons"] += 1
            self._sign(car, now)
            return
        self._learn(car, beacon, now)
        self._take(car, beacon, now)
        if beacon.interval_s <= 0:
            self._disarm(car)
        else:
            car.armed = True
            self._schedule(device, car, now + self._patience(car))
        story = _("it drives on") if beacon.interval_s > 0 else _("it stands or is slow, and reports")
        fix = car.last_fix
        self._tell_return(device, car, now, story, None if fix is None else (fix.lat_deg, fix.lon_deg))

    def seen(self, device: str, received_utc_s: float, position: Place | None = None) -> None:
        """Any other message of the terminal came; ``position``: the newest place it told, if any."""
        now = self._time(received_utc_s)
        car = self._cars.get(device)
        if car is None:
            return
        self._sign(car, now)
        self._tell_return(device, car, now, position=position)

    def birth(self, device: str, received_utc_s: float) -> None:
        """The terminal connected anew."""
        self.seen(device, received_utc_s)

    def will(self, device: str, received_utc_s: float) -> None:
        """The broker gave up the connection. At once, it was closed from the other end: somebody is still there."""
        now = self._time(received_utc_s)
        car = self._cars.get(device)
        if car is not None and car.armed and now - car.heard_s <= _CLOSED_AT_ONCE_S:
            car.closed_s = now

    def crash(self, device: str, received_utc_s: float, event: Event) -> None:
        """An event came. One of the emergency kinds makes a silence that follows telling; a withdrawn one does not."""
        now = self._time(received_utc_s)
        car = self._cars.get(device)
        if car is None:
            return
        self._sign(car, now)
        if event.phase == Phase.CANCELLED:
            car.crash_s = None
        elif event.kind.is_crash and event.kind != EventKind.PARKED_IMPACT:
            car.crash_s = now
            if car.beacon is not None and car.beacon.interval_s > 0 and now - car.beacon_s <= _CRASH_COUNTS_S:
                car.armed = True  # it was fast a moment ago: its silence is telling whatever came between
                self._schedule(device, car, now + self._patience(car))
        told = car.crash_s is not None
        self._tell_return(device, car, now, _("it tells of a crash: see its events") if told else "")

    def link_down(self, now_utc_s: float) -> None:
        """Our own connection to the broker is gone: every silence from here on is ours."""
        self._time(now_utc_s)
        self._go_blind()

    def link_up(self, now_utc_s: float) -> None:
        """It is back. A car counts again from its next beacon."""
        self._time(now_utc_s)
        self._go_blind()

    def restore(self, vanished: Vanished) -> None:
        """An alarm raised before this receiver was started: any message of the car clears it."""
        self._car(vanished.device).alarm = vanished

    # ---- what is said -------------------------------------------------------------------------------

    def tick(self, now_utc_s: float) -> list[Vanished | Cleared]:
        """What became true since the last call, in order of time."""
        now = self._time(now_utc_s)
        self._crowd = Crowd(self._options, self._cars.values(), now)
        while self._queue and self._queue[0][0] <= now:
            due, device = heapq.heappop(self._queue)
            car = self._cars.get(device)
            if car is None or car.queued_s != due:
                continue  # forgotten, or an earlier entry took its place
            car.queued_s = math.inf
            if car.next_s > now:
                self._queue_up(device, car)
            else:
                self._judge(device, car, now)
        out, self._out = self._out, []
        return out

    def vanished(self) -> Iterator[Vanished]:
        """Alarms that stand."""
        return (car.alarm for car in self._cars.values() if car.alarm is not None)

    def judgement(self, device: str, now_utc_s: float) -> Vanished | None:
        """The alarm that its silence would give now, whatever the threshold; None while it is not judged. Changes
        nothing."""
        car, now = self._cars.get(device), now_utc_s + self._shift
        if car is None or not car.armed or now - car.heard_s < self._patience(car):
            return None
        return self._alarm(device, car, now)

    def branch(self, device: str) -> DeadMan:
        """A dead-man that knows this one terminal as it is now, to try what would be said if; it shares the coverage
        map, and learns into it only when the terminal returns."""
        made = DeadMan(self._options, self._coverage)
        made._now, made._shift = self._now, self._shift
        car = self._cars.get(device)
        if car is not None:
            made._cars[device] = mine = replace(car, queued_s=math.inf)
            made._queue_up(device, mine)
        return made

    def counters(self) -> dict[str, int]:
        """``cars``, ``armed``; ``raised``, ``cleared``; ``held`` (times one of many silent cars was passed over);
        ``given_up``, ``evicted``, ``old_beacons``, ``slept``, ``clock_back``."""
        armed = sum(car.armed for car in self._cars.values())
        return {"cars": len(self._cars), "armed": armed, **self._counts, **self._coverage.counters()}

    # ---- judging ------------------------------------------------------------------------------------

    def _judge(self, device: str, car: Car, now: float) -> None:
        if car.settle_s is not None and now >= car.settle_s:
            self._clear(device, car, now)
        if not car.armed:
            return
        silence_s = now - car.heard_s
        if silence_s < self._patience(car):
            self._schedule(device, car, max(car.heard_s + self._patience(car), now + _LEAST_STEP_S))
            return
        if silence_s > self._options.watch_s:
            self._counts["given_up"] += 1
            self._disarm(car)
            return
        if not self._has_crash(car) and self._crowd.is_common(car):
            car.held = True
            self._counts["held"] += 1
            self._schedule(device, car, now + _HELD_STEP_S)
            return
        alarm = self._alarm(device, car, now)
        if alarm.score >= self._options.threshold:
            self._raise(car, alarm)
        else:
            self._schedule(device, car, now + (1.0 if silence_s < 30.0 else silence_s * (_LATE_STEP - 1.0)))

    def _score(self, car: Car, now: float) -> Score:
        beacon = car.beacon
        decel = None if beacon is None else beacon.decel_mps2
        return score(
            Silence(
                silence_s=now - car.heard_s,
                interval_s=car.interval_s,
                speed_mps=speed_of(beacon),
                place=self._place(car),
                signal=signal_class(car.signals),
                own_beacons=car.own_beacons,
                own_silences=car.own_silences,
                braking_mps2=decel,
                is_braking=self._is_braking(car),
                is_crash=self._has_crash(car),
                is_closed=car.closed_s is not None and car.closed_s >= car.heard_s,
            ),
            self._coverage,
        )

    def _patience(self, car: Car) -> float:
        """So long a silence is not judged at all."""
        if self._has_crash(car) or self._is_braking(car):
            return car.interval_s + self._options.delay_s
        return max(self._options.first_silence_s, 2 * car.interval_s + 1.0)

    def _has_crash(self, car: Car) -> bool:
        return car.crash_s is not None and car.heard_s - car.crash_s <= _CRASH_COUNTS_S

    def _is_braking(self, car: Car) -> bool:
        decel = None if car.beacon is None else car.beacon.decel_mps2
        return decel is not None and decel >= self._options.hard_braking_mps2

    def _alarm(self, device: str, car: Car, now: float) -> Vanished:
        judged, fix = self._score(car, now), car.fix
        return Vanished(
            device=device,
            since_utc_s=car.heard_s - self._shift,
            raised_utc_s=now - self._shift,
            lat_deg=None if fix is None else fix.lat_deg,
            lon_deg=None if fix is None else fix.lon_deg,
            heading_deg=None if fix is None else fix.heading_deg,
            speed_mps=speed_of(car.beacon),
            score=judged.decades,
            reasons=judged.reasons,
            hacc_m=None if fix is None else fix.beacon.hacc_m,
            fix_utc_s=(car.beacon_s if fix is None else fix.at_s) - self._shift,
            interval_s=car.interval_s,
        )

    def _raise(self, car: Car, alarm: Vanished) -> None:
        car.alarm = alarm
        car.settle_s, car.story = None, ""
        self._disarm(car)
        self._counts["raised"] += 1
        self._out.append(alarm)

    # ---- hearing ------------------------------------------------------------------------------------

    def _is_old(self, car: Car, beacon: Beacon, now: float) -> bool:
        """Not newer than the newest of the same boot; after a long silence anything is new (a clock that was wrong)."""
        last = car.beacon
        if last is None or last.boot_id != beacon.boot_id:
            return False
        return beacon.t_us <= last.t_us and now - car.beacon_s < self._options.stall_s

    def _take(self, car: Car, beacon: Beacon, now: float) -> None:
        if car.beacon is None or car.beacon.boot_id != beacon.boot_id:
            car.signals = ()
        car.signals = (*car.signals[1 - _SIGNALS :], beacon.signal_dbm)
        car.beacon, car.beacon_s, car.heard_s = beacon, now, now
        car.fix = fix_of(beacon, now) or car.fix
        if car.crash_s is not None and now - car.crash_s > _CRASH_COUNTS_S:
            car.crash_s = None
        car.closed_s, car.held = None, False

    def _sign(self, car: Car, now: float) -> None:
        """A sign of life that is no beacon. After a silence it says that the car is not at speed any more."""
        if car.armed and now - car.heard_s - car.interval_s >= SILENT_S:
            self._learn(car, None, now)
            self._disarm(car)
        car.heard_s = now

    def _learn(self, car: Car, beacon: Beacon | None, now: float) -> None:
        """The time since the last sign of life is over: on time, or a silence that ended well."""
        last = car.beacon
        if last is None or not (car.armed or car.alarm is not None):
            return
        excess, fix = now - car.heard_s - car.interval_s, car.last_fix
        if excess < SILENT_S / 2:
            if beacon is not None and fix is not None:
                self._passed(car, fix)
        elif car.held or self._has_crash(car) or excess > self._options.watch_s:
            return  # says nothing of this place
        elif beacon is not None and beacon.boot_id != last.boot_id:
            self._coverage.broke_off(excess)
        elif fix is not None:
            self._fell_silent(car, fix, excess)

    def _passed(self, car: Car, fix: Fix) -> None:
        self._coverage.passed(fix.spot, signal_class(car.signals))
        car.own_beacons += 1
        if car.own_beacons > _OWN_MOST:
            car.own_beacons, car.own_silences = car.own_beacons // 2, car.own_silences // 2

    def _fell_silent(self, car: Car, fix: Fix, excess: float) -> None:
        signal, reach = signal_class(car.signals), fix.speed_mps * car.interval_s
        clean = self._coverage.fell_silent(fix.spot, signal, excess, reach)
        car.own_silences += clean and excess >= SILENT_S

    def _place(self, car: Car) -> PlaceRecord | None:
        fix = car.fix
        if fix is None:
            return None
        return self._coverage.place(fix.spot, fix.speed_mps * car.interval_s)

    # ---- returning ----------------------------------------------------------------------------------

    def _tell_return(self, device: str, car: Car, now: float, story: str = "", position: Place | None = None) -> None:
        """A car with an alarm is heard. With a story the alarm is cleared at once, else after the settling time."""
        alarm = car.alarm
        if alarm is None:
            return
        if story:
            car.story = story + _further(alarm, position)
            self._clear(device, car, now)
        elif car.settle_s is None:
            car.settle_s = now + self._options.settle_s
            car.story = _("it is heard again") + _further(alarm, position)
            self._schedule(device, car, car.settle_s)

    def _clear(self, device: str, car: Car, now: float) -> None:
        self._out.append(Cleared(device, now - self._shift, car.story))
        self._counts["cleared"] += 1
        car.alarm, car.settle_s, car.story = None, None, ""

    # ---- leaves -------------------------------------------------------------------------------------

    def _disarm(self, car: Car) -> None:
        car.armed = False

    def _go_blind(self) -> None:
        for car in self._cars.values():
            self._disarm(car)

    def _time(self, utc_s: float) -> float:
        """Our own line of time: never back; a stretch without a call longer than ``stall_s`` is our own sleep."""
        if not -_TIME_MOST_S <= utc_s <= _TIME_MOST_S:  # NaN too
            return self._now
        now = utc_s + self._shift
        if now < self._now:
            if now < self._now - 1.0:  # the clock was set back
                self._shift += self._now - now
                self._counts["clock_back"] += 1
            now = self._now
        elif now > self._now + self._options.stall_s and self._cars:
            self._counts["slept"] += 1
            self._go_blind()
        self._now = now
        return now

    def _schedule(self, device: str, car: Car, at: float) -> None:
        car.next_s = at if car.settle_s is None else min(at, car.settle_s)
        self._queue_up(device, car)

    def _queue_up(self, device: str, car: Car) -> None:
        """A car stands in the queue once, at an earlier time than its next one when that was put off since."""
        if car.next_s < car.queued_s:
            car.queued_s = car.next_s
            heapq.heappush(self._queue, (car.next_s, device))

    def _car(self, device: str) -> Car:
        car = self._cars.get(device)
        if car is None:
            if len(self._cars) >= self._options.max_devices:
                self._evict()
            car = self._cars[device] = Car()
        return car

    def _evict(self) -> None:
        idle = (name for name, car in self._cars.items() if not car.armed and car.alarm is None)
        name = next(idle, None) or next(iter(self._cars))
        del self._cars[name]
        self._counts["evicted"] += 1


def _further(alarm: Vanished, position: Place | None) -> str:
    if position is None or alarm.lat_deg is None or alarm.lon_deg is None:
        return ""
    metres = distance_m((alarm.lat_deg, alarm.lon_deg), position)
    return _(", {km:.1f} km from where it fell silent").format(km=metres / 1000)
