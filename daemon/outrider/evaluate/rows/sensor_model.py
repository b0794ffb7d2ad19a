"""Row C: a crash test through sensors of every range and rate: range decides, rate does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from outrider.engine import MotionDetector
from outrider.evaluate import samples as sm
from outrider.evaluate.detect import alarms, captured, feed
from outrider.evaluate.layouts import CRASH_TESTS
from outrider.evaluate.recordings import CrashTest, Recordings
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
    share,
)
from outrider.evaluate.rows.effort import Effort
from outrider.evaluate.rows.injected import holds
from outrider.evaluate.samples import Array
from outrider.evaluate.words import SEEN
from outrider.model.event import EventFlag

RANGES_G: Final = (8, 16, 32, 200)
RATES_HZ: Final = (50, 100, 200, 400, 800, 1600)
STRONG_KMH: Final = 8.0
_LEAD_S, _TAIL_S = 12, 2
_UNLIMITED_G = 1e9


@dataclass(frozen=True)
class Reading:
    """One channel through one sensor. true_kmh: delta-V over the detector's own window, from the sensor without end."""

    test: CrashTest
    range_g: float
    rate_hz: float
    alarms: int
    true_kmh: float
    saturated: bool
    dv_kmh: float | None = None
    flagged: bool | None = None
    pdof_deg: float | None = None
    covered: bool | None = None

    @property
    def error(self) -> float | None:
        return None if self.dv_kmh is None else self.dv_kmh / self.true_kmh - 1


def score(recordings: Recordings, _effort: Effort) -> RowResult:
    """Every channel, range and rate once."""
    result = RowResult(row="C", title="Sensor model", layouts=(CRASH_TESTS,), method=METHOD, limits=LIMITS, seen=SEEN)
    tests = recordings.crash_tests()
    readings = [read(test, range_g, rate) for test in tests for range_g in RANGES_G for rate in RATES_HZ]
    strong = [r for r in readings if r.true_kmh >= STRONG_KMH]
    weak = [r for r in readings if r.true_kmh < STRONG_KMH]
    result.numbers = {"strong": numbers(strong), "weak": {"readings": len(weak), "alarms": sum(r.alarms for r in weak)}}
    result.tables = [_table(test, [r for r in readings if r.test is test]) for test in tests]
    result.bars = _bars(strong, weak)
    result.pictures = [_picture(test, [r for r in readings if r.test is test]) for test in tests]
    return result


def sensor(t: Array, g: Array, rate_hz: float, range_g: float) -> Array:
    """The trace as a sensor sees it [g]: anti-alias by the mean over a period, then the end of the range."""
    edges = np.arange(t[0], t[-1], 1 / rate_hz)
    total = np.concatenate([[0], np.cumsum((g[1:] + g[:-1]) / 2 * np.diff(t))])
    return np.asarray(np.clip(np.diff(np.interp(edges, t, total)) * rate_hz, -range_g, range_g))


def read(test: CrashTest, range_g: float, rate_hz: float) -> Reading:
    """The channel as the forward axis of a level sensor that stood still before."""
    along = np.concatenate(
        [
            np.zeros(_LEAD_S * int(rate_hz)),
            sensor(test.t, test.g, rate_hz, _UNLIMITED_G),
            np.zeros(_TAIL_S * int(rate_hz)),
        ]
    )
    seen = np.clip(along, -range_g, range_g)
    acc = np.stack([seen, np.zeros_like(seen), np.ones_like(seen)], axis=1) * sm.G
    detector = MotionDetector(range_g)
    detector.set_mount([0, 0, 1], [1, 0, 0], 0.9, 600)
    events = feed(detector, sm.make_imu(np.arange(len(seen)) / rate_hz, acc))
    first = alarms(events)
    begin = int((first[0].t0_us / 1e6 - 0.02) * rate_hz) if first else _LEAD_S * int(rate_hz)
    curve = np.cumsum(along) / rate_hz * sm.G * 3.6
    truth = float(np.abs(curve[: begin + int(0.32 * rate_hz)]).max())
    saturated = bool((np.abs(along) >= 0.98 * range_g).any())
    final = captured(events, first[0].seq) if first else None
    if final is None:
        return Reading(test, range_g, rate_hz, len(first), truth, saturated)
    flagged = bool(final.flags & EventFlag.DV_LOWER_BOUND)
    told = (final.dv_kmh, flagged, final.pdof_deg, holds(final, truth))
    return Reading(test, range_g, rate_hz, len(first), truth, saturated, *told)


def numbers(readings: Sequence[Reading]) -> dict[str, Any]:
    clean = [abs(r.error) * 100 for r in readings if not r.saturated and r.error is not None]
    full = [r for r in readings if r.saturated and r.error is not None]
    return {
        "readings": len(readings),
        "alarms": sum(r.alarms for r in readings),
        "wrong_alarms": sum(r.alarms != 1 for r in readings),
        "unsaturated": len(clean),
        "dv_error_max_percent": max(clean, default=None),
        "flag_wrong": sum(r.flagged != r.saturated for r in readings if r.flagged is not None),
        "lower_bound_above_truth": sum((r.dv_kmh or 0) > r.true_kmh for r in full),
        "intervals_held": sum(bool(r.covered) for r in readings),
        "intervals": sum(r.covered is not None for r in readings),
        "pdof_error_max_deg": max((bend for r in readings if (bend := pdof_error(r)) is not None), default=None),
        "dv_error_saturated_percent": {
            f"{g:g} g": [round(100 * r.error, 1) for r in full if r.range_g == g and r.error is not None]
            for g in RANGES_G
        },
    }


def pdof_error(reading: Reading) -> float | None:
    """Degrees off the front, or off the rear for a channel that speeds up."""
    if reading.pdof_deg is None:
        return None
    speed = _speed(reading.test)
    expected = 0.0 if speed[int(np.argmax(np.abs(speed)))] < 0 else 180.0
    return abs(abs(reading.pdof_deg) - expected)


def _speed(test: CrashTest) -> Array:
    """Change of speed [km/h]."""
    total = np.concatenate([[0], np.cumsum((test.g[1:] + test.g[:-1]) / 2 * np.diff(test.t))])
    return np.asarray(total * sm.G * 3.6)


def _bars(strong: Sequence[Reading], weak: Sequence[Reading]) -> list[Bar]:
    n = numbers(strong)
    return [
        at_most("|ΔV error|, unsaturated, largest", 5, n["dv_error_max_percent"], unit=" %", digits=2),
        exactly("lower-bound flags that are wrong", 0, n["flag_wrong"]),
        exactly("lower bounds above the truth", 0, n["lower_bound_above_truth"]),
        at_least("90 % intervals of ΔV that hold the truth", 0.88, _held(n)),
        exactly("strong channels with other than one alarm", 0, n["wrong_alarms"]),
        exactly("alarms on channels below 8 km/h", 0, sum(r.alarms for r in weak)),
    ]


def _held(n: dict[str, Any]) -> float | None:
    return n["intervals_held"] / n["intervals"] if n["intervals"] else None


def _table(test: CrashTest, readings: Sequence[Reading]) -> Table:
    cell = {(r.range_g, r.rate_hz): r for r in readings}
    rows = tuple((f"±{range_g} g", *(_cell(cell[range_g, rate]) for rate in RATES_HZ)) for range_g in RANGES_G)
    truth = max(r.true_kmh for r in readings)
    columns = ("sensor", *(f"{rate} Hz" for rate in RATES_HZ))
    note = f"Measured ΔV as a share of the true {truth:.1f} km/h, error in %; ≥: flagged as a lower bound."
    return Table(title=f"{test.name}: error of ΔV", columns=columns, rows=rows, note=note)


def _cell(reading: Reading) -> str:
    if reading.error is None:
        return "no alarm"
    return f"{'≥ ' if reading.flagged else ''}{share(100 * reading.error, 1)} %"


def _picture(test: CrashTest, readings: Sequence[Reading]) -> Picture:
    near = (test.t > -0.02) & (test.t < 0.25)
    near = near if near.any() else np.ones_like(near)
    speed = _speed(test)
    at = test.t[near]
    traces = [
        Curve(f"±{g} g", at, np.clip(test.g[near], -g, g), role)
        for g, role in ((200, "main"), (16, "second"), (8, "third"))
    ]
    dots = [
        Curve(f"±{r.range_g:g} g", np.array([0.24]), np.array([np.sign(speed[near][-1]) * r.dv_kmh]), role, dots=True)
        for r in readings
        for g, role in ((200, "main"), (16, "second"), (8, "third"))
        if r.dv_kmh is not None and r.range_g == g and r.rate_hz == 100
    ]
    panels = [Panel("g", traces), Panel("ΔV, km/h", [Curve("true", at, speed[near], "fourth"), *dots])]
    found = sum(r.alarms > 0 for r in readings)
    sentence = f"{found} of {len(readings)} sensors raised an alarm. Dots: ΔV as measured at 100 Hz."
    strong = any(r.true_kmh >= STRONG_KMH for r in readings)
    verdict: Verdict = "plain" if not (strong or found) else "false" if not strong else "hit"
    return Picture(test.name, sentence, panels, "miss" if strong and found < len(readings) else verdict)


METHOD = (
    "Each channel is taken for the forward axis of a level sensor whose mounting is known: averaged over the sample "
    "period (a plain anti-alias filter), cut off at the range, after 12 s of standing. The truth is the integral of "
    "the same trace without the range. A channel counts as a crash from 8 km/h within the detector's window on."
)
LIMITS = (
    "Known to us is one test, a barrier at 57 km/h; its channels are not independent. Its vertical one stands for a "
    "push that is no crash. Sensor noise, temperature and the resonance of the housing are not modelled."
)
