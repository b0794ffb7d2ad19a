"""The car in motion: one step after another from the driver's wish to what the sensors would feel.

Owns the equations of motion and the timeline (off, ignition, crank, drive, standstill, off). Planar kinematics on the
route while driven; after an impact a free body that slides to rest. Rule: speed is the integral of acceleration, path
of speed, place of path; nothing is set without its cause.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from outrider.errors import ScenarioError
from outrider.sim.body import Body, body_rates, to_body
from outrider.sim.crash import Pulse
from outrider.sim.plan import Foot, G, make_plan
from outrider.sim.powertrain import Powertrain
from outrider.sim.road import WHEELBASE_M, Road
from outrider.sim.route import Route
from outrider.sim.scenario import Scenario, Surface
from outrider.sim.track import Track

_CRANK_AFTER_S: Final = 1.5
_CRANK_S: Final = 0.8
_STEER_RATIO: Final = 15.5
_UNDERSTEER: Final = 0.0022  # s2/m: extra steering per lateral acceleration
_ESC_TAU_S: Final = 0.045
_LANE_NOISE: Final = 2.2e-5  # 1/m: curvature of a driver who keeps the lane by hand
_LANE_TAU_S: Final = 1.3
MAX_S: Final = 2 * 3600.0  # of recording
_SKY: Final = {"open": 0.0, "city": 1.0, "tunnel": 2.0}


@dataclass(slots=True)
class Moments:
    """When things happened, seconds since the start; None = never."""

    ignition_on: float | None = None
    engine_on: float | None = None
    ignition_off: float | None = None
    rest: float | None = None  # last standstill
    crash: float | None = None
    silence: float | None = None


class Simulation:
    """Runs a scenario once. ``run`` returns the track; ``moments`` and ``road`` are filled then."""

    def __init__(self, scenario: Scenario, route: Route, seed: int) -> None:
        self._scenario, self._route, self.route = scenario, route, route
        self._lane_rng = Random(f"{seed}:lane")
        self.road = Road(route, scenario.vehicle.mass_kg, Random(f"{seed}:road"))
        self.pulse = Pulse(scenario.crash, Random(f"{seed}:crash")) if scenario.crash else None
        plan = make_plan(scenario, route, Random(f"{seed}:mood"))
        self._foot = Foot(plan, scenario.driver.wander, Random(f"{seed}:driver"))
        self._engine = Powertrain(scenario.vehicle.mass_kg)
        self._body = Body()
        self.moments = Moments()
        rate = scenario.imu.rate_hz * (1.0 + scenario.imu.clock_error)
        self.steps_per_sample = max(1, math.ceil(100.0 / scenario.imu.rate_hz))
        self._h = 1.0 / (rate * self.steps_per_sample)
        self._t = self._s = self._v = 0.0
        self._along = self._across = self._yaw = 0.0
        self._east = self._north = 0.0
        self._up = scenario.start.alt_m
        self._course = math.radians(90.0 - scenario.start.heading_deg)
        self._world = (0.0, 0.0)  # velocity over ground of a free body
        self._spin = 0.0  # its yaw rate
        self._grade_before = route.grade(0.0)
        self._lane = 0.0
        self._curvature = 0.0
        self._fuel_l = scenario.vehicle.fuel_l
        self._esc_v = 0.0
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
        moments, crash = self.moments, self._scenario.crash
        if moments.silence is not None:
            return True
        if crash is not None and moments.crash is None and (crash.at_s is not None or not self._arrived()):
            return False
        return moments.rest is not None and self._t >= moments.rest + self._scenario.timeline.end_after_s

    def _arrived(self) -> bool:
        return self._v == 0.0 and self._foot.at_end

    def _timeline(self) -> float:
        """Power mode now; notes the moments as they come."""
        moments, line, t = self.moments, self._scenario.timeline, self._t
        if line.ignition_on_s is None or t < line.ignition_on_s:
            return 0.0
        if moments.ignition_on is None:
            moments.ignition_on = t
        off_at = None if line.off_after_s is None or moments.rest is None else moments.rest + line.off_after_s
        if off_at is not None and t >= off_at:
            if moments.ignition_off is None:
                moments.ignition_off = t
            return 0.0
        since = t - line.ignition_on_s - _CRANK_AFTER_S
        if 0.0 <= since < _CRANK_S:
            return 3.0
        if since >= _CRANK_S and moments.engine_on is None:
            moments.engine_on = t
        return 2.0

    def _watch(self) -> None:
        """Crash and silence begin where or when the scenario says; standstill is noted when the drive is done."""
        crash, silence, moments = self._scenario.crash, self._scenario.silence, self.moments
        if crash is not None and moments.crash is None and self._reached(crash.leg, crash.at_m, crash.at_s):
            moments.crash = self._t
            moments.rest = None
            self._world = (self._v * math.cos(self._course), self._v * math.sin(self._course))
            self._spin = self._yaw
        if silence is not None and self._reached(silence.leg, silence.at_m, silence.at_s):
            moments.silence = self._t
        still = self._arrived() or (self._v == 0.0 and moments.crash is not None)
        if still and moments.rest is None and not self._in_pulse():
            moments.rest = self._t

    def _reached(self, leg: int | None, at_m: float, at_s: float | None) -> bool:
        if at_s is not None:
            return self._t >= at_s
        return leg is not None and self._s >= self._route.place(leg, at_m)

    def _in_pulse(self) -> bool:
        begin, pulse = self.moments.crash, self.pulse
        return begin is not None and pulse is not None and self._t < begin + pulse.total_s + 0.05

    # ---- motion -------------------------------------------------------------------------------------

    def _step(self, track: Track) -> None:
        power = self._timeline()
        crash = self._scenario.crash
        dead = crash is not None and crash.engine_stops and self.moments.crash is not None
        running = power == 2.0 and self.moments.engine_on is not None and not dead
        impact = (0.0, 0.0, 0.0)
        if self.moments.crash is None:
            self._drive(running)
        else:
            impact = self._fly()
        self._engine.settle(self._along, self._v, self._grade_before, self._h, running)
        self._watch()
        index = self._route.index(self._s) if self._route.stretches else 0
        felt = self._feel(self._route.surface(index), impact)
        self._meters(power)
        track.add(
            (
                self._t,
                self._s,
                self._v,
                math.hypot(*self._world) if self.moments.crash is not None else self._v,
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
                0.0 if self.moments.crash is None else 1.0,
                _SKY[self._route.sky(index)],
            )
        )

    def _feel(self, surface: Surface, impact: tuple[float, float, float]) -> tuple[float, ...]:
        """Specific force [m/s2] and angular rate [rad/s] in body axes, of drive, road, hill and impact together.

        ``impact``: vertical acceleration, pitch and pitch rate that an impact adds.
        """
        h, speed, body = self._h, abs(self._v), self._body
        shaking = self.road.step(self._s, speed, h, surface)
        noise = self.road.shake(speed, self._engine.rpm, surface)
        grade = self._route.grade(self._s)
        slope = math.atan(grade)
        bend = (grade - self._grade_before) / h  # how fast the road's slope changes [rad/s], small angles
        self._grade_before = grade
        body.step(self._along, self._across, shaking.roll, h)
        pitch = body.pitch.angle + shaking.pitch + impact[1]
        pitch_rate = body.pitch.rate + shaking.pitch_rate + impact[2]
        force = to_body(
            (
                self._along + shaking.forward + G * math.sin(slope),
                self._across,
                G * math.cos(slope) + self._v * bend + shaking.heave + impact[0],
            ),
            pitch,
            body.roll.angle,
        )
        rates = body_rates(self._yaw, pitch, body.roll.angle, pitch_rate - bend, body.roll.rate)
        return tuple(true + extra for true, extra in zip((*force, *rates), noise, strict=True))

    def _drive(self, running: bool) -> None:
        """One step on the route, as the driver wants and the car can."""
        h, before = self._h, self._v
        grade = self._route.grade(self._s)
        accel = 0.0
        if running and self._t >= self._scenario.timeline.depart_s:
            wanted = self._foot.command(self._t, h, self._s, before)
            accel = self._grip(self._engine.limit(wanted, before, grade))
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

    def _grip(self, accel: float) -> float:
        """Tyres carry what the friction circle leaves beside the lateral acceleration."""
        limit = self._scenario.vehicle.grip * G
        left = math.sqrt(max(0.04 * limit * limit, limit * limit - self._across * self._across))
        return max(-left, min(left, accel))

    def _fly(self) -> tuple[float, float, float]:
        """One step after contact: pulse, then sliding to rest. Returns (vertical acceleration, pitch, pitch rate)."""
        pulse, begin, crash, h = self.pulse, self.moments.crash, self._scenario.crash, self._h
        assert pulse is not None
        assert begin is not None
        assert crash is not None
        since = self._t - begin
        a, b = pulse.velocity(since), pulse.velocity(since + h)
        along, across, up = ((y - x) / h for x, y in zip(a, b, strict=True))
        share_a, share_b = pulse.progress(since), pulse.progress(since + h)
        self._spin += math.radians(crash.yaw_dps) * (share_b - share_a)
        if since >= pulse.duration_s:
            slide_along, slide_across = self._slide(crash.slide_g * G)
            along, across = along + slide_along, across + slide_across
        self._move_free(along, across)
        # the body dives about 0.35 degree for each 10 km/h and comes back
        dive = math.radians(0.126) * pulse.delta_v * math.cos(math.radians(crash.pdof_deg))
        pitch, later = _dive(since / pulse.duration_s), _dive((since + h) / pulse.duration_s)
        return up, dive * later, dive * (later - pitch) / h

    def _slide(self, limit: float) -> tuple[float, float]:
        """Friction against the way the car moves over ground, along its axes; never turns it round."""
        east, north = self._world
        speed = math.hypot(east, north)
        self._spin -= math.copysign(min(abs(self._spin), 3.2 * self._h), self._spin)
        if speed == 0.0:
            return 0.0, 0.0
        size = min(limit, speed / self._h)
        cos, sin = math.cos(self._course), math.sin(self._course)
        x, y = -size * east / speed, -size * north / speed
        return x * cos + y * sin, y * cos - x * sin

    def _move_free(self, along: float, across: float) -> None:
        h = self._h
        cos, sin = math.cos(self._course), math.sin(self._course)
        east, north = self._world
        new_east = east + (along * cos - across * sin) * h
        new_north = north + (along * sin + across * cos) * h
        if math.hypot(new_east, new_north) < 0.02 and not self._in_pulse():
            new_east = new_north = 0.0
            self._spin = 0.0
        self._world = (new_east, new_north)
        self._east += 0.5 * (east + new_east) * h
        self._north += 0.5 * (north + new_north) * h
        self._s += 0.5 * (math.hypot(east, north) + math.hypot(new_east, new_north)) * h
        self._course += self._spin * h
        self._v = new_east * cos + new_north * sin
        self._along, self._across, self._yaw = along, across, self._spin
        self._curvature = 0.0
        self._t += h

    # ---- what the car itself notes ------------------------------------------------------------------

    def _steering(self) -> float:
        """Steering wheel angle [deg] of a single-track model."""
        angle = math.atan(WHEELBASE_M * self._curvature) + _UNDERSTEER * self._across
        return math.degrees(angle) * _STEER_RATIO

    def _meters(self, power: float) -> None:
        h, scale = self._h, self._scenario.vehicle.tyre_scale
        rolling = abs(self._v) * scale
        self._esc_v += (rolling - self._esc_v) * min(1.0, h / _ESC_TAU_S)
        if rolling == 0.0 and self._esc_v < 0.02:
            self._esc_v = 0.0
        self._fuel_l = max(0.0, self._fuel_l - self._engine.fuel_lph / 3600.0 * h)
        if power:
            self._odo += rolling * h


def _dive(x: float) -> float:
    """Pitch of the impact over time in pulse durations: up within one, back within five."""
    if x <= 0.0 or x >= 6.0:
        return 0.0
    if x < 1.0:
        return 0.5 * (1.0 - math.cos(math.pi * x))
    return 0.5 * (1.0 + math.cos(math.pi * (x - 1.0) / 5.0))
