"""The fit of the thresholds of harsh driving: one factor on all of them, chosen on some trips, told on another.

One factor and no more: two trips with fourteen and twelve manoeuvres cannot carry four thresholds. Nor can they carry a
factor that is better by one manoeuvre: chosen is the one nearest to the defaults whose F1 is within a standard error of
the best (the one-standard-error rule: Breiman et al., Classification and Regression Trees, 1984, 3.4.3). Run it by
itself with ``python -m outrider.evaluate.fit_harsh FOLDER``; ``outrider evaluate`` runs it in row E.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from outrider.engine import default_thresholds
from outrider.evaluate.detect import Episode, detect, episodes
from outrider.evaluate.recordings import Manoeuvre, Trip
from outrider.evaluate.statistics import f1, f1_interval

SLACK_S: Final = 0.5
THRESHOLDS: Final = ("brake_g", "accel_g", "corner_g", "lane_g")
FACTORS: Final = tuple(round(0.60 + 0.05 * step, 2) for step in range(17))


@dataclass(frozen=True)
class Match:
    """A trip's manoeuvres and the episodes that overlap each, within SLACK_S; and the episodes that overlap none."""

    real: Sequence[Manoeuvre]
    found: Sequence[Sequence[Episode]]
    false: Sequence[Episode]

    @property
    def hits(self) -> int:
        return sum(bool(found) for found in self.found)

    @property
    def missed(self) -> int:
        return len(self.real) - self.hits


def overlaps(episode: Episode, manoeuvre: Manoeuvre) -> bool:
    return episode.begin_s <= manoeuvre.end_s + SLACK_S and episode.end_s >= manoeuvre.begin_s - SLACK_S


def match(manoeuvres: Sequence[Manoeuvre], found: Sequence[Episode]) -> Match:
    """Aggressive manoeuvres against episodes; one in a calm stretch, or in none, is false."""
    real = [m for m in manoeuvres if m.kind != "calm"]
    each = [[e for e in found if overlaps(e, m)] for m in real]
    return Match(real, each, [e for e in found if not any(overlaps(e, m) for m in real)])


def run_trip(trip: Trip, factor: float = 1.0) -> Match:
    """The trip through a new detector whose harsh thresholds are ``factor`` times the defaults."""
    shipped = default_thresholds()
    motion = None if factor == 1.0 else {name: shipped[name] * factor for name in THRESHOLDS}
    return match(trip.manoeuvres, episodes(detect(trip.samples, motion=motion)))


def pooled_f1(matches: Sequence[Match]) -> float:
    return f1(sum(m.hits for m in matches), sum(len(m.false) for m in matches), sum(m.missed for m in matches))


def standard_error(matches: Sequence[Match]) -> float:
    """Of the pooled F1, from the width of its 95 % interval."""
    counts = [sum(m.hits for m in matches), sum(len(m.false) for m in matches), sum(m.missed for m in matches)]
    low, high = f1_interval(*counts)
    return (high - low) / (2 * 1.96)


def fit(trips: Sequence[Trip]) -> tuple[float, float]:
    """The factor nearest to 1 whose F1 over the trips together is within a standard error of the best, and its F1."""
    matches = {factor: [run_trip(trip, factor) for trip in trips] for factor in FACTORS}
    scores = {factor: pooled_f1(each) for factor, each in matches.items()}
    best = max(scores, key=lambda factor: (round(scores[factor], 6), -abs(factor - 1)))
    least = scores[best] - standard_error(matches[best])
    near = [factor for factor in FACTORS if scores[factor] >= least]
    chosen = min(near, key=lambda factor: (abs(factor - 1), -factor))
    return chosen, scores[chosen]


def main(folder: str) -> None:
    """Print the fit with each trip left out, and over all of them."""
    from pathlib import Path

    from outrider.evaluate.loaders_io import FolderRecordings

    def no_frames(_path: Path) -> bytes:
        return b""

    trips = FolderRecordings(Path(folder), no_frames).trips()
    for left_out in trips:
        rest = [trip for trip in trips if trip is not left_out]
        if rest:
            factor, inside = fit(rest)
            outside = pooled_f1([run_trip(left_out, factor)])
            print(f"without {left_out.name}: x {factor:.2f}, F1 {inside:.2f}; on {left_out.name}: {outside:.2f}")  # noqa: T201
    factor, inside = fit(trips)
    print(f"all {len(trips)}: x {factor:.2f}, F1 {inside:.2f}")  # noqa: T201  # a script's output


if __name__ == "__main__":
    import sys

    main(sys.argv[1])
