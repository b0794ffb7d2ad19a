"""Row B: recorded pulses added to a real drive at random places and directions, through sensors of stated ranges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from outrider.engine import MotionDetector, default_thresholds
from outrider.evaluate import samples as sm
from outrider.evaluate.detect import Captured, alarms, captured, feed
from outrider.evaluate.layouts import DRIVES, PULSES
from outrider.evaluate.recordings import Drive, EdrPulse, MissingError, Recordings
from outrider.evaluate.results import (
    Bar,
    Curve,
    Panel,
    Picture,
    RowResult,
    Table,
    Verdict,
    at_least,
    at_most,
    exactly,
    interval,
    share,
    within,
)
from outrider.evaluate.rows.effort import Effort
from outrider.evaluate.samples import Array
from outrider.evaluate.statistics import percentile, wilson
from outrider.evaluate.words import SEEN
from outrider.model.event import Event, EventFlag

RANGES_G: Final = (8.0, 16.0, 64.0)
STRONG_KMH: Final = 8.0  # the trigger threshold of 49 CFR 563 and GB 39732
_BEFORE_S, _AFTER_S = 25.0, 14.0
_TRIES, _GAP_S = 50, 0.1  # places with a hole in the recording are passed over


@dataclass(frozen=True)
class Injection:
    """One pulse in one drive, and what became of it. Errors are None where nothing was found."""

    pulse: EdrPulse
    range_g: float
    saturated: bool
    hit: bool
    extra: int
    trigger_ms: float | None = None
    dv_error: float | None = None
    pdof_error: float | None = None
    flagged: bool | None = None
    covered: bool | None = None
    width_kmh: float | None = None
    curve: Captured | None = None
    missed_at: Scene | None = None

    @property
    def strong(self) -> bool:
        return self.pulse.size_kmh >= STRONG_KMH


@dataclass(frozen=True)
class Scene:
    """A piece of a drive with a pulse in it: times from the pulse's zero [s], what the sensor would measure."""

    t: Array
    acc: Array
    gyro: Array
    up: Array
    forward: Array
    side: float

    def direction_deg(self, pulse: EdrPulse) -> float:
        """Principal direction of force: 0 frontal, +90 from the left; ``side`` mirrors the pulse."""
        return math.degrees(math.atan2(-self.side * pulse.direction[1], -pulse.direction[0]))


def score(recordings: Recordings, effort: Effort) -> RowResult:
    """``effort.injections`` pulses for each sensor range, the pulses in turn."""
    result = RowResult(
        row="B", title="Injected crashes", layouts=(PULSES, DRIVES), method=METHOD, limits=LIMITS, seen=SEEN
    )
    drives = long_drives(recordings)
    pulses = recordings.pulses()
    every: list[Injection] = []
    for range_g in RANGES_G:
        every += inject(drives, pulses, range_g, effort)
    result.numbers = {f"{range_g:g} g": numbers([i for i in every if i.range_g == range_g]) for range_g in RANGES_G}
    result.tables = [_table(result.numbers), _intervals(result.numbers), _by_pulse(every, pulses)]
    result.bars = _bars(every)
    result.pictures = [_miss(i, i.missed_at) for i in every if i.missed_at is not None and i.strong]
    result.pictures += [_picture(every, pulse, range_g) for pulse in pulses for range_g in RANGES_G]
    return result


def long_drives(recordings: Recordings) -> list[Drive]:
    """Drives with more than 100 s of sound IMU; MissingError without one."""
    found = [d for d in recordings.drives() if len(d.sound_imu) and np.ptp(d.sound_imu[:, 0]) > 100]
    if not found:
        raise MissingError("no drive with more than 100 s of an IMU")
    return found


def inject(drives: Sequence[Drive], pulses: Sequence[EdrPulse], range_g: float, effort: Effort) -> list[Injection]:
    """Injections at one range; each has a random generator of its own."""
    out = []
    for i in range(effort.injections):
        rng = effort.random(ord("B"), round(range_g * 1000), i)
        pulse = pulses[i % len(pulses)]
        out.append(run(pulse, scene(drives[int(rng.integers(len(drives)))], pulse, rng), range_g))
    return out


def scene(drive: Drive, pulse: EdrPulse, rng: np.random.Generator) -> Scene:
    """The pulse at a random time of the drive, in a random horizontal direction, mirrored or not."""
    imu = drive.sound_imu
    for _ in range(_TRIES):
        when = rng.uniform(imu[0, 0] + 40, imu[-1, 0] - 20)
        ends = np.searchsorted(imu[:, 0], (when - _BEFORE_S, when + _AFTER_S))
        part = imu[ends[0] : ends[1]]
        if len(part) > 2 and np.diff(part[:, 0]).max() < _GAP_S:
            break
    up = np.mean(part[:, 1:4], axis=0)
    up /= np.linalg.norm(up)
    forward = rng.normal(size=3)
    forward -= forward @ up * up
    forward /= np.linalg.norm(forward)
    side = float(rng.choice([-1.0, 1.0]))
    t = part[:, 0] - when
    push = pulse_on(pulse, t)
    acc = part[:, 1:4] + push[:, :1] * forward + side * push[:, 1:] * np.cross(up, forward)
    return Scene(t, acc, part[:, 4:7], up, forward, side)


def pulse_on(pulse: EdrPulse, t: Array) -> Array:
    """Mean acceleration [m/s2] over each sample's own interval, so that its sum is the recorded delta-V."""
    edges = np.concatenate([[t[0] - 0.005], (t[1:] + t[:-1]) / 2, [t[-1] + 0.005]])
    v = np.stack([np.interp(edges, pulse.t, pulse.dv[:, k] / 3.6) for k in range(2)], axis=1)
    return np.asarray(np.diff(v, axis=0) / np.diff(edges)[:, None])


def run(pulse: EdrPulse, at: Scene, range_g: float) -> Injection:
    """The scene before a sensor of ``range_g``, its mounting known as after ten minutes of driving."""
    limit = range_g * sm.G
    detector = MotionDetector(range_g)
    detector.set_mount(at.up.tolist(), at.forward.tolist(), 0.9, 600)
    events = feed(detector, sm.make_imu(at.t + _BEFORE_S + 1, np.clip(at.acc, -limit, limit), at.gyro))
    near = (at.t > -0.03) & (at.t < 0.33)
    saturated = bool((np.abs(at.acc[near]) >= 0.98 * limit).any())
    return judge(pulse, at, events, range_g=range_g, saturated=saturated, curve=detector.pulse())


def judge(
    pulse: EdrPulse, at: Scene, events: Sequence[Event], *, range_g: float, saturated: bool, curve: Captured | None
) -> Injection:
    """What the events say about the pulse: hit within half a second of its zero, errors against the recorder."""
    first = alarms(events)
    zero_us = (_BEFORE_S + 1) * 1e6
    hit = [e for e in first if abs(e.t0_us - zero_us) < 0.5e6][:1]
    final = captured(events, hit[0].seq) if hit else None
    if final is None:
        scene_of_miss = None if hit else at
        return Injection(pulse, range_g, saturated, bool(hit), len(first) - len(hit), missed_at=scene_of_miss)
    direction = None if final.pdof_deg is None else (final.pdof_deg - at.direction_deg(pulse) + 180) % 360 - 180
    return Injection(
        pulse,
        range_g,
        saturated,
        hit=True,
        extra=len(first) - 1,
        trigger_ms=(hit[0].t_detect_us - zero_us) / 1e3,
        dv_error=None if final.dv_kmh is None or not pulse.size_kmh else final.dv_kmh / pulse.size_kmh - 1,
        pdof_error=None if direction is None else abs(direction),
        flagged=bool(final.flags & EventFlag.DV_LOWER_BOUND),
        covered=holds(final, pulse.size_kmh),
        width_kmh=None if final.dv_hi_kmh is None else final.dv_hi_kmh - (final.dv_lo_kmh or 0.0),
        curve=curve,
    )


def holds(event: Event, true_kmh: float) -> bool | None:
    """Does the 90 % interval of delta-V hold the truth? No upper end excludes nothing; None without an interval."""
    if event.dv_lo_kmh is None:
        return None
    return event.dv_lo_kmh <= true_kmh and (event.dv_hi_kmh is None or true_kmh <= event.dv_hi_kmh)


# -- numbers -----------------------------------------------------------------------------------------------------


def numbers(every: Sequence[Injection]) -> dict[str, Any]:
    """Of one sensor range. Errors in per cent and degrees over unsaturated pulses of 8 km/h and more."""
    strong = [i for i in every if i.strong]
    found = sum(i.hit for i in strong)
    clean = [i for i in strong if i.hit and not i.saturated]
    full = [i for i in strong if i.hit and i.saturated]
    delays = [i.trigger_ms for i in strong if i.trigger_ms is not None]
    errors = [100 * abs(i.dv_error) for i in clean if i.dv_error is not None]
    return {
        "injections": len(every),
        "strong": len(strong),
        "found": found,
        "recall": found / len(strong) if strong else None,
        "recall_95": wilson(found, len(strong)),
        "extra": sum(i.extra for i in every),
        "saturated": len(full),
        "flag_wrong": sum(i.flagged != i.saturated for i in every if i.flagged is not None),
        "dv_error_percent": {f"p{q}": percentile(errors, q) for q in (50, 95)},
        "dv_bias_percent": percentile([100 * i.dv_error for i in clean if i.dv_error is not None], 50),
        "dv_saturated_percent": percentile([100 * i.dv_error for i in full if i.dv_error is not None], 50),
        "pdof_error_deg": _ends([i.pdof_error for i in clean if i.pdof_error is not None]),
        "pdof_saturated_deg": _ends([i.pdof_error for i in full if i.pdof_error is not None]),
        "trigger_ms": _ends(delays),
        "interval": coverage([i for i in every if i.hit and not i.saturated]),
        "interval_saturated": coverage([i for i in every if i.hit and i.saturated]),
        "missed": sorted({i.pulse.name for i in strong if not i.hit}),
    }


def coverage(found: Sequence[Injection]) -> dict[str, Any]:
    """How often the 90 % interval holds the truth; the median width where it has two ends."""
    told = [i for i in found if i.covered is not None]
    held = sum(bool(i.covered) for i in told)
    return {
        "intervals": len(told),
        "held": held,
        "share": held / len(told) if told else None,
        "share_95": wilson(held, len(told)),
        "with_upper_end": sum(i.width_kmh is not None for i in told),
        "width_kmh": percentile([i.width_kmh for i in told if i.width_kmh is not None], 50),
    }


def _ends(values: Sequence[float]) -> dict[str, float | None]:
    return {f"p{q}": percentile(values, q) for q in (50, 95)}


def _pair(ends: dict[str, float | None], digits: int = 1) -> str:
    return f"{share(ends['p50'], digits)} / {share(ends['p95'], digits)}"


def _table(by_range: dict[str, Any]) -> Table:
    rows = tuple(
        (
            f"±{name}",
            f"{n['found']} of {n['strong']}",
            interval(n["recall_95"], 3),
            n["extra"],
            _pair(n["dv_error_percent"]),
            share(n["dv_bias_percent"], 1),
            share(n["dv_saturated_percent"], 0),
            _pair(n["pdof_error_deg"]),
            n["flag_wrong"],
            _pair(n["trigger_ms"], 0),
        )
        for name, n in by_range.items()
    )
    columns = ("sensor", "found", "Wilson 95 %", "extra alarms", "|ΔV error| %, p50 / p95", "median ΔV error %",
               "same, saturated", "PDOF error °, p50 / p95", "wrong flags", "trigger ms, p50 / p95")  # fmt: skip
    note = "Pulses of 8 km/h and more. ΔV and PDOF: unsaturated ones. Trigger: after the zero of the car's recorder."
    return Table(title="By sensor range", columns=columns, rows=rows, note=note)


def _intervals(by_range: dict[str, Any]) -> Table:
    rows = []
    for name, n in by_range.items():
        clean, full = n["interval"], n["interval_saturated"]
        rows.append(
            (
                f"±{name}",
                f"{clean['held']} of {clean['intervals']}",
                interval(clean["share_95"], 2),
                share(clean["width_kmh"], 2),
                f"{full['held']} of {full['intervals']}",
                full["with_upper_end"],
            )
        )
    columns = ("sensor", "unsaturated: hold the truth", "Wilson 95 %", "median width, km/h",
               "saturated: hold the truth", "of these with an upper end")  # fmt: skip
    note = "A saturated pulse has a lower end only: what a range cuts off cannot be told from below it (detector.md)."
    return Table(title="90 % intervals of ΔV", columns=columns, rows=tuple(rows), note=note)


def _by_pulse(every: Sequence[Injection], pulses: Sequence[EdrPulse]) -> Table:
    rows = []
    for pulse in pulses:
        mine = [i for i in every if i.pulse is pulse]
        delays = [i.trigger_ms for i in mine if i.trigger_ms is not None]
        rows.append(
            (
                pulse.name,
                round(pulse.size_kmh, 1),
                f"{sum(i.hit for i in mine)} of {len(mine)}",
                sum(i.saturated for i in mine),
                _pair(_ends(delays), 0),
            )
        )
    columns = ("pulse", "ΔV, km/h", "found", "saturated", "trigger ms, p50 / p95")
    return Table(title="By pulse, all ranges", columns=columns, rows=tuple(rows))


def _bars(every: Sequence[Injection]) -> list[Bar]:
    each = [numbers([i for i in every if i.range_g == range_g]) for range_g in RANGES_G]
    slow = sorted({i.pulse.name for i in every if i.strong and i.trigger_ms is not None and i.trigger_ms > 120})
    note = f"ever later than 120 ms: {', '.join(slow)}" if slow else ""

    def worst(name: str, end: str) -> float | None:
        return max((n[name][end] for n in each if n[name][end] is not None), default=None)

    return [
        at_least("found at ΔV ≥ 8 km/h (recall), worst range", 0.98, _least([n["recall"] for n in each]), digits=3),
        at_most("ΔV error p50, unsaturated, worst range", 5, worst("dv_error_percent", "p50"), unit=" %", digits=1),
        at_most("ΔV error p95, unsaturated, worst range", 20, worst("dv_error_percent", "p95"), unit=" %", digits=1),
        exactly("lower-bound flags that are wrong", 0, sum(n["flag_wrong"] for n in each)),
        at_most("PDOF error p95, unsaturated, worst range", 10, worst("pdof_error_deg", "p95"), unit="°", digits=1),
        at_most("trigger p95, worst range", 120, worst("trigger_ms", "p95"), unit=" ms", digits=0, note=note),
        exactly("extra alarms", 0, sum(n["extra"] for n in each)),
        within("90 % intervals of ΔV that hold the truth, unsaturated", 0.88, 0.92, _share(every, saturated=False)),
        at_least("the same, saturated (lower end only)", 0.88, _share(every, saturated=True)),
    ]


def _share(every: Sequence[Injection], *, saturated: bool) -> float | None:
    found = coverage([i for i in every if i.hit and i.saturated is saturated])["share"]
    return None if found is None else float(found)


def _least(values: Sequence[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


# -- the picture ---------------------------------------------------------------------------------------------------


def _picture(every: Sequence[Injection], pulse: EdrPulse, range_g: float) -> Picture:
    """All injections of a pulse at one range: what was measured of it, over what the car's recorder kept."""
    mine = [i for i in every if i.pulse is pulse and i.range_g == range_g]
    found = sum(i.hit for i in mine)
    size = np.linalg.norm(pulse.dv, axis=1)
    early = pulse.t <= 0.3001
    curves = [Curve("measured", *_measured(i.curve), role="faint") for i in mine if i.curve is not None]
    curves.append(Curve("car's own recorder", pulse.t[early], size[early]))
    verdict: Verdict = "hit" if found == len(mine) or pulse.size_kmh < STRONG_KMH else "miss"
    sentence = (
        f"{found} of {len(mine)} found; {sum(i.saturated for i in mine)} saturated. Each thin line is one injection."
    )
    panel = Panel("|ΔV|, km/h", curves)
    return Picture(f"{pulse.name} at ±{range_g:g} g", sentence, [panel], verdict, x_label="s, each from its own zero")


def _miss(one: Injection, at: Scene) -> Picture:
    """What the detector was shown and passed over: horizontal motion around the pulse's zero."""
    near = (at.t > -1) & (at.t < 1.5)
    t, limit = at.t[near], one.range_g * sm.G
    flat = np.clip(at.acc[near], -limit, limit)
    flat = flat - np.mean(at.acc[at.t < -0.1], axis=0)
    flat = flat - (flat @ at.up)[:, None] * at.up
    total = np.cumsum(flat * np.gradient(t)[:, None], axis=0) * 3.6
    shift = np.array([np.searchsorted(t, now - 0.15) for now in t])
    window = np.linalg.norm(total - total[shift], axis=1)
    trigger = [("trigger", default_thresholds()["dv150_kmh"])]
    panels = [
        Panel("g", [Curve("", t, np.linalg.norm(flat, axis=1) / sm.G)], legend=False),
        Panel(
            "ΔV 150 ms, km/h",
            [Curve("", t, window)],
            levels=trigger,
            legend=False,
        ),
    ]
    sentence = f"No alarm. The recorder's own ΔV: {one.pulse.size_kmh:.1f} km/h within 300 ms."
    return Picture(f"{one.pulse.name} at ±{one.range_g:g} g, missed", sentence, panels, "miss", "s from the zero")


def _measured(curve: Captured) -> tuple[Array, Array]:
    size: Array = np.hypot(np.asarray(curve.along_kmh, dtype=float), np.asarray(curve.across_kmh, dtype=float))
    return np.arange(0, 0.01 * len(size) - 1e-6, 0.01, dtype=np.float64), size


METHOD = (
    "Each pulse's delta-V curve is turned into accelerations over the drive's own sample intervals and added to the "
    "IMU of a recorded drive, at a random time of driving, in a random horizontal direction, mirrored or not; then a "
    "sensor of the stated range cuts it off. The mounting is known as after ten minutes of driving. What the drive's "
    "own IMU noise, road and rate (101 Hz) do to the result is in it."
)
LIMITS = (
    "The vehicle's real turn, bounce and the sensor's bandwidth during the crash are not in it; few pulses, and the "
    "same in all ranges. The recorder's curve is taken for the truth (49 CFR 563 allows it 10 %). The sensor's "
    "gain, the car's sway and brakes that let go are in the intervals as priors, and not in these injections: strong "
    "pulses are held more often than nine times in ten."
)
