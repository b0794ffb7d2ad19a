"""Row H: the crash windows, the calm drives and injected pulses once more, through worse and broken sensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from outrider.engine import MotionDetector
from outrider.evaluate import samples as sm
from outrider.evaluate.detect import alarms, captured, detect, feed, final_kinds, is_confirmed
from outrider.evaluate.layouts import DRIVES, PULSES, WINDOWS
from outrider.evaluate.recordings import DRIVE_RANGE_G, Drive, MissingError, Recordings, Window
from outrider.evaluate.results import Picture, RowResult, Table, at_most, exactly
from outrider.evaluate.rows import injected
from outrider.evaluate.rows.effort import Effort
from outrider.evaluate.rows.false_alarms import alarm_picture
from outrider.evaluate.statistics import percentile
from outrider.evaluate.worse import BROKEN, WORSE, WORSE_DRIVES, Change, rotation, turned
from outrider.model.event import Event

ROTATION_RANGE_G: Final = 200.0  # nothing saturates
ROTATIONS: Final = 80


@dataclass
class Count:
    """Verdicts of one sensor on the windows."""

    crashes: int = 0
    found: int = 0
    confirmed: int = 0
    calm: int = 0
    false: int = 0
    wrong: set[str] = field(default_factory=set)

    def add(self, window: Window, events: Sequence[Event]) -> None:
        alarmed = bool(alarms(events))
        if window.is_crash:
            self.crashes += 1
            self.found += alarmed
            self.confirmed += is_confirmed(events)
        else:
            self.calm += 1
            self.false += alarmed
        if alarmed != window.is_crash:
            self.wrong.add(window.name)

    def numbers(self) -> dict[str, Any]:
        return {**self.__dict__, "wrong": sorted(self.wrong)}


def score(recordings: Recordings, effort: Effort) -> RowResult:
    """What is there of windows, drives and pulses; MissingError when nothing is."""
    result = RowResult(row="H", title="Robustness", layouts=(WINDOWS, DRIVES, PULSES), method=METHOD, limits=LIMITS)
    parts = (_windows, _drives, _rotations)
    missing = []
    for part in parts:
        try:
            part(result, recordings, effort)
        except MissingError as err:
            missing.append(str(err))
    if len(missing) == len(parts):
        raise MissingError("; ".join(missing))
    return result


# -- windows ------------------------------------------------------------------------------------------------------


def on_windows(
    windows: Iterable[Window], effort: Effort, changes: Mapping[str, Change] = WORSE
) -> dict[str, dict[str, Any]]:
    """Each window ``effort.repeats`` times through each sensor; one window in memory at a time."""
    counts = {name: Count() for name in changes}
    for i, window in enumerate(windows):
        for k, (name, change) in enumerate(changes.items()):
            for repeat in range(effort.repeats):
                changed = change(window.samples, effort.random(ord("H"), k, i, repeat))
                counts[name].add(window, detect(changed))
    return {name: count.numbers() for name, count in counts.items()}


def _windows(result: RowResult, recordings: Recordings, effort: Effort) -> None:
    counts = on_windows(recordings.windows(), effort)
    result.numbers["windows"] = counts
    rows = tuple(
        (name, f"{n['found']} of {n['crashes']}", n["confirmed"], f"{n['false']} of {n['calm']}")
        for name, n in counts.items()
    )
    columns = ("sensor", "crashes found", "confirmed", "false")
    result.tables.append(Table(title="Worse sensors, crash windows", columns=columns, rows=rows))
    moved = sum(len(n["wrong"]) for n in counts.values())
    result.bars.append(exactly("verdicts on windows that a worse sensor moves", 0, moved))


# -- drives -------------------------------------------------------------------------------------------------------


def on_drives(
    drives: Sequence[Drive], effort: Effort, changes: Mapping[str, Change], pictures: list[Picture] | None = None
) -> dict[str, dict[str, Any]]:
    """Alarms of the emergency lane in each drive once through each sensor; drawn into ``pictures``."""
    out = {}
    for k, (name, change) in enumerate(changes.items()):
        kinds: list[str] = []
        last: list[str] = []
        for i, drive in enumerate(drives):
            samples = change(drive.samples(), effort.random(ord("H"), 100 + k, i))
            events = detect(samples, DRIVE_RANGE_G)
            if pictures is not None:
                pictures += [alarm_picture(f"{drive.name}, {name}", event, samples) for event in alarms(events)]
            kinds += [event.kind.name.lower() for event in alarms(events)]
            last += [kind.name.lower() for kind in final_kinds(events)]
        hours = round(sum(d.seconds for d in drives) / 3600, 3)
        out[name] = {"hours": hours, "alarms": len(kinds), "kinds": kinds, "in_the_end": last}
    return out


def _drives(result: RowResult, recordings: Recordings, effort: Effort) -> None:
    for key, title, changes in (
        ("drives", "Worse sensors, drives without a crash", WORSE_DRIVES),
        ("broken", "Broken sensors, drives without a crash", BROKEN),
    ):
        counts = on_drives(recordings.drives(), effort, changes, result.pictures)
        result.numbers[key] = counts
        rows = tuple(
            (name, n["hours"], n["alarms"], ", ".join(n["kinds"]), ", ".join(n["in_the_end"]))
            for name, n in counts.items()
        )
        columns = ("sensor", "hours", "alarms", "raised as", "called in the end")
        result.tables.append(Table(title=title, columns=columns, rows=rows))
        result.bars.append(exactly(f"alarms: {title.lower()}", 0, sum(n["alarms"] for n in counts.values())))


# -- rotation -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Turn:
    """What a rotation of the sensor did to one injected pulse."""

    dv_change: float
    pdof_change_deg: float


def turns(recordings: Recordings, effort: Effort, count: int = ROTATIONS) -> list[Turn]:
    """Injected pulses measured twice: as mounted, and with sensor and known mounting turned."""
    drives = injected.long_drives(recordings)
    pulses = [pulse for pulse in recordings.pulses() if pulse.size_kmh >= injected.STRONG_KMH]
    out = []
    for i in range(count):
        rng = effort.random(ord("H"), 200, i)
        at = injected.scene(drives[int(rng.integers(len(drives)))], pulses[i % len(pulses)], rng)
        plain, other = (_measure(at, matrix) for matrix in (np.eye(3), rotation(rng)))
        if plain is None or other is None:
            continue
        bend = (other[1] - plain[1] + 180) % 360 - 180
        out.append(Turn(abs(other[0] / plain[0] - 1), abs(bend)))
    return out


def _measure(at: injected.Scene, matrix: sm.Array) -> tuple[float, float] | None:
    """Delta-V [km/h] and direction [degrees] of the scene's pulse."""
    detector = MotionDetector(ROTATION_RANGE_G)
    detector.set_mount((matrix @ at.up).tolist(), (matrix @ at.forward).tolist(), 0.9, 600)
    events = feed(detector, turned(sm.make_imu(at.t + 26, at.acc, at.gyro), matrix))
    first = alarms(events)
    final = captured(events, first[0].seq) if first else None
    if final is None or final.dv_kmh is None or final.pdof_deg is None:
        return None
    return final.dv_kmh, final.pdof_deg


def _rotations(result: RowResult, recordings: Recordings, effort: Effort) -> None:
    found = turns(recordings, effort)
    dv = [100 * turn.dv_change for turn in found]
    bend = [turn.pdof_change_deg for turn in found]
    numbers: dict[str, Any] = {
        "rotations": len(found),
        "dv_change_percent": {f"p{q}": percentile(dv, q) for q in (50, 100)},
        "pdof_change_deg": {f"p{q}": percentile(bend, q) for q in (50, 100)},
    }
    result.numbers["rotation"] = numbers
    rows = (
        ("ΔV, change in %", *(_small(value) for value in numbers["dv_change_percent"].values())),
        ("direction, change in °", *(_small(value) for value in numbers["pdof_change_deg"].values())),
    )
    title = f"Sensor turned at random, {len(found)} injected pulses"
    result.tables.append(Table(title=title, columns=("", "median", "largest"), rows=rows))
    result.bars.append(at_most("ΔV change under rotation, largest", 1, max(dv, default=None), unit=" %", digits=3))


def _small(value: float | None) -> str:
    return "–" if value is None else f"{value:.1g}"


METHOD = (
    "Samples are changed at the detector's input only. Worse: sensors as they are sold, on every window several times "
    "and on the drives; the verdict should not move. Broken: faults, on the drives; they must never make an alarm. "
    "Rotation: injected pulses of row B measured as mounted and with the sensor turned. Rates of 50 to 1600 Hz: row C."
)
LIMITS = "The faults are modelled after what was seen in recordings and data sheets; real ones come combined."
