"""The tables of a scenario: their keys, defaults and bounds. Documented in docs/reference/simulator.md.

Rule: a table states causes only (roads, pedals, pulses, hands); what follows from them is computed. The exception is
``Expect``: what a terminal that heard the drive must say, judged by ``judge.py``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Side = Literal["left", "right", "both"]
Surface = Literal["smooth", "city", "worn"]
Sky = Literal["open", "city", "tunnel"]
Sense = Literal["can", "obd", "gnss", "imu"]
Grip = Annotated[float, Meta(ge=0.05, le=1.1)]

Distance = Annotated[float, Meta(ge=0, le=200_000)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
SpeedKmh = Annotated[float, Meta(ge=0, le=250)]
AccelG = Annotated[float, Meta(gt=0, le=0.9)]
BrakeG = Annotated[float, Meta(gt=0, le=1.2)]
Angle = Annotated[float, Meta(ge=-360, le=360)]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the document: unknown keys are errors."""


class Start(Table, frozen=True):
    """Where and when (UTC, WGS-84; heading clockwise from north). With ``speed_kmh`` the car is already on its way."""

    utc: datetime = datetime(2026, 3, 14, 8, 12, 30, tzinfo=UTC)
    lat_deg: Annotated[float, Meta(ge=-85, le=85)] = 48.137
    lon_deg: Annotated[float, Meta(ge=-180, le=180)] = 11.575
    alt_m: Annotated[float, Meta(ge=-400, le=6000)] = 520.0
    heading_deg: Annotated[float, Meta(ge=0, lt=360)] = 0.0
    speed_kmh: SpeedKmh = 0.0


class Timeline(Table, frozen=True):
    """Ignition and standing times around the drive, seconds from the start of the recording.

    Without ``ignition_on_s`` the car stays switched off. The engine starts 1.5 s after the ignition.
    ``off_after_s`` counts from the last standstill; without it the ignition stays on.
    """

    ignition_on_s: Seconds | None = None
    depart_s: Seconds = 10.0
    off_after_s: Seconds | None = None
    end_after_s: Seconds = 15.0


class Vehicle(Table, frozen=True):
    """The car. ``tyre_scale``: what the wheels read over the true speed (worn tyres read high).

    ``speed_from``: the broadcast speed is that of the wheels that roll, or that of the gearbox and so of the driven
    ones.
    """

    mass_kg: Annotated[float, Meta(ge=600, le=4000)] = 1450.0
    tyre_scale: Annotated[float, Meta(ge=0.9, le=1.1)] = 1.004
    grip: Grip = 0.95
    speed_from: Literal["wheels", "gearbox"] = "wheels"
    odometer_km: Annotated[float, Meta(ge=0, le=4_000_000)] = 48_213.4
    fuel_l: Annotated[float, Meta(ge=0, le=120)] = 31.0
    tank_l: Annotated[float, Meta(gt=0, le=120)] = 50.0
    vin: Annotated[str, Meta(pattern="^[A-HJ-NPR-Z0-9]{17}$")] = "SXM0UTR1DER000001"


class Driver(Table, frozen=True):
    """How the driver drives where a leg does not say otherwise (shares of standard gravity)."""

    accel_g: AccelG = 0.17
    brake_g: AccelG = 0.18
    corner_g: AccelG = 0.22
    wander: Annotated[float, Meta(ge=0, le=0.1)] = 0.015


class Mounting(Table, frozen=True):
    """Rotation of the sensor in the car: yaw about z, then pitch about y, then roll about x (ISO 8855)."""

    yaw_deg: Angle = 0.0
    pitch_deg: Angle = 0.0
    roll_deg: Angle = 0.0


class Imu(Table, frozen=True):
    """The inertial sensor. Densities per root hertz; biases are drawn with these standard deviations.

    ``bus``: its samples are CAN frames, or the terminal reads a sensor of its own (Linux IIO) and they are ``imu.csv``.
    """

    rate_hz: Annotated[float, Meta(ge=25, le=1600)] = 100.0
    bus: Literal["can", "iio"] = "can"
    clock_error: Annotated[float, Meta(ge=-0.02, le=0.02)] = 0.004
    range_g: Annotated[float, Meta(ge=2, le=400)] = 16.0
    range_dps: Annotated[float, Meta(ge=125, le=4000)] = 2000.0
    noise_ug: Annotated[float, Meta(ge=0, le=10_000)] = 160.0
    noise_dps: Annotated[float, Meta(ge=0, le=1)] = 0.008
    bias_mg: Annotated[float, Meta(ge=0, le=200)] = 15.0
    bias_dps: Annotated[float, Meta(ge=0, le=10)] = 0.35
    invalid_per_hour: Annotated[float, Meta(ge=0, le=100_000)] = 20.0
    mounting: Mounting = Mounting()


class Gnss(Table, frozen=True):
    """The receiver. ``sigma_m``: slowly wandering error under open sky, each horizontal axis."""

    rate_hz: Literal[1, 5] = 1
    first_fix_s: Seconds = 5.0
    reacquire_s: Seconds = 3.5
    sigma_m: Annotated[float, Meta(ge=0, le=50)] = 1.3
    latency_ms: Annotated[float, Meta(ge=0, le=900)] = 130.0


class Can(Table, frozen=True):
    """The bus. ``jitter_ms``: standard deviation of a unit's send time; ``obd``: a scan tool asks for values."""

    jitter_ms: Annotated[float, Meta(ge=0, le=5)] = 0.25
    obd: bool = True
    sleep_after_s: Seconds = 6.0


class Pothole(Table, frozen=True):
    at_m: Distance
    depth_mm: Annotated[float, Meta(gt=0, le=200)] = 55.0
    length_m: Annotated[float, Meta(ge=0.2, le=5)] = 0.8
    side: Side = "right"


class Bump(Table, frozen=True):
    at_m: Distance
    height_mm: Annotated[float, Meta(gt=0, le=200)] = 70.0
    length_m: Annotated[float, Meta(ge=0.3, le=10)] = 3.6


class Kerb(Table, frozen=True):
    """Two wheels go up a step and come down again ``over_m`` later.

    ``angle_deg``: between the way of the car and the edge. At 90 only the wheels of ``side`` meet it; below, the others
    follow where the edge crosses their way, and the edge pushes the car aside.
    """

    at_m: Distance
    height_mm: Annotated[float, Meta(gt=0, le=200)] = 70.0
    over_m: Annotated[float, Meta(ge=0.5, le=50)] = 3.0
    side: Side = "right"
    angle_deg: Annotated[float, Meta(ge=15, le=90)] = 90.0


class LaneChange(Table, frozen=True):
    """Sideways by ``offset_m`` (+ left) over ``length_m`` of road."""

    at_m: Distance
    length_m: Annotated[float, Meta(ge=5, le=500)] = 60.0
    offset_m: Annotated[float, Meta(ge=-12, le=12)] = 3.3


class Braking(Table, frozen=True):
    """The driver brakes so as to pass ``at_m`` with ``to_kmh``, then drives on."""

    at_m: Distance
    to_kmh: SpeedKmh
    brake_g: BrakeG = 0.4


class Leg(Table, frozen=True):
    """A stretch of road: straight (``length_m``) or a curve (``turn_deg``, + left, and ``radius_m``)."""

    speed_kmh: Annotated[float, Meta(gt=0, le=250)]
    length_m: Annotated[float, Meta(gt=0, le=200_000)] | None = None
    turn_deg: Angle = 0.0
    radius_m: Annotated[float, Meta(ge=4, le=20_000)] | None = None
    grade_percent: Annotated[float, Meta(ge=-25, le=25)] = 0.0
    surface: Surface = "city"
    sky: Sky = "open"
    stop_s: Seconds | None = None
    accel_g: AccelG | None = None
    brake_g: BrakeG | None = None
    corner_g: AccelG | None = None
    grip: Grip | None = None
    pothole: tuple[Pothole, ...] = ()
    bump: tuple[Bump, ...] = ()
    kerb: tuple[Kerb, ...] = ()
    lane_change: tuple[LaneChange, ...] = ()
    braking: tuple[Braking, ...] = ()


class Again(Table, frozen=True):
    """Another impact, ``after_s`` after the first contact; directions in the axes the car has then."""

    after_s: Annotated[float, Meta(gt=0, le=60)]
    delta_v_kmh: Annotated[float, Meta(gt=0, le=150)]
    pdof_deg: Annotated[float, Meta(ge=-180, le=180)] = 0.0
    duration_ms: Annotated[float, Meta(ge=30, le=300)] = 100.0
    shape: Literal["haversine", "bimodal", "stiff"] = "haversine"
    rebound: Annotated[float, Meta(ge=0, le=0.3)] = 0.03
    yaw_dps: Annotated[float, Meta(ge=-720, le=720)] = 0.0


class Crash(Table, frozen=True):
    """An impact at a place (``leg``, counted from 1, and ``at_m``) or a time (``at_s``).

    ``pdof_deg``: where the force comes from, 0 = front, +90 = left, 180 = rear. ``delta_v_kmh``: the largest change of
    velocity. ``speed_kmh``: the speed the driver still has there after late braking. ``airbag_ms``: after contact.
    """

    delta_v_kmh: Annotated[float, Meta(gt=0, le=150)]
    leg: Annotated[int, Meta(ge=1)] | None = None
    at_m: Distance = 0.0
    at_s: Seconds | None = None
    speed_kmh: SpeedKmh | None = None
    pdof_deg: Annotated[float, Meta(ge=-180, le=180)] = 0.0
    duration_ms: Annotated[float, Meta(ge=30, le=300)] = 100.0
    shape: Literal["haversine", "bimodal", "stiff"] = "bimodal"
    rebound: Annotated[float, Meta(ge=0, le=0.3)] = 0.03
    yaw_dps: Annotated[float, Meta(ge=-720, le=720)] = 0.0
    slide_g: AccelG = 0.55
    airbag_ms: Annotated[float, Meta(ge=5, le=100)] | None = None
    hazard_s: Seconds | None = 1.0
    engine_stops: bool = True
    again: tuple[Again, ...] = ()


class Rollover(Table, frozen=True):
    """The car breaks away at a place or a time, turns ``yaw_deg`` within ``slide_s``, and its wheels dig in.

    ``slide_g``: friction of the sliding tyres; ``trip_g``: of wheels in soft ground or at a kerb; ``scrape_g``: of
    sheet metal. From there on a rigid body on springs at its corners does what it must.
    """

    leg: Annotated[int, Meta(ge=1)] | None = None
    at_m: Distance = 0.0
    at_s: Seconds | None = None
    yaw_deg: Annotated[float, Meta(ge=-120, le=120)] = 80.0
    slide_s: Annotated[float, Meta(ge=0.2, le=5)] = 1.0
    slide_g: AccelG = 0.6
    trip_g: Annotated[float, Meta(gt=0, le=4)] = 2.2
    scrape_g: AccelG = 0.45
    engine_stops: bool = True


class Silence(Table, frozen=True):
    """From here on nothing is heard any more: no CAN frame, no NMEA sentence, no sample.

    At a place, at a time, or ``after_crash_ms`` after the first contact.
    """

    leg: Annotated[int, Meta(ge=1)] | None = None
    at_m: Distance = 0.0
    at_s: Seconds | None = None
    after_crash_ms: Annotated[float, Meta(ge=0, le=60_000)] | None = None


class Door(Table, frozen=True):
    """A door of the standing car falls shut at ``speed_mps`` (its outer edge)."""

    at_s: Seconds
    side: Literal["left", "right"] = "left"
    speed_mps: Annotated[float, Meta(gt=0, le=6)] = 2.2


class Lift(Table, frozen=True):
    """The standing car is tilted by these angles within ``over_s``, as by a jack; 0 lets it down again."""

    at_s: Seconds
    roll_deg: Annotated[float, Meta(ge=-25, le=25)] = 0.0
    pitch_deg: Annotated[float, Meta(ge=-25, le=25)] = 0.0
    over_s: Annotated[float, Meta(ge=1, le=600)] = 25.0


class Tow(Table, frozen=True):
    """The legs are driven by a tow truck, ignition off: front axle up by ``lift_deg`` within ``lift_s``, then away."""

    at_s: Seconds
    lift_deg: Annotated[float, Meta(ge=0, le=25)] = 11.0
    lift_s: Annotated[float, Meta(ge=2, le=120)] = 15.0


class Device(Table, frozen=True):
    """The terminal comes off its holder, falls ``drop_m``, and lies as ``lies`` says.

    At ``remount_s`` a hand takes it up and within ``hand_s`` fixes it as ``back`` says; without that it stays there.
    """

    at_s: Seconds
    drop_m: Annotated[float, Meta(ge=0.05, le=2)] = 0.6
    lies: Mounting = Mounting(roll_deg=80.0, yaw_deg=40.0)
    remount_s: Seconds | None = None
    hand_s: Annotated[float, Meta(ge=1, le=60)] = 6.0
    back: Mounting = Mounting()


class Car(Table, frozen=True):
    """What of the car the terminal can hear: broadcast messages, answers to a scan tool, satellites, a sensor."""

    senses: tuple[Sense, ...] = ("can", "obd", "gnss", "imu")


class Word(Table, frozen=True):
    """One event that must be told. ``kind`` and ``outcome``: any of these; ``optional``: or not told at all.

    ``impact``: the impact of the truth (from 1) that it is about: its time, its delta-V within ``delta_v`` of it (a
    share; where the sensor ends before the pulse does, the number is a lower bound and must say so) and, where the
    mounting is known, its clock direction.
    """

    kind: tuple[str, ...]
    outcome: tuple[Literal["suspected", "confirmed", "withdrawn", "ended"], ...] = ()
    level: tuple[int, int] | None = None
    optional: bool = False
    impact: Annotated[int, Meta(ge=1, le=9)] | None = None
    delta_v: Annotated[float, Meta(gt=0, le=1)] = 0.12


class Expect(Table, frozen=True):
    """What a terminal must say, by the best sense it has: a sensor, broadcast messages, scan tool, satellites.

    ``imu_alone``: a sensor without a bus, where that makes a difference. ``from_range_g``: the least range that feels
    the pulse.

    ``may``: kinds that are right or beside the point, told or not. Anything else told is an error.
    """

    imu: tuple[Word, ...] | None = None
    imu_alone: tuple[Word, ...] | None = None
    can: tuple[Word, ...] | None = None
    obd: tuple[Word, ...] | None = None
    gnss: tuple[Word, ...] | None = None
    may: tuple[str, ...] = ()
    after_s: Seconds = 0.0
    from_range_g: Annotated[float, Meta(ge=0, le=400)] = 0.0
