"""How surprising a silence is, in decades, and why. Pure.

    p(silence is ordinary) = random(excess) * own + rate(place) * ratio(signal) * survival(excess)
    score                  = -log10(p) + evidence for a loss

random: silences that come anywhere, learnt from the fleet; own: how much worse this terminal is than the others.
rate: of silences that begin at this place; survival: of them, those that last so long. Docs: lost.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from outrider.i18n import _
from outrider.ingest.watch.deadman_coverage import SILENT_S, CoverageMap, PlaceRecord, is_falling
from outrider.ingest.watch.deadman_options import BRAKING_DECADES, CRASH_DECADES, RESET_DECADES

_LEAST: Final = 1e-9
_OWN_WEIGHT: Final = 2.0
_OWN_RANGE: Final = (0.5, 50.0)
_HOLE_MARGIN, _HOLE_SLACK_S = 1.5, 10.0  # a known hole may take so much longer than it ever did: traffic
_HOLE_FALL: Final = 4
_HOLE_LEAST: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence as it stands. silence_s: since the last sign of life; own_silences of own_beacons: this terminal's
    record on clean ground; signal: ``signal_class``; braking_mps2: just before."""

    silence_s: float
    interval_s: float
    speed_mps: float
    place: PlaceRecord | None
    signal: int
    own_beacons: int
    own_silences: int
    braking_mps2: float | None
    is_braking: bool
    is_crash: bool
    is_closed: bool

    @property
    def excess_s(self) -> float:
        return self.silence_s - self.interval_s


@dataclass(frozen=True, slots=True)
class Score:
    decades: float
    reasons: tuple[str, ...]


def score(silence: Silence, fleet: CoverageMap) -> Score:
    """Decades of surprise, with the reasons in words, the strongest first."""
    excess = silence.excess_s
    anywhere = fleet.random_rate(excess) * _own_ratio(silence, fleet)
    here = _place_rate(silence, fleet) * _survival(silence.place, excess, fleet)
    decades = -math.log10(max(_LEAST, min(1.0, anywhere + here)))
    decades += CRASH_DECADES * silence.is_crash
    decades += BRAKING_DECADES * (silence.is_braking and not silence.is_crash)
    decades += RESET_DECADES * silence.is_closed
    return Score(decades, tuple(_reasons(silence)))


def _own_ratio(silence: Silence, fleet: CoverageMap) -> float:
    expected = silence.own_beacons * fleet.random_rate(SILENT_S)
    ratio = (_OWN_WEIGHT + silence.own_silences) / (_OWN_WEIGHT + expected)
    return min(max(ratio, _OWN_RANGE[0]), _OWN_RANGE[1])


def _place_rate(silence: Silence, fleet: CoverageMap) -> float:
    if silence.place is None:
        return 1.0  # nobody knows where it is: any silence may be ordinary
    return min(1.0, silence.place.rate * fleet.signal_ratio(silence.signal))


def _survival(place: PlaceRecord | None, excess_s: float, fleet: CoverageMap) -> float:
    if place is None or not place.silences or not place.longest_s:
        return fleet.bound_survival(excess_s)
    allowed = _HOLE_MARGIN * place.longest_s + _HOLE_SLACK_S
    return 1.0 if excess_s <= allowed else max(_HOLE_LEAST, (allowed / excess_s) ** _HOLE_FALL)


def _reasons(silence: Silence) -> list[str]:
    out = []
    if silence.is_crash:
        out.append(_("it had told of a crash and did not withdraw it"))
    elif silence.is_braking:
        out.append(_("braked with {value:.1f} m/s² just before").format(value=silence.braking_mps2 or 0.0))
    missed = max(1, int(silence.silence_s / silence.interval_s)) if silence.interval_s else 1
    out.append(
        _("{missed} beacons missed in {seconds:.0f} s at {speed:.0f} km/h").format(
            missed=missed, seconds=silence.silence_s, speed=silence.speed_mps * 3.6
        )
    )
    out += _about_place(silence.place)
    if silence.signal:
        falling = is_falling(silence.signal)
        out.append(_("signal was falling") if falling else _("signal was not falling"))
    if silence.is_closed:
        out.append(_("its connection was closed at once: the terminal may be starting again"))
    return out


def _about_place(place: PlaceRecord | None) -> list[str]:
    if place is None:
        return [_("its place is not known")]
    if place.silences:
        text = _("{silences} silences began here before in {passes:.0f} passes, the longest {seconds:.0f} s")
        return [text.format(silences=place.silences, passes=place.passes, seconds=place.longest_s)]
    if place.passes >= 1:
        return [_("the fleet passed here {passes:.0f} times without a silence").format(passes=place.passes)]
    return [_("the fleet has not been here before")]
