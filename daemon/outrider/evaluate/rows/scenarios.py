"""Row K: simulated scenarios as every kind of car: is what is told what had to be told?

Owns the tables. The drives, and what must be told of them, are the simulator's; who plays them is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from outrider.evaluate.results import RowResult, Table, exactly, interval, share
from outrider.evaluate.rows.effort import Effort
from outrider.evaluate.statistics import wilson

TITLE: Final = "Scenarios"


class Measured(Protocol):
    """One impact: true and measured delta-V [km/h], its interval (None: not told), whether an axis was at its range."""

    @property
    def true_kmh(self) -> float: ...
    @property
    def dv_kmh(self) -> float: ...
    @property
    def lo_kmh(self) -> float | None: ...
    @property
    def hi_kmh(self) -> float | None: ...
    @property
    def cut(self) -> bool: ...


class Played(Protocol):
    """One scenario as one kind of car; ``wrong``: what differs from what had to be told."""

    @property
    def scenario(self) -> str: ...
    @property
    def variant(self) -> str: ...
    @property
    def told(self) -> tuple[str, ...]: ...
    @property
    def wrong(self) -> tuple[str, ...]: ...
    @property
    def measured(self) -> Sequence[Measured]: ...


Plays = Callable[[Effort], Iterable[Played]]


def score(plays: Plays, effort: Effort) -> RowResult:
    """With ``effort.full`` every variant, else those that differ most."""
    played = list(plays(effort))
    right = sum(not each.wrong for each in played)
    pulses = [pulse for each in played for pulse in each.measured]
    result = RowResult(row="K", title=TITLE, layouts=(), method=METHOD, limits=LIMITS)
    result.seen = "The scenarios were written while the detector was built; none of its thresholds was chosen on them."
    result.numbers = {
        "played": len(played),
        "right": right,
        "share": right / len(played) if played else None,
        "wrong": {f"{each.scenario}, {each.variant}": list(each.wrong) for each in played if each.wrong},
        "pulses": len(pulses),
    }
    result.bars = [exactly("verdicts that differ from what had to be told", 0, len(played) - right)]
    result.tables = [
        _counts("By scenario", "scenario", played, lambda each: each.scenario),
        _counts("By kind of car", "car", played, lambda each: each.variant),
        _differences(played),
        _pulses(pulses),
    ]
    return result


def _counts(title: str, name: str, played: Sequence[Played], key: Callable[[Played], str]) -> Table:
    names = list(dict.fromkeys(key(each) for each in played))
    rows = []
    for each_name in names:
        mine = [each for each in played if key(each) == each_name]
        rows.append((each_name, len(mine), sum(not each.wrong for each in mine)))
    return Table(title=title, columns=(name, "played", "as expected"), rows=tuple(rows))


def _differences(played: Sequence[Played]) -> Table:
    rows = tuple(
        (each.scenario, each.variant, "; ".join(each.wrong), ", ".join(each.told) or "nothing")
        for each in played
        if each.wrong
    )
    return Table(title="What differs", columns=("scenario", "car", "difference", "told"), rows=rows)


def _pulses(pulses: Sequence[Measured]) -> Table:
    """How near delta-V came, apart where an axis was at its range."""
    rows = []
    for words, cut in (("within the sensor's range", False), ("beyond it", True)):
        mine = [pulse for pulse in pulses if pulse.cut == cut]
        stated = [pulse for pulse in mine if pulse.lo_kmh is not None]
        inside = sum(_inside(pulse) for pulse in stated)
        errors = sorted(abs(pulse.dv_kmh / pulse.true_kmh - 1.0) for pulse in mine)
        middle = errors[len(errors) // 2] if errors else None
        rows.append(
            (
                words,
                len(mine),
                share(None if middle is None else 100.0 * middle, 1),
                len(stated),
                f"{inside} ({interval(wilson(inside, len(stated)))})" if stated else "–",
            )
        )
    columns = ("pulse", "impacts", "median error, %", "with an interval", "true delta-V inside it")
    return Table(title="Delta-V", columns=columns, rows=tuple(rows), note=PULSES_NOTE)


def _inside(pulse: Measured) -> bool:
    low = pulse.lo_kmh if pulse.lo_kmh is not None else 0.0
    return low <= pulse.true_kmh and (pulse.hi_kmh is None or pulse.true_kmh <= pulse.hi_kmh)


METHOD: Final = (
    "Drives of the simulator (crashes of all directions, rollover, second impact, loss of power, parked impact, tow, "
    "and what is none: kerb, potholes, doors, full braking, wheel spin, a terminal that falls down), each as cars that "
    "differ in the sensor's range, rate and place and in what the terminal hears, played through the product's own "
    "readers and pipeline. What must be told follows from the truth and from what such a car can know; time, delta-V, "
    "its flag and direction are held against the truth as well."
)
LIMITS: Final = (
    "A simulated car is as its authors imagine one: the pulses are sums of haversines, the rollover is plane, "
    "structures ring at three frequencies. The row shows that rules and numbers hold together, not how often they are "
    "right on roads."
)
PULSES_NOTE: Final = (
    "Few shapes, many times: neighbouring variants see the same pulse, so this is no coverage of the interval (rows B "
    "and C have that)."
)
