"""Row G: speed that stops, lies or goes silent, without an IMU: is it told what happened?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from outrider.evaluate import samples as sm
from outrider.evaluate.detect import detect, final_kinds
from outrider.evaluate.layouts import DRIVES, OBD_LOGS
from outrider.evaluate.recordings import MissingError, ObdLog, Recordings
from outrider.evaluate.results import Curve, Mark, Panel, Picture, RowResult, Table, at_least, exactly, interval
from outrider.evaluate.rows.effort import Effort
from outrider.evaluate.samples import Samples
from outrider.evaluate.statistics import wilson
from outrider.model.event import EventKind as K

BEFORE_S: Final = 30
AFTER_S: Final = 20
MIN_KMH: Final = 45
_LAST_ZEROS_S = 0.6  # "both": the speed falls to 0 in one step, then all is silent

EXPECTED: Final[dict[tuple[str, str], frozenset[K]]] = {
    ("silent", "none"): frozenset({K.POWER_LOST_MOVING}),
    ("silent", "stops"): frozenset({K.CRASH_INFERRED}),
    ("silent", "goes on"): frozenset({K.BUS_LOST_MOVING}),
    ("both", "none"): frozenset({K.POWER_LOST_MOVING}),
    ("both", "stops"): frozenset({K.CRASH_INFERRED}),
    ("both", "goes on"): frozenset({K.BUS_LOST_MOVING, K.SPEED_SENSOR_LOST}),
    ("zero", "goes on"): frozenset({K.SPEED_SENSOR_LOST}),
    ("sna", "goes on"): frozenset({K.SPEED_SENSOR_LOST}),
    ("sna", "none"): frozenset({K.SPEED_SENSOR_LOST}),
    ("held", "none"): frozenset(),
    ("held", "goes on"): frozenset(),
}
HOW: Final = {
    "silent": "buses fall silent",
    "both": "0 in one step, then silence",
    "zero": "speed 0 from then on",
    "sna": "speed not available from then on",
    "held": "last speed repeated",
}


@dataclass(frozen=True)
class Cut:
    """One log cut at one moment in one way; what was told."""

    log: ObdLog
    at_s: float
    how: str
    gnss: str
    kinds: frozenset[K]

    @property
    def right(self) -> bool:
        expected = EXPECTED[self.how, self.gnss]
        return self.kinds == expected or (bool(self.kinds) and self.kinds <= expected)

    @property
    def told(self) -> str:
        return ", ".join(kind.name.lower() for kind in sorted(self.kinds)) or "nothing"


def score(recordings: Recordings, effort: Effort) -> RowResult:
    """``effort.cuts`` moments of each log, in each way; and every log uncut."""
    result = RowResult(row="G", title="Without an IMU", layouts=(OBD_LOGS, DRIVES), method=METHOD, limits=LIMITS)
    logs = logs_of(recordings)
    cuts = [
        Cut(log, at, how, gnss, told(log, at, how, gnss))
        for log in logs
        for at in moments(log, effort.cuts)
        for how, gnss in EXPECTED
    ]
    right = sum(cut.right for cut in cuts)
    uncut = {log.name: [kind.name.lower() for kind in final_kinds(detect(log.samples()))] for log in logs}
    result.numbers = {
        "logs": len(logs),
        "cuts": len(cuts),
        "right": right,
        "share": right / len(cuts) if cuts else None,
        "share_95": wilson(right, len(cuts)),
        "confusion": {f"{how}, gnss {gnss}": _told(cuts, how, gnss) for how, gnss in EXPECTED},
        "uncut": uncut,
    }
    result.tables = [_confusion(cuts)]
    result.bars = [
        at_least("cuts told rightly", 0.98, result.numbers["share"], digits=3, note=interval(wilson(right, len(cuts)))),
        exactly("logs left whole with a word about a loss or crash", 0, sum(bool(kinds) for kinds in uncut.values())),
    ]
    result.pictures = [_picture(cut) for cut in cuts if not cut.right][: effort.pictures]
    return result


def logs_of(recordings: Recordings) -> list[ObdLog]:
    """OBD logs and what OBD said in the drives; MissingError without both."""
    out: list[ObdLog] = []
    missing: MissingError | None = None
    try:
        out += recordings.obd_logs()
    except MissingError as err:
        missing = err
    try:
        out += [drive.log() for drive in recordings.drives() if len(drive.obd_speed) > 1]
    except MissingError as err:
        missing = err
    if not out and missing is not None:
        raise missing
    return out


def moments(log: ObdLog, count: int) -> list[float]:
    """Times at 45 km/h and more with half a minute before and after, evenly picked."""
    steady = np.flatnonzero((log.speed * 3.6 >= MIN_KMH) & (log.t > 40) & (log.t < log.t[-1] - 40))
    if not len(steady):
        return []
    return [float(log.t[i]) for i in steady[np.linspace(0, len(steady) - 1, count).astype(int)]]


def told(log: ObdLog, at: float, how: str, gnss: str) -> frozenset[K]:
    return frozenset(final_kinds(detect(cut(log, at, how, gnss))))


def cut(log: ObdLog, at: float, how: str, gnss: str) -> Samples:
    """Half a minute before ``at`` and 20 s after it, changed at ``at``. ``gnss``: none, stops or goes on."""
    near = (log.t > at - BEFORE_S) & (log.t < at + AFTER_S)
    t, v, rpm = log.t[near] - at + BEFORE_S, log.speed[near], log.rpm[near]
    after = t > BEFORE_S
    heard = {"silent": ~after, "both": t < BEFORE_S + _LAST_ZEROS_S}.get(how, np.ones_like(after))
    speed = np.where(after & (how == "held"), v[~after][-1], np.where(after & (how in ("zero", "both")), 0.0, v))
    obd = sm.make_scalar(sm.SPEED, t[heard], speed[heard], sm.OBD, res=1 / 3.6)
    if how == "sna":
        obd["q"][t[heard] > BEFORE_S] = sm.VALID | sm.SNA
    known = heard & np.isfinite(rpm)
    parts = [obd, sm.make_scalar(sm.RPM, t[known], rpm[known], sm.OBD)]
    end = float(BEFORE_S + AFTER_S)
    if gnss != "none":
        tg = np.arange(0, end, 1.0) + 0.3
        stopped = (tg > BEFORE_S) & (gnss == "stops")
        parts.append(sm.make_gnss(tg, np.where(stopped, 0.0, np.interp(tg, t, v))))
    until = {"silent": float(BEFORE_S), "both": BEFORE_S + _LAST_ZEROS_S}.get(how, end)
    return sm.merge(*parts, sm.make_ticks(0, end, until))


def _told(cuts: Sequence[Cut], how: str, gnss: str) -> dict[str, int]:
    return dict(Counter(c.told for c in cuts if (c.how, c.gnss) == (how, gnss)).most_common())


def _confusion(cuts: Sequence[Cut]) -> Table:
    rows = []
    for (how, gnss), expected in EXPECTED.items():
        mine = [c for c in cuts if (c.how, c.gnss) == (how, gnss)]
        said = "; ".join(f"{name} {count}" for name, count in _told(cuts, how, gnss).items())
        right = " or ".join(kind.name.lower() for kind in sorted(expected)) or "nothing"
        rows.append((HOW[how], gnss, right, said, f"{sum(c.right for c in mine)} of {len(mine)}"))
    columns = ("cut", "GNSS", "right answer", "told", "right")
    return Table(title="Confusion matrix", columns=columns, rows=tuple(rows))


def _picture(cut_: Cut) -> Picture:
    data = cut(cut_.log, cut_.at_s, cut_.how, cut_.gnss)
    speed, gnss = data[data["kind"] == sm.SPEED], data[data["kind"] == sm.GNSS]
    curves = [Curve("OBD", speed["t_us"] / 1e6, speed["x"][:, 0] * 3.6, dots=True)]
    if len(gnss):
        curves.append(Curve("GNSS", gnss["t_us"] / 1e6, gnss["x"][:, 0] * 3.6, "second", dots=True))
    panel = Panel("km/h", curves, [Mark("cut", BEFORE_S, BEFORE_S, "miss")])
    title = f"{cut_.log.name} at {cut_.at_s:.0f} s: {HOW[cut_.how]}, GNSS {cut_.gnss}"
    return Picture(title, f"Told: {cut_.told}.", [panel], "miss")


METHOD = (
    f"Logs of ordinary driving, changed at moments above {MIN_KMH} km/h: {BEFORE_S} s before and {AFTER_S} s after, "
    "with or without a GNSS of its own power that stops or goes on. Right: the incident ends as what is expected."
)
LIMITS = (
    "The cuts are ours and cleaner than life: real losses come with half-written frames, brown-outs and late buses. "
    "The right answers are what the rules were built to say: the row shows that they do, not that life is so."
)
