"""The car in motion: one step after another from the driver's wish to what the sensors would feel.

Owns the equations of motion and the timeline (off, ignition, crank, drive, standstill, off). Planar kinematics on the
route while driven; after an impact or a loss of grip a free body (``free.py``). Rule: speed is the integral of
acceleration, path of speed, place of path; nothing is set without its cause.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from outrider.errors import ScenarioError
from outrider.sim.body import Body, body_rates, to_body
from outrider.sim.free import Extra, FreeBody, make_impacts
from outrider.sim.plan import Foot, G, make_plan
from outrider.sim.powertrain import Powertrain
from outrider.sim.road import WHEELBASE_M, Road, Shaking
from outrider.sim.route import Route
from outrider.sim.scenario import Scenario
from outrider.sim.standing import Standing
from outrider.sim.tables import Silence, Surface
from outrider.sim.track import Track

_CRANK_AFTER_S: Final = 1.5
_CRANK_S: Final = 0.8
_STEER_RATIO: Final = 15.5
_UNDERSTEER: Final = 0.0022  # s2/m: extra steering per lateral acceleration
_ESC_TAU_S: Final = 0.045
_LANE_NOISE: Final = 2.2e-5  # 1/m: curvature of a driver who keeps the lane by hand
_LANE_TAU_S: Final = 1.3
MAX_S: Final = 2 * 3600.0  # of recording
_ABS_HZ: Final = 9.0
_ABS_DEPTH: Final = 0.02  # half of what the control lets go
_SCARED: Final = 6.0  # m/s: wheels that spin so much faster than the car goes make the driver lift the foot
_NOTHING: Final = Extra()
_SKY: Final = {"open": 0.0, "city": 1.0, "tunnel": 2.0}


@dataclass(slots=True)
class Moments:
    """When things happened, seconds since the start; None = never."""

    ignition_on: float | None = None
    engine_on: float | None = None
    ignition_off: float | None = None
    rest: float | None = None  # last standstill
    crash: float | None = None  # first contact
    rollover: float | None = None  # the car breaks away
    silence: float | None = None


class Simulation:
    """Runs a scenario once. ``run`` returns the track; ``moments`` and ``road`` are filled then."""

    def __init__(self, scenario: Scenario, route: Route, seed: int) -> None:
        self._scenario, self._route, self.route = scenario, route, route
        self._lane_rng = Random(f"{seed}:lane")
        self.impacts = make_impacts(scenario.crash, seed)
        self.free = FreeBody(scenario, self.impacts)
        self._standing = Standing(scenario)
        plan = make_plan(scenario, route, Random(f"{seed}:mood"))
        self._foot = Foot(plan, scenario.driver.wander, Random(f"{seed}:driver"))
        self._v = scenario.start.speed_kmh / 3.6
        self._engine = Powertrain.running_at(scenario.vehicle.mass_kg, self._v)
        self._body = Body()
        self.moments = Moments()
        rate = scenario.imu.rate_hz * (1.0 + scenario.imu.clock_error)
        self.steps_per_sample = max(1, math.ceil(100.0 / scenario.imu.rate_hz))
        self._h = 1.0 / (rate * self.steps_per_sample)
        self.road = Road(route, scenario.vehicle.mass_kg, self._h, Random(f"{seed}:road"))
        self._t = self._s = 0.0
        self._slip = 0.0  # how much faster the driven wheels turn than the car goes [m/s]
        self._lifted = False  # the driver has taken the foot off spinning wheels
        self._along = self._across = self._yaw = 0.0
        self._east = self._north = 0.0
        self._up = scenario.start.alt_m
        self._course = math.radians(90.0 - scenario.start.heading_deg)
        self._grade_before = route.grade(0.0)
        self._lane = 0.0
        self._curvature = 0.0
        self._fuel_l = scenario.vehicle.fuel_l
        self._esc_v = self._v * scenario.vehicle.tyre_scale
        self._odo = scenario.vehicle.odometer_km * 1000.0

    def run(self, progress: Callable[[float], None] | None = None) -> Track:
        """``progress`` hears the share of the route, 0..1, every few simulated seconds. ScenarioError beyond MAX_S."""
        track = Track(self._h)
        count = 0
        while not self._over():
            self._step(track)
            count += 1
            if self._t > MAX_S:
                raise ScenarioError(f"scenario {self._scenario.name!r}: longer than {MAX_S / 3600.0:.0f} hours; cut it")
            if progress is not None and count % 200 == 0:
                progress(min(1.0, self._s / self._route.length_m) if self._route.length_m else 0.0)
        return track

    # ---- timeline -----------------------------------------------------------------------------------

    def _over(self) -> bool:
        moments, scenario = self.moments, self._scenario
        if moments.silence is not None:
            return True
        happening = scenario.crash or scenario.rollover
        if happening is not None and self._released is None and (happening.at_s is not None or not self._arrived()):
            return False
        return moments.rest is not None and self._t >= moments.rest + scenario.timeline.end_after_s

    def _arrived(self) -> bool:
        return self._v == 0.0 and self._foot.at_end

    def _timeline(self) -> float:
        """Power mode now; notes the moments as they come."""
        moments, line, t = self.moments, self._scenario.timeline, self._t
        on = self._scenario.ignition_on_s
        if on is None or t < on:
            return 0.0
        if moments.ignition_on is None:
            moments.ignition_on = t
            moments.engine_on = t if self._scenario.driving else None
        off_at = None if line.off_after_s is None or moments.rest is None else moments.rest + line.off_after_s
        if off_at is not None and t >= off_at:
            if moments.ignition_off is None:
                moments.ignition_off = t
            return 0.0
        since = t - on - _CRANK_AFTER_S
        if self._scenario.driving:
            return 2.0
        if 0.0 <= since < _CRANK_S:
            return 3.0
        if since >= _CRANK_S and moments.engine_on is None:
            moments.engine_on = t
        return 2.0

    @property
    def _released(self) -> float | None:
        """When the car ceased to be driven."""
        return self.moments.crash if self.moments.crash is not None else self.moments.rollover

    def _watch(self) -> None:
        """Crash, rollover and silence begin where or when the scenario says; standstill is noted when all is done."""
        scenario, moments = self._scenario, self.moments
        for name, spec in (("crash", scenario.crash), ("rollover", scenario.rollover)):
            if spec is not None and self._released is None and self._reached(spec.leg, spec.at_m, spec.at_s):
                setattr(moments, name, self._t)
                moments.rest = None
                self.free.release(self._v, self._course, self._yaw)
        silence = scenario.silence
        if silence is not None and moments.silence is None and self._silent(silence):
            moments.silence = self._t
        released = self._released
        acts = released is not None and self.free.awaits(self._t - released)
        if acts:
            moments.rest = None
        elif moments.rest is None and (self._arrived() or (self._v == 0.0 and released is not None)):
            moments.rest = self._t

    def _silent(self, silence: Silence) -> bool:
        if silence.after_crash_ms is None:
            return self._reached(silence.leg, silence.at_m, silence.at_s)
        crash = self.moments.crash
        return crash is not None and self._t >= crash + silence.after_crash_ms / 1e3

    def _reached(self, leg: int | None, at_m: float, at_s: float | None) -> bool:
        if at_s is not None:
            return self._t >= at_s
        return leg is not None and self._s >= self._route.place(leg, at_m)

    # ---- motion -------------------------------------------------------------------------------------

    def _step(self, track: Track) -> None:
        power = self._timeline()
        happening = self._scenario.crash or self._scenario.rollover
        dead = happening is not None and happening.engine_stops and self._released is not None
        running = power == 2.0 and self.moments.engine_on is not None and not dead
        extra = _NOTHING if self._standing.idle else self._standing.extra(self._t, self._h)
        if self._released is None:
            self._drive(running)
        else:
            extra = self._fly(self._released)
        self._engine.settle(self._along, self._v + self._slip, self._grade_before, self._h, running)
        self._watch()
        index = self._route.index(self._s) if self._route.stretches else 0
        felt = self._feel(self._route.surface(index), extra)
        self._meters(power)
        track.add(
            (
                self._t,
                self._s,
                self._v,
                math.hypot(*self.free.world) if self._released is not None else self._v,
                self._east,
                self._north,
                self._up,
                self._course,
                self._along,
                self._across,
                self._yaw,
                *felt,
                self._steering(),
                self._engine.rpm,
                self._engine.throttle,
                self._engine.torque_nm,
                self._engine.brake_bar,
                float(self._engine.gear if running else 0),
                self._engine.fuel_lph,
                self._fuel_l,
                self._esc_v,
                self._odo,
                power,
                0.0 if self._released is None else 1.0,
                self._sky(index),
                self._slip,
                self._drift(),
                extra.roll,
            )
        )

    def _sky(self, index: int) -> float:
        """What the receiver sees: a car on its side or roof looks at the ground."""
        sky = _SKY[self._route.sky(index)]
        return max(sky, 1.0) if self.free.tumble is not None and math.cos(self.free.tumble.roll) < 0.5 else sky

    def _drift(self) -> float:
        """Angle from where the car points to where it goes [rad]."""
        east, north = self.free.world
        return math.atan2(north, east) - self._course if east or north else 0.0

    def _feel(self, surface: Surface, extra: Extra) -> tuple[float, ...]:
        """Specific force [m/s2] and angular rate [rad/s] in body axes, of drive, road, hill and ``extra`` together."""
        h, speed, body, over = self._h, abs(self._v), self._body, self.free.turning_over
        shaking = Shaking() if over else self.road.step(self._s, speed, h, surface)
        noise = self.road.shake(speed, self._engine.rpm, surface)
        grade = self._route.grade(self._s)
        slope = math.atan(grade)
        bend = (grade - self._grade_before) / h  # how fast the road's slope changes [rad/s], small angles
        self._grade_before = grade
        body.step(0.0 if over else self._along, 0.0 if over else self._across, shaking.roll, h)
        pitch = body.pitch.angle + shaking.pitch + extra.pitch
        pitch_rate = body.pitch.rate + shaking.pitch_rate + extra.pitch_rate
        roll = body.roll.angle + extra.roll
        force = to_body(
            (
                self._along + shaking.forward + G * math.sin(slope) + extra.forward,
                self._across + shaking.left + extra.left,
                G * math.cos(slope) + self._v * bend + shaking.heave + extra.up,
            ),
            pitch,
            roll,
        )
        rates = body_rates(self._yaw, pitch, roll, pitch_rate - bend, body.roll.rate + extra.roll_rate)
        return tuple(true + extra for true, extra in zip((*force, *rates), noise, strict=True))

    def _drive(self, running: bool) -> None:
        """One step on the route, as the driver wants and the car can."""
        h, before = self._h, self._v
        grade = self._route.grade(self._s)
        accel = 0.0
        towed = self._scenario.tow is not None
        if (running or towed) and (self._t >= self._scenario.timeline.depart_s or self._scenario.driving):
            wanted = self._foot.command(self._t, h, self._s, before)
            accel = wanted if towed else self._tyres(self._engine.limit(wanted, before, grade))
        self._v = max(0.0, before + accel * h)
        if accel <= 0.0 and self._v < 0.004:
            self._v = 0.0
        mean = 0.5 * (before + self._v)
        self._along = (self._v - before) / h
        way = mean * h
        self._curvature = self._route.curvature(self._s + 0.5 * way) + self._lane_keeping(h, mean)
        self._yaw = mean * self._curvature
        self._across = mean * self._yaw
        middle = self._course + 0.5 * self._yaw * h
        self._east += way * math.cos(middle)
        self._north += way * math.sin(middle)
        self._up += way * grade
        self._course += self._yaw * h
        self._s += way
        self._t += h

    def _lane_keeping(self, h: float, v: float) -> float:
        """A slow random steering whose mean is nothing."""
        keep = math.exp(-h / _LANE_TAU_S)
        self._lane = keep * self._lane + math.sqrt(1.0 - keep * keep) * _LANE_NOISE * self._lane_rng.gauss(0.0, 1.0)
        return self._lane * min(1.0, 12.0 / max(v, 1.0))

    def _tyres(self, wanted: float) -> float:
        """Tyres carry what the friction circle leaves beside the lateral acceleration.

        Beyond it the driven wheels spin, or the brake control lets go and takes hold again some nine times a second.
        """
        leg = self._route.stretches[self._route.index(self._s)].leg if self._route.stretches else None
        limit = (leg.grip if leg is not None and leg.grip is not None else self._scenario.vehicle.grip) * G
        left = math.sqrt(max(0.04 * limit * limit, limit * limit - self._across * self._across))
        if self._lifted:
            wanted = min(wanted, 0.5 * left)
        self._spin_wheels(wanted - left)
        if wanted < -left:
            return -left * (1.0 - _ABS_DEPTH * (1.0 - math.cos(2.0 * math.pi * _ABS_HZ * self._t)))
        return min(left, wanted)

    def _spin_wheels(self, beyond: float) -> None:
        """``beyond``: acceleration wanted over what the tyres carry. What they do not carry turns wheels and engine."""
        if beyond <= 0.0 and self._slip == 0.0:
            self._lifted = False
            return
        share = self._scenario.vehicle.mass_kg / self._engine.rotating_kg()
        self._slip = max(0.0, self._slip + beyond * share * self._h)
        if self._slip > _SCARED:
            self._lifted = True

    def _fly(self, begin: float) -> Extra:
        """One step of the free body."""
        h, free = self._h, self.free
        push = free.step(self._t - begin, self._course, h)
        cos, sin = math.cos(self._course), math.sin(self._course)
        east, north = free.world
        new_east, new_north = free.move(push, self._course, not free.busy(self._t - begin), h)
        self._east += 0.5 * (east + new_east) * h
        self._north += 0.5 * (north + new_north) * h
        self._s += 0.5 * (math.hypot(east, north) + math.hypot(new_east, new_north)) * h
        self._course += free.spin * h
        self._v = new_east * cos + new_north * sin
        self._along, self._across, self._yaw = push.along, push.across, free.spin
        self._curvature = self._slip = 0.0
        self._t += h
        return push.extra

    # ---- what the car itself notes ------------------------------------------------------------------

    def _steering(self) -> float:
        """Steering wheel angle [deg] of a single-track model."""
        angle = math.atan(WHEELBASE_M * self._curvature) + _UNDERSTEER * self._across
        return math.degrees(angle) * _STEER_RATIO

    def _meters(self, power: float) -> None:
        h, scale = self._h, self._scenario.vehicle.tyre_scale
        driven = self._slip if self._scenario.vehicle.speed_from == "gearbox" else 0.0
        rolling = (abs(self._v) + driven) * scale
        self._esc_v += (rolling - self._esc_v) * min(1.0, h / _ESC_TAU_S)
        if rolling == 0.0 and self._esc_v < 0.02:
            self._esc_v = 0.0
        self._fuel_l = max(0.0, self._fuel_l - self._engine.fuel_lph / 3600.0 * h)
        if power:
            self._odo += rolling * h
