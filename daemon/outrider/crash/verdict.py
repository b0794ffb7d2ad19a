"""What was decided and why, as the document says it: state, terms for and against, one English sentence.

The terms and weights are the detector's own (``engine.crash_weights``). Where they do not add up to the confidence that
was recorded, another version of the detector decided, and no weights are claimed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from outrider.crash.document import EvidenceItem, State, Verdict
from outrider.crash.words import TERMS
from outrider.engine import crash_bias, crash_weights
from outrider.model.event import CrashEvidence, Event, EventFlag, EventKind, Phase

_AGREES: Final = 0.02
_STANDING_KMH: Final = 3.0
_MOST_SURE: Final = 0.99  # nothing is certain

_KINDS: Final = {
    EventKind.CRASH: "crash",
    EventKind.CRASH_INFERRED: "crash inferred from speed or silence, without an accelerometer",
    EventKind.ROLLOVER: "rollover",
    EventKind.PARKED_IMPACT: "impact while parked",
    EventKind.DEVICE_MOVED: "move of the terminal in its mount",
    EventKind.AIRBAG: "airbag deployment",
    EventKind.POWER_LOST_MOVING: "loss of all signals while driving",
    EventKind.BUS_LOST_MOVING: "silence of the buses while driving",
    EventKind.SPEED_SENSOR_LOST: "loss of the speed signal",
    EventKind.WHEEL_LOCKUP: "locking of the wheels",
}
_SIDES: Final = {
    12: "from the front",
    1: "from the front right",
    2: "from the front right",
    3: "from the right",
    4: "from the rear right",
    5: "from the rear right",
    6: "from behind",
    7: "from the rear left",
    8: "from the rear left",
    9: "from the left",
    10: "from the front left",
    11: "from the front left",
}


def state_of(events: Sequence[Event]) -> State:
    """Confirmed stays so unless withdrawn; closed: the time to confirm ran out without a change of the suspicion."""
    last = events[-1]
    if last.phase is Phase.CANCELLED or not last.kind.is_crash:
        return "cancelled"
    if any(event.phase is Phase.CONFIRMED for event in events):
        return "confirmed"
    return "closed" if last.phase is Phase.CLOSED else "suspected"


def verdict_of(events: Sequence[Event], strongest: Event | None = None) -> Verdict:
    """Of all phases of an event, the last one counting; ``events`` is not empty. strongest: whose numbers are told."""
    last = events[-1]
    state = state_of(events)
    items = _items(last)
    return Verdict(
        sentence(last, state, strongest or last),
        last.kind.name.lower(),
        last.level,
        state,
        round(last.conf, 6),
        items,
        round(crash_bias(), 6) if items else None,
        last.rule,
    )


def sentence(event: Event, state: State, impact: Event) -> str:
    """One English sentence for a person without training."""
    name = _KINDS.get(event.kind, event.kind.name.lower().replace("_", " "))
    how = {
        "confirmed": f"Confirmed: {name}",
        "suspected": f"Suspected, not yet confirmed: {name}",
        "cancelled": f"No crash: {name}" if not event.kind.is_crash else f"Suspicion withdrawn: {name}",
        "closed": f"Suspected, neither confirmed nor withdrawn: {name}",
    }[state]
    sure = "" if state == "cancelled" else f" ({min(event.conf, _MOST_SURE):.0%} sure)"
    return ", ".join([how, *_details(impact, event)]) + sure + "."


def _details(event: Event, last: Event) -> list[str]:
    found = []
    if event.clock in _SIDES:
        found.append(f"{_SIDES[event.clock]} ({event.clock} o'clock)")
    if event.v_impact_kmh is not None:
        found.append(f"at {event.v_impact_kmh:.0f} km/h" if event.v_impact_kmh >= _STANDING_KMH else "while standing")
    if event.dv_kmh is not None:
        if event.flags & EventFlag.DV_LOWER_BOUND:
            least = event.dv_kmh if event.dv_lo_kmh is None else min(event.dv_kmh, event.dv_lo_kmh)
            found.append(f"change of velocity at least {least:.0f} km/h")
        else:
            found.append(f"change of velocity {event.dv_kmh:.0f} km/h")
    if last.impact_no > 1:
        found.append(f"the strongest of {last.impact_no} impacts")
    if last.flags & EventFlag.AIRBAG and last.kind is not EventKind.AIRBAG:
        found.append("airbag deployed")
    if last.flags & EventFlag.ROLLOVER and last.kind is not EventKind.ROLLOVER:
        found.append("rolled over")
    return found


def _items(event: Event) -> tuple[EvidenceItem, ...]:
    if not event.evidence:
        return ()
    weights = crash_weights()
    total = crash_bias() + sum(weight for term, weight in weights.items() if event.evidence & term)
    if abs(1 / (1 + math.exp(-total)) - event.conf) > _AGREES:
        return ()
    return tuple(_item(term, round(weights[term], 6), bool(event.evidence & term)) for term in CrashEvidence)


def _item(term: CrashEvidence, weight: float, counted: bool) -> EvidenceItem:
    return EvidenceItem((term.name or "").lower(), TERMS[term], counted, weight, weight if counted else 0.0)
