"""One simulated drive: the scenario computed once, then told as CAN frames, NMEA sentences and truth.

Deterministic: the same scenario, seed and version give the same bytes on the same machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from random import Random
from typing import Any, Final

from outrider.errors import BugError, ScenarioError
from outrider.sim import nmea
from outrider.sim.can import Bus, SimFrame
from outrider.sim.gnss import Receiver
from outrider.sim.imu import ImuSensor, Sample
from outrider.sim.route import Route, build_route
from outrider.sim.scenario import Scenario
from outrider.sim.track import Track
from outrider.sim.truth import build_truth
from outrider.sim.vehicle import Simulation

PROFILE: Final = "simcar"  # name of the bundled vehicle profile that fits
_CHARACTER_S: Final = 10.0 / 115_200.0  # serial line of the receiver


class Drive:
    """What a drive looked like. Each iterator starts anew and gives the same items again.

    ``track`` holds the physics (``track.COLUMNS``), ``route`` the road, ``simulation.moments`` what happened when.
    """

    def __init__(self, scenario: Scenario, seed: int, route: Route, simulation: Simulation, track: Track) -> None:
        self.scenario, self.seed = scenario, seed
        self.route, self.simulation, self.track = route, simulation, track
        self.start_us = round(scenario.start.utc.timestamp() * 1e6)

    @property
    def duration_s(self) -> float:
        return self.track.columns["t"][-1]

    def heard_as(self, scenario: Scenario) -> Drive:
        """The same motion heard by another terminal: other senses, sensor range, mounting, errors; the rate stays."""
        if (
            scenario.imu.rate_hz != self.scenario.imu.rate_hz
            or scenario.imu.clock_error != self.scenario.imu.clock_error
        ):
            raise BugError("another rate is another drive")
        return Drive(scenario, self.seed, self.route, self.simulation, self.track)

    @property
    def imu_apart(self) -> bool:
        """The sensor is the terminal's own, not on the bus."""
        return "imu" in self.scenario.car.senses and self.scenario.imu.bus == "iio"

    @property
    def imu_on_bus(self) -> bool:
        return "imu" in self.scenario.car.senses and not self.imu_apart

    def engine_time_s(self, t: float) -> float:
        """Where ``t`` lies on the time line of a replay, which begins at 1 s with the first thing heard."""
        first = [frame.t_us for frame in islice(self.frames(), 1)] + [at for at, _ in islice(self.sentences(), 1)]
        if self.imu_apart:
            first += [self.start_us + round(sample.t * 1e6) for sample in islice(self.samples(), 1)]
        return (self.start_us - min(first, default=self.start_us)) / 1e6 + t + 1.0

    @property
    def on_bus(self) -> bool:
        """The terminal hears a bus."""
        senses = self.scenario.car.senses
        return "can" in senses or "obd" in senses or self.imu_on_bus

    def frames(self) -> Iterator[SimFrame]:
        """CAN frames in time order; none where the terminal hears no bus."""
        return self._bus().frames()

    def samples(self) -> Iterator[Sample]:
        """What the inertial sensor measured, before it is put on the bus (the same samples)."""
        return self._imu().samples(self.track, self.simulation.steps_per_sample)

    def sentences(self) -> Iterator[tuple[int, bytes]]:
        """NMEA sentences with the UTC microsecond at which their last byte arrives; none without a receiver."""
        if "gnss" not in self.scenario.car.senses:
            return
        spec = self.scenario.gnss
        rng = Random(f"{self.seed}:serial")
        receiver = Receiver(spec, self.scenario.start, Random(f"{self.seed}:gnss"))
        for solution in receiver.solutions(self.track):
            utc = self.scenario.start.utc + timedelta(microseconds=round(solution.t * 1e6))
            at = solution.t + spec.latency_ms / 1e3 * rng.uniform(0.85, 1.15)
            for line in nmea.epoch(solution, utc):
                at += len(line) * _CHARACTER_S
                yield self.start_us + round(at * 1e6), line

    def truth(self) -> Any:
        """The truth document (``truth.py``) as plain data."""
        return build_truth(self.scenario, self.seed, self.simulation, self.track, self._imu().matrix)

    def _imu(self) -> ImuSensor:
        return ImuSensor(self.scenario.imu, Random(f"{self.seed}:imu"), self.scenario.device)

    def _bus(self) -> Bus:
        samples = self.samples() if self.imu_on_bus else iter(())
        return Bus(self.scenario, self.track, self.simulation.moments, samples, self.seed)


def generate(scenario: Scenario, seed: int = 1, progress: Callable[[float], None] | None = None) -> Drive:
    """Drive the scenario. ``progress`` hears the share of the route driven.

    ScenarioError if what the scenario asks for never happens (the car cannot get to the place of the crash).
    """
    route = build_route(scenario)
    simulation = Simulation(scenario, route, seed)
    track = simulation.run(progress)
    moments = simulation.moments
    for name, wanted, happened in (
        ("crash", scenario.crash, moments.crash),
        ("rollover", scenario.rollover, moments.rollover),
        ("silence", scenario.silence, moments.silence),
    ):
        if wanted is not None and happened is None:
            raise ScenarioError(
                f"scenario {scenario.name!r}: the car never gets to the {name}; "
                f"it drove {track.columns['s'][-1]:.0f} m of {route.length_m:.0f} m in {track.columns['t'][-1]:.0f} s"
            )
    return Drive(scenario, seed, route, simulation, track)
