"""What was expected against what was found: one line for each, with a sentence, and whether the drive passes. Pure.

Events of a kind are assigned one to one (``align``). What then has no partner is tried across kinds within its
tolerance: an event that is there under another name is one difference, not two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from outrider.i18n import _
from outrider.suite.align import Moment, align
from outrider.suite.model import Drive, Expect, Limits, Tolerances
from outrider.suite.observed import Finding, Observed

REACH_S: Final = 10.0  # an event of the same kind this near is taken for the expected one, if out of tolerance


class Verdict(StrEnum):
    """hit: as expected. off: there, but not as expected. renamed: there under another kind."""

    HIT = "hit"
    OFF = "off"
    RENAMED = "renamed"
    MISSING = "missing"
    EXTRA = "extra"


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison; ``counts``: it makes the drive fail (an extra event may be allowed)."""

    verdict: Verdict
    expected: Expect | None
    found: Finding | None
    sentence: str
    counts: bool

    @property
    def t_s(self) -> float:
        """When, for the order of lines."""
        if self.expected is not None:
            return self.expected.t_s
        return self.found.t_s if self.found is not None else 0.0


@dataclass(frozen=True, slots=True)
class DriveVerdict:
    """The judgement of one drive. ``limits``: a sentence for each limit that does not hold."""

    drive: Drive
    observed: Observed
    lines: tuple[Line, ...]
    limits: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return self.observed.error is None and not self.limits and not any(line.counts for line in self.lines)

    @property
    def problems(self) -> list[str]:
        """Sentences of what differs, in order of time; an error alone when the drive could not be run."""
        if self.observed.error is not None:
            return [self.observed.error]
        return [line.sentence for line in self.lines if line.counts] + list(self.limits)

    @property
    def sentence(self) -> str:
        """The whole in one sentence."""
        hits = sum(line.verdict is Verdict.HIT for line in self.lines)
        if self.observed.error is not None:
            return _("could not be run: {error}").format(error=self.observed.error)
        if self.ok:
            return _("as expected: {hits} of {expected} event(s) found").format(
                hits=hits, expected=len(self.drive.expect)
            )
        first, *rest = self.problems
        more = _(" (and {count} more)").format(count=len(rest)) if rest else ""
        return first + more


def judge(drive: Drive, observed: Observed, tolerances: Tolerances) -> DriveVerdict:
    """Hold what was seen of a drive against what the suite says of it."""
    if observed.error is not None:
        return DriveVerdict(drive, observed, (), ())
    pairs = assign(drive.expect, observed.findings, tolerances)
    extras = sum(expect is None for expect, _found in pairs)
    allowed = extras <= drive.limits.max_extra_events
    lines = [_line(expect, found, tolerances, allowed) for expect, found in pairs]
    lines.sort(key=lambda line: line.t_s)
    limits = tuple(_limits(drive.limits, observed, tolerances, extras))
    return DriveVerdict(drive, observed, tuple(lines), limits)


def assign(
    expected: tuple[Expect, ...], findings: tuple[Finding, ...], tolerances: Tolerances
) -> list[tuple[Expect | None, Finding | None]]:
    """One to one, within a kind first; then what is left, across kinds. Each expectation and finding once."""
    paired: list[tuple[Expect | None, Finding | None]] = []
    lone: list[Expect] = []
    stray: list[Finding] = []
    for kind in sorted({e.kind for e in expected} | {f.kind for f in findings}):
        mine = [e for e in expected if e.kind == kind]
        theirs = [f for f in findings if f.kind == kind]
        for expect, found in _pairs(mine, theirs, tolerances, REACH_S):
            if expect is not None and found is not None:
                paired.append((expect, found))
            elif expect is not None:
                lone.append(expect)
            elif found is not None:
                stray.append(found)
    return paired + _pairs(lone, stray, tolerances, 0.0)


def _pairs(
    expected: list[Expect], findings: list[Finding], tolerances: Tolerances, reach_s: float
) -> list[tuple[Expect | None, Finding | None]]:
    moments = [Moment(_us(e.t_s), _us(e.tolerance_s or tolerances.time_s)) for e in expected]
    pairs = align(moments, [_us(f.t_s) for f in findings], _us(reach_s))
    return [(None if i is None else expected[i], None if j is None else findings[j]) for i, j in pairs]


def _us(seconds: float) -> int:
    return round(seconds * 1e6)


# -- one line ------------------------------------------------------------------------------------------


def _line(expect: Expect | None, found: Finding | None, tolerances: Tolerances, extra_allowed: bool) -> Line:
    if expect is None:
        assert found is not None
        text = _("{kind} at {t:.2f} s was not expected ({what})")
        sentence = text.format(kind=found.kind, t=found.t_s, what=describe(found))
        if extra_allowed:
            sentence += _("; allowed")
        return Line(Verdict.EXTRA, None, found, sentence, not extra_allowed)
    if found is None:
        sentence = _("{kind} expected at {t:.2f} s was not found").format(kind=expect.kind, t=expect.t_s)
        return Line(Verdict.MISSING, expect, None, sentence, True)
    differences = list(_differences(expect, found, tolerances))
    if expect.kind != found.kind:
        sentence = _("{kind} expected at {t:.2f} s was found as {other} at {at:.2f} s").format(
            kind=expect.kind, t=expect.t_s, other=found.kind, at=found.t_s
        )
        return Line(Verdict.RENAMED, expect, found, "; ".join([sentence, *differences]), True)
    if differences:
        sentence = _("{kind} expected at {t:.2f} s: {differences}").format(
            kind=expect.kind, t=expect.t_s, differences="; ".join(differences)
        )
        return Line(Verdict.OFF, expect, found, sentence, True)
    text = _("{kind} at {t:.2f} s as expected ({what})")
    late = round(found.t_s - expect.t_s, 2)
    if late:
        text = _("{kind} at {t:.2f} s, {by:.2f} s late ({what})")
    if late < 0:
        text = _("{kind} at {t:.2f} s, {by:.2f} s early ({what})")
    sentence = text.format(kind=found.kind, t=found.t_s, by=abs(late), what=describe(found))
    return Line(Verdict.HIT, expect, found, sentence, False)


def describe(found: Finding) -> str:
    """Size and outcome in a few words."""
    parts = [found.outcome]
    if found.peak_g is not None:
        parts.append(f"{found.peak_g:.2f} g")
    if found.delta_v_kmh is not None and found.reported_s is not None:
        parts.append(f"Δv {'≥ ' if found.delta_v_at_least else ''}{found.delta_v_kmh:.1f} km/h")
    if found.duration_s is not None and found.reported_s is None:
        parts.append(f"{found.duration_s:.1f} s")
    if found.reported_s is not None:
        parts.append(f"{found.confidence:.0%}")
    return ", ".join(parts)


def _differences(expect: Expect, found: Finding, tolerances: Tolerances) -> Iterator[str]:
    late, tolerance = found.t_s - expect.t_s, expect.tolerance_s or tolerances.time_s
    if abs(_us(found.t_s) - _us(expect.t_s)) > _us(tolerance):
        text = _("{by:.2f} s too late (tolerance {tolerance:g} s)")
        if late < 0:
            text = _("{by:.2f} s too early (tolerance {tolerance:g} s)")
        yield text.format(by=abs(late), tolerance=tolerance)
    if expect.outcome is not None and found.outcome != expect.outcome:
        yield _("{found} instead of {expected}").format(found=found.outcome, expected=expect.outcome)
    if expect.level is not None and found.level != expect.level:
        yield _("level {found} instead of {expected}").format(found=found.level, expected=expect.level)
    if expect.confidence_min is not None and found.confidence < expect.confidence_min:
        yield _("confidence {found:.2f}, at least {expected:.2f} wanted").format(
            found=found.confidence, expected=expect.confidence_min
        )
    if expect.clock is not None and found.clock != expect.clock:
        yield _("from {found} o'clock instead of {expected}").format(found=found.clock or "?", expected=expect.clock)
    yield from _latency(expect, found)
    t, dv, g, s = tolerances, expect.delta_v_tolerance_kmh, expect.peak_tolerance_g, expect.duration_tolerance_s
    yield from _size("Δv", "km/h", found.delta_v_kmh, expect.delta_v_kmh, dv or t.delta_v_kmh)
    yield from _size(_("peak"), "g", found.peak_g, expect.peak_g, g or t.peak_g)
    yield from _size(_("duration"), "s", found.duration_s, expect.duration_s, s or t.duration_s)


def _latency(expect: Expect, found: Finding) -> Iterator[str]:
    if expect.detect_within_s is None:
        return
    took = None if found.reported_s is None else found.reported_s - found.t_s
    if took is None or _us(took) > _us(expect.detect_within_s):
        shown = "?" if took is None else f"{took:.2f}"
        yield _("reported after {took} s, {within:g} s allowed").format(took=shown, within=expect.detect_within_s)


def _size(name: str, unit: str, found: float | None, expected: float | None, tolerance: float) -> Iterator[str]:
    if expected is None:
        return
    if found is None:
        yield _("{name} unknown instead of {expected:g} {unit}").format(name=name, expected=expected, unit=unit)
    elif abs(found - expected) > tolerance + 1e-9:
        yield _("{name} {found:g} {unit} instead of {expected:g} ± {tolerance:g}").format(
            name=name, found=found, unit=unit, expected=expected, tolerance=tolerance
        )


# -- the drive as a whole ------------------------------------------------------------------------------


def _limits(limits: Limits, observed: Observed, tolerances: Tolerances, extras: int) -> Iterator[str]:
    distance = limits.distance_tolerance_km or tolerances.distance_km
    yield from _size(_("distance"), "km", round(observed.distance_m / 1000, 3), limits.distance_km, distance)
    if limits.trips is not None and observed.trips != limits.trips:
        yield _("{found} trip(s) instead of {expected}").format(found=observed.trips, expected=limits.trips)
    if limits.max_extra_events and extras > limits.max_extra_events:
        yield _("{found} unexpected events, {allowed} allowed").format(found=extras, allowed=limits.max_extra_events)
    if observed.lost_frames > limits.max_lost_frames:
        yield _("{found} frame(s) lost on the way, {allowed} allowed").format(
            found=observed.lost_frames, allowed=limits.max_lost_frames
        )
