"""One simulated drive: the scenario computed once, then told as CAN frames, NMEA sentences and truth.

Deterministic: the same scenario, seed and version give the same bytes on the same machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from random import Random
from typing import Any, Final

from outrider.errors import ScenarioError
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

    def frames(self) -> Iterator[SimFrame]:
        """CAN frames in time order."""
        return self._bus().frames()

    def samples(self) -> Iterator[Sample]:
        """What the inertial sensor measured, before it is put on the bus (the same samples)."""
        return self._imu().samples(self.track, self.simulation.steps_per_sample)

    def sentences(self) -> Iterator[tuple[int, bytes]]:
        """NMEA sentences with the UTC microsecond at which their last byte arrives."""
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
        return ImuSensor(self.scenario.imu, Random(f"{self.seed}:imu"))

    def _bus(self) -> Bus:
        return Bus(self.scenario, self.track, self.simulation.moments, self.samples(), self.seed)


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
        ("silence", scenario.silence, moments.silence),
    ):
        if wanted is not None and happened is None:
            raise ScenarioError(
                f"scenario {scenario.name!r}: the car never gets to the {name}; "
                f"it drove {track.columns['s'][-1]:.0f} m of {route.length_m:.0f} m in {track.columns['t'][-1]:.0f} s"
            )
    return Drive(scenario, seed, route, simulation, track)
