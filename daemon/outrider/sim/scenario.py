"""A scenario: what the road, the driver, the car and its sensors are like, as a TOML document.

Owns the document's types and bounds and their errors (file, line, key, nearest known key). Rule: a scenario states
causes only (roads, pedals, pulses); what follows from them is computed. Documented in docs/reference/simulator.md.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from outrider.errors import ScenarioError

Side = Literal["left", "right", "both"]
Surface = Literal["smooth", "city", "worn"]
Sky = Literal["open", "city", "tunnel"]

Distance = Annotated[float, Meta(ge=0, le=200_000)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
SpeedKmh = Annotated[float, Meta(ge=0, le=250)]
AccelG = Annotated[float, Meta(gt=0, le=0.9)]
Angle = Annotated[float, Meta(ge=-360, le=360)]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the document: unknown keys are errors."""


class Start(_Table, frozen=True):
    """Where and when (UTC, WGS-84; heading clockwise from north)."""

    utc: datetime = datetime(2026, 3, 14, 8, 12, 30, tzinfo=UTC)
    lat_deg: Annotated[float, Meta(ge=-85, le=85)] = 48.137
    lon_deg: Annotated[float, Meta(ge=-180, le=180)] = 11.575
    alt_m: Annotated[float, Meta(ge=-400, le=6000)] = 520.0
    heading_deg: Annotated[float, Meta(ge=0, lt=360)] = 0.0


class Timeline(_Table, frozen=True):
    """Ignition and standing times around the drive, seconds from the start of the recording.

    Without ``ignition_on_s`` the car stays switched off. The engine starts 1.5 s after the ignition.
    ``off_after_s`` counts from the last standstill; without it the ignition stays on.
    """

    ignition_on_s: Seconds | None = None
    depart_s: Seconds = 10.0
    off_after_s: Seconds | None = None
    end_after_s: Seconds = 15.0


class Vehicle(_Table, frozen=True):
    """The car. ``tyre_scale``: what the wheels read over the true speed (worn tyres read high)."""

    mass_kg: Annotated[float, Meta(ge=600, le=4000)] = 1450.0
    tyre_scale: Annotated[float, Meta(ge=0.9, le=1.1)] = 1.004
    grip: Annotated[float, Meta(ge=0.2, le=1.1)] = 0.95
    odometer_km: Annotated[float, Meta(ge=0, le=4_000_000)] = 48_213.4
    fuel_l: Annotated[float, Meta(ge=0, le=120)] = 31.0
    tank_l: Annotated[float, Meta(gt=0, le=120)] = 50.0
    vin: Annotated[str, Meta(pattern="^[A-HJ-NPR-Z0-9]{17}$")] = "SXM0UTR1DER000001"


class Driver(_Table, frozen=True):
    """How the driver drives where a leg does not say otherwise (shares of standard gravity)."""

    accel_g: AccelG = 0.17
    brake_g: AccelG = 0.18
    corner_g: AccelG = 0.22
    wander: Annotated[float, Meta(ge=0, le=0.1)] = 0.015


class Mounting(_Table, frozen=True):
    """Rotation of the sensor in the car: yaw about z, then pitch about y, then roll about x (ISO 8855)."""

    yaw_deg: Angle = 0.0
    pitch_deg: Angle = 0.0
    roll_deg: Angle = 0.0


class Imu(_Table, frozen=True):
    """The inertial sensor. Densities per root hertz; biases are drawn with these standard deviations."""

    rate_hz: Annotated[float, Meta(ge=50, le=400)] = 100.0
    clock_error: Annotated[float, Meta(ge=-0.02, le=0.02)] = 0.004
    range_g: Annotated[float, Meta(ge=2, le=400)] = 16.0
    range_dps: Annotated[float, Meta(ge=125, le=4000)] = 2000.0
    noise_ug: Annotated[float, Meta(ge=0, le=10_000)] = 160.0
    noise_dps: Annotated[float, Meta(ge=0, le=1)] = 0.008
    bias_mg: Annotated[float, Meta(ge=0, le=200)] = 15.0
    bias_dps: Annotated[float, Meta(ge=0, le=10)] = 0.35
    invalid_per_hour: Annotated[float, Meta(ge=0, le=100_000)] = 20.0
    mounting: Mounting = Mounting()


class Gnss(_Table, frozen=True):
    """The receiver. ``sigma_m``: slowly wandering error under open sky, each horizontal axis."""

    rate_hz: Literal[1, 5] = 1
    first_fix_s: Seconds = 5.0
    reacquire_s: Seconds = 3.5
    sigma_m: Annotated[float, Meta(ge=0, le=50)] = 1.3
    latency_ms: Annotated[float, Meta(ge=0, le=900)] = 130.0


class Can(_Table, frozen=True):
    """The bus. ``jitter_ms``: standard deviation of a unit's send time; ``obd``: a scan tool asks for values."""

    jitter_ms: Annotated[float, Meta(ge=0, le=5)] = 0.25
    obd: bool = True
    sleep_after_s: Seconds = 6.0


class Pothole(_Table, frozen=True):
    at_m: Distance
    depth_mm: Annotated[float, Meta(gt=0, le=200)] = 55.0
    length_m: Annotated[float, Meta(ge=0.2, le=5)] = 0.8
    side: Side = "right"


class Bump(_Table, frozen=True):
    at_m: Distance
    height_mm: Annotated[float, Meta(gt=0, le=200)] = 70.0
    length_m: Annotated[float, Meta(ge=0.3, le=10)] = 3.6


class Kerb(_Table, frozen=True):
    """Two wheels go up a step and come down again ``over_m`` later."""

    at_m: Distance
    height_mm: Annotated[float, Meta(gt=0, le=200)] = 70.0
    over_m: Annotated[float, Meta(ge=0.5, le=50)] = 3.0
    side: Side = "right"


class LaneChange(_Table, frozen=True):
    """Sideways by ``offset_m`` (+ left) over ``length_m`` of road."""

    at_m: Distance
    length_m: Annotated[float, Meta(ge=5, le=500)] = 60.0
    offset_m: Annotated[float, Meta(ge=-12, le=12)] = 3.3


class Braking(_Table, frozen=True):
    """The driver brakes so as to pass ``at_m`` with ``to_kmh``, then drives on."""

    at_m: Distance
    to_kmh: SpeedKmh
    brake_g: AccelG = 0.4


class Leg(_Table, frozen=True):
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
    brake_g: AccelG | None = None
    corner_g: AccelG | None = None
    pothole: tuple[Pothole, ...] = ()
    bump: tuple[Bump, ...] = ()
    kerb: tuple[Kerb, ...] = ()
    lane_change: tuple[LaneChange, ...] = ()
    braking: tuple[Braking, ...] = ()


class Crash(_Table, frozen=True):
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


class Silence(_Table, frozen=True):
    """From here on nothing is heard any more: no CAN frame, no NMEA sentence."""

    leg: Annotated[int, Meta(ge=1)] | None = None
    at_m: Distance = 0.0
    at_s: Seconds | None = None


class Scenario(_Table, frozen=True):
    """The whole document."""

    name: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]*$")]
    title: str
    start: Start = Start()
    timeline: Timeline = Timeline()
    vehicle: Vehicle = Vehicle()
    driver: Driver = Driver()
    imu: Imu = Imu()
    gnss: Gnss = Gnss()
    can: Can = Can()
    leg: tuple[Leg, ...] = ()
    crash: Crash | None = None
    silence: Silence | None = None


def parse_scenario(text: str, where: object = None) -> Scenario:
    """The scenario in ``text``; ScenarioError (with line and nearest key) if it is not one. ``where`` names it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        found = re.search(r"\(at line (\d+)", str(err))
        raise ScenarioError(f"not valid TOML: {err}", path=where, line=int(found.group(1)) if found else None) from None
    except (RecursionError, ValueError):
        raise ScenarioError("not valid TOML: nested too deeply or a number is too long", path=where) from None
    _check_keys(document, Scenario, (), text, where)
    try:
        scenario = msgspec.convert(document, Scenario)
    except msgspec.ValidationError as err:
        path = _path_of(str(err))
        message = str(err).split(" - at ")[0].replace("`", "'")
        key = ".".join(str(part + 1) if isinstance(part, int) else part for part in path)
        what = f"{key}: {message}" if key else message
        raise ScenarioError(what, path=where, line=_line_of(text, path)) from None
    _check_sense(scenario, text, where)
    return scenario


def _check_sense(scenario: Scenario, text: str, where: object) -> None:
    """What types cannot say."""

    def fail(message: str, *path: str | int) -> None:
        raise ScenarioError(message, path=where, line=_line_of(text, path))

    if scenario.start.utc.tzinfo is None:
        fail("start.utc: give the time zone, e.g. 2026-03-14T08:12:30Z", "start", "utc")
    if scenario.leg and scenario.timeline.ignition_on_s is None:
        fail("timeline: a car that drives needs ignition_on_s", "timeline")
    for i, leg in enumerate(scenario.leg):
        straight, curve = leg.length_m is not None, leg.radius_m is not None
        if straight == curve:
            fail(f"leg {i + 1}: give either length_m (straight) or turn_deg and radius_m (curve)", "leg", i)
        if curve and abs(leg.turn_deg) < 1:
            fail(f"leg {i + 1}: radius_m needs a turn_deg of at least 1 degree", "leg", i, "radius_m")
        if straight and leg.turn_deg:
            fail(f"leg {i + 1}: turn_deg needs radius_m instead of length_m", "leg", i, "turn_deg")
    for name, place in (("crash", scenario.crash), ("silence", scenario.silence)):
        if place is None:
            continue
        if (place.leg is None) == (place.at_s is None):
            fail(f"{name}: say where (leg and at_m) or when (at_s), one of them", name)
        if place.leg is not None and place.leg > len(scenario.leg):
            fail(f"{name}.leg: there are {len(scenario.leg)} legs", name, "leg")


# ---- errors that name the place -------------------------------------------------------------------


def _check_keys(value: Any, kind: Any, path: tuple[str | int, ...], text: str, where: object) -> None:
    """Unknown keys, anywhere in the document: named with the nearest known one."""
    table = _table_type(kind)
    if isinstance(value, list) and table is not None:
        for i, item in enumerate(value):
            _check_keys(item, kind, (*path, i), text, where)
        return
    if not isinstance(value, dict) or table is None:
        return
    hints = get_type_hints(table, include_extras=True)
    for key, item in value.items():
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(hints))}"
            raise ScenarioError(f"unknown key {key!r}; {hint}", path=where, line=_line_of(text, (*path, key)))
        _check_keys(item, hints[key], (*path, key), text, where)


def _table_type(kind: Any) -> type[_Table] | None:
    """The table class within ``X``, ``X | None`` or ``tuple[X, ...]``."""
    if isinstance(kind, type) and issubclass(kind, _Table):
        return kind
    if get_origin(kind) is None:
        return None
    for part in get_args(kind):
        found = _table_type(part)
        if found is not None:
            return found
    return None


def _path_of(message: str) -> tuple[str | int, ...]:
    """msgspec's ``$.leg[2].speed_kmh`` as a tuple."""
    found = re.search(r"`\$([^`]*)`", message)
    parts = re.findall(r"\.([A-Za-z_]\w*)|\[(\d+)\]", found.group(1)) if found else []
    return tuple(name or int(index) for name, index in parts)


def _line_of(text: str, path: tuple[str | int, ...]) -> int | None:
    """The 1-based line where ``path`` is set, as far as the plain layout of tables and keys tells."""
    counts: dict[str, int] = {}
    table: tuple[str | int, ...] = ()
    best: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*(\[\[?)\s*([\w.\-]+)\s*\]", line)
        if header:
            names = header.group(2).split(".")
            if header.group(1) == "[[":
                counts[header.group(2)] = counts.get(header.group(2), -1) + 1
                for inner in [name for name in counts if name.startswith(header.group(2) + ".")]:
                    del counts[inner]
            table = _indexed(names, counts)
            if table == path[: len(table)] and len(table):
                best = number
            continue
        key = re.match(r"\s*([\w\-]+)\s*=", line)
        if key and (*table, key.group(1)) == path[: len(table) + 1]:
            return number
    return best


def _indexed(names: list[str], counts: dict[str, int]) -> tuple[str | int, ...]:
    path: list[str | int] = []
    for depth, name in enumerate(names):
        path.append(name)
        index = counts.get(".".join(names[: depth + 1]))
        if index is not None:
            path.append(index)
    return tuple(path)
