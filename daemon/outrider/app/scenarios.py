"""Every scenario as every kind of car: replayed in this process and judged.

Owns the variants (ranges, rates, mountings, senses) and their way through the product's own readers and pipeline. What
was right is the simulator's to say (``sim/judge.py``).
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from outrider import __version__
from outrider.app.delivery import NullSink
from outrider.app.intake import Intake
from outrider.app.pipeline import Output, Pipeline
from outrider.app.replay import Pacer, replay_items
from outrider.clock import SystemClock
from outrider.engine import ALGORITHM, EngineOptions, Mount
from outrider.model.event import Event
from outrider.model.record import BootInfo
from outrider.model.vehicle import VehicleTables
from outrider.profile.load_io import LoadedProfile, load_profile
from outrider.sim.drive import PROFILE, Drive, generate
from outrider.sim.judge import Measured, judge
from outrider.sim.mounting import mounting_matrix
from outrider.sim.scenario import Scenario
from outrider.sim.tables import Car, Mounting, Sense
from outrider.sim.write_io import write_drive
from outrider.sources.merge import merge
from outrider.sources.open_io import open_recordings

OBD_PROFILE: Final = "obd2"
_KNOWN_RHO: Final = 0.9
_KNOWN_AGE_S: Final = 1800.0


@dataclass(frozen=True, slots=True)
class Variant:
    """What differs from the scenario as it is written.

    ``mount_known``: the terminal knows its mounting from before. ``usual``: not much like another one.
    """

    name: str
    senses: tuple[Sense, ...] | None = None
    rate_hz: float | None = None
    range_g: float | None = None
    own_sensor: bool = False
    mounting: Mounting | None = None
    mount_known: bool = False
    usual: bool = True

    def of(self, scenario: Scenario) -> Scenario:
        imu = scenario.imu
        imu = msgspec.structs.replace(
            imu,
            rate_hz=self.rate_hz or imu.rate_hz,
            range_g=self.range_g or imu.range_g,
            mounting=self.mounting or imu.mounting,
            bus="iio" if self.own_sensor else imu.bus,
        )
        car = scenario.car if self.senses is None else Car(senses=self.senses)
        return msgspec.structs.replace(scenario, imu=imu, car=car)


VARIANTS: Final = (
    Variant("as written"),
    Variant("mounting known", mount_known=True),
    *(Variant(f"range {range_g} g", range_g=range_g) for range_g in (2, 8, 200)),
    *(
        Variant(f"{rate} Hz", rate_hz=rate, range_g=200, usual=rate in (25, 400, 1600))
        for rate in (25, 50, 200, 400, 800, 1600)
    ),
    Variant("upright, turned by 127 deg", mounting=Mounting(yaw_deg=127.0), mount_known=True, usual=False),
    Variant("on its side", mounting=Mounting(yaw_deg=-60.0, roll_deg=90.0), mount_known=True),
    Variant("upside down", mounting=Mounting(yaw_deg=10.0, pitch_deg=155.0, roll_deg=20.0), mount_known=True),
    Variant("sensor of its own", own_sensor=True),
    Variant("sensor and satellites", own_sensor=True, senses=("imu", "gnss")),
    Variant("CAN only", senses=("can",)),
    Variant("CAN and satellites", senses=("can", "gnss"), usual=False),
    Variant("OBD only", senses=("obd",)),
    Variant("OBD and satellites", senses=("obd", "gnss"), usual=False),
    Variant("GNSS only", senses=("gnss",)),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One scenario as one kind of car. ``wrong``: sentences, none when the verdict is the expected one."""

    scenario: str
    variant: str
    told: tuple[str, ...]
    wrong: tuple[str, ...]
    measured: tuple[Measured, ...]


class Stage:
    """Plays scenarios; keeps each motion once for all that only hear it otherwise."""

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        self._profiles: dict[str, LoadedProfile] = {}
        self._drives: dict[tuple[str, float], Drive] = {}

    def play(self, scenario: Scenario, variant: Variant) -> Outcome:
        """Through files, readers and pipeline; then judged."""
        heard = self.drive(variant.of(scenario))
        events = self.events(heard, mount_known=variant.mount_known)
        verdict = judge(heard, events, mount_known=variant.mount_known)
        words = tuple(item.words for item in verdict.told)
        return Outcome(scenario.name, variant.name, words, verdict.wrong, verdict.measured)

    def drive(self, scenario: Scenario) -> Drive:
        key = (scenario.name, scenario.imu.rate_hz)
        if key not in self._drives:
            self._drives = {kept: drive for kept, drive in self._drives.items() if kept[0] == scenario.name}
            self._drives[key] = generate(scenario, self._seed)
        return self._drives[key].heard_as(scenario)

    def events(self, drive: Drive, *, mount_known: bool = False) -> list[Event]:
        """What the terminal says of it."""
        after_s = drive.scenario.expect.after_s if drive.scenario.expect is not None else 0.0
        with tempfile.TemporaryDirectory(prefix="outrider-scenario-") as folder:
            files = write_drive(drive, Path(folder)).recordings
            return self._replay(files, drive, after_s, mount_known) if files else []

    def _tables(self, drive: Drive) -> VehicleTables:
        """Of the profile one would choose for such a car."""
        name = PROFILE if "can" in drive.scenario.car.senses or drive.imu_on_bus else OBD_PROFILE
        if name not in self._profiles:
            self._profiles[name] = load_profile((name,))
        return self._profiles[name].tables

    def _replay(self, files: Sequence[Path], drive: Drive, after_s: float, mount_known: bool) -> list[Event]:
        tables = self._tables(drive)
        events: list[Event] = []

        def note(output: Output) -> None:
            if isinstance(output, Event):
                events.append(output)

        imu = drive.scenario.imu
        options = EngineOptions(imu_range_g=imu.range_g)
        intake = Intake(NullSink(), random.SystemRandom().getrandbits(32))
        boot = BootInfo(__version__, ALGORITHM, tables.profile_id, "scenario")
        with Pipeline(tables, intake, boot, options, on_output=note) as pipeline:
            if mount_known:
                pipeline.engine.set_mount(known_mount(imu.mounting))
            items = merge(open_recordings(list(files)))
            replay_items(pipeline, items, Pacer(SystemClock(), None), after_us=round(after_s * 1e6))
        return events


def known_mount(mounting: Mounting) -> Mount:
    """As the terminal keeps it of a drive before."""
    (fx, _, ux), (fy, _, uy), (fz, _, uz) = mounting_matrix(mounting)
    return Mount(up=(ux, uy, uz), forward=(fx, fy, fz), rho=_KNOWN_RHO, age_s=_KNOWN_AGE_S)


def play_all(
    scenarios: Sequence[Scenario],
    variants: Sequence[Variant] = VARIANTS,
    seed: int = 1,
) -> Iterator[Outcome]:
    """Each scenario that says what is expected of it, as each variant."""
    stage = Stage(seed)
    for scenario in scenarios:
        if scenario.expect is None:
            continue
        for variant in sorted(variants, key=lambda v: v.rate_hz or 0.0):
            yield stage.play(scenario, variant)
