"""Found against false over the threshold, by knowledge of the ground, by cause. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from outrider.evaluate.lost.ride import IN_TIME_S, Loss, Silence
from outrider.evaluate.lost.run import Experience
from outrider.evaluate.statistics import Interval, percentile, poisson_interval, wilson

PLACED_M: Final = 300.0
PER_KM: Final = 100_000.0
THRESHOLDS: Final = tuple(round(2.0 + 0.25 * step, 2) for step in range(21))
KNOWLEDGE: Final = (0, 1, 10, 30, 100, 300)  # passes of the fleet over a road before, lower ends


@dataclass(frozen=True, slots=True)
class Share:
    """hits of n."""

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> Interval:
        return wilson(self.hits, self.n)


@dataclass(frozen=True, slots=True)
class Rate:
    """False alarms over kilometres at beacon speed."""

    count: int
    km: float

    @property
    def value(self) -> float | None:
        """Per 100,000 km."""
        return self.count / self.km * PER_KM if self.km else None

    @property
    def interval(self) -> Interval:
        low, high = poisson_interval(self.count)
        return (low / self.km * PER_KM, high / self.km * PER_KM) if self.km else (0.0, float("inf"))


@dataclass(frozen=True, slots=True)
class Point:
    """One threshold. Found: raised within 15 s of the impact and placed within 300 m, of losses in coverage.

    silent: neither crash event nor braking beacon got out; minute: of those, within 60 s; held: all, with stored
    energy for 1 s; anywhere: all losses, in coverage or not.
    """

    threshold: float
    false: Rate
    found: Share
    event: Share
    silent: Share
    minute: Share
    held: Share
    anywhere: Share


def known(experience: Experience, passes: int) -> tuple[list[Silence], list[Loss], float]:
    """What happened on roads passed at least so often before."""
    silences = [one for one in experience.silences if one.passes >= passes]
    losses = [one for one in experience.losses if one.passes >= passes]
    return silences, losses, experience.driven_km(passes)


def between(experience: Experience, low: int, high: float) -> tuple[list[Silence], list[Loss], float]:
    """What happened on roads passed low <= passes < high times before."""
    silences = [one for one in experience.silences if low <= one.passes < high]
    losses = [one for one in experience.losses if low <= one.passes < high]
    km = sum(km for (_kind, before), km in experience.km.items() if low <= before < high)
    return silences, losses, km


def point(threshold: float, silences: Iterable[Silence], losses: Sequence[Loss], km: float) -> Point:
    """All numbers of one threshold."""
    covered = [loss for loss in losses if loss.covered]
    silent = [loss for loss in covered if not loss.event_out and not loss.braking_out]
    false = sum(one.course.first(threshold) is not None for one in silences)

    def share(of: Sequence[Loss], within_s: float = IN_TIME_S, held: bool = False) -> Share:
        return Share(sum(is_found(loss, threshold, within_s, held) for loss in of), len(of))

    return Point(
        threshold=threshold,
        false=Rate(false, km),
        found=share(covered),
        event=share([loss for loss in covered if loss.event_out]),
        silent=share(silent),
        minute=share(silent, 60.0),
        held=share(covered, held=True),
        anywhere=share(losses),
    )


def is_found(loss: Loss, threshold: float, within_s: float = IN_TIME_S, held: bool = False) -> bool:
    """Raised so soon after the impact, and placed."""
    at = (loss.held if held else loss.course).first(threshold)
    return at is not None and at[0] <= within_s and at[1] <= PLACED_M


def causes(silences: Iterable[Silence], threshold: float) -> Counter[str]:
    """False alarms by what the silence was."""
    return Counter(one.cause for one in silences if one.course.first(threshold) is not None)


def spread(
    losses: Iterable[Loss], threshold: float, which: Callable[[Loss], bool]
) -> tuple[int, dict[str, float | None]]:
    """Time from the impact to the alarm [s] and error of its place [m] of those raised within two minutes."""
    raised = [at for loss in losses if which(loss) and (at := loss.course.first(threshold)) is not None]
    times, errors = [at[0] for at in raised], [at[1] for at in raised if at[1] < float("inf")]
    quantiles = {f"time p{q}": percentile(times, q) for q in (50, 95, 99)}
    return len(raised), quantiles | {f"error p{q}": percentile(errors, q) for q in (50, 95, 99)}
