"""A simulated drive of a quarter of a minute that ends in a frontal crash, and when its detector speaks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from outrider.engine import Engine, EngineOptions
from outrider.model.event import Event, Phase
from outrider.model.frame import EFF, FD, FrameBatch
from outrider.profile.load_io import LoadedProfile, load_profile
from outrider.sim.can import SimFrame
from outrider.sim.drive import PROFILE, generate
from outrider.sim.scenario import parse_scenario

SCENARIO = """
name = "quick"
title = "Into the back of a lorry, ten seconds after the start"
[timeline]
ignition_on_s = 0.2
depart_s = 1.5
end_after_s = 2.0
[imu.mounting]
yaw_deg = 0.0
[crash]
leg = 1
at_m = 60
speed_kmh = 50
delta_v_kmh = 40
duration_ms = 110
[[leg]]
length_m = 400
speed_kmh = 60
"""


@dataclass(frozen=True)
class CrashDrive:
    """frames: of one bus, times in microseconds since the first. trigger_us: time of the sample that told the crash."""

    frames: tuple[tuple[int, SimFrame], ...]
    trigger_us: int

    @property
    def duration_us(self) -> int:
        return self.frames[-1][0]

    def batch(self, start_us: int, stop_us: int, at_us: int, bus: int = 0) -> FrameBatch:
        """The frames of start_us <= time < stop_us, moved so that the drive's beginning lies at ``at_us``."""
        batch = FrameBatch()
        for t_us, frame in self.frames:
            if start_us <= t_us < stop_us:
                flags = (EFF if frame.extended else 0) | (FD if frame.fd else 0)
                batch.append(at_us + t_us, frame.frame_id, frame.data, flags, bus)
        return batch


@cache
def profile() -> LoadedProfile:
    return load_profile([PROFILE])


def options(**more: int) -> EngineOptions:
    return EngineOptions(imu_range_g=profile().imu_range_g, recorder_bytes=1 << 20, **more)


@cache
def crash_drive(seed: int = 1) -> CrashDrive:
    """Simulated once, and run through an engine once to learn which sample triggers."""
    found = list(generate(parse_scenario(SCENARIO, Path("quick.toml")), seed).frames())
    frames = tuple((f.t_us - found[0].t_us, f) for f in found)
    drive = CrashDrive(frames, 0)
    with Engine(profile().tables, options()) as engine:
        engine.offer_frames(drive.batch(0, 1 << 60, 1_000_000))
        engine.run(1 << 50)
        events = [o for o in engine.take() if isinstance(o, Event) and o.kind.is_crash]
    assert events, "the detector does not find the crash"
    assert events[0].phase is Phase.SUSPECT
    return CrashDrive(frames, events[0].t_detect_us - 1_000_000)
