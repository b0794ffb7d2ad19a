"""A scenario: what the road, the driver, the car and its sensors are like, as a TOML document.

Owns reading the document and what its types (``tables.py``) cannot say. Errors name file, line, key and nearest known
key (``scenario_errors.py``).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from outrider.errors import ScenarioError
from outrider.model.event import EventKind
from outrider.sim import tables as t
from outrider.sim.scenario_errors import check_keys, line_of, path_of

Fail = Callable[..., None]


class Scenario(t.Table, frozen=True):
    """The whole document."""

    name: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]*$")]
    title: str
    start: t.Start = t.Start()
    timeline: t.Timeline = t.Timeline()
    vehicle: t.Vehicle = t.Vehicle()
    driver: t.Driver = t.Driver()
    imu: t.Imu = t.Imu()
    gnss: t.Gnss = t.Gnss()
    can: t.Can = t.Can()
    car: t.Car = t.Car()
    leg: tuple[t.Leg, ...] = ()
    crash: t.Crash | None = None
    rollover: t.Rollover | None = None
    silence: t.Silence | None = None
    door: tuple[t.Door, ...] = ()
    lift: tuple[t.Lift, ...] = ()
    tow: t.Tow | None = None
    device: t.Device | None = None
    expect: t.Expect | None = None

    @property
    def driving(self) -> bool:
        """The recording begins in a car that is on its way."""
        return self.start.speed_kmh > 0.0

    @property
    def ignition_on_s(self) -> float | None:
        """When the ignition goes on; a car on its way has it on."""
        return 0.0 if self.driving else self.timeline.ignition_on_s


def parse_scenario(text: str, where: object = None) -> Scenario:
    """The scenario in ``text``; ScenarioError (with line and nearest key) if it is not one. ``where`` names it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        found = re.search(r"\(at line (\d+)", str(err))
        raise ScenarioError(f"not valid TOML: {err}", path=where, line=int(found.group(1)) if found else None) from None
    except (RecursionError, ValueError):
        raise ScenarioError("not valid TOML: nested too deeply or a number is too long", path=where) from None
    check_keys(document, Scenario, (), text, where)
    try:
        scenario = msgspec.convert(document, Scenario)
    except msgspec.ValidationError as err:
        path = path_of(str(err))
        message = str(err).split(" - at ")[0].replace("`", "'")
        key = ".".join(str(part + 1) if isinstance(part, int) else part for part in path)
        what = f"{key}: {message}" if key else message
        raise ScenarioError(what, path=where, line=line_of(text, path)) from None

    def fail(message: str, *path: str | int) -> None:
        raise ScenarioError(message, path=where, line=line_of(text, path))

    _check_drive(scenario, fail)
    _check_legs(scenario, fail)
    _check_places(scenario, fail)
    _check_expectations(scenario, fail)
    return scenario


def _check_drive(scenario: Scenario, fail: Fail) -> None:
    """What types cannot say of time line and car."""
    if scenario.start.utc.tzinfo is None:
        fail("start.utc: give the time zone, e.g. 2026-03-14T08:12:30Z", "start", "utc")
    if scenario.driving and not scenario.leg:
        fail("start.speed_kmh: a car on its way needs a leg to drive on", "start", "speed_kmh")
    if scenario.leg and scenario.ignition_on_s is None and scenario.tow is None:
        fail("timeline: a car that drives needs ignition_on_s (or a [tow])", "timeline")
    if scenario.tow is not None and (scenario.ignition_on_s is not None or not scenario.leg):
        fail("tow: a towed car has its ignition off and legs to go", "tow")
    if scenario.crash is not None and scenario.rollover is not None:
        fail("rollover: a scenario has a crash or a rollover, not both", "rollover")


def _check_legs(scenario: Scenario, fail: Fail) -> None:
    for i, leg in enumerate(scenario.leg):
        straight, curve = leg.length_m is not None, leg.radius_m is not None
        if straight == curve:
            fail(f"leg {i + 1}: give either length_m (straight) or turn_deg and radius_m (curve)", "leg", i)
        if curve and abs(leg.turn_deg) < 1:
            fail(f"leg {i + 1}: radius_m needs a turn_deg of at least 1 degree", "leg", i, "radius_m")
        if straight and leg.turn_deg:
            fail(f"leg {i + 1}: turn_deg needs radius_m instead of length_m", "leg", i, "turn_deg")


def _check_places(scenario: Scenario, fail: Fail) -> None:
    """Each happening is at one place or one time."""
    for name, place in (("crash", scenario.crash), ("rollover", scenario.rollover), ("silence", scenario.silence)):
        if place is None:
            continue
        after = place.after_crash_ms is not None if isinstance(place, t.Silence) else False
        if (place.leg is not None) + (place.at_s is not None) + after != 1:
            fail(f"{name}: say where (leg and at_m) or when (at_s), one of them", name)
        if after and scenario.crash is None:
            fail("silence.after_crash_ms: there is no [crash]", "silence", "after_crash_ms")
        if place.leg is not None and place.leg > len(scenario.leg):
            fail(f"{name}.leg: there are {len(scenario.leg)} legs", name, "leg")


def _check_expectations(scenario: Scenario, fail: Fail) -> None:
    """Kinds that there are."""
    if scenario.expect is None:
        return
    known = {kind.name.lower() for kind in EventKind}
    lists = {name: getattr(scenario.expect, name) or () for name in ("imu", "imu_alone", "can", "obd", "gnss")}
    for name, words in lists.items():
        for i, word in enumerate(words):
            for kind in word.kind:
                if kind not in known:
                    fail(f"expect.{name}: no event is called {kind!r}", "expect", name, i, "kind")
    for kind in scenario.expect.may:
        if kind not in known:
            fail(f"expect.may: no event is called {kind!r}", "expect", "may")
