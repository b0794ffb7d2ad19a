"""What really happened in a simulated drive, from the physics alone.

Owns the document ``truth.json`` (format ``outrider-sim-truth/1``, described in docs/reference/simulator.md and by
``data/truth.schema.json``). Rule: nothing here knows what a detector looks for; manoeuvres are listed from 0.2 g up
with how long they held which level, so that a scorer can choose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from outrider.sim.free import Impact
from outrider.sim.mounting import Matrix
from outrider.sim.plan import G
from outrider.sim.route import Datum, Route
from outrider.sim.scenario import Scenario
from outrider.sim.tables import Crash
from outrider.sim.track import Track
from outrider.sim.vehicle import Simulation

FORMAT: Final = "outrider-sim-truth/1"
_FLOOR_G: Final = 0.2
_MERGE_S: Final = 1.0
_SHORTEST_S: Final = 0.1  # the jerk of a standstill is no manoeuvre
_LEVELS: Final = (0.20, 0.25, 0.30, 0.35, 0.40, 0.45, 0.50, 0.60, 0.70, 0.80)
_OBSTACLE_S: Final = 0.6  # time over which an obstacle's answer is looked for


@dataclass(frozen=True, slots=True)
class _Ground:
    """What all parts need: stamps and places of rows."""

    start: datetime
    datum: Datum
    track: Track

    def stamp(self, t: float) -> str:
        at = self.start + timedelta(microseconds=round(t * 1e6))
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def place(self, row: int) -> dict[str, float]:
        c = self.track.columns
        lat, lon = self.datum.place(c["east"][row], c["north"][row])
        return {"lat_deg": round(lat, 7), "lon_deg": round(lon, 7)}

    def at(self, t: float) -> dict[str, Any]:
        """The common fields of an event at ``t``."""
        row = self.track.row_at(t)
        return {"t0_s": round(t, 4), "utc": self.stamp(t), **self.place(row)}


def build_truth(scenario: Scenario, seed: int, simulation: Simulation, track: Track, matrix: Matrix) -> Any:
    """The document as plain data, ready for JSON. ``matrix``: the sensor's mounting."""
    ground = _Ground(scenario.start.utc, Datum(scenario.start.lat_deg, scenario.start.lon_deg), track)
    events = [
        *_manoeuvres(ground, simulation.route),
        *_obstacles(ground, simulation),
        *_crash(ground, scenario, simulation),
        *_rollover(ground, simulation),
        *_handled(ground, scenario),
        *_silence(ground, scenario, simulation),
    ]
    events.sort(key=lambda event: (event["t0_s"], event["kind"]))
    moments = simulation.moments
    return {
        "format": FORMAT,
        "scenario": scenario.name,
        "title": scenario.title,
        "seed": seed,
        "start_utc": ground.stamp(0.0),
        "duration_s": round(track.columns["t"][-1], 3),
        "distance_m": round(track.columns["s"][-1], 2),
        "datum": "WGS-84",
        "vehicle": {
            "vin": scenario.vehicle.vin,
            "mass_kg": scenario.vehicle.mass_kg,
            "tyre_scale": scenario.vehicle.tyre_scale,
            "odometer_start_m": round(scenario.vehicle.odometer_km * 1000.0),
            "odometer_end_m": int(track.columns["odo"][-1]),
            "fuel_used_l": round(scenario.vehicle.fuel_l - track.columns["fuel_l"][-1], 4),
        },
        "imu": {
            "rate_hz": scenario.imu.rate_hz,
            "range_g": scenario.imu.range_g,
            "mounting": {
                "yaw_deg": scenario.imu.mounting.yaw_deg,
                "pitch_deg": scenario.imu.mounting.pitch_deg,
                "roll_deg": scenario.imu.mounting.roll_deg,
                "car_to_sensor": [[round(value, 9) for value in line] for line in matrix],
            },
        },
        "moments": {
            "ignition_on_s": _or_none(moments.ignition_on),
            "engine_on_s": _or_none(moments.engine_on),
            "ignition_off_s": _or_none(moments.ignition_off),
            "rest_s": _or_none(moments.rest),
        },
        "trips": _trips(ground, simulation),
        "tunnels": _tunnels(ground),
        "events": events,
        "profile": _profile(ground),
    }


def _or_none(t: float | None) -> float | None:
    return None if t is None else round(t, 4)


def _trips(ground: _Ground, simulation: Simulation) -> list[dict[str, Any]]:
    """Ignition on to ignition off; a recording that ends before leaves the trip open."""
    moments, track = simulation.moments, ground.track
    if moments.ignition_on is None:
        return []
    c = track.columns
    end = moments.ignition_off if moments.ignition_off is not None else c["t"][-1]
    rows = track.rows(moments.ignition_on, end)
    first, last = rows[0], rows[-1]
    moving = sum(1 for row in rows if c["v"][row] > 0.0)
    return [
        {
            "begin_s": round(moments.ignition_on, 4),
            "begin_utc": ground.stamp(moments.ignition_on),
            "end_s": round(end, 4),
            "end_utc": ground.stamp(end),
            "closed": moments.ignition_off is not None,
            "distance_m": round(c["s"][last] - c["s"][first], 2),
            "odometer_m": round(c["odo"][last] - c["odo"][first], 2),
            "moving_s": round(moving * track.step_s, 2),
            "max_speed_kmh": round(max(c["v"][row] for row in rows) * 3.6, 2),
            "from": ground.place(first),
            "to": ground.place(last),
        }
    ]


def _tunnels(ground: _Ground) -> list[dict[str, Any]]:
    c = ground.track.columns
    found: list[dict[str, Any]] = []
    begin: int | None = None
    for row in range(len(ground.track)):
        inside = c["sky"][row] == 2.0
        if inside and begin is None:
            begin = row
        elif begin is not None and (not inside or row == len(ground.track) - 1):
            found.append(
                {
                    "begin_s": round(c["t"][begin], 3),
                    "end_s": round(c["t"][row], 3),
                    "begin_utc": ground.stamp(c["t"][begin]),
                    "end_utc": ground.stamp(c["t"][row]),
                    "length_m": round(c["s"][row] - c["s"][begin], 1),
                    "from": ground.place(begin),
                    "to": ground.place(row),
                }
            )
            begin = None
    return found


def _profile(ground: _Ground) -> dict[str, list[float]]:
    """Once a second, from the start: columns of equal length."""
    c, track = ground.track.columns, ground.track
    rows = [track.row_at(float(second)) for second in range(int(c["t"][-1]) + 1)]
    places = [ground.place(row) for row in rows]
    return {
        "t_s": [float(second) for second in range(len(rows))],
        "speed_kmh": [round(c["ground_v"][row] * 3.6, 3) for row in rows],
        "distance_m": [round(c["s"][row], 2) for row in rows],
        "lat_deg": [place["lat_deg"] for place in places],
        "lon_deg": [place["lon_deg"] for place in places],
    }


# ---- manoeuvres ------------------------------------------------------------------------------------


def _manoeuvres(ground: _Ground, route: Route) -> list[dict[str, Any]]:
    c = ground.track.columns
    end = next((row for row in range(len(ground.track)) if c["crash"][row]), len(ground.track))
    changes = _lane_changes(ground, route, end)
    found = [_describe(ground, "lane_change", "across", rows, None) for rows in changes]
    for kind, column, sign in (("brake", "along", -1.0), ("accel", "along", 1.0), ("corner", "across", None)):
        for rows in _above(ground, column, sign, end):
            if kind == "corner" and any(rows[0] < other[-1] and other[0] < rows[-1] for other in changes):
                continue
            found.append(_describe(ground, kind, column, rows, sign))
    return found


def _lane_changes(ground: _Ground, route: Route, end: int) -> list[range]:
    """Rows of every lane change the scenario lays down, whatever its acceleration."""
    c = ground.track.columns
    found = []
    for stretch in route.stretches:
        for change in stretch.leg.lane_change:
            begin = stretch.begin_m + change.at_m
            inside = [row for row in range(end) if begin <= c["s"][row] <= begin + change.length_m]
            if len(inside) > 1:
                found.append(range(inside[0], inside[-1] + 1))
    return found


def _above(ground: _Ground, column: str, sign: float | None, end: int) -> list[range]:
    """Stretches above the floor, joined over gaps of up to a second; corners of two directions are two."""
    values = ground.track.columns[column]
    gap = int(_MERGE_S / ground.track.step_s)
    found: list[range] = []
    last_side = 0.0
    for row in range(end):
        value = values[row] / G if sign is None else sign * values[row] / G
        side = math.copysign(1.0, value)
        if (abs(value) if sign is None else value) < _FLOOR_G:
            continue
        if found and row - found[-1][-1] <= gap and side == last_side:
            found[-1] = range(found[-1][0], row + 1)
        else:
            found.append(range(row, row + 1))
        last_side = side
    return [rows for rows in found if len(rows) * ground.track.step_s >= _SHORTEST_S]


def _describe(ground: _Ground, kind: str, column: str, rows: range, sign: float | None) -> dict[str, Any]:
    c, step = ground.track.columns, ground.track.step_s
    values = [c[column][row] / G * (1.0 if sign is None else sign) for row in rows]
    peak = max(values, key=abs)
    sizes = [abs(value) for value in values]
    before = max(rows[0] - 1, 0)
    event = {
        "kind": kind,
        **ground.at(c["t"][before]),
        "duration_s": round(len(rows) * step, 3),
        "peak_g": round(abs(peak), 4),
        "mean_g": round(sum(sizes) / len(sizes), 4),
        "held_s": {f"{level:.2f}": round(_held(sizes, level) * step, 3) for level in _LEVELS if max(sizes) >= level},
        "speed_from_kmh": round(c["v"][before] * 3.6, 2),
        "speed_to_kmh": round(c["v"][rows[-1]] * 3.6, 2),
    }
    if kind in {"corner", "lane_change"}:
        event["direction"] = "left" if values[0] + values[len(values) // 4] > 0 else "right"
    return event


def _held(sizes: list[float], level: float) -> int:
    """Longest unbroken run at or above ``level``."""
    best = run = 0
    for size in sizes:
        run = run + 1 if size >= level else 0
        best = max(best, run)
    return best


# ---- road, crash, silence --------------------------------------------------------------------------


def _obstacles(ground: _Ground, simulation: Simulation) -> list[dict[str, Any]]:
    """Potholes, humps and kerbs that were driven over: when the front axle meets them."""
    c, track = ground.track.columns, ground.track
    sides = {1: "left", -1: "right", 0: "both"}
    found, row = [], 0
    for item in simulation.road.obstacles:
        while row < len(track) and c["s"][row] < item.begin_m:
            row += 1
        if row >= len(track) or c["crash"][row]:
            break
        if item.echo:
            continue
        t = c["t"][row]
        window = track.rows(t, t + _OBSTACLE_S)
        found.append(
            {
                "kind": item.kind,
                **ground.at(t),
                "duration_s": _OBSTACLE_S,
                "height_mm": round(item.height_m * 1e3, 1),
                "side": sides[item.side],
                "speed_from_kmh": round(c["v"][row] * 3.6, 2),
                "peak_vertical_g": round(max(abs(c["fz"][i] - G) for i in window) / G, 3),
                "peak_g": round(max(math.hypot(c["fx"][i], c["fy"][i]) for i in window) / G, 3),
            }
        )
    return found


def _crash(ground: _Ground, scenario: Scenario, simulation: Simulation) -> list[dict[str, Any]]:
    """One event an impact."""
    begin = simulation.moments.crash
    if scenario.crash is None or begin is None:
        return []
    impacts = [impact for impact in simulation.impacts if begin + impact.offset_s <= ground.track.columns["t"][-1]]
    return [_impact(ground, simulation, number, impact) for number, impact in enumerate(impacts, 1)]


def _impact(ground: _Ground, simulation: Simulation, number: int, impact: Impact) -> dict[str, Any]:
    c, track, pulse, spec = ground.track.columns, ground.track, impact.pulse, impact.spec
    begin = (simulation.moments.crash or 0.0) + impact.offset_s
    size, when = pulse.peak()
    x, y, _up = pulse.velocity(when)
    before = max(0, track.rows(0.0, begin)[-1] if begin > 0.0 else 0)
    after = track.rows(begin, begin + 30.0)
    rest = simulation.moments.rest
    angle = math.degrees(math.atan2(-y, -x))
    final = track.row_at(rest) if rest is not None else len(track) - 1
    return {
        "kind": "crash",
        **ground.at(begin),
        "impact": number,
        "duration_s": round(pulse.duration_s, 4),
        "ignition": c["power"][before] > 0.0,
        "speed_kmh": round((c["ground_v"] if number > 1 else c["v"])[before] * 3.6, 2),
        "delta_v_kmh": round(size * 3.6, 2),
        "delta_v_long_kmh": round(x * 3.6, 2),
        "delta_v_lat_kmh": round(y * 3.6, 2),
        "delta_v_time_ms": round(when * 1e3, 1),
        "pdof_deg": round(angle, 1),
        "clock": (12 - round(angle / 30.0)) % 12 or 12,
        "peak_g": round(pulse.peak_accel() / G, 2),
        "airbag_ms": spec.airbag_ms if isinstance(spec, Crash) else None,
        "peak_yaw_dps": round(max((abs(math.degrees(c["yaw"][row])) for row in after), default=0.0), 1),
        "rest_s": _or_none(rest),
        "slide_m": round(c["s"][final] - c["s"][before], 2),
        "rest_place": ground.place(final),
    }


def _rollover(ground: _Ground, simulation: Simulation) -> list[dict[str, Any]]:
    """From the loss of grip to the rest; how far it turned is what the physics made of it."""
    begin, free = simulation.moments.rollover, simulation.free
    if begin is None or free.tumble is None or free.tripped is None:
        return []
    c, track = ground.track.columns, ground.track
    rest = simulation.moments.rest
    roll = math.degrees(free.tumble.roll)
    over = next((t for t, angle in zip(c["t"], c["roll"], strict=True) if abs(angle) >= math.pi / 2.0), None)
    return [
        {
            "kind": "rollover",
            **ground.at(begin),
            "speed_kmh": round(c["v"][max(track.row_at(begin), 0)] * 3.6, 2),
            "tripped_s": round(begin + free.tripped, 4),
            "tripped_kmh": round(free.trip_speed * 3.6, 2),
            "on_side_s": _or_none(over),
            "roll_deg": round(roll, 1),
            "quarter_turns": round(abs(roll) / 90.0),
            "peak_roll_dps": round(math.degrees(free.tumble.peak_rate), 1),
            "rest_s": _or_none(rest),
            "rest_place": ground.place(track.row_at(rest) if rest is not None else len(track) - 1),
        }
    ]


def _handled(ground: _Ground, scenario: Scenario) -> list[dict[str, Any]]:
    """What hands and hooks do to car and terminal."""
    end = ground.track.columns["t"][-1]
    found: list[dict[str, Any]] = []
    found += [{"kind": "door", **ground.at(d.at_s), "side": d.side} for d in scenario.door if d.at_s < end]
    found += [
        {"kind": "lift", **ground.at(x.at_s), "over_s": x.over_s, "roll_deg": x.roll_deg, "pitch_deg": x.pitch_deg}
        for x in scenario.lift
        if x.at_s < end
    ]
    tow = scenario.tow
    if tow is not None and tow.at_s < end:
        found.append({"kind": "tow", **ground.at(tow.at_s), "lift_deg": tow.lift_deg})
    device = scenario.device
    if device is not None and device.at_s < end:
        found.append({"kind": "device", **ground.at(device.at_s), "drop_m": device.drop_m, "back_s": device.remount_s})
    return found


def _silence(ground: _Ground, scenario: Scenario, simulation: Simulation) -> list[dict[str, Any]]:
    at = simulation.moments.silence
    if at is None:
        return []
    speed = ground.track.columns["v"][-1] * 3.6
    senses = scenario.car.senses
    lost = [name for name, heard in (("can", {"can", "obd"} & {*senses}), ("gnss", "gnss" in senses)) if heard]
    lost += ["imu"] if "imu" in senses and (scenario.imu.bus == "iio" or "can" not in lost) else []
    return [{"kind": "silence", **ground.at(at), "speed_kmh": round(speed, 2), "lost": lost}]
