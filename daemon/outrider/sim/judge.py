"""Is what a terminal said of a simulated drive what it had to say?

Compares events with the scenario's expectations and the truth; a list of sentences says what differs. Pure. Rule:
what is demanded follows from the truth and from what the sensor can measure (range, rate), never from how a detector
works.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from outrider.model.event import Event, EventFlag, EventKind, Phase
from outrider.sim.drive import Drive
from outrider.sim.scenario import Scenario
from outrider.sim.tables import Expect, Word

PULSE_HZ: Final = 40.0  # slower sensors do not show pulses (docs/reference/events.md); the car is judged without one
_ORDER: Final = ("imu", "can", "obd", "gnss")
_EARLY_S: Final = 0.06
_LATE_S: Final = 0.13  # a soft pulse is 0.8 km/h within 20 ms (GB 39732-2020 4.1.3) only some way into it
_DV_KMH: Final = 1.5  # besides the share: rolling, sliding and grade add this much within a pulse
_PDOF_DEG: Final = 20.0
_PDOF_CUT_DEG: Final = 45.0  # axes that end at their range turn the direction towards the diagonals
_AFTER_S: Final = 0.35
_PULSES: Final = frozenset({EventKind.CRASH, EventKind.PARKED_IMPACT})
_MANOEUVRES: Final = frozenset(kind for kind in EventKind if kind >= EventKind.HARSH_BRAKE)


@dataclass(frozen=True, slots=True)
class Measured:
    """Delta-V of one impact [km/h]: as it was, as told with its interval (None: not told), and whether an axis of the
    sensor was at its range."""

    true_kmh: float
    dv_kmh: float
    lo_kmh: float | None
    hi_kmh: float | None
    cut: bool


@dataclass(frozen=True, slots=True)
class Told:
    """One event: its last word, and all of its phases."""

    phases: tuple[Event, ...]

    @property
    def last(self) -> Event:
        return self.phases[-1]

    @property
    def kind(self) -> str:
        return self.last.kind.name.lower()

    @property
    def outcome(self) -> str:
        if self.last.kind in _MANOEUVRES:
            return "ended"
        if self.last.phase is Phase.CANCELLED:
            return "withdrawn"
        return "confirmed" if any(event.phase is Phase.CONFIRMED for event in self.phases) else "suspected"

    @property
    def words(self) -> str:
        return f"{self.kind} ({self.outcome}, level {self.last.level}, rule {self.last.rule})"

    def impact(self, number: int) -> Event | None:
        """The last phase that tells of this impact."""
        found = [event for event in self.phases if event.impact_no == number and event.dv_kmh is not None]
        return found[-1] if found else None


def told(events: Iterable[Event]) -> list[Told]:
    """Events by their numbers, in order of time. An alarm that was withdrawn without a new name was never right."""
    ordered = sorted(events, key=lambda event: event.seq)  # stable: phases stay in order
    groups = (Told(tuple(phases)) for _seq, phases in groupby(ordered, key=lambda event: event.seq))
    return sorted(groups, key=lambda item: item.phases[0].t_detect_us)


def best_sense(scenario: Scenario) -> str | None:
    """By which the scenario says what is to be told; None: the terminal hears nothing."""
    senses = scenario.car.senses
    return next((sense for sense in _ORDER if sense in senses), None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``wrong``: sentences on what differs from what had to be told; none when nothing does."""

    told: tuple[Told, ...]
    wrong: tuple[str, ...]
    measured: tuple[Measured, ...]


def judge(drive: Drive, events: Sequence[Event], *, mount_known: bool = False) -> Verdict:
    """``mount_known``: the terminal knew its mounting before the drive."""
    scenario, said = drive.scenario, told(events)
    blind = _blind(scenario)
    case = _Case(drive, mount_known, blind)
    expect = scenario.expect
    if expect is None:
        return Verdict(tuple(said), (), case.measured(said))
    sense = best_sense(scenario)
    wrong = case.wrong(expect, _wanted(expect, sense, scenario) if sense is not None else (), said)
    if wrong and sense == "imu" and blind:
        rest = next((name for name in _ORDER[1:] if name in scenario.car.senses), None)
        if not case.wrong(expect, _wanted(expect, rest, scenario) if rest else (), said):
            wrong = []
    return Verdict(tuple(said), tuple(wrong), case.measured(said))


def _blind(scenario: Scenario) -> bool:
    """The sensor is too slow or its range too short to feel the pulses: its numbers are not asked for."""
    least = scenario.expect.from_range_g if scenario.expect is not None else 0.0
    return scenario.imu.rate_hz < PULSE_HZ or scenario.imu.range_g < least


def _wanted(expect: Expect, sense: str, scenario: Scenario) -> tuple[Word, ...]:
    if sense == "imu" and expect.imu_alone is not None and not {"can", "obd"} & {*scenario.car.senses}:
        return expect.imu_alone
    found: tuple[Word, ...] | None = getattr(expect, sense)
    return found or ()


class _Case:
    """One drive and its truth."""

    def __init__(self, drive: Drive, mount_known: bool, blind: bool) -> None:
        self._drive, self._mount_known, self._blind = drive, mount_known, blind
        self._crashes = {event["impact"]: event for event in drive.truth()["events"] if event["kind"] == "crash"}
        self._cut = _at_range(drive, [event["t0_s"] for event in self._crashes.values()])

    def wrong(self, expect: Expect, wanted: Sequence[Word], said: Sequence[Told]) -> list[str]:
        left, out = list(said), []
        for word in wanted:
            found = next((item for item in left if item.kind in word.kind), None)
            if found is None:
                out += [] if word.optional else [f"not told: {' or '.join(word.kind)}"]
                continue
            left.remove(found)
            out += self._word(word, found)
        return out + [f"told: {item.words}" for item in left if item.kind not in expect.may]

    def measured(self, said: Sequence[Told]) -> tuple[Measured, ...]:
        """Each impact of the truth that was told of as a pulse."""
        found = []
        for number, truth in self._crashes.items():
            near = (item.impact(number) for item in said if item.last.kind in _PULSES)
            event = next((each for each in near if each is not None), None)
            if event is not None and event.dv_kmh is not None:
                cut = truth["t0_s"] in self._cut
                found.append(Measured(truth["delta_v_kmh"], event.dv_kmh, event.dv_lo_kmh, event.dv_hi_kmh, cut))
        return tuple(found)

    def _word(self, word: Word, item: Told) -> list[str]:
        out = []
        if word.outcome and item.outcome not in word.outcome:
            out.append(f"{item.kind} {item.outcome}, not {' or '.join(word.outcome)}")
        truth = self._crashes.get(word.impact or 0)
        event = item.impact(word.impact) if word.impact is not None else None
        cut = event is not None and EventFlag.DV_LOWER_BOUND in event.flags
        low, high = word.level or (0, 9)
        if not (1 if cut else low) <= item.last.level <= high:
            out.append(f"level {item.last.level}, not {low} to {high}")
        if truth is None or self._blind:
            return out
        if event is None:
            return [*out, f"impact {word.impact} is not told of"]
        return out + self._numbers(word, event, truth)

    def _numbers(self, word: Word, event: Event, truth: dict[str, float]) -> list[str]:
        """Time, delta-V and direction of one impact."""
        out = []
        late = event.t0_us / 1e6 - self._drive.engine_time_s(truth["t0_s"])
        if not -_EARLY_S <= late <= _LATE_S:
            out.append(f"T0 {late * 1e3:+.0f} ms off")
        measured, true = event.dv_kmh or 0.0, truth["delta_v_kmh"]
        room = max(word.delta_v * true, _DV_KMH)
        cut, flagged = truth["t0_s"] in self._cut, EventFlag.DV_LOWER_BOUND in event.flags
        if cut != flagged:
            out.append(f"the sensor was {'' if cut else 'not '}at its range, and the flag says otherwise")
        if measured > true + room or (not cut and measured < true - room):
            out.append(f"delta-V {measured:.1f} km/h{' at least' if flagged else ''}, true is {true:.1f}")
        return out + self._direction(event, truth, cut)

    def _direction(self, event: Event, truth: dict[str, float], cut: bool) -> list[str]:
        if event.pdof_deg is None:
            return ["no direction, though the mounting was known"] if self._mount_known else []
        off = abs((event.pdof_deg - truth["pdof_deg"] + 180.0) % 360.0 - 180.0)
        if off > (_PDOF_CUT_DEG if cut else _PDOF_DEG):
            return [f"direction {event.pdof_deg:.0f} deg ({event.clock} o'clock), true is {truth['pdof_deg']:.0f} deg"]
        return []


def _at_range(drive: Drive, begins: Sequence[float]) -> set[float]:
    """The impacts within which a sample had an axis of acceleration at its range."""
    found: set[float] = set()
    if not begins or "imu" not in drive.scenario.car.senses:
        return found
    limit = drive.scenario.imu.range_g * 9.80665 * 0.98
    for sample in drive.samples():
        if sample.valid and max(abs(value) for value in sample.acc) >= limit:
            found.update(begin for begin in begins if begin <= sample.t <= begin + _AFTER_S)
    return found
