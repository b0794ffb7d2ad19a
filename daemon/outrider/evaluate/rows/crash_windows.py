"""Row A: crash windows found, calm windows left alone, time from T0 to the trigger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from outrider.engine import default_thresholds
from outrider.evaluate import samples as sm
from outrider.evaluate.detect import alarms, detect, is_confirmed
from outrider.evaluate.layouts import WINDOWS
from outrider.evaluate.recordings import Recordings, Window
from outrider.evaluate.results import (
    Cell,
    Curve,
    Mark,
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
)
from outrider.evaluate.rows.effort import Effort
from outrider.evaluate.samples import Array
from outrider.evaluate.statistics import f1, percentile, wilson
from outrider.evaluate.words import SEEN
from outrider.model.event import Event


@dataclass(frozen=True)
class Judged:
    """One window and what the detector said about it."""

    name: str
    label: str
    crash: bool
    alarms: Sequence[Event]
    confirmed: bool

    @property
    def verdict(self) -> Verdict:
        if self.crash:
            return "hit" if self.alarms else "miss"
        return "false" if self.alarms else "plain"

    @property
    def outcome(self) -> str:
        return "confirmed" if self.confirmed else "alarm" if self.alarms else "nothing"


def score(recordings: Recordings, effort: Effort) -> RowResult:
    """Every window once, as recorded."""
    result = RowResult(row="A", title="Crash windows", layouts=(WINDOWS,), method=METHOD, limits=LIMITS, seen=SEEN)
    judged: list[Judged] = []
    drawn: Counter[str] = Counter()
    for window in recordings.windows():
        one = judge(window)
        judged.append(one)
        drawn[one.verdict] += 1
        if one.verdict != "plain" and drawn[one.verdict] <= effort.pictures:
            result.pictures.append(_picture(window, one))
    fill(result, judged)
    left = sum(max(0, count - effort.pictures) for verdict, count in drawn.items() if verdict != "plain")
    result.limits += f" {left} pictures more than {effort.pictures} of a kind are not drawn." if left else ""
    return result


def judge(window: Window) -> Judged:
    events = detect(window.samples)
    return Judged(window.name, window.label, window.is_crash, alarms(events), is_confirmed(events))


def fill(result: RowResult, judged: Sequence[Judged]) -> None:
    """Numbers, tables and bars from judged windows."""
    count = Counter(one.verdict for one in judged)
    crashes, calm = count["hit"] + count["miss"], count["false"] + count["plain"]
    delays = [(e.t_detect_us - e.t0_us) / 1e3 for one in judged if one.crash for e in one.alarms[:1]]
    numbers: dict[str, Any] = {
        "crashes": crashes,
        "found": count["hit"],
        "confirmed": sum(one.crash and one.confirmed for one in judged),
        "recall": count["hit"] / crashes if crashes else None,
        "recall_95": wilson(count["hit"], crashes),
        "calm": calm,
        "false": count["false"],
        "false_95": wilson(count["false"], calm),
        "precision": count["hit"] / (count["hit"] + count["false"]) if count["hit"] + count["false"] else None,
        "precision_95": wilson(count["hit"], count["hit"] + count["false"]),
        "f1": f1(count["hit"], count["false"], count["miss"]),
        "wrong": [one.name for one in judged if one.verdict in {"miss", "false"}],
        "more_alarms_in_crash_windows": sum(max(0, len(one.alarms) - 1) for one in judged if one.crash),
        "trigger_ms": {f"p{q}": percentile(delays, q) for q in (50, 95, 100)},
    }
    result.numbers = numbers
    result.tables = [_confusion(judged), _summary(numbers)]
    result.bars = [
        at_least("crash windows found (recall)", 1.0, numbers["recall"]),
        exactly("calm windows with an alarm", 0, count["false"]),
        at_most("T0 to trigger, p95", 120, numbers["trigger_ms"]["p95"], unit=" ms", digits=0, note=TRIGGER_NOTE),
    ]


def _confusion(judged: Sequence[Judged]) -> Table:
    outcomes = ("confirmed", "alarm", "nothing")
    cells = Counter((one.label, one.outcome) for one in judged)
    labels = sorted({one.label for one in judged}, key=lambda label: (label != "crash", label))
    rows: tuple[tuple[Cell, ...], ...] = tuple((label, *(cells[label, o] for o in outcomes)) for label in labels)
    note = "alarm: suspected, not confirmed within 10 s"
    return Table(title="Confusion matrix", columns=("label", *outcomes), rows=rows, note=note)


def _summary(n: dict[str, Any]) -> Table:
    delay = n["trigger_ms"]
    rows: tuple[tuple[Cell, ...], ...] = (
        ("recall", f"{n['found']} of {n['crashes']}", interval(n["recall_95"])),
        ("false alarms", f"{n['false']} of {n['calm']}", interval(n["false_95"])),
        ("precision (these shares of crashes)", share(n["precision"]), interval(n["precision_95"])),
        ("T0 to trigger, p50 / p95 / max", " / ".join(share(delay[f"p{q}"], 0) for q in (50, 95, 100)) + " ms", ""),
        ("further alarms in crash windows", n["more_alarms_in_crash_windows"], ""),
    )
    return Table(title="Counts", columns=("", "measured", "Wilson 95 %"), rows=rows)


# -- the picture ---------------------------------------------------------------------------------------------------


def _picture(window: Window, one: Judged) -> Picture:
    t = np.arange(len(window.acc)) / window.rate_hz
    marks = [Mark("T0 to trigger", e.t0_us / 1e6, e.t_detect_us / 1e6, one.verdict) for e in one.alarms]
    axes = [
        Curve(name, t, window.acc[:, k], role)
        for k, (name, role) in enumerate((("x", "main"), ("y", "second"), ("z", "third")))
    ]
    trigger = [("trigger", default_thresholds()["dv150_kmh"])]
    panels = [
        Panel("g", axes, marks),
        Panel(
            "ΔV 150 ms, km/h",
            [Curve("", t, delta_v_150(window))],
            levels=trigger,
            legend=False,
        ),
    ]
    gnss = window.samples[window.samples["kind"] == sm.GNSS]
    if len(gnss):
        speed = Curve("", gnss["t_us"] / 1e6, gnss["x"][:, 0] * 3.6, dots=True)
        panels.append(Panel("km/h", [speed], legend=False))
    return Picture(f"{window.name} ({window.label})", _sentence(one), panels, one.verdict)


def delta_v_150(window: Window) -> Array:
    """|horizontal delta-V| over 150 ms [km/h], gravity taken from the first 3 s: for drawing only."""
    start = np.nanmedian(window.acc[: int(3 * window.rate_hz)], axis=0)
    up = start / max(float(np.linalg.norm(start)), 1e-9)
    flat = window.acc - start
    flat = flat - (flat @ up)[:, None] * up
    total = np.cumsum(np.nan_to_num(flat), axis=0) / window.rate_hz * sm.G * 3.6
    width = max(1, round(0.15 * window.rate_hz))
    return np.asarray(np.linalg.norm(total - np.vstack([np.zeros((width, 3)), total[:-width]]), axis=1))


def _sentence(one: Judged) -> str:
    if not one.alarms:
        return "No alarm."
    first = one.alarms[0]
    delay = (first.t_detect_us - first.t0_us) / 1e3
    return f"{'Confirmed' if one.confirmed else 'Alarm'}; trigger {delay:.0f} ms after T0, rule {first.rule}."


METHOD = (
    "Every window once through a new detector, mounting unknown, with its 1 Hz GNSS speed. A crash window counts as "
    "found when any alarm of the emergency lane is raised in it; any alarm in another window is a false one. T0 is the "
    "detector's own (GB 39732 4.1.3), as the windows bear no time of the impact."
)
LIMITS = (
    "The windows known to us are few and chosen by their publisher, with the strongest crashes in front: recall on all "
    "crashes is lower. "
    "Precision depends on the shares of crash and calm windows, which are not those of the road."
)

TRIGGER_NOTE = "soft pulses that take longer than 120 ms to gather 6.5 km/h cannot trigger sooner"
