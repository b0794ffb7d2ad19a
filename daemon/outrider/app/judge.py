"""What was found against what really happened: for the demo, and for anyone who scores simulated drives.

A truth manoeuvre counts as expected when it held its kind's threshold and a good margin for ``HOLD_S``; below that,
finding it is no error and missing it neither. A found event belongs to the truth event of its kind that overlaps it
within ``TOLERANCE_S``; lane changes and corners may stand for each other. What a crash brings along (airbag, locked
wheels, a second report) belongs to the crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from outrider.model.event import Event, EventFlag, EventKind, Phase

TOLERANCE_S: Final = 2.0
HOLD_S: Final = 0.7
ENGINE_BASE_S: Final = 1.0
# Level of the truth's ``held_s`` that is the detector's default threshold plus at least a sixth.
_EXPECTED: Final = {"brake": "0.35", "accel": "0.30", "corner": "0.45", "lane_change": "0.50"}
_KINDS: Final = {
    EventKind.HARSH_BRAKE: "brake",
    EventKind.HARSH_ACCEL: "accel",
    EventKind.HARSH_CORNER: "corner",
    EventKind.LANE_CHANGE: "lane_change",
}


@dataclass(frozen=True, slots=True)
class Match:
    """One line of the comparison. verdict: hit, missed, extra, below (found or not, it was near the threshold).

    Times are seconds from the start of the drive; sizes are texts for people.
    """

    verdict: str
    truth_kind: str | None = None
    truth_s: float | None = None
    truth_size: str | None = None
    found_kind: str | None = None
    found_s: float | None = None
    found_size: str | None = None


def judge(truth: dict[str, Any], events: Sequence[Event]) -> list[Match]:
    """Compare a truth document of the simulator with the events of a replay, in order of time."""
    found = _final(events)
    matches, used = [], set()
    for item in truth["events"]:
        kind = item["kind"]
        if kind not in (*_EXPECTED, "crash"):
            continue
        mine = min((e for e in found if e.seq not in used and _same(item, e)), key=_rank, default=None)
        expected = kind == "crash" or item["held_s"].get(_EXPECTED[kind], 0.0) >= HOLD_S
        if mine is not None:
            used.add(mine.seq)
            used.update(e.seq for e in found if kind == "crash" and e.kind.is_crash and _same(item, e))
            matches.append(_match("hit" if expected else "below", item, mine))
        elif expected:
            matches.append(_match("missed", item, None))
    matches += [_match("extra", None, e) for e in found if e.seq not in used and _counts(e)]
    return sorted(matches, key=lambda m: m.truth_s if m.truth_s is not None else m.found_s or 0.0)


def _rank(event: Event) -> tuple[bool, int]:
    """A measured crash tells more than an airbag bit; then the earliest."""
    return event.kind.is_crash and event.kind is not EventKind.CRASH, event.t0_us


def _final(events: Sequence[Event]) -> list[Event]:
    """The last report of each event that was not taken back."""
    last: dict[int, Event] = {}
    cancelled = set()
    for event in events:
        last[event.seq] = event
        if event.phase is Phase.CANCELLED:
            cancelled.add(event.seq)
    return [event for seq, event in last.items() if seq not in cancelled]


def _counts(event: Event) -> bool:
    return event.kind in _KINDS or event.kind.is_crash


def _same(item: dict[str, Any], event: Event) -> bool:
    begin = item["t0_s"] + ENGINE_BASE_S - TOLERANCE_S
    end = item["t0_s"] + item["duration_s"] + ENGINE_BASE_S + TOLERANCE_S
    if not begin <= event.t0_us / 1e6 <= end:
        return False
    if item["kind"] == "crash":
        return event.kind.is_crash
    lateral = {"corner", "lane_change"}
    name = _KINDS.get(event.kind)
    return name == item["kind"] or (name in lateral and item["kind"] in lateral)


def _match(verdict: str, item: dict[str, Any] | None, event: Event | None) -> Match:
    return Match(
        verdict=verdict,
        truth_kind=item["kind"] if item else None,
        truth_s=item["t0_s"] if item else None,
        truth_size=_truth_size(item) if item else None,
        found_kind=event.kind.name.lower().removeprefix("harsh_") if event else None,
        found_s=round(event.t0_us / 1e6 - ENGINE_BASE_S, 2) if event else None,
        found_size=_found_size(event) if event else None,
    )


def _truth_size(item: dict[str, Any]) -> str:
    if item["kind"] == "crash":
        return f"Δv {item['delta_v_kmh']:.0f} km/h, {item['clock']} h"
    return f"{item['peak_g']:.2f} g"


def _found_size(event: Event) -> str:
    if event.kind.is_crash and event.dv_kmh is not None:
        bound = "≥ " if EventFlag.DV_LOWER_BOUND in event.flags else ""
        return f"Δv {bound}{event.dv_kmh:.0f} km/h" + (f", {event.clock} h" if event.clock else "")
    return "" if event.peak_g is None else f"{event.peak_g:.2f} g"
