"""Two runs over the same drives: every event, distance and verdict that differs, in a sentence each. Pure.

Events are assigned to each other as in a verdict (``verdict.assign``): within a kind first, then across kinds. What is
compared is what a fleet would notice: that an event is there, when, of which kind, how sure, how large.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from outrider.errors import SuiteError
from outrider.i18n import _
from outrider.suite.model import Expect, Tolerances
from outrider.suite.observed import Finding, Observed
from outrider.suite.results import DriveResult, Results
from outrider.suite.verdict import Line, Verdict, assign, describe


class Noise(msgspec.Struct, frozen=True, kw_only=True):
    """Differences up to here are none. A replay repeats itself exactly; a live bus does so within its jitter."""

    time_s: float = 0.02
    confidence: float = 0.01
    delta_v_kmh: float = 0.2
    peak_g: float = 0.01
    duration_s: float = 0.05
    speed_kmh: float = 0.5
    distance_m: float = 1.0


REPLAY: Final = Noise()
LIVE: Final = Noise(
    time_s=0.5, confidence=0.1, delta_v_kmh=2.0, peak_g=0.1, duration_s=0.5, speed_kmh=3.0, distance_m=50.0
)


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """what: appeared, vanished, moved, changed, renamed (events); distance, trips, verdict, error, drive (the rest)."""

    what: str
    t_s: float | None = None
    sentence: str
    old: Finding | None = None
    new: Finding | None = None


class DriveComparison(msgspec.Struct, frozen=True, kw_only=True):
    """One drive in both runs. A drive that only one of them has is a difference too."""

    name: str
    old: Observed | None
    new: Observed | None
    differences: tuple[Difference, ...]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Both runs, drive by drive in the order of the new one."""

    old: Results
    new: Results
    drives: tuple[DriveComparison, ...]

    @property
    def same(self) -> bool:
        return not any(drive.differences for drive in self.drives)


def compare(old: Results, new: Results, noise: Noise) -> Comparison:
    """SuiteError when the runs have no drive in common, or drives of the same name are of other recordings."""
    before = {drive.observed.name: drive for drive in old.drives}
    after = {drive.observed.name: drive for drive in new.drives}
    _check(before, after)
    names = [*after, *(name for name in before if name not in after)]
    drives = tuple(_drive(name, before.get(name), after.get(name), noise) for name in names)
    return Comparison(old=old, new=new, drives=drives)


def _check(before: Mapping[str, DriveResult], after: Mapping[str, DriveResult]) -> None:
    shared = [name for name in after if name in before]
    if not shared:
        raise SuiteError("the two runs have no drive in common: nothing can be compared")
    inputs = ((name, before[name].observed.inputs, after[name].observed.inputs) for name in shared)
    other = [name for name, old, new in inputs if old and new and old != new]
    if other:
        names = ", ".join(repr(name) for name in other)
        raise SuiteError(f"not the same recordings (or time after them) under these names: {names}; run both again")


def _drive(name: str, old: DriveResult | None, new: DriveResult | None, noise: Noise) -> DriveComparison:
    if old is None or new is None:
        text = _("only in the new run") if old is None else _("only in the old run")
        differences = [Difference(what="drive", sentence=text)]
    else:
        differences = list(_differences(old, new, noise))
    return DriveComparison(
        name=name,
        old=None if old is None else old.observed,
        new=None if new is None else new.observed,
        differences=tuple(differences),
    )


def _differences(old: DriveResult, new: DriveResult, noise: Noise) -> Iterator[Difference]:
    before, after = old.observed, new.observed
    if before.error is not None or after.error is not None:
        text = _("old: {old}; new: {new}")
        sentence = text.format(old=before.error or _("could be run"), new=after.error or _("could be run"))
        if before.error == after.error:
            sentence = _("not compared, could be run in neither: {error}").format(error=after.error)
        yield Difference(what="error", sentence=sentence)
        return
    yield from _events(before.findings, after.findings, noise)
    if abs(after.distance_m - before.distance_m) > noise.distance_m:
        sentence = _("distance {old:.3f} km, now {new:.3f} km").format(
            old=before.distance_m / 1000, new=after.distance_m / 1000
        )
        yield Difference(what="distance", sentence=sentence)
    if before.trips != after.trips:
        sentence = _("{old} trip(s), now {new}").format(old=before.trips, new=after.trips)
        yield Difference(what="trips", sentence=sentence)
    if old.ok != new.ok:
        text = _("met the suite, does not any more: {summary}") if old.ok else _("meets the suite now: {summary}")
        yield Difference(what="verdict", sentence=text.format(summary=new.summary))


def _events(old: Sequence[Finding], new: Sequence[Finding], noise: Noise) -> Iterator[Difference]:
    found: list[Difference] = []
    for before, after in paired(old, new, noise):
        found += _event(before, after, noise)
    yield from sorted(found, key=lambda difference: difference.t_s or 0.0)


def paired(old: Sequence[Finding], new: Sequence[Finding], noise: Noise) -> list[tuple[Finding | None, Finding | None]]:
    """Which events of the two runs belong together."""
    wanted = [Expect(kind=finding.kind, t_s=finding.t_s) for finding in old]
    sources = {id(expect): finding for expect, finding in zip(wanted, old, strict=True)}
    pairs = assign(tuple(wanted), tuple(new), Tolerances(time_s=max(noise.time_s, 0.5)))
    return [(None if expect is None else sources[id(expect)], finding) for expect, finding in pairs]


def _event(old: Finding | None, new: Finding | None, noise: Noise) -> Iterator[Difference]:
    if old is None and new is not None:
        sentence = _("{kind} at {t:.2f} s is new ({what})").format(kind=new.kind, t=new.t_s, what=describe(new))
        yield Difference(what="appeared", t_s=new.t_s, sentence=sentence, new=new)
    elif new is None and old is not None:
        sentence = _("{kind} at {t:.2f} s is gone ({what})").format(kind=old.kind, t=old.t_s, what=describe(old))
        yield Difference(what="vanished", t_s=old.t_s, sentence=sentence, old=old)
    elif old is not None and new is not None:
        yield from _changes(old, new, noise)


def _changes(old: Finding, new: Finding, noise: Noise) -> Iterator[Difference]:
    changes = list(_sizes(old, new, noise))
    moved = abs(new.t_s - old.t_s) > noise.time_s
    if old.kind != new.kind:
        what, sentence = (
            "renamed",
            _("{kind} at {t:.2f} s is now {other}").format(kind=old.kind, t=old.t_s, other=new.kind),
        )
    elif moved:
        what, sentence = (
            "moved",
            _("{kind} at {t:.2f} s is now at {at:.2f} s").format(kind=old.kind, t=old.t_s, at=new.t_s),
        )
    elif changes:
        what, sentence = "changed", _("{kind} at {t:.2f} s").format(kind=old.kind, t=old.t_s)
    else:
        return
    yield Difference(
        what=what,
        t_s=old.t_s,
        sentence=": ".join([sentence, "; ".join(changes)]) if changes else sentence,
        old=old,
        new=new,
    )


def _sizes(old: Finding, new: Finding, noise: Noise) -> Iterator[str]:
    now = _("{name} {old}, now {new}")
    for name, before, after in (
        (_("outcome"), old.outcome, new.outcome),
        (_("level"), old.level, new.level),
        (_("direction"), old.clock, new.clock),
    ):
        if before != after:
            yield now.format(name=name, old="?" if before is None else before, new="?" if after is None else after)
    for name, unit, one, two, limit in (
        (_("confidence"), "", old.confidence, new.confidence, noise.confidence),
        ("Δv", " km/h", old.delta_v_kmh, new.delta_v_kmh, noise.delta_v_kmh),
        (_("peak"), " g", old.peak_g, new.peak_g, noise.peak_g),
        (_("duration"), " s", old.duration_s, new.duration_s, noise.duration_s),
        (_("speed before"), " km/h", old.speed_before_kmh, new.speed_before_kmh, noise.speed_kmh),
        (_("speed after"), " km/h", old.speed_after_kmh, new.speed_after_kmh, noise.speed_kmh),
    ):
        if one is None and two is None:
            continue
        if one is None or two is None or abs(two - one) > limit + 1e-9:
            first, second = ("?" if value is None else f"{value:g}{unit}" for value in (one, two))
            yield now.format(name=name, old=first, new=second)


def lines_of(drive: DriveComparison) -> list[Line]:
    """The differences as lines of a picture: the old run below, the new one above."""
    verdicts = {
        "appeared": Verdict.EXTRA,
        "vanished": Verdict.MISSING,
        "moved": Verdict.OFF,
        "changed": Verdict.OFF,
        "renamed": Verdict.RENAMED,
    }
    lines = []
    for difference in drive.differences:
        if difference.what not in verdicts:
            continue
        old = difference.old
        below = None if old is None else Expect(kind=old.kind, t_s=old.t_s)
        lines.append(Line(verdicts[difference.what], below, difference.new, difference.sentence, True))
    return lines


def comparison_sentence(comparison: Comparison) -> str:
    """The comparison in one sentence."""
    differing = sum(bool(drive.differences) for drive in comparison.drives)
    if not differing:
        return _("All {drives} drive(s) give the same.").format(drives=len(comparison.drives))
    return _("{differing} of {drives} drive(s) differ, {count} difference(s).").format(
        differing=differing,
        drives=len(comparison.drives),
        count=sum(len(drive.differences) for drive in comparison.drives),
    )


def release_of(results: Results) -> str:
    """Which software a run was of."""
    algorithm = _("algorithm")
    return f"outrider {results.software}, {algorithm} {results.algorithm or '?'}, {results.bus}"
