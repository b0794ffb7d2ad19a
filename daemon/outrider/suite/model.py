"""What a suite file says: frozen structs, validated once when it is loaded (``load_io``).

Times (``t_s``) are on the drive's own time line as ``outrider replay`` shows it: the first input is at 1 s. A field
that is not given is not compared. Units are part of the key.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from outrider.model.event import EventKind

Bus = Literal["replay", "unix", "vcan"]
Outcome = Literal["suspected", "confirmed", "withdrawn", "ended"]

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e7)]
Tolerance = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Size = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Speed = Annotated[int, msgspec.Meta(ge=1, le=100)]

SUFFIX: Final = ".suite.toml"
KINDS: Final = tuple(kind.name.lower() for kind in EventKind)
MANOEUVRES: Final = frozenset(kind.name.lower() for kind in EventKind if kind >= EventKind.HARSH_BRAKE)
MAX_DRIVES: Final = 10_000
MAX_EXPECTED: Final = 2_000


class Tolerances(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is still the same; an expectation may have its own."""

    time_s: Tolerance = 0.5
    delta_v_kmh: Tolerance = 2.0
    peak_g: Tolerance = 0.05
    duration_s: Tolerance = 0.5
    distance_km: Tolerance = 0.05


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What holds for the whole suite."""

    name: Name
    algorithm: Name | None = None
    bus: Bus = "replay"
    speed: Speed = 10
    interfaces: Annotated[tuple[Name, ...], msgspec.Meta(max_length=16)] = ("vcan0", "vcan1", "vcan2", "vcan3")
    profiles: tuple[Name, ...] = ("obd2",)
    dbc: tuple[Name, ...] = ()
    overlays: tuple[Name, ...] = ()
    tolerances: Tolerances = Tolerances()


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One event that must be found, once."""

    kind: str
    t_s: Seconds
    tolerance_s: Tolerance | None = None
    outcome: Outcome | None = None
    level: Annotated[int, msgspec.Meta(ge=0, le=4)] | None = None
    confidence_min: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    detect_within_s: Tolerance | None = None
    delta_v_kmh: Size | None = None
    delta_v_tolerance_kmh: Tolerance | None = None
    peak_g: Size | None = None
    peak_tolerance_g: Tolerance | None = None
    duration_s: Size | None = None
    duration_tolerance_s: Tolerance | None = None
    clock: Annotated[int, msgspec.Meta(ge=1, le=12)] | None = None


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What must hold for a drive as a whole."""

    distance_km: Size | None = None
    distance_tolerance_km: Tolerance | None = None
    trips: Count | None = None
    max_extra_events: Count = 0
    max_lost_frames: Count = 0


class Drive(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One drive: recordings, or a scenario of the simulator; what must be found in it."""

    name: Name
    files: tuple[Name, ...] = ()
    scenario: Name | None = None
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 1
    after_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.0
    profiles: tuple[Name, ...] | None = None
    dbc: tuple[Name, ...] | None = None
    overlays: tuple[Name, ...] | None = None
    expect: Annotated[tuple[Expect, ...], msgspec.Meta(max_length=MAX_EXPECTED)] = ()
    limits: Limits = Limits()


class Suite(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    suite: Header
    drive: Annotated[tuple[Drive, ...], msgspec.Meta(min_length=1, max_length=MAX_DRIVES)]
